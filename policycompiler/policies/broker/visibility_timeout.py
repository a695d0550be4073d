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
from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from policycompiler.diagnostics import Diagnostic, Remove, SpecPath, error, info, warning
from policycompiler.hazards.hazard import as_findings
from policycompiler.hazards.pace import HOLD_FEWER
from policycompiler.hazards.visibility import (
    ETA,
    RATE_LIMIT,
    RETRY_DELAY,
    Hold,
    held_too_long,
    hoarded,
    others,
    reserve,
    task_holds,
)
from policycompiler.model import PolicyParameters, Workload
from policycompiler.plan import APP, Constant, Decision, Parameter, Plan, Written

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


class Parameters(PolicyParameters):
    """What a policy file may set."""

    margin: Annotated[float, Field(ge=1, le=100)] = Field(
        1.5, description="the sweep that gives messages back runs every 100 s or so, and machines stall"
    )
    longest_seconds: Annotated[int, Field(ge=LEAST_SECONDS, le=31_536_000)] = Field(
        43200, description="what a killed worker held comes back no earlier; half a day loses a day's work"
    )


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
    yield from as_findings(hoarded(plan), RATE_LIMIT_OVER_VISIBILITY)
    waits = {scope: reserve(plan, scope) for scope in plan.scopes("worker")}
    # What is decided has room for a delay and a full worker together.
    sums = [hold for name in spec.tasks for hold in task_holds(plan, name, waits)] + others(plan, waits)
    longest = max(sums, key=lambda hold: (hold.seconds, hold.origin), default=None)
    yield _longest_hold(longest)
    most = math.inf if redelivery.most_seconds is None else redelivery.most_seconds
    required = math.ceil(longest.seconds * tuned.margin) if longest else 0
    needed = max(min(LEAST_SECONDS, most), required)
    if pinned is not None:
        origins = (Written(pin_path),)
        yield Decision(APP, "visibility_timeout_seconds", pinned, "pinned in the workload", origins)
        instead = f"remove the pin (the compiler then sets {min(needed, most):g} s), or"
        yield from _objections(plan, instead)
        if pinned > most:
            message = f"a visibility timeout of {pinned:g} s; {plan.broker.label} allows at most {most:g} s"
            yield VISIBILITY_TIMEOUT_OVER_SQS.at(pin_path, message, help="lower it, or remove it")
    elif longest is not None and required > most:
        because = f"{longest.what} {longest.seconds:g} s, and {plan.broker.label} allows no more than this"
        limited = (longest.origin, Constant("most_seconds", redelivery.most_seconds))
        yield Decision(APP, "visibility_timeout_seconds", redelivery.most_seconds, because, limited)
        yield from _objections(plan, f"{plan.broker.label} allows at most {most:g} s:")
    else:
        yield _decided(longest, needed, tuned)
    if redelivery.shared:
        timeout = needed if pinned is None else pinned
        yield from _too_long(timeout, pin_path, longest, tuned)
        yield from _others(spec, plan, timeout)


def _objections(plan: Plan, instead: str) -> Iterator[Diagnostic]:
    return as_findings(
        held_too_long(plan, instead),
        LATE_ACK_RUN_OVER_VISIBILITY,
        ETA_OVER_VISIBILITY,
        RETRY_DELAY_OVER_VISIBILITY,
        RESERVE_OVER_VISIBILITY,
        RATE_LIMIT_OVER_VISIBILITY,
    )


def _longest_hold(longest: Hold | None) -> Decision:
    """So that two plans can be compared, also where the timeout is pinned or Celery's own."""
    key = "longest_hold_seconds"
    if longest is None:
        origin = Constant("NOTHING_HELD_SECONDS", NOTHING_HELD_SECONDS)
        return Decision(APP, key, NOTHING_HELD_SECONDS, "nothing declared holds a message", (origin,))
    because = f"{longest.what} {longest.seconds:g} s"
    return Decision(APP, key, math.ceil(longest.seconds), because, (longest.origin,))


def _decided(longest: Hold | None, needed: float, tuned: Parameters) -> Decision:
    key = "visibility_timeout_seconds"
    if longest is None or needed <= LEAST_SECONDS:
        because = "Celery's own default: nothing declared holds a message for longer"
        return Decision(APP, key, needed, because, (Constant("LEAST_SECONDS", LEAST_SECONDS),))
    because = f"{longest.what} {longest.seconds:g} s, times {tuned.margin:g}"
    margin = Parameter(("parameters", NAME, "margin"), tuned.margin)
    return Decision(APP, key, needed, because, (longest.origin, margin))


def _too_long(
    timeout: float, pin_path: SpecPath, longest: Hold | None, tuned: Parameters
) -> Iterator[Diagnostic]:
    """The price: what a killed worker held comes back no earlier. Waits have another way, long runs none."""
    waits = (ETA, RETRY_DELAY, RATE_LIMIT)
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
    elif longest is not None and longest.finding == RATE_LIMIT:
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
