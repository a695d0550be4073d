"""When Redis or SQS gives a message that nobody acknowledged to another worker.

Decides:
    `app/visibility_timeout_seconds` and `app/longest_hold_seconds`, what it has to be longer than; on Redis
    and SQS.

Because:
    The clock runs from delivery to acknowledgement: through the wait in a worker's reserve, through a
    countdown or a retry's wait, through the wait for a rate limit, and through the run where that is
    acknowledged late. Whoever takes longer is run twice, also when nothing has failed. A worker takes a
    rate-limited message as any other, also with `disable_prefetch`, and holds it until the limit lets it
    run: the last of a full reserve waits for all before it. Messages with a countdown come on top of the
    reserve, and how many fall due together nobody declares. On Redis any worker gives back the messages of
    all, by its own timeout, so it is one for the app. What a killed worker held comes back only after it,
    which is why it is no longer than it has to be
    (https://docs.celeryq.dev/en/stable/getting-started/backends-and-brokers/redis.html#visibility-timeout).

Example:
    tasks: {shop.reports.yearly: {latency: batch, idempotent: true, runtime: 2h}}

    app/longest_hold_seconds = 13492
    app/visibility_timeout_seconds = 20238

Refuses:
    PC311 late-ack-run-over-visibility: remove the pin, or split the task.
        fires:
            broker: {transport: redis, url: "${B}", visibility_timeout: 30m}
            tasks: {shop.a: {idempotent: true, options: {soft_time_limit: 1500, time_limit: 1800}}}
        silent:
            broker: {transport: redis, url: "${B}", visibility_timeout: 31m}
            tasks: {shop.a: {idempotent: true, options: {soft_time_limit: 1500, time_limit: 1800}}}
    PC312 eta-over-visibility: remove the pin, or keep due times in a database and poll it.
        fires:
            broker: {transport: redis, url: "${B}", visibility_timeout: 1h}
            tasks: {shop.a: {runtime: 1s, max_countdown: 1h}}
        silent:
            broker: {transport: redis, url: "${B}", visibility_timeout: 1h}
            tasks: {shop.a: {runtime: 1s, max_countdown: 59m}}
    PC313 retry-delay-over-visibility: remove the pin, or lower the wait.
        fires:
            broker: {transport: redis, url: "${B}", visibility_timeout: 1h}
            tasks: {shop.a: {idempotent: true, runtime: 1s, retry: {on: [OSError], delay: 1h}}}
        silent:
            broker: {transport: redis, url: "${B}", visibility_timeout: 1h}
            tasks: {shop.a: {idempotent: true, runtime: 1s, retry: {on: [OSError], delay: 59m}}}
    PC314 reserve-over-visibility: remove the pin, or lower the prefetch multiplier.
        fires:
            broker: {transport: redis, url: "${B}", visibility_timeout: 10m}
            tasks: {shop.a: {runtime: 8m}}
        silent:
            broker: {transport: redis, url: "${B}", visibility_timeout: 30m}
            tasks: {shop.a: {runtime: 8m}}
    PC315 visibility-timeout-unused: remove it; only Redis and SQS have one.
        fires: broker: {transport: rabbitmq, url: "${B}", visibility_timeout: 1h}
        silent: broker: {transport: redis, url: "${B}", visibility_timeout: 1h}
    PC316 visibility-timeout-over-sqs: lower it, or remove it.
        fires: broker: {transport: sqs, url: "${B}", visibility_timeout: 13h}
        silent: broker: {transport: sqs, url: "${B}", visibility_timeout: 12h}
    PC324 rate-limit-over-visibility: remove the pin, or lower the worker's slots or prefetch multiplier.
        fires:
            broker: {transport: redis, url: "${B}", visibility_timeout: 1h}
            tasks: {shop.a: {queue: q, runtime: 1s, options: {rate_limit: 2/h}}}
            workers: {q: {concurrency: 2}}
        silent:
            broker: {transport: redis, url: "${B}", visibility_timeout: 1h}
            tasks: {shop.a: {queue: q, runtime: 1s, options: {rate_limit: 2/h}}}
            workers: {q: {concurrency: 1}}
    PC427 visibility-too-long: keep due times in a database and poll it, let a worker hold fewer messages of a
        rate-limited task, or lower the pin.
        fires: tasks: {shop.a: {max_countdown: 1d}}
        silent: tasks: {shop.a: {max_countdown: 2h}}
    PC428 visibility-not-uniform: give the workers of the other app the same visibility timeout.
        fires: tasks: {shop.a: {max_countdown: 2h}, shop.b: {external: true, queue: theirs}}
        silent: tasks: {shop.a: {max_countdown: 20m}, shop.b: {external: true, queue: theirs}}

Parameters:
    `margin`: what the longest hold is multiplied by; 1.5.
    `longest_seconds`: a timeout above this is found too long; 43200.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Annotated, NamedTuple

from pydantic import Field

from policycompiler.diagnostics import Diagnostic, Finding, Related, Remove, SpecPath, error, info, warning
from policycompiler.hazards.pace import HOLD_FEWER, Pace, hoarding, pace_of
from policycompiler.knowledge.backoff import longest_wait_seconds
from policycompiler.model import PolicyParameters, Workload
from policycompiler.plan import APP, Constant, Decision, Derived, Parameter, Plan, Scope, Written

NAME = "visibility-timeout"

LATE_ACK_RUN_OVER_VISIBILITY = error("PC311", "late-ack-run-over-visibility")
ETA_OVER_VISIBILITY = error("PC312", "eta-over-visibility")
RETRY_DELAY_OVER_VISIBILITY = error("PC313", "retry-delay-over-visibility")
RESERVE_OVER_VISIBILITY = error("PC314", "reserve-over-visibility")
VISIBILITY_TIMEOUT_UNUSED = warning("PC315", "visibility-timeout-unused")
VISIBILITY_TIMEOUT_OVER_SQS = error("PC316", "visibility-timeout-over-sqs")
RATE_LIMIT_OVER_VISIBILITY = error("PC324", "rate-limit-over-visibility")
VISIBILITY_TOO_LONG = warning("PC427", "visibility-too-long")
VISIBILITY_NOT_UNIFORM = info("PC428", "visibility-not-uniform")

LEAST_SECONDS = 3600
"""Celery's own default on Redis; countdowns that nobody declared are written with it in mind."""
NOTHING_HELD_SECONDS = 0
"""Where nothing that is declared holds a message."""
MOST_RELATED = 5
"""Places that a finding shows; the rest is counted."""


