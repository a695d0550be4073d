"""Messages that the broker redelivers while a worker still holds them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from policycompiler.diagnostics import Related, SpecPath
from policycompiler.hazards.countdowns import COUNTDOWN, countdown_of
from policycompiler.hazards.hazard import Hazard
from policycompiler.hazards.pace import HOLD_FEWER, Pace, hoarding, pace_of
from policycompiler.knowledge.backoff import longest_wait_seconds
from policycompiler.plan import APP, Derived, Plan, Scope
from policycompiler.quantities import duration

LATE_ACK_RUN, ETA = "late-ack-run-over-visibility", "eta-over-visibility"
RETRY_DELAY, RESERVE = "retry-delay-over-visibility", "reserve-over-visibility"
RATE_LIMIT = "rate-limit-over-visibility"
TIMEOUT = "visibility_timeout_seconds"

_DELAYS: Mapping[str, tuple[str, str, str]] = {
    "options.retry_backoff_max": ("a retry of {} may wait", RETRY_DELAY, "retry"),
    "options.default_retry_delay": ("a retry of {} may wait", RETRY_DELAY, "retry"),
}
"""What makes a retry wait: in words, the finding if it is too long, and the field that declares it."""

MOST_RELATED = 5
"""Places that a finding shows; the others are counted."""


class Hold(NamedTuple):
    """A cause that keeps a message unacknowledged, and the finding if it takes too long.

    The timeout also allows for a run without a declared run time, but no pin is refused because of it.
    """

    seconds: float
    origin: Derived
    finding: str
    what: str
    path: SpecPath
    declared: bool = True


class Wait(NamedTuple):
    """A worker's longest run, which delays messages that become due, and the wait of prefetched messages."""

    longest: float
    hold: Hold | None


def hoarded(plan: Plan) -> Iterator[Hazard]:
    """Workers that prefetch every message, and start them at a limited rate."""
    if plan.broker.redelivery is None:
        return
    for name, task, limit, path in hoarding(plan):
        message = (
            f"worker {name} prefetches every message, but starts {task} at {limit.value}: a message that "
            "waits there longer than the visibility timeout runs twice"
        )
        related = (Related(limit.path, "the rate limit"),)
        help_text = "set a prefetch multiplier above 0, such as 1"
        worker = Scope("worker", name)
        settings = ((worker, "prefetch_multiplier"), (limit.origin.scope, limit.origin.key))
        yield Hazard(RATE_LIMIT, settings, message, help_text, path, related, about=(worker,))


def held_too_long(plan: Plan, instead: str = "remove the pin, or") -> Iterator[Hazard]:
    """One hazard, about the longest hold; it also shows the other holds that are too long.

    `instead` begins the help: what else to do.
    """
    timeout = plan.number_if_any(APP, TIMEOUT)
    if timeout is None or plan.broker.redelivery is None:
        return
    above = [hold for hold in holds(plan) if hold.seconds >= timeout and hold.declared]
    if not above:
        return
    hold, *others = sorted(above, key=lambda hold: (-hold.seconds, hold.origin))
    message = (
        f"the broker redelivers a message to another worker after {duration(timeout)}, but {hold.what} "
        f"{duration(hold.seconds)}"
    )
    if others:
        message += f" ({len(others)} more too long)"
    related = [Related(each.path, f"{each.what} {duration(each.seconds)}") for each in [hold, *others]]
    shorter = HOLD_FEWER if hold.finding == RATE_LIMIT else "make the times shorter"
    path = plan.written(APP, TIMEOUT) or ("broker", "transport")
    settings = ((APP, TIMEOUT), *((each.origin.scope, each.origin.key) for each in [hold, *others]))
    help_text = f"{instead} {shorter}"
    yield Hazard(hold.finding, settings, message, help_text, path, tuple(related[:MOST_RELATED]))


def holds(plan: Plan) -> list[Hold]:
    """Each cause separately."""
    return [hold for task in plan.scopes("task") for hold in task_holds(plan, task.name, {})] + others(plan)


def others(plan: Plan, waits: Mapping[Scope, Wait | None] | None = None) -> list[Hold]:
    """The causes without a declared task: prefetched messages of workers, and undeclared tasks."""
    found = {scope: reserve(plan, scope) for scope in plan.scopes("worker")} if waits is None else waits
    held = [wait.hold for wait in found.values() if wait is not None and wait.hold is not None]
    return [*held, *undeclared(plan)]


