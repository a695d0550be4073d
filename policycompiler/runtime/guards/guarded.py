"""What celeryconfig.py puts into the settings of Celery."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from celery import signals
from celery.exceptions import Retry

from .errors import Parked
from .told import OfTask, Told, named

_UID = "celeryconfig-guards"


class Guarded:
    """The guards of a service. Each part is made when it is needed."""

    def __init__(self, told: Told) -> None:
        self.told = told
        signals.worker_init.connect(
            self._prepare, weak=False, dispatch_uid=f"{_UID}-prepare-{told.service}"
        )
        if told.payloads or told.payload_patterns:
            from . import payloads  # noqa: PLC0415 - loaded only if declared

            payloads.measure(told)
        if told.bounds:
            from . import bounds  # noqa: PLC0415 - loaded only if declared

            self.route = bounds.Bounds(told.bounds).route

    def annotate(self, task: Any) -> dict[str, Any]:
        """The options of a task's class; none if it is not guarded."""
        found = self.of(task.name)
        if found is None:
            return {}
        guards = self._guards(task.name, found)
        # The form `@__call__` would drop decorators of an application's own method.
        options = {"__call__": guards.around(_own(task, "__call__"))}
        if guards.breakers:
            options["retry"] = guards.retrying(_own(task, "retry"))
        return options

    def of(self, name: str) -> OfTask | None:
        """What is said of the task with this name; None if it has no guards."""
        found: OfTask | None = named(name, self.told.tasks, self.told.patterns)
        return found if found and (found.key or found.calls) else None

    def asks_store(self, app: Any) -> bool:
        """Whether a task of a worker has a guard whose state is in the store."""
        keyed = any(told and told.key for told in map(self.of, app.tasks))
        return bool(self.breakers or self.rates or keyed)

    def show(self, registry: Any, app: Any = None) -> None:
        """Add the metrics of guards to a registry of prometheus_client.

        `app`: that of a worker which takes no message yet.
        """
        from . import counts, metrics  # noqa: PLC0415 - only with metrics

        if app is not None:
            counts.share()
            app.steps["consumer"].add(metrics.draining())
        registry.register(metrics.Metrics(self, app))

    def parked(self, error: BaseException) -> bool:
        """Whether a run has ended because its task is sent again for later."""
        return isinstance(error, Retry) and isinstance(error.exc, Parked)

    @cached_property
    def store(self) -> Any:
        """The store that all guards of this process share."""
        from .store import Store  # noqa: PLC0415 - loaded only if declared

        return Store(self.told.store)

    @cached_property
    def breakers(self) -> dict[str, Any]:
        """The circuit breakers by the name of the dependency."""
        told = self.told.dependencies.values()
        trips = [(each.name, each.breaker) for each in told if each.breaker]
        if not trips:
            return {}
        from .breakers import Breaker  # noqa: PLC0415 - loaded only if declared

        made = (Breaker(self.store, self.told.names, *each) for each in trips)
        return {each.dependency: each for each in made}

    @cached_property
    def rates(self) -> dict[str, Any]:
        """The rates by the name of the dependency."""
        told = [each for each in self.told.dependencies.values() if each.rate]
        if not told:
            return {}
        from .rates import Rate  # noqa: PLC0415 - loaded only if declared

        wait = self.told.parking.store_seconds
        made = (Rate(self.store, self.told.names, each, wait) for each in told)
        return {each.told.name: each for each in made}

    def effects(self, name: str, told: OfTask) -> Any:
        """The records of a task; None if it has no key."""
        if told.key is None:
            return None
        from .effects import Effects  # noqa: PLC0415 - loaded only if declared

        return Effects(self.store, self.told.names, name, told)

    def _guards(self, name: str, told: OfTask) -> Any:
        from .wrapper import Guards  # noqa: PLC0415 - loaded only if declared

        failures = {}
        breakers = [self.breakers[each] for each in told.calls if each in self.breakers]
        for breaker in breakers:
            from .breakers import Failures  # noqa: PLC0415 - loaded only if declared

            dependency = breaker.dependency
            failures[dependency] = Failures(told.failures.get(dependency))
        return Guards(
            told,
            self.told.parking,
            self.effects(name, told),
            breakers,
            [self.rates[each] for each in told.calls if each in self.rates],
            failures,
        )

    def _prepare(self, sender: Any = None, **_: Any) -> None:
        """All tasks of a worker are there, and it takes no message yet."""
        if not (self.told.tasks or self.told.patterns):
            return
        from .checks import problems  # noqa: PLC0415 - workers only
        from .lost_runs import watched  # noqa: PLC0415 - workers only

        app = sender.app
        if not any(map(self.of, app.tasks)):
            # A publisher of another service may run tasks of its own.
            return
        # Celery swallows any other exception of a signal's receiver.
        if found := list(problems(self, app)):
            raise SystemExit("\n".join(found))
        watched(self, app)
        if self.breakers and any(
            each.pauses for each in self.told.dependencies.values()
        ):
            from .pausing import pausing  # noqa: PLC0415 - workers only

            app.steps["consumer"].add(pausing(self))


def _own(task: Any, name: str) -> Any:
    """A method without guards, which it may have inherited from a guarded task."""
    found = getattr(task, name)
    return getattr(found, "guards_original", found)