class Parameters(PolicyParameters):
    """What a policy file may set."""

    margin: Annotated[float, Field(ge=1, le=100)] = Field(
        1.5, description="the sweep that gives messages back runs every 100 s or so, and machines stall"
    )
    longest_seconds: Annotated[int, Field(ge=LEAST_SECONDS, le=31_536_000)] = Field(
        43200, description="what a killed worker held comes back no earlier; half a day loses a day's work"
    )


class _Hold(NamedTuple):
    """Something that keeps a message unacknowledged, and the finding when that is too long.

    Of a run that nobody declared the timeout has room for; no pin is refused for it.
    """

    seconds: float
    origin: Derived
    finding: Finding
    what: str
    path: SpecPath
    declared: bool = True


class _Wait(NamedTuple):
    """A worker's longest run, which is ahead of whatever becomes due, and what its reserve may come to."""

    longest: float
    hold: _Hold | None


def apply(spec: Workload, plan: Plan, tuned: Parameters) -> Iterator[Decision | Diagnostic]:
    """Longer than anything that holds a message; pins that are shorter are refused."""
    transport = plan.text(APP, "broker_transport")
    pinned, pin_path = _pinned(spec)
    redelivery = plan.broker.redelivery
    if redelivery is None:
        if pinned is not None:
            message = f"{transport} has no visibility timeout; this one changes nothing"
            fix = (Remove(pin_path),)
            yield VISIBILITY_TIMEOUT_UNUSED.at(pin_path, message, help="remove it", fix=fix)
        return
    for worker, task, limit, path in hoarding(plan):
        message = (
            f"worker {worker} takes every message there is, and starts {task} at {limit.value}: what waits "
            "there for longer than the visibility timeout is run twice"
        )
        related = (Related(limit.path, "its rate limit"),)
        help_text = "set a number, 1 where in doubt"
        yield RATE_LIMIT_OVER_VISIBILITY.at(path, message, help=help_text, related=related)
    waits = {scope: _reserve(plan, scope) for scope in plan.scopes("worker")}
    others = [wait.hold for wait in waits.values() if wait is not None and wait.hold is not None]
    others += _undeclared(plan)
    # What is decided has room for a delay and a full worker together.
    sums = [hold for name in spec.tasks for hold in _task_holds(plan, name, waits)] + others
    longest = max(sums, key=lambda hold: (hold.seconds, hold.origin), default=None)
    yield _longest_hold(longest)
    most = math.inf if redelivery.most_seconds is None else redelivery.most_seconds
    required = math.ceil(longest.seconds * tuned.margin) if longest else 0
    needed = max(min(LEAST_SECONDS, most), required)
    if pinned is not None:
        origins = (Written(pin_path),)
        yield Decision(APP, "visibility_timeout_seconds", pinned, "pinned in the workload", origins)
        instead = f"remove the pin (the compiler then sets {min(needed, most):g} s), or"
        yield from _objections(_holds(spec, plan, others), pinned, pin_path, instead)
        if pinned > most:
            message = f"a visibility timeout of {pinned:g} s; {plan.broker.label} allows at most {most:g} s"
            yield VISIBILITY_TIMEOUT_OVER_SQS.at(pin_path, message, help="lower it, or remove it")
    elif longest is not None and required > most:
        instead = f"{plan.broker.label} allows at most {most:g} s:"
        yield from _objections(_holds(spec, plan, others), most, ("broker", "transport"), instead)
        because = f"{longest.what} {longest.seconds:g} s, and {plan.broker.label} allows no more than this"
        limited = (longest.origin, Constant("most_seconds", redelivery.most_seconds))
        yield Decision(APP, "visibility_timeout_seconds", redelivery.most_seconds, because, limited)
    else:
        yield _decided(longest, needed, tuned)
    if redelivery.shared:
        timeout = needed if pinned is None else pinned
        yield from _too_long(timeout, pin_path, longest, tuned)
        yield from _others(spec, plan, timeout)


