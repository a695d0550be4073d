"""The declared facts of a task, and the defaults for facts that are not declared.

Decides:
    For each task: `latency`, `work`, `idempotent`, `external`; and where declared `owner`,
    `description`, `runbook`, `critical`, `canvas`, `memory_bytes`, `connections`, `needs`, `calls`,
    `payload_bytes`, `burst`, `runtime_p50_seconds`, `runtime_p99_seconds`, `runtime_mean_seconds`,
    `rate_mean_per_second`, `rate_peak_per_second`, `max_countdown_seconds`. For the app: `budget`.

Because:
    All policies and targets must read the same fact. If a fact is not declared, the compiler assumes the
    safe value: a task is not safe to run twice unless its team declares it.

Example:
    tasks:
      shop.mail.send: {runtime: {p50: 300ms, p99: 3s}}

    task:shop.mail.send/latency = "standard"
    task:shop.mail.send/idempotent = false
    task:shop.mail.send/runtime_p99_seconds = 3

Refuses:
    PC105 unknown-latency-class: choose one of the known latency classes.
        fires: tasks: {shop.a: {latency: interactiv}}
        silent: tasks: {shop.a: {latency: interactive}}
    PC106 runtime-order: swap the values; p50 is at most p99.
        fires: tasks: {shop.a: {runtime: {p50: 3s, p99: 300ms}}}
        silent: tasks: {shop.a: {runtime: {p50: 300ms, p99: 3s}}}
    PC107 rate-order: swap the values; the mean rate is at most the peak.
        fires: tasks: {shop.a: {rate: {mean: 40/s, peak: 5/s}}}
        silent: tasks: {shop.a: {rate: {mean: 5/s, peak: 40/s}}}

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, SpecPath, did_you_mean, error
from policycompiler.model import Runtime, TaskFields, Workload
from policycompiler.model.classes import DEFAULT_CLASS, LatencyClasses
from policycompiler.plan import APP, Constant, Decision, Derived, Origin, Plan, Scope, Value, Written
from policycompiler.plan.entries import entry_of
from policycompiler.quantities import duration
from policycompiler.runs import MEAN_OF_P99, Z99, run_times

NAME = "declared-facts"

UNKNOWN_LATENCY_CLASS = error("PC105", "unknown-latency-class")
RUNTIME_ORDER = error("PC106", "runtime-order")
RATE_ORDER = error("PC107", "rate-order")

DEFAULT_WORK = "io"
"""Most tasks wait for a database or another service."""
DEFAULT_IDEMPOTENT = False
"""A second run of a task that must run once does more harm than a lost run."""
DEFAULT_EXTERNAL = False
"""This app runs its declared tasks."""

_KEYED = "its key names the effect, which happens once however often the message comes"
_DECLARED = "the workload declares it"
_UNDECLARED: dict[str, tuple[Value, str, str]] = {
    "latency": (
        DEFAULT_CLASS,
        "the workload declares no latency class, so the middle one applies",
        "DEFAULT_CLASS",
    ),
    "work": (
        DEFAULT_WORK,
        "the workload declares no kind of work, and most tasks wait for other services",
        "DEFAULT_WORK",
    ),
    "idempotent": (
        DEFAULT_IDEMPOTENT,
        "the workload does not declare that the task is safe to run twice",
        "DEFAULT_IDEMPOTENT",
    ),
    "external": (DEFAULT_EXTERNAL, "this app runs the task", "DEFAULT_EXTERNAL"),
}
_DEFAULTS = {
    key: (value, because, (Constant(constant, value),))
    for key, (value, because, constant) in _UNDECLARED.items()
}
_Z99 = Constant("Z99", Z99)


def apply(spec: Workload, plan: Plan) -> Iterator[Decision | Diagnostic]:
    """Carry declared facts into the plan, and defaults for the facts that other policies need."""
    yield from _budget(spec)
    delayed, classes = _delayed(spec), spec.latency_classes
    for name, task in spec.tasks.items():
        scope = Scope("task", name)
        path: SpecPath = ("tasks", name)
        yield from _findings(task, path, classes)
        for key, (default, because, origins) in _DEFAULTS.items():
            value = getattr(task, key)
            if key == "idempotent" and task.idempotency_key is not None:
                yield Decision(scope, key, True, _KEYED, (Written((*path, "idempotency_key")),))  # noqa: FBT003
            elif value is None or (key == "latency" and value not in classes):
                yield Decision(scope, key, default, because, origins)
            else:
                yield Decision(scope, key, value, _DECLARED, (Written((*path, key)),))
        known = [each for each in task.calls or () if each in spec.dependencies]
        if known and not task.external:
            yield Decision(scope, "calls", [*known], _DECLARED, (Written((*path, "calls")),))
        for key, value, where in _facts(task):
            yield Decision(scope, key, value, _DECLARED, (Written((*path, *where)),))
        if task.runtime is not None:
            yield _mean(scope, task.runtime)
        waits = [(task.max_countdown, (*path, "max_countdown"))] if task.max_countdown is not None else []
        longest = max([*waits, *delayed.get(name, [])], default=None)
        parked = _parked(plan, task)
        if parked is not None and parked > (longest[0] if longest else 0):
            because = (
                "a guard may send its message again later: while a breaker is open, or another run goes on"
            )
            yield Decision(scope, "max_countdown_seconds", parked, because, (Derived(APP, "parking"),))
        elif longest is not None:
            yield Decision(scope, "max_countdown_seconds", longest[0], _DECLARED, (Written(longest[1]),))


def _parked(plan: Plan, task: TaskFields) -> float | None:
    """The longest countdown with which a guard sends a message of a task again."""
    parking = plan.get(APP, "parking")
    if not isinstance(parking, dict) or task.external or not (task.calls or task.idempotency_key):
        return None
    return float(str(parking["longest_seconds"]))


def _budget(spec: Workload) -> Iterator[Decision]:
    """What all workers together may take."""
    if spec.budget is None:
        return
    fields = {"cores": "cores", "memory_bytes": "memory", "connections": "connections"}
    given = {
        key: value for key, field in fields.items() if (value := getattr(spec.budget, field)) is not None
    }
    if given:
        origins = tuple(Written(("budget", fields[key])) for key in given)
        yield Decision(APP, "budget", {**given}, _DECLARED, origins)


def _delayed(spec: Workload) -> dict[str, list[tuple[int | float, SpecPath]]]:
    """The countdowns of schedules, by the entry that declares the task."""
    delayed: dict[str, list[tuple[int | float, SpecPath]]] = {}
    for name, schedule in spec.schedules.items():
        if schedule.options is not None and schedule.options.countdown is not None:
            task = entry_of(schedule.task, spec.tasks)
            if task is not None:
                path: SpecPath = ("schedules", name, "options", "countdown")
                delayed.setdefault(task, []).append((schedule.options.countdown, path))
    return delayed


def _mean(scope: Scope, runtime: Runtime) -> Decision:
    """Run times are right-skewed; the log-normal through the two percentiles has this mean."""
    p99 = Derived(scope, "runtime_p99_seconds")
    if runtime.p50 is None:
        origins: tuple[Origin, ...] = (p99, Constant("MEAN_OF_P99", MEAN_OF_P99))
        because = "only the 99th percentile is declared, and most runs are much shorter"
    else:
        origins = (Derived(scope, "runtime_p50_seconds"), p99, _Z99)
        because = "the log-normal distribution through p50 and p99 has this mean"
    mean = round(run_times(runtime.p50, runtime.p99).mean, 6)
    return Decision(scope, "runtime_mean_seconds", mean, because, origins)


def _facts(task: TaskFields) -> Iterator[tuple[str, Value, SpecPath]]:
    for field in ("owner", "description", "runbook", "critical", "burst", "connections"):
        if (value := getattr(task, field)) is not None:
            yield field, value, (field,)
    for field in ("canvas", "needs"):
        if (values := getattr(task, field)) is not None:
            yield field, [*values], (field,)
    if task.memory is not None:
        yield "memory_bytes", task.memory, ("memory",)
    if task.payload is not None:
        yield "payload_bytes", task.payload.max, ("payload", "max")
    yield from _pace(task)


def _pace(task: TaskFields) -> Iterator[tuple[str, Value, SpecPath]]:
    """How long its runs take, and how often it is sent."""
    if task.runtime is not None:
        yield "runtime_p99_seconds", task.runtime.p99, ("runtime", "p99")
        if task.runtime.p50 is not None:
            yield "runtime_p50_seconds", task.runtime.p50, ("runtime", "p50")
    if task.rate is not None:
        yield "rate_mean_per_second", task.rate.mean, ("rate", "mean")
        if task.rate.peak is not None:
            yield "rate_peak_per_second", task.rate.peak, ("rate", "peak")


def _findings(task: TaskFields, path: SpecPath, classes: LatencyClasses) -> Iterator[Diagnostic]:
    if task.latency is not None and task.latency not in classes:
        help_text = did_you_mean(task.latency, classes)
        message = f"no latency class is called `{task.latency}`; known classes: {', '.join(classes)}"
        yield UNKNOWN_LATENCY_CLASS.at((*path, "latency"), message, help=help_text)
    runtime, rate = task.runtime, task.rate
    if runtime is not None and runtime.p50 is not None and runtime.p50 > runtime.p99:
        message = f"p50 is {duration(runtime.p50)}, longer than p99, {duration(runtime.p99)}"
        yield RUNTIME_ORDER.at((*path, "runtime", "p50"), message, help="swap `p50` and `p99`")
    if rate is not None and rate.peak is not None and rate.mean > rate.peak:
        message = f"the mean rate of {rate.mean:g}/s is above the peak of {rate.peak:g}/s"
        yield RATE_ORDER.at((*path, "rate", "mean"), message, help="swap `mean` and `peak`")
