"""When Redis or SQS gives a message that nobody acknowledged to another worker.

Decides:
    `app/visibility_timeout_seconds`, on Redis and SQS.

Because:
    The clock runs from delivery to acknowledgement: through the wait in a worker's reserve, through a
    countdown or a retry's wait, and through the run where that is acknowledged late. Whoever takes longer
    is run twice, also when nothing has failed
    (https://docs.celeryq.dev/en/stable/getting-started/backends-and-brokers/redis.html#visibility-timeout).

Example:
    tasks: {shop.reports.yearly: {latency: batch, idempotent: true, runtime: 2h}}

    app/visibility_timeout_seconds = 15552

Refuses:
    PC311 late-ack-run-over-visibility: remove the pin, or split the task.
    PC312 eta-over-visibility: remove the pin, or keep due times in a database and poll it.
    PC313 retry-delay-over-visibility: remove the pin, or lower the wait.
    PC314 reserve-over-visibility: remove the pin, or lower the prefetch multiplier.
    PC315 visibility-timeout-unused: remove it; only Redis and SQS have one.
    PC316 visibility-timeout-over-sqs: lower it, or remove it.

Parameters:
    None.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from policycompiler.diagnostics import Diagnostic, Finding, Related, SpecPath, error, warning
from policycompiler.model import Workload
from policycompiler.plan import APP, Constant, Decision, Derived, Plan, Scope, Written

NAME = "visibility-timeout"

LATE_ACK_RUN_OVER_VISIBILITY = error("PC311", "late-ack-run-over-visibility")
ETA_OVER_VISIBILITY = error("PC312", "eta-over-visibility")
RETRY_DELAY_OVER_VISIBILITY = error("PC313", "retry-delay-over-visibility")
RESERVE_OVER_VISIBILITY = error("PC314", "reserve-over-visibility")
VISIBILITY_TIMEOUT_UNUSED = warning("PC315", "visibility-timeout-unused")
VISIBILITY_TIMEOUT_OVER_SQS = error("PC316", "visibility-timeout-over-sqs")

MARGIN = 1.5
"""The sweep that restores messages runs every 100 s or so, and machines stall: half as much again."""
LEAST_SECONDS = 3600
"""Celery's own default on Redis; countdowns that nobody declared are written with it in mind."""
SQS_MOST_SECONDS = 43200
"""AWS allows twelve hours."""
TRANSPORTS = frozenset({"redis", "sqs"})


class _Hold(NamedTuple):
    """Something that keeps a message unacknowledged, and the finding when that is too long."""

    seconds: float
    origin: Derived
    finding: Finding
    what: str
    path: SpecPath


def apply(spec: Workload, plan: Plan) -> Iterator[Decision | Diagnostic]:
    """Longer than anything that holds a message; pins that are shorter are refused."""
    transport = plan.text(APP, "broker_transport")
    pinned, pin_path = _pinned(spec)
    if transport not in TRANSPORTS:
        if pinned is not None:
            message = f"{transport} has no visibility timeout; this one changes nothing"
            yield VISIBILITY_TIMEOUT_UNUSED.at(pin_path, message, help="remove it")
        return
    holds = [hold for name in spec.tasks for hold in _task_holds(plan, name)]
    holds += [hold for scope in plan.scopes("worker") for hold in _reserve(plan, scope)]
    longest = max(holds, key=lambda hold: (hold.seconds, hold.origin), default=None)
    needed = max(LEAST_SECONDS, math.ceil(longest.seconds * MARGIN) if longest else 0)
    most = SQS_MOST_SECONDS if transport == "sqs" else math.inf
    if pinned is not None:
        origins = (Written(pin_path),)
        yield Decision(APP, "visibility_timeout_seconds", pinned, "pinned in the workload", origins)
        help_text = (
            f"remove the pin (the compiler then sets {min(needed, most):g} s), or make the times shorter"
        )
        yield from _objections(holds, pinned, pin_path, help_text)
        if pinned > most:
            message = f"a visibility timeout of {pinned:g} s; SQS allows at most {most:g} s"
            yield VISIBILITY_TIMEOUT_OVER_SQS.at(pin_path, message, help="lower it, or remove it")
    elif longest is not None and needed > most:
        help_text = f"SQS allows at most {most:g} s: make the times shorter"
        yield from _objections(holds, most, ("broker", "transport"), help_text)
        because = f"{longest.what} {longest.seconds:g} s, and SQS allows no more than this"
        limited = (longest.origin, Constant("SQS_MOST_SECONDS", SQS_MOST_SECONDS))
        yield Decision(APP, "visibility_timeout_seconds", SQS_MOST_SECONDS, because, limited)
    else:
        yield _decided(longest, needed)


