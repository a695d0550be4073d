"""What tasks call, with the limits and the breaker that all workers share.

Decides:
    `dependency:NAME/tasks`, `rate_per_second`, `burst`, `hold_seconds`, `breaker` and `on_store_error`. For
    the app: `parking`, how long a message may wait that is sent again.

Because:
    A quota of a provider holds for the whole fleet, and so does an outage. Celery's `rate_limit` counts in
    each worker alone, and a library that opens a breaker in each process probes with each process. So the
    state is in one Redis (`store`), and the run-time code beside `celeryconfig.py` asks it.

    A call whose turn comes soon waits in its slot. Any other task is parked: its message is sent again with
    a countdown, and no retry is used. A parked message keeps its id, expiry, priority, chain and chord.
    While the store is down, tasks call the dependency at a local share of its rate: the guard must not be
    the outage.

Example:
    dependencies: {stripe: {rate: 100/s, breaker: {open_for: 5m}}}
    tasks: {shop.charge: {calls: [stripe]}}

    dependency:stripe/rate_per_second = 100
    dependency:stripe/hold_seconds = 2
    dependency:stripe/breaker = {"failures": 5, "open_for_seconds": 300, "probes": 1, "within_seconds": 30}
    app/parking = {"longest_seconds": 450, "store_seconds": 30}

Refuses:
    PC987 dependency-unknown: correct the name, or add it under `dependencies`.
        fires:
            dependencies: {stripe: {rate: 100/s}}
            tasks: {shop.a: {calls: [strype]}}
        silent:
            dependencies: {stripe: {rate: 100/s}}
            tasks: {shop.a: {calls: [stripe]}}
    PC988 dependency-unused: add `calls` to the tasks that call it, or remove it.
        fires: dependencies: {stripe: {rate: 100/s}}
        silent:
            dependencies: {stripe: {rate: 100/s}}
            tasks: {shop.a: {calls: [stripe]}}
    PC938 dependency-unguarded: give it a rate or a breaker, or remove it.
        fires:
            dependencies: {stripe: {burst: 5}}
            tasks: {shop.a: {calls: [stripe]}}
        silent:
            dependencies: {stripe: {breaker: {}}}
            tasks: {shop.a: {calls: [stripe]}}

Parameters:
    `hold_seconds`: the longest wait of a run in its slot for its turn; 2.0.
    `failures`: the failures that open a breaker; 5.
    `within_seconds`: the time in which they count; 30.0.
    `open_for_seconds`: the time without calls until a probe; 60.0.
    `probes`: the calls at once that test whether the dependency is back; 1.
    `longest_park_seconds`: the longest time of a park, unless a breaker is open for longer; 60.0.
    `store_park_seconds`: the time of a park while the store is down; 30.0.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from policycompiler.diagnostics import Diagnostic, SpecPath, did_you_mean, error, info
from policycompiler.model import PolicyParameters, TaskFields, Workload
from policycompiler.model.workload.guards import Breaker
from policycompiler.plan import APP, Constant, Decision, Derived, Origin, Plan, Scope, Value, Written
from policycompiler.policies.policy import parameter

NAME = "dependencies"

DEPENDENCY_UNKNOWN = error("PC987", "dependency-unknown")
DEPENDENCY_UNUSED = info("PC988", "dependency-unused")
DEPENDENCY_UNGUARDED = info("PC938", "dependency-unguarded")

BURST = 1
"""Turns at equal distances: a provider that counts by the second never sees more."""
ON_STORE_ERROR = "run"
"""The guard of a dependency must not be the outage."""
PARK_SPREAD = 1.5
"""A task waits up to this multiple of the time that a breaker is open, so that not all come at once."""

_Seconds = Annotated[float, Field(gt=0, le=86400)]


class Parameters(PolicyParameters):
    """The parameters of the policy."""

    hold_seconds: _Seconds = Field(2.0, description="longest wait of a run in its slot for its turn")
    failures: Annotated[int, Field(ge=1, le=10_000)] = Field(5, description="failures that open a breaker")
    within_seconds: _Seconds = Field(30.0, description="time in which these failures count")
    open_for_seconds: _Seconds = Field(60.0, description="time without calls until a probe")
    probes: Annotated[int, Field(ge=1, le=1000)] = Field(
        1, description="calls at once that test whether the dependency is back"
    )
    longest_park_seconds: _Seconds = Field(
        60.0, description="longest time of a park, unless a breaker is open for longer"
    )
    store_park_seconds: _Seconds = Field(30.0, description="time of a park while the store is down")


def apply(spec: Workload, plan: Plan, tuned: Parameters) -> Iterator[Decision | Diagnostic]:
    """The facts of each dependency, its callers, and how long a task may be parked."""
    del plan
    callers: dict[str, list[str]] = {name: [] for name in spec.dependencies}
    for task, declared in spec.tasks.items():
        for number, name in enumerate(declared.calls or ()):
            if name in callers:
                # The workers of another app have its guards.
                callers[name] += [] if declared.external else [task]
                continue
            message = f"{task} calls `{name}`, which `dependencies` does not have"
            known = f"it has {', '.join(callers)}" if callers else f"add `dependencies: {{{name}: …}}`"
            path: SpecPath = ("tasks", task, "calls", number)
            yield DEPENDENCY_UNKNOWN.at(path, message, help=did_you_mean(name, callers) or known)
    for name in spec.dependencies:
        if not callers[name]:
            message = f"no task calls `{name}`, so nothing limits its calls"
            help_text = f"write `calls: [{name}]` in the tasks that call it, or remove it"
            yield DEPENDENCY_UNUSED.at(("dependencies", name), message, help=help_text, at_key=True)
            continue
        if spec.dependencies[name].rate is None and spec.dependencies[name].breaker is None:
            message = f"`{name}` has no rate and no breaker, so nothing limits its calls"
            help_text = "write its `rate`, or a `breaker`, or remove it"
            yield DEPENDENCY_UNGUARDED.at(("dependencies", name), message, help=help_text, at_key=True)
        yield from _facts(spec, name, callers[name], tuned)
    if any(callers.values()) or any(_has_key(task) for task in spec.tasks.values()):
        yield _parking(spec, [name for name, tasks in callers.items() if tasks], tuned)


def _has_key(task: TaskFields) -> bool:
    return task.idempotency_key is not None and not task.external


def _facts(spec: Workload, name: str, callers: list[str], tuned: Parameters) -> Iterator[Decision]:
    declared, scope, path = spec.dependencies[name], Scope("dependency", name), ("dependencies", name)
    calls = tuple(Written(("tasks", task, "calls")) for task in callers)
    yield Decision(scope, "tasks", [*callers], "these tasks call it", calls)
    if declared.rate is not None:
        told: Origin = Written((*path, "rate"))
        yield Decision(scope, "rate_per_second", declared.rate, "the workload declares it", (told,))
        yield _or_default(scope, "burst", (declared.burst, path), BURST, "calls keep equal distances")
        hold = tuned.hold_seconds if declared.hold is None else declared.hold
        origin: Origin = parameter(NAME, "hold_seconds", tuned.hold_seconds)
        because = "a short wait in the slot is exact and costs no further message"
        if declared.hold is not None:
            origin, because = Written((*path, "hold")), "the workload declares it"
        yield Decision(scope, "hold_seconds", hold, because, (origin,))
    if declared.breaker is not None:
        yield _breaker(scope, declared.breaker, tuned)
    why = "a guard that is down must not stop the calls"
    yield _or_default(scope, "on_store_error", (declared.on_store_error, path), ON_STORE_ERROR, why)


def _or_default(
    scope: Scope, key: str, written: tuple[Value, SpecPath], default: Value, because: str
) -> Decision:
    value, path = written
    if value is None:
        return Decision(scope, key, default, because, (Constant(key.upper(), default),))
    return Decision(scope, key, value, "the workload declares it", (Written((*path, key)),))


def _breaker(scope: Scope, declared: Breaker, tuned: Parameters) -> Decision:
    """All numbers of a breaker, those of the policy where the workload has none."""
    fields = {
        "failures": "failures",
        "within_seconds": "within",
        "open_for_seconds": "open_for",
        "probes": "probes",
    }
    value: dict[str, Value] = {}
    origins: list[Origin] = [Written(("dependencies", scope.name, "breaker"))]
    for key, field in fields.items():
        written = getattr(declared, field)
        if written is None:
            origins.append(parameter(NAME, key, getattr(tuned, key)))
        value[key] = getattr(tuned, key) if written is None else written
    because = "while the dependency is down, a call only holds a slot and uses a retry"
    return Decision(scope, "breaker", value, because, tuple(origins))


def _parking(spec: Workload, called: list[str], tuned: Parameters) -> Decision:
    """How long a message waits that is sent again."""
    opened = {
        name: (tuned.open_for_seconds if found.open_for is None else found.open_for) * PARK_SPREAD
        for name in called
        if (found := spec.dependencies[name].breaker) is not None
    }
    longest = max([tuned.longest_park_seconds, *opened.values()])
    origins: list[Origin] = [Derived(Scope("dependency", name), "breaker") for name in sorted(opened)]
    keys = ("longest_park_seconds", "store_park_seconds")
    origins += [parameter(NAME, key, getattr(tuned, key)) for key in keys]
    because = "a task waits up to half as long again as a breaker is open, so that not all come at once"
    value: dict[str, Value] = {"longest_seconds": longest, "store_seconds": tuned.store_park_seconds}
    return Decision(APP, "parking", value, because, tuple(origins))
