"""Where Prometheus finds the sources of metrics.

Decides:
    `app/scrape_targets`; `app/scrape_interval_seconds` and `app/exporter_python` if the policy file sets
    them; so also `app/flower_celery`; `app/exporter_key_prefix` if the keys of Redis have a prefix.

Because:
    The alert rules select series by the names of jobs, so the configuration of these jobs belongs to the
    rules. Nobody but the platform team knows where its exporters run. Without addresses, each exporter is
    expected beside Prometheus on its default port. Units for celery-exporter and Flower are only for hosts
    where they are installed, and the policy file says where.

Example:
    tasks: {shop.mail.send: {}}

    app/scrape_targets = {"celery-exporter": ["127.0.0.1:9808"], "redis-exporter": ["127.0.0.1:9121"]}

Refuses:
    PC974 interval-too-short: set `interval` to more than the source needs for an answer, or leave it out.
        when: a source needs more time for an answer than there is between two scrapes.
    PC981 interval-too-long: set `interval` to 2 min or less.
        when: more than 2 min are between two scrapes, so alerts go out by mistake or not at all.
    PC977 addresses-unused: add the source to `sources` of the policy metric-sources, or remove its addresses.
        when: the policy file has addresses of a source that does not measure this service.

Parameters:
    `addresses`: the addresses of each source; if a source has none, its default port on 127.0.0.1; {}.
    `interval`: the time between two scrapes; if null, 30s for celery-exporter and 15s for others; null.
    `exporter_python`: path of the Python with celery-exporter; if set, systemd and supervisor start it; null.
    `flower_celery`: path of a `celery` beside Flower; if set, systemd and supervisor start Flower; null.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

from pydantic import Field

from policycompiler.diagnostics import Diagnostic, error, info, warning
from policycompiler.knowledge.metric_sources import CELERY_EXPORTER, FLOWER, SOURCES
from policycompiler.model import PolicyParameters, Workload
from policycompiler.model.units import Folder, HostAndPort, PositiveDuration
from policycompiler.plan import APP, Constant, Decision, Derived, Origin, Parameter, Plan, Value
from policycompiler.policies.policy import parameter
from policycompiler.quantities import duration

NAME = "scraping"

ADDRESSES_UNUSED = info("PC977", "addresses-unused")
INTERVAL_TOO_SHORT = error("PC974", "interval-too-short")
INTERVAL_TOO_LONG = warning("PC981", "interval-too-long")

SourceName = Literal["telemetry", "celery-exporter", "flower", "redis-exporter", "rabbitmq"]

BESIDE = "127.0.0.1"
"""The host of an exporter that the policy file gives no address."""
MOST_INTERVAL_SECONDS = 120
"""Prometheus forgets a sample after 5 min, and its makers advise 2 min at most, so that one may be lost."""


class Parameters(PolicyParameters):
    """The parameters of the policy."""

    addresses: dict[SourceName, Annotated[list[HostAndPort], Field(min_length=1)]] = Field(
        default_factory=dict,
        description="addresses of each source; if a source has none, its default port on 127.0.0.1",
    )
    interval: PositiveDuration | None = Field(
        None,
        description="time between two scrapes; if null, 30s for celery-exporter and 15s for others",
    )
    exporter_python: Folder | None = Field(
        None,
        description="path of the Python with celery-exporter; if set, systemd and supervisor start it",
    )
    flower_celery: Folder | None = Field(
        None,
        description="path of a `celery` beside Flower; if set, systemd and supervisor start Flower",
    )


def apply(spec: Workload, plan: Plan, tuned: Parameters) -> Iterator[Decision | Diagnostic]:
    """Decide the addresses of the chosen sources."""
    del spec
    sources = plan.texts(APP, "metric_sources") if plan.find(APP, "metric_sources") else []
    for name in sorted(set(tuned.addresses) - set(sources)):
        message = f"the policy file has addresses of {name}, which is no source of metrics of this service"
        yield ADDRESSES_UNUSED.at((), message)
    targets: dict[str, Value] = {
        name: [*tuned.addresses[name]] if name in tuned.addresses else [f"{BESIDE}:{SOURCES[name].port}"]
        for name in sources
        if name in tuned.addresses or SOURCES[name].port is not None
    }
    if targets:
        given: Value = {name: [*addresses] for name, addresses in tuned.addresses.items()}
        origin: Origin = Parameter(("parameters", NAME, "addresses"), given)
        if not set(tuned.addresses) & set(targets):
            origin = Constant("BESIDE", BESIDE)
        because = "Prometheus finds the sources at these addresses"
        yield Decision(APP, "scrape_targets", targets, because, (origin, Derived(APP, "metric_sources")))
    if sources and tuned.interval is not None:
        because = "the policy file sets the time between two scrapes"
        origin = parameter(NAME, "interval", tuned.interval)
        yield Decision(APP, "scrape_interval_seconds", tuned.interval, because, (origin,))
        yield from _unfit(sources, tuned.interval)
    if CELERY_EXPORTER.name in sources:
        yield from _exporter(plan, tuned)
    if FLOWER.name in sources and tuned.flower_celery is not None:
        because = "Flower is installed there, and units start it"
        celery = parameter(NAME, "flower_celery", tuned.flower_celery)
        yield Decision(APP, "flower_celery", tuned.flower_celery, because, (celery,))


def _unfit(sources: Sequence[str], interval: float) -> Iterator[Diagnostic]:
    """Whether answers come in time, and often enough."""
    for name in sources:
        least = max(each.answer_seconds for each in SOURCES[name].scrapes)
        if interval <= least:
            yield INTERVAL_TOO_SHORT.at(
                (),
                f"the policy file lets Prometheus scrape every {duration(interval)}, but "
                f"{SOURCES[name].label} needs {duration(least)} for an answer",
            )
    if interval > MOST_INTERVAL_SECONDS:
        yield INTERVAL_TOO_LONG.at(
            (),
            f"the policy file lets Prometheus scrape every {duration(interval)}, but it forgets samples "
            "after 5 min",
        )


def _exporter(plan: Plan, tuned: Parameters) -> Iterator[Decision]:
    """How celery-exporter is started."""
    options = plan.get(APP, "broker_transport_options")
    prefix = options.get("global_keyprefix") if isinstance(options, dict) else None
    if prefix:
        because = "celery-exporter finds events and queues only below the prefix"
        origin = Derived(APP, "broker_transport_options")
        yield Decision(APP, "exporter_key_prefix", str(prefix), because, (origin,))
    if tuned.exporter_python is not None:
        because = "celery-exporter is installed there, and units start it"
        python = parameter(NAME, "exporter_python", tuned.exporter_python)
        yield Decision(APP, "exporter_python", tuned.exporter_python, because, (python,))