def task_holds(plan: Plan, name: str, waits: Mapping[Scope, Wait | None]) -> Iterator[Hold]:
    """Each cause that holds a message of a task; with `waits`, behind the messages that its worker holds."""
    scope = Scope("task", name)
    base: SpecPath = ("tasks", name)
    if plan.value(scope, "external"):
        return
    limit = 0.0
    if plan.get(scope, "options.acks_late"):
        limit = plan.number(scope, "longest_run_seconds")
        what = f"{name} may run"
        origin = Derived(scope, "longest_run_seconds")
        declared = _declared(plan, scope)
        yield Hold(limit, origin, LATE_ACK_RUN, what, (*base, "runtime"), declared)
    # One delivery lasts from the wait to the start of the run; if acknowledged late, to its end.
    workers = plan.texts(scope, "workers")
    ahead = [waits.get(Scope("worker", worker)) for worker in workers] if waits else []
    one = max((wait.longest for wait in ahead if wait is not None), default=0.0)
    pace = pace_of(plan, scope, workers)
    if pace is not None:
        yield _paced(pace, name, one, limit)
    paced = pace.seconds if pace is not None and waits else 0.0
    counted = countdown_of(plan, scope)
    if counted is not None:
        then, what = _then(paced, one, limit), f"{counted.what} {duration(counted.seconds)}"
        total = counted.seconds + paced + one + limit
        yield Hold(
            total, Derived(scope, COUNTDOWN), ETA, f"{what}{then}" if then else counted.what, counted.path
        )
    for key, (start, finding, field) in _DELAYS.items():
        delay = plan.number_if_any(scope, key)
        if delay and key == "options.retry_backoff_max":
            first = plan.number_if_any(scope, "options.retry_backoff")
            delay = longest_wait_seconds(delay, first, plan.number_if_any(scope, "options.max_retries"))
        if delay:
            then, what = _then(paced, one, limit), start.format(name)
            what = f"{what} {duration(delay)}{then}" if then else what
            path = (*base, field)
            yield Hold(delay + paced + one + limit, Derived(scope, key), finding, what, path)


def _then(paced: float, one: float, limit: float) -> str:
    """What follows a wait: the rate limit, the wait for a slot, and the run."""
    limiting = f"wait {duration(paced)} for its rate limit" if paced else ""
    waiting = f"wait {duration(one)} for a slot" if one else ""
    running = f"run {duration(limit)}" if limit else ""
    parts = [part for part in (limiting, waiting, running) if part]
    return "".join(f", then {part}" for part in parts) + "; in total" if parts else ""


def undeclared(plan: Plan) -> Iterator[Hold]:
    """An undeclared task, if undeclared tasks are acknowledged late or have a rate limit."""
    name, limit = "an undeclared task", 0.0
    if plan.get(APP, "task_acks_late"):
        limit = plan.number(APP, "longest_run_seconds")
        path: SpecPath = ("celery", "settings", "task_acks_late")
        origin = Derived(APP, "longest_run_seconds")
        yield Hold(limit, origin, LATE_ACK_RUN, f"{name} may run", path)
    default = Scope("queue", plan.text(APP, "task_default_queue"))
    pace = pace_of(plan, APP, plan.texts(default, "workers"))
    if pace is not None:
        yield _paced(pace, name, 0.0, limit)


def _paced(pace: Pace, name: str, one: float, run: float) -> Hold:
    limit, what = pace.limit, pace.waits(name)
    if then := _then(0.0, one, run):
        what = f"{what} {duration(pace.seconds)}{then}"
    return Hold(pace.seconds + one + run, limit.origin, RATE_LIMIT, what, limit.path)


def reserve(plan: Plan, scope: Scope) -> Wait | None:
    """The wait of a worker's prefetched messages, and the following run if it is acknowledged late."""
    tasks = [Scope("task", name) for name in plan.texts(scope, "tasks")]
    if not tasks:
        return None
    longest = max((plan.number(task, "longest_run_seconds"), task) for task in tasks)
    late = [
        plan.number(task, "longest_run_seconds") for task in tasks if plan.value(task, "options.acks_late")
    ]
    # A late-acknowledged run counts against the prefetch limit.
    behind = plan.number(scope, "prefetch_multiplier") - (1 if len(late) == len(tasks) else 0)
    if plan.get(scope, "disable_prefetch") and plan.broker.disables_prefetch:
        behind = 0
    if behind <= 0:
        return Wait(longest[0], None)
    # One run may hang until its limit; that the runs before it hang too is no reason for a longer timeout.
    usual, task = max((plan.number(task, _usual(plan, task)), task) for task in tasks)
    seconds = (behind - 1) * usual + longest[0] + max(late, default=0)
    what = f"a message that worker {scope.name} prefetches behind {longest[1].name} may wait"
    path: SpecPath = ("tasks", longest[1].name, "runtime")
    origin = Derived(longest[1], "longest_run_seconds")
    declared = _declared(plan, longest[1]) and _declared(plan, task)
    return Wait(longest[0], Hold(seconds, origin, RESERVE, what, path, declared))


def _usual(plan: Plan, task: Scope) -> str:
    """The setting with the time that nearly all runs of a task take."""
    known = plan.find(task, "runtime_p99_seconds")
    return "longest_run_seconds" if known is None else known.key


def _declared(plan: Plan, task: Scope) -> bool:
    """Whether the workload declares how long the task runs; the default limit is no run time."""
    if plan.find(task, "runtime_p99_seconds") is not None:
        return True
    pinned = plan.written(task, "options.time_limit") and plan.get(task, "options.time_limit")
    return pinned is not None
