"""Metrics that the processes of the service measure about themselves.

Decides:
    If `app/metric_sources` contains `telemetry`: `app/telemetry_bind`, `app/telemetry_wait_buckets` and
    `app/telemetry_run_buckets`; `worker:NAME/telemetry_ports`; with schedules, `beat/telemetry_port`.

Because:
    An exporter sees events, and events say neither when a message was published nor what beat does. So the
    output gets a module that measures both in the processes themselves. Prometheus reads an objective such
    as "99 of 100 tasks start within 30 s" exactly only if 30 s is the bound of a bucket. So the promise of
    each queue is one, and where room is left, declared run times and time limits are.

    A host runs several processes, and each needs a port. Beat has the first one. Each worker has one for
    each of its processes and one more, because a new process may start while an old one still stops. In a
    container the first port of the range is always free.

    Prometheus mostly runs on another machine, and a container must listen to the outside. So the default
    address is that of all interfaces. The metrics have names and numbers, but no arguments. A firewall, or
    `bind`, limits who reads them.

Example:
    tasks: {shop.mail.send: {}}

    app/metric_sources = ["celery-exporter", "redis-exporter"]

Refuses:
    PC971 telemetry-ports-short: choose a lower `first_port`.
        policy: parameters: {metric-sources: {sources: [telemetry]}, telemetry: {first_port: 65533}}
        fires: tasks: {shop.a: {latency: interactive}, shop.b: {latency: batch}}
        silent: tasks: {shop.a: {}}
    PC979 telemetry-loopback: bind to an address that others reach, or deploy no containers.
        policy: parameters: {metric-sources: {sources: [telemetry]}, telemetry: {bind: "127.0.0.1"}}
        fires:
            deploy: {image: "registry.example/shop:1.4.2"}
            tasks: {shop.a: {}}
        silent: tasks: {shop.a: {}}

Parameters:
    `bind`: the address on which processes serve their metrics; "0.0.0.0".
    `first_port`: the port of beat; workers have the next ones; 9540.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Annotated

from pydantic import Field, field_validator

from policycompiler.diagnostics import Diagnostic, error, warning
from policycompiler.knowledge.metric_sources import SOURCES, TELEMETRY
from policycompiler.model import PolicyParameters, Workload
from policycompiler.model.units import refuse
from policycompiler.plan import APP, BEAT, Constant, Decision, Derived, Origin, Plan, Scope, Value
from policycompiler.policies.policy import deployed, parameter

NAME = "telemetry"

TELEMETRY_PORTS_SHORT = error("PC971", "telemetry-ports-short")
TELEMETRY_LOOPBACK = warning("PC979", "telemetry-loopback")

LAST_PORT = 65535
LOOPBACK = ("127.0.0.1", "::1")
"""The addresses that only processes of the same host, or of the same container, reach."""
MOST_BUCKETS = 16
"""Each task in each queue has so many series for its waits, and as many for its runs."""
LADDER: list[Value] = [0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 14400, 86400]
"""Bounds in seconds between and beyond the declared ones."""
SPARE_PORTS = 1
"""One process may start while another one still stops."""
_OF_TASKS = (
    "runtime_p50_seconds",
    "runtime_p99_seconds",
    "options.soft_time_limit",
    "options.time_limit",
)


class Parameters(PolicyParameters):
    """The parameters of the policy."""

    bind: Annotated[str, Field(pattern=r"^[0-9A-Fa-f.:]+$")] = Field(
        "0.0.0.0",  # noqa: S104 - the docstring says why
        description="the IP address on which processes serve their metrics; all interfaces by default",
    )
    first_port: Annotated[int, Field(ge=1024, le=LAST_PORT)] = Field(
        9540, description="the port of beat; workers have the next ones"
    )

    @field_validator("bind")
    @classmethod
    def _is_an_address(cls, bind: str) -> str:
        try:
            ip_address(bind)
        except ValueError:
            message = "write an IP address of the host, such as 10.0.0.5 or ::1"
            raise refuse(message) from None
        return bind


def apply(spec: Workload, plan: Plan, tuned: Parameters) -> Iterator[Decision | Diagnostic]:
    """Buckets for all processes, and ports for each of them."""
    sources = Derived(APP, "metric_sources")
    chosen = plan.get(APP, "metric_sources")
    if not isinstance(chosen, list) or TELEMETRY.name not in chosen:
        return
    because = "Prometheus mostly runs on another machine; metrics have no arguments of tasks"
    yield Decision(APP, "telemetry_bind", tuned.bind, because, (parameter(NAME, "bind", tuned.bind), sources))
    if deployed(spec, "image") and tuned.bind in LOOPBACK:
        message = f"nobody can scrape telemetry on {tuned.bind}: it is an address inside of each container"
        yield TELEMETRY_LOOPBACK.at((), message, help="remove `bind` of the policy telemetry")
    yield from _buckets(plan)
    yield from _ports(plan, tuned.first_port)


def _buckets(plan: Plan) -> Iterator[Decision]:
    promises = _numbers(plan, "queue", ("queue_wait_seconds",))
    runs = _numbers(plan, "task", _OF_TASKS)
    ladder = Constant("LADDER", LADDER)
    waits = _thinned(set(promises.values()), set())
    because = "the promise of each queue is the bound of a bucket"
    yield Decision(APP, "telemetry_wait_buckets", waits, because, (*promises, ladder))
    because = "bounds are declared run times and time limits as far as there is room"
    values = _thinned(set(), set(runs.values()))
    yield Decision(APP, "telemetry_run_buckets", values, because, (*runs, ladder))


def _numbers(plan: Plan, kind: str, keys: tuple[str, ...]) -> dict[Origin, float]:
    return {
        Derived(scope, key): float(number)
        for scope in plan.scopes(kind)
        for key in keys
        if (number := plan.number_if_any(scope, key))
    }


def _thinned(required: set[float], declared: set[float]) -> list[Value]:
    """At most 16 bounds, and all required ones; others that are close to a neighbor go first."""
    ladder = {float(str(bound)) for bound in LADDER}
    kept = required | declared | ladder
    for optional in (ladder - declared - required, declared - required):
        while len(kept) > MOST_BUCKETS and (loose := sorted(optional & kept)):
            kept.discard(min(loose, key=lambda bound: _gap(bound, kept)))
    return [int(bound) if bound.is_integer() else bound for bound in sorted(kept)]


def _gap(bound: float, kept: set[float]) -> float:
    """The ratio of a bound to its nearest neighbor, from 1."""
    return min(max(bound, other) / min(bound, other) for other in kept if other != bound)


def _ports(plan: Plan, first: int) -> Iterator[Decision | Diagnostic]:
    """A range for each worker, in the order of their names, after the port of beat."""
    origin = parameter(NAME, "first_port", first)
    if plan.scopes("beat"):
        yield Decision(BEAT, "telemetry_port", first, "beat has the first port", (origin,))
    free = first + 1
    for worker in plan.scopes("worker"):
        width = int(plan.number(worker, "replicas")) + SPARE_PORTS
        because = "each of its processes needs a port, and one more process may start while another stops"
        origins: tuple[Origin, ...] = (
            *(origin, Derived(worker, "replicas")),
            Constant("SPARE_PORTS", SPARE_PORTS),
        )
        if passed := [port for port in _of_exporters(plan) if free <= port < free + width]:
            because += f"; port {passed[-1]} is that of an exporter"
            origins = (*origins, Derived(APP, "metric_sources"))
            free = passed[-1] + 1
        yield Decision(worker, "telemetry_ports", [free, free + width - 1], because, origins)
        free += width
    if free - 1 > LAST_PORT:
        yield _short(plan.scopes("worker")[0], first, free - 1 - LAST_PORT)


def _of_exporters(plan: Plan) -> list[int]:
    """The ports on which the other sources listen, often on the same host."""
    ports = (SOURCES[name].port for name in plan.texts(APP, "metric_sources"))
    return sorted(port for port in ports if port is not None)


def _short(worker: Scope, first: int, missing: int) -> Diagnostic:
    message = f"the ports of telemetry begin at {first} and end {missing} above {LAST_PORT}"
    help_text = f"write `parameters: {{telemetry: {{first_port: {first - missing}}}}}` in the policy file"
    return TELEMETRY_PORTS_SHORT.at(("workers", worker.name), message, help=help_text)