def _longest_hold(longest: _Hold | None) -> Decision:
    """So that two plans can be compared, also where the timeout is pinned or Celery's own."""
    key = "longest_hold_seconds"
    if longest is None:
        origin = Constant("NOTHING_HELD_SECONDS", NOTHING_HELD_SECONDS)
        return Decision(APP, key, NOTHING_HELD_SECONDS, "nothing declared holds a message", (origin,))
    because = f"{longest.what} {longest.seconds:g} s"
    return Decision(APP, key, math.ceil(longest.seconds), because, (longest.origin,))


def _decided(longest: _Hold | None, needed: float, tuned: Parameters) -> Decision:
    key = "visibility_timeout_seconds"
    if longest is None or needed <= LEAST_SECONDS:
        because = "Celery's own default: nothing declared holds a message for longer"
        return Decision(APP, key, needed, because, (Constant("LEAST_SECONDS", LEAST_SECONDS),))
    because = f"{longest.what} {longest.seconds:g} s, times {tuned.margin:g}"
    margin = Parameter(("parameters", NAME, "margin"), tuned.margin)
    return Decision(APP, key, needed, because, (longest.origin, margin))


def _too_long(
    timeout: float, pin_path: SpecPath, longest: _Hold | None, tuned: Parameters
) -> Iterator[Diagnostic]:
    """The price: what a killed worker held comes back no earlier. Waits have another way, long runs none."""
    waits = (ETA_OVER_VISIBILITY, RETRY_DELAY_OVER_VISIBILITY, RATE_LIMIT_OVER_VISIBILITY)
    delayed = longest is not None and longest.finding in waits
    path = pin_path or (longest.path if longest and delayed else ())
    if timeout <= tuned.longest_seconds or not path:
        return
    why = "" if pin_path or longest is None else f", as {longest.what} {longest.seconds:g} s"
    message = (
        f"when a worker is killed, what it held comes back only after {timeout:g} s{why}: that goes for "
        "every task of the app"
    )
    help_text = "keep due times in a database and poll it with a schedule"
    if pin_path:
        help_text = "lower or remove the pin"
    elif longest is not None and longest.finding is RATE_LIMIT_OVER_VISIBILITY:
        help_text = HOLD_FEWER
    yield VISIBILITY_TOO_LONG.at(path, message, help=help_text)


