"""When Redis or SQS redelivers an unacknowledged message to another worker.

Decides:
    On Redis and SQS: `app/visibility_timeout_seconds`, and `app/longest_hold_seconds`, the longest time for
    which a worker holds a message unacknowledged.

Because:
    The timeout runs from delivery to acknowledgment. It includes the time as a prefetched message, a
    countdown, the wait before a retry and the wait for a rate limit. It includes the run if the task is
    acknowledged late. A message that takes longer runs twice, even without any failure.

    A worker fetches rate-limited messages like others, even with `disable_prefetch`, and holds each until
    the limit lets it run. The last prefetched message waits for all before it. Messages with a countdown
    are fetched in addition to the prefetch limit, and the workload does not declare how many become due
    together.

    On Redis any worker restores the messages of all workers after its own timeout, so the app has one
    timeout. The messages of a killed worker are redelivered only after this timeout, so it is as short as
    possible
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
    PC315 visibility-timeout-unused: remove `visibility_timeout`; only Redis and SQS support it.
        fires: broker: {transport: rabbitmq, url: "${B}", visibility_timeout: 1h}
        silent: broker: {transport: redis, url: "${B}", visibility_timeout: 1h}
    PC316 visibility-timeout-over-sqs: lower the visibility timeout, or remove it.
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
    PC427 visibility-too-long: keep due times in a database and poll it, let a worker prefetch fewer
        rate-limited messages, or lower the pin.
        fires: tasks: {shop.a: {max_countdown: 1d}}
        silent: tasks: {shop.a: {max_countdown: 2h}}
    PC428 visibility-not-uniform: give the workers of the other app the same visibility timeout.
        fires: tasks: {shop.a: {max_countdown: 2h}, shop.b: {external: true, queue: theirs}}
        silent: tasks: {shop.a: {max_countdown: 20m}, shop.b: {external: true, queue: theirs}}

Parameters:
    `margin`: the timeout is the longest hold times this factor; 1.5.
    `longest_seconds`: a timeout above this is a finding; 43200.
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
from policycompiler.knowledge.brokers import Redelivery
from policycompiler.model import PolicyParameters, Workload
from policycompiler.plan import APP, Constant, Decision, Default, Derived, Plan, Written
from policycompiler.policies.policy import parameter
from policycompiler.quantities import duration, written

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
"""Celery's default on Redis; code with undeclared countdowns may rely on it."""
NOTHING_HELD_SECONDS = 0
"""No declared task holds a message."""


class Parameters(PolicyParameters):
    """The parameters of the policy."""

    margin: Annotated[float, Field(ge=1, le=100)] = Field(
        1.5, description="factor on the longest hold, for a busy machine and for clocks that differ"
    )
    longest_seconds: Annotated[int, Field(ge=LEAST_SECONDS, le=31_536_000)] = Field(
        43200, description="longest acceptable timeout; messages of a killed worker wait for it"
    )


def apply(spec: Workload, plan: Plan, tuned: Parameters) -> Iterator[Decision | Diagnostic]:
    """Decide a timeout longer than any hold of a message; refuse shorter pins."""
    transport = plan.text(APP, "broker_transport")
    pinned, pin_path = _pinned(spec)
    redelivery = plan.broker.redelivery
    if redelivery is None:
        if pinned is not None:
            message = f"{transport} has no visibility timeout, so this pin has no effect"
            fix = (Remove(pin_path),)
            help_text = "remove `visibility_timeout`"
            yield VISIBILITY_TIMEOUT_UNUSED.at(pin_path, message, help=help_text, fix=fix)
        return
    yield from as_findings(hoarded(plan), RATE_LIMIT_OVER_VISIBILITY)
    waits = {scope: reserve(plan, scope) for scope in plan.scopes("worker")}
    # The decided timeout allows for a delay and for a busy worker together.
    sums = [hold for name in spec.tasks for hold in task_holds(plan, name, waits)] + others(plan, waits)
    longest = max(sums, key=lambda hold: (hold.seconds, hold.origin), default=None)
    yield _longest_hold(longest)
    most = math.inf if redelivery.most_seconds is None else redelivery.most_seconds
    required = math.ceil(longest.seconds * tuned.margin) if longest else 0
    needed = max(min(LEAST_SECONDS, most), required)
    if pinned is not None:
        origins = (Written(pin_path),)
        yield Decision(APP, "visibility_timeout_seconds", pinned, "the workload pins it", origins)
        instead = f"remove the pin (the compiler then sets {duration(min(needed, most))}), or"
        yield from _objections(plan, instead)
        if pinned > most:
            message = (
                f"the visibility timeout is {duration(pinned)}, but {plan.broker.label} allows at most "
                f"{duration(most)}"
            )
            help_text = f"lower it to {duration(most)}, or remove it"
            yield VISIBILITY_TIMEOUT_OVER_SQS.at(pin_path, message, help=help_text)
    elif plan.as_is(APP):
        yield _left_to_celery(plan, redelivery)
        yield from _objections(plan, f"write `visibility_timeout: {written(min(needed, most))}`, or")
    elif longest is not None and required > most:
        because = (
            f"{longest.what} {duration(longest.seconds)}, and {plan.broker.label} allows at most "
            f"{duration(most)}"
        )
        limited = (longest.origin, Derived(APP, "broker_transport"))
        yield Decision(APP, "visibility_timeout_seconds", redelivery.most_seconds, because, limited)
        yield from _objections(plan, f"stay below {duration(most)}, the maximum of {plan.broker.label}:")
    else:
        yield _decided(longest, needed, tuned)
    if plan.broker.shares_timeout:
        timeout = plan.number(APP, "visibility_timeout_seconds")
        yield from _too_long(timeout, pin_path, longest, tuned)
        yield from _others(spec, plan, timeout)


