"""What guards count, and the states of breakers, as metrics for Prometheus.

The module that measures the process has them in its registry. Each scrape asks the
store in its own thread: one that hangs costs a scrape 0.5 s, and is then left alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from logging import getLogger
from typing import Any

from celery.bootsteps import StartStopStep
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from . import counts
from .errors import StoreDownError

OPEN, HALF_OPEN, UNKNOWN = "open", "half-open", "unknown"
STATES = ("closed", OPEN, HALF_OPEN, UNKNOWN)
"""Those of breakers; unknown while the store does not answer."""
COUNTERS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "parked_total": ("Tasks that were sent again for later.", ("task", "reason")),
    "duplicates_total": ("Messages of an effect that exists.", ("task", "outcome")),
    "takeovers_total": ("Runs that went on after a lost one.", ("task",)),
    "poisoned_total": ("Tasks that failed after many lost runs.", ("task",)),
    "lost_claims_total": ("Runs that lost their claim.", ("task",)),
    "breaker_opened_total": ("Times a breaker opened.", ("dependency",)),
    "rate_waited_seconds_total": ("Waits of runs for their turn.", ("dependency",)),
    "store_errors_total": ("Failed requests to the store.", ("guard",)),
    "refused_total": ("Messages that were not sent.", ("task", "queue", "reason")),
}
"""What each count means, and its labels; one that it does not have is empty."""
_PREFIX = "policycompiler_guard_"
_DRAIN_SECONDS = 1.0
_GUARD = "scrape"
_WRITE = "return redis.call('SET', KEYS[1], 1, 'PX', 60000)"
"""A store that is full, or a replica, answers but takes nothing."""
_Key = tuple[str, tuple[tuple[str, str], ...]]
"""The name of a count, and its labels in their order."""


class Metrics:
    """A collector of prometheus_client. If it fails, the other metrics are there.

    `app` is that of a worker. Other processes have no guards but those of publishers.
    """

    def __init__(self, guarded: Any, app: Any) -> None:
        self.guarded, self.told, self.app = guarded, guarded.told, app
        self._complained = False

    def describe(self) -> Iterator[Any]:
        """The families without samples, for a scrape that asks for some names."""
        yield from (*self._families().values(), _store_up(), _breaker_state())

    def collect(self) -> list[Any]:
        """All families of this process."""
        try:
            return list(self._collected())
        except Exception:
            if not self._complained:
                self._complained = True
                message = "the metrics of guards fail; later errors are not logged"
                getLogger(__name__).exception(message)
            return []

    def _families(self) -> dict[str, Any]:
        return {
            name: CounterMetricFamily(
                f"{_PREFIX}{name}", says, labels=("service", *labels)
            )
            for name, (says, labels) in COUNTERS.items()
        }

    def _collected(self) -> Iterator[Any]:
        families = self._families()
        counted = dict(self._declared)
        counted.update(((each.name, each.labels), each.value) for each in counts.read())
        for (name, given), value in counted.items():
            has = dict(given)
            labels = [has.get(label, "") for label in COUNTERS[name][1]]
            families[name].add_metric([self.told.service, *labels], value)
        yield from (each for each in families.values() if each.samples)
        if self._asks:
            yield from self._live()

    @cached_property
    def _asks(self) -> bool:
        return self.app is not None and bool(self.guarded.asks_store(self.app))

    @cached_property
    def _declared(self) -> dict[_Key, float]:
        """Counts begin at 0, so that the first one is seen."""
        return dict.fromkeys((*self._of_publishers(), *self._of_workers()), 0.0)

    def _of_publishers(self) -> Iterator[_Key]:
        for name in self.told.payloads:
            yield "refused_total", (("reason", "payload"), ("task", name))
        for name in self.told.bounds:
            yield "refused_total", (("queue", name), ("reason", "full"))

    def _of_workers(self) -> Iterator[_Key]:
        if self.app is None:
            return
        dependencies = self.told.dependencies
        for name in self.app.tasks:
            if (found := self.guarded.of(name)) is not None:
                yield from _of_task(name, found, dependencies)
        for name, each in dependencies.items():
            of = (("dependency", name),)
            if each.breaker:
                yield "breaker_opened_total", of
            if each.rate:
                yield "rate_waited_seconds_total", of

    def _live(self) -> Iterator[Any]:
        """Whether the store serves, and the breakers; it is asked now."""
        service = self.told.service
        states, up, breakers = self._states(), _store_up(), _breaker_state()
        up.add_metric([service], float("" not in states))
        yield up
        for dependency in self.guarded.breakers:
            now = states.get(dependency, UNKNOWN)
            for state in STATES:
                breakers.add_metric([service, dependency, state], float(state == now))
        if breakers.samples:
            yield breakers

    def _states(self) -> dict[str, str]:
        """The state of each breaker; that of the store itself has no name."""
        found = {"": UNKNOWN}
        try:
            self.guarded.store.run(_GUARD, _WRITE, [f"{self.told.names}scraped"])
            for dependency, breaker in self.guarded.breakers.items():
                state, left = breaker.seen(_GUARD)
                # The next call tests it, and may never come.
                found[dependency] = HALF_OPEN if state == OPEN and left <= 0 else state
        except StoreDownError:
            return found
        del found[""]
        return found


def _store_up() -> Any:
    name, says = "store_up", "1 if the store of guards takes writes, else 0."
    return GaugeMetricFamily(f"{_PREFIX}{name}", says, labels=("service",))


def _breaker_state() -> Any:
    name, says = "breaker_state", "1 for the state that a breaker has, else 0."
    labels = ("service", "dependency", "state")
    return GaugeMetricFamily(f"{_PREFIX}{name}", says, labels=labels)


def _of_task(name: str, told: Any, dependencies: Mapping[str, Any]) -> Iterator[_Key]:
    of = (("task", name),)
    calls = [dependencies[each] for each in told.calls if each in dependencies]
    reasons = {
        "breaker": any(each.breaker for each in calls),
        "busy": bool(told.key),
        "rate": any(each.rate for each in calls),
        "store": (told.key and told.on_store_error != "run")
        or any(each.rate and each.hard for each in calls),
    }
    for reason in (each for each, is_one in reasons.items() if is_one):
        yield "parked_total", (("reason", reason), *of)
    if told.key:
        for outcome in (told.duplicate, "busy", "other_arguments"):
            yield "duplicates_total", (("outcome", outcome), *of)
        for counter in ("takeovers_total", "poisoned_total", "lost_claims_total"):
            yield counter, of


def draining() -> Any:
    """A step of the consumer that reads what the processes of the pool count.

    Prometheus may be away for hours, and the pipe holds some thousand counts.
    """

    class Draining(StartStopStep):  # type: ignore[misc]
        """Begins again with each connection to the broker."""

        requires = ("celery.worker.consumer.tasks:Tasks",)
        entry: Any = None

        def start(self, parent: Any) -> None:
            self.entry = parent.timer.call_repeatedly(_DRAIN_SECONDS, counts.drain)

        def stop(self, parent: Any) -> None:
            if self.entry is not None:
                parent.timer.cancel(self.entry)
                self.entry = None

    return Draining