def _others(spec: Workload, plan: Plan, timeout: float) -> Iterator[Diagnostic]:
    """Workers of another app on the same Redis, which give back by their own timeout."""
    if timeout <= LEAST_SECONDS:
        return
    for scope in plan.scopes("queue"):
        if plan.value(scope, "external"):
            written = scope.name in spec.queues
            tasks = plan.texts(scope, "tasks")
            path: SpecPath = ("queues", scope.name) if written else ("tasks", *tasks[:1])
            message = (
                f"another app consumes queue {scope.name}: its workers give messages of this app back too, "
                f"after their own visibility timeout, so it must be {timeout:g} s there as well"
            )
            help_text = "set it in the other app, or let the two use different databases of Redis"
            yield VISIBILITY_NOT_UNIFORM.at(path, message, help=help_text)
            return


def _pinned(spec: Workload) -> tuple[int | float | None, SpecPath]:
    if spec.broker.visibility_timeout is not None:
        return spec.broker.visibility_timeout, ("broker", "visibility_timeout")
    option = (spec.broker.options or {}).get("visibility_timeout")
    if isinstance(option, int | float) and not isinstance(option, bool):
        return option, ("broker", "options", "visibility_timeout")
    return None, ()


def _holds(spec: Workload, plan: Plan, others: list[_Hold]) -> list[_Hold]:
    """What is held against a pin, or against what SQS allows: each cause alone."""
    return [hold for name in spec.tasks for hold in _task_holds(plan, name, {})] + others


def _task_holds(plan: Plan, name: str, waits: Mapping[Scope, _Wait | None]) -> Iterator[_Hold]:
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
        yield _Hold(limit, origin, LATE_ACK_RUN_OVER_VISIBILITY, what, (*base, "runtime"), declared)
    # One delivery lasts from the wait to the start of the run, and of what is acknowledged late to its end.
    ahead = [waits.get(Scope("worker", worker)) for worker in plan.texts(scope, "workers")]
    one = max((wait.longest for wait in ahead if wait is not None), default=0.0)
    pace = pace_of(plan, scope, plan.texts(scope, "workers"))
    if pace is not None:
        yield _paced(pace, name, one, limit)
    paced = pace.seconds if pace is not None and waits else 0.0
    then = _then(paced, one, limit)
    delays: dict[str, tuple[str, Finding, str]] = {
        "max_countdown_seconds": (f"{name} may be sent with a countdown of", ETA_OVER_VISIBILITY, ""),
        "options.retry_backoff_max": (f"a retry of {name} may wait", RETRY_DELAY_OVER_VISIBILITY, "retry"),
        "options.default_retry_delay": (f"a retry of {name} may wait", RETRY_DELAY_OVER_VISIBILITY, "retry"),
    }
    for key, (start, finding, field) in delays.items():
        delay = plan.number_if_any(scope, key)
        if delay and key == "options.retry_backoff_max":
            first = plan.number_if_any(scope, "options.retry_backoff")
            delay = longest_wait_seconds(delay, first, plan.number_if_any(scope, "options.max_retries"))
        if delay:
            what = f"{start} {delay:g} s{then}" if then else start
            path = (*base, field or "max_countdown")
            yield _Hold(delay + paced + one + limit, Derived(scope, key), finding, what, path)


def _then(paced: float, one: float, limit: float) -> str:
    """What comes after a wait, each part where there is one."""
    limiting = f" and then wait {paced:g} s for its rate limit" if paced else ""
    waiting = f" and then wait {one:g} s for a slot" if one else ""
    running = f" and then run {limit:g} s" if limit else ""
    return f"{limiting}{waiting}{running}, together" if limiting or waiting or running else ""