def _left_to_celery(plan: Plan, redelivery: Redelivery) -> Decision:
    because = f"the workload does not set it, and this is the default on {plan.broker.label}"
    origin = Default(redelivery.option or "visibility_timeout", plan.text(APP, "celery_version"))
    return Decision(APP, "visibility_timeout_seconds", redelivery.default_seconds, because, (origin,))


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
    """Decide the longest hold, so that two plans can be compared even if the timeout is pinned."""
    key = "longest_hold_seconds"
    if longest is None:
        origin = Constant("NOTHING_HELD_SECONDS", NOTHING_HELD_SECONDS)
        return Decision(APP, key, NOTHING_HELD_SECONDS, "no declared task holds a message", (origin,))
    because = f"{longest.what} {duration(longest.seconds)}"
    return Decision(APP, key, math.ceil(longest.seconds), because, (longest.origin,))


def _decided(longest: Hold | None, needed: float, tuned: Parameters) -> Decision:
    key = "visibility_timeout_seconds"
    if longest is None or needed <= LEAST_SECONDS:
        because = (
            f"Celery's default is {duration(LEAST_SECONDS)}, and no declared task holds a message for longer"
        )
        return Decision(APP, key, needed, because, (Constant("LEAST_SECONDS", LEAST_SECONDS),))
    because = f"{longest.what} {duration(longest.seconds)}; the timeout is {tuned.margin:g} times that"
    margin = parameter(NAME, "margin", tuned.margin)
    return Decision(APP, key, needed, because, (longest.origin, margin))


def _too_long(
    timeout: float, pin_path: SpecPath, longest: Hold | None, tuned: Parameters
) -> Iterator[Diagnostic]:
    """Report a timeout that delays messages of a killed worker for too long; waits can be avoided."""
    waits = (ETA, RETRY_DELAY, RATE_LIMIT)
    delayed = longest is not None and longest.finding in waits
    path = pin_path or (longest.path if longest and delayed else ())
    if timeout <= tuned.longest_seconds or not path:
        return
    why = "" if pin_path or longest is None else f": {longest.what} {duration(longest.seconds)}"
    message = f"the broker redelivers the messages of a killed worker only after {duration(timeout)}{why}"
    help_text = "keep due times in a database and poll it with a schedule"
    if pin_path:
        help_text = "lower or remove the pin"
    elif longest is not None and longest.finding == RATE_LIMIT:
        help_text = HOLD_FEWER
    yield VISIBILITY_TOO_LONG.at(path, message, help=help_text)


def _others(spec: Workload, plan: Plan, timeout: float) -> Iterator[Diagnostic]:
    """Workers of another app on the same Redis, which restore messages after their own timeout."""
    if timeout <= LEAST_SECONDS:
        return
    for scope in plan.scopes("queue"):
        if plan.value(scope, "external"):
            written = scope.name in spec.queues
            tasks = plan.texts(scope, "tasks")
            path: SpecPath = ("queues", scope.name) if written else ("tasks", *tasks[:1])
            message = (
                f"another app consumes queue {scope.name}: its workers also redeliver messages of this app, "
                f"after their own visibility timeout, which must be {duration(timeout)} too"
            )
            help_text = "set the same visibility timeout in the other app, or use different Redis databases"
            yield VISIBILITY_NOT_UNIFORM.at(path, message, help=help_text)
            return


def _pinned(spec: Workload) -> tuple[int | float | None, SpecPath]:
    if spec.broker.visibility_timeout is not None:
        return spec.broker.visibility_timeout, ("broker", "visibility_timeout")
    option = (spec.broker.options or {}).get("visibility_timeout")
    if isinstance(option, int | float) and not isinstance(option, bool):
        return option, ("broker", "options", "visibility_timeout")
    return None, ()