def _decided(longest: _Hold | None, needed: int) -> Decision:
    key = "visibility_timeout_seconds"
    if longest is None or needed == LEAST_SECONDS:
        because = "Celery's own default: nothing declared holds a message for longer"
        return Decision(APP, key, needed, because, (Constant("LEAST_SECONDS", LEAST_SECONDS),))
    because = f"{longest.what} {longest.seconds:g} s, and half as much again"
    return Decision(APP, key, needed, because, (longest.origin, Constant("MARGIN", MARGIN)))


def _pinned(spec: Workload) -> tuple[int | float | None, SpecPath]:
    if spec.broker.visibility_timeout is not None:
        return spec.broker.visibility_timeout, ("broker", "visibility_timeout")
    option = (spec.broker.options or {}).get("visibility_timeout")
    if isinstance(option, int | float) and not isinstance(option, bool):
        return option, ("broker", "options", "visibility_timeout")
    return None, ()


def _task_holds(plan: Plan, name: str) -> Iterator[_Hold]:
    scope = Scope("task", name)
    base: SpecPath = ("tasks", name)
    limit = 0.0
    if plan.get(scope, "options.acks_late") and not plan.value(scope, "external"):
        limit = plan.number(scope, "options.time_limit")
        what = f"{name} may run"
        origin = Derived(scope, "options.time_limit")
        yield _Hold(limit, origin, LATE_ACK_RUN_OVER_VISIBILITY, what, (*base, "runtime"))
    # One delivery of what is acknowledged late lasts from the wait to the end of the run.
    then_run = f" and then run {limit:g} s, together" if limit else ""
    countdown = plan.number_if_any(scope, "max_countdown_seconds")
    if countdown is not None:
        origin = Derived(scope, "max_countdown_seconds")
        wait = f" {countdown:g} s{then_run}" if limit else ""
        what = f"{name} may be sent with a countdown of{wait}"
        yield _Hold(countdown + limit, origin, ETA_OVER_VISIBILITY, what, (*base, "max_countdown"))
    for key in ("options.retry_backoff_max", "options.default_retry_delay"):
        delay = plan.number_if_any(scope, key)
        if delay is not None:
            wait = f" {delay:g} s{then_run}" if limit else ""
            what = f"a retry of {name} may wait{wait}"
            yield _Hold(
                delay + limit, Derived(scope, key), RETRY_DELAY_OVER_VISIBILITY, what, (*base, "retry")
            )


def _reserve(plan: Plan, scope: Scope) -> Iterator[_Hold]:
    """The wait in a worker's reserve, and the run of what then starts when that is acknowledged late."""
    tasks = [Scope("task", name) for name in plan.texts(scope, "tasks")]
    if not tasks:
        return
    longest = max((plan.number(task, "options.time_limit"), task) for task in tasks)
    late = [
        plan.number(task, "options.time_limit") for task in tasks if plan.value(task, "options.acks_late")
    ]
    # A slot that is acknowledged late counts against the prefetch limit while it runs.
    behind = plan.number(scope, "prefetch_multiplier") - (1 if len(late) == len(tasks) else 0)
    if behind > 0:
        seconds = behind * longest[0] + max(late, default=0)
        what = f"in reserve behind {longest[1].name}, a message of {scope.name} may be held"
        path: SpecPath = ("tasks", longest[1].name, "runtime")
        origin = Derived(longest[1], "options.time_limit")
        yield _Hold(seconds, origin, RESERVE_OVER_VISIBILITY, what, path)


def _objections(
    holds: list[_Hold], timeout: float, timeout_path: SpecPath, help_text: str
) -> Iterator[Diagnostic]:
    for hold in holds:
        if hold.seconds < timeout:
            continue
        message = (
            f"a message is given to a second worker after {timeout:g} s, but {hold.what} {hold.seconds:g} s"
        )
        related = (Related(hold.path, f"{hold.what} {hold.seconds:g} s"),)
        yield hold.finding.at(timeout_path, message, help=help_text, related=related)