def _undeclared(plan: Plan) -> Iterator[_Hold]:
    """A task that nobody declared, where those are acknowledged late or have a rate limit."""
    name, limit = "a task that nobody declared", 0.0
    if plan.get(APP, "task_acks_late"):
        limit = plan.number(APP, "longest_run_seconds")
        path: SpecPath = ("celery", "settings", "task_acks_late")
        origin = Derived(APP, "longest_run_seconds")
        yield _Hold(limit, origin, LATE_ACK_RUN_OVER_VISIBILITY, f"{name} may run", path)
    default = Scope("queue", plan.text(APP, "task_default_queue"))
    pace = pace_of(plan, APP, plan.texts(default, "workers"))
    if pace is not None:
        yield _paced(pace, name, 0.0, limit)


def _paced(pace: Pace, name: str, one: float, run: float) -> _Hold:
    limit, what = pace.limit, pace.waits(name)
    if then := _then(0.0, one, run):
        what = f"{what} {pace.seconds:g} s{then}"
    return _Hold(pace.seconds + one + run, limit.origin, RATE_LIMIT_OVER_VISIBILITY, what, limit.path)


def _reserve(plan: Plan, scope: Scope) -> _Wait | None:
    """The wait in a worker's reserve, and the run of what then starts when that is acknowledged late."""
    tasks = [Scope("task", name) for name in plan.texts(scope, "tasks")]
    if not tasks:
        return None
    longest = max((plan.number(task, "longest_run_seconds"), task) for task in tasks)
    late = [
        plan.number(task, "longest_run_seconds") for task in tasks if plan.value(task, "options.acks_late")
    ]
    # A slot that is acknowledged late counts against the prefetch limit while it runs.
    behind = plan.number(scope, "prefetch_multiplier") - (1 if len(late) == len(tasks) else 0)
    if plan.get(scope, "disable_prefetch") and plan.broker.disables_prefetch:
        behind = 0
    if behind <= 0:
        return _Wait(longest[0], None)
    # One run may hang until its limit; that those before it do so too is no reason for a timeout.
    usual, task = max((plan.number(task, _usual(plan, task)), task) for task in tasks)
    seconds = (behind - 1) * usual + longest[0] + max(late, default=0)
    what = f"in reserve behind {longest[1].name}, a message of {scope.name} may be held"
    path: SpecPath = ("tasks", longest[1].name, "runtime")
    origin = Derived(longest[1], "longest_run_seconds")
    declared = _declared(plan, longest[1]) and _declared(plan, task)
    return _Wait(longest[0], _Hold(seconds, origin, RESERVE_OVER_VISIBILITY, what, path, declared))


def _usual(plan: Plan, task: Scope) -> str:
    """What says how long nearly all runs of a task take."""
    known = plan.find(task, "runtime_p99_seconds")
    return "longest_run_seconds" if known is None else known.key


def _declared(plan: Plan, task: Scope) -> bool:
    """Whether somebody says how long it runs: what stands for it otherwise is no run time."""
    pinned = plan.written(task, "options.time_limit") and plan.get(task, "options.time_limit")
    return plan.find(task, "runtime_p99_seconds") is not None or pinned is not None


def _objections(
    holds: list[_Hold], timeout: float, timeout_path: SpecPath, instead: str
) -> Iterator[Diagnostic]:
    """One finding, about the longest; what else is too long it shows."""
    above = [hold for hold in holds if hold.seconds >= timeout and hold.declared]
    if not above:
        return
    hold, *others = sorted(above, key=lambda hold: (-hold.seconds, hold.origin))
    message = f"a message is given to a second worker after {timeout:g} s, but {hold.what} {hold.seconds:g} s"
    if others:
        message += f" ({len(others)} more too long)"
    related = [Related(each.path, f"{each.what} {each.seconds:g} s") for each in [hold, *others]]
    shorter = HOLD_FEWER if hold.finding is RATE_LIMIT_OVER_VISIBILITY else "make the times shorter"
    yield hold.finding.at(
        timeout_path, message, help=f"{instead} {shorter}", related=tuple(related[:MOST_RELATED])
    )
