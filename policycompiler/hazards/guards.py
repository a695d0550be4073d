"""Guards that other settings of the plan weaken."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from policycompiler.diagnostics import Related, SpecPath
from policycompiler.hazards.countdowns import countdown_of
from policycompiler.hazards.hazard import Hazard, place_of
from policycompiler.knowledge.backoff import all_waits_seconds
from policycompiler.plan import APP, Plan, Scope
from policycompiler.quantities import duration

KEY, KEEP, CALLS = "idempotency_key", "idempotency_keep_seconds", "calls"
_OVERFLOW = "arguments.x-overflow"
REDELIVERIES = 2
"""A message that was redelivered can be redelivered once more."""


class Horizon(NamedTuple):
    """How late a message can come again, why, and the setting that decides."""

    seconds: float
    why: str
    scope: Scope
    key: str


def guards(plan: Plan) -> Iterator[Hazard]:
    """Keys that are forgotten too early, duplicates without an answer, broadcasts, and refused retries."""
    for task in plan.scopes("task"):
        if plan.value(task, "external"):
            continue
        if plan.get(task, KEEP) is not None:
            yield from _kept_short(plan, task)
        if plan.get(task, "idempotency_duplicate") == "ignore":
            yield from _unanswered(plan, task)
        if plan.get(task, KEY) or plan.get(task, CALLS):
            yield from _broadcast(plan, task)
        yield from _refused_retry(plan, task)


def _kept_short(plan: Plan, task: Scope) -> Iterator[Hazard]:
    keep = plan.number(task, KEEP)
    longest = max(horizons(plan, task), default=None)
    if longest is None or keep >= longest.seconds:
        return
    message = (
        f"the effect of {task.name} is remembered for {duration(keep)}, but can happen again after "
        f"{duration(longest.seconds)}: {longest.why}"
    )
    settings = ((task, KEEP), (longest.scope, longest.key))
    path: SpecPath = plan.written(task, KEEP) or ("tasks", task.name, KEY)
    related: tuple[Related, ...] = ()
    if (decides := plan.written(longest.scope, longest.key)) is not None:
        related = (Related(decides, "it decides"),)
    help_text = f"keep it for at least {duration(longest.seconds)}"
    yield Hazard("key-kept-short", settings, message, help_text, path, related, about=(task,))


def horizons(plan: Plan, task: Scope) -> Iterator[Horizon]:
    """The ways in which a message of a task comes again, each with its time."""
    visible = plan.number_if_any(APP, "visibility_timeout_seconds")
    if plan.broker.redelivery is not None and visible:
        why = f"the broker redelivers its message after {duration(visible)}, and once more"
        yield Horizon(REDELIVERIES * visible, why, APP, "visibility_timeout_seconds")
    queue = Scope("queue", plan.text(task, "queue"))
    held = plan.number_if_any(queue, "consumer_timeout_seconds") if plan.broker.consumer_timeout else None
    if held:
        why = f"RabbitMQ takes its message back from a worker after {duration(held)}, and once more"
        yield Horizon(REDELIVERIES * held, why, queue, "consumer_timeout_seconds")
    if (counted := countdown_of(plan, task)) is not None:
        yield Horizon(
            counted.seconds, f"{counted.what} {duration(counted.seconds)}", task, "max_countdown_seconds"
        )
    expires = plan.number_if_any(task, "options.expires")
    if expires:
        yield Horizon(expires, "its message may start until it expires", task, "options.expires")
    yield from _retries(plan, task)


def _retries(plan: Plan, task: Scope) -> Iterator[Horizon]:
    """The time from the first run to the last retry; endless retries have none."""
    retries = int(plan.number_if_any(task, "options.max_retries") or 0)
    longest = plan.number_if_any(task, "options.retry_backoff_max")
    delay = plan.number_if_any(task, "options.default_retry_delay") or 0
    key = "options.retry_backoff_max" if longest else "options.default_retry_delay"
    waits = retries * delay
    if longest:
        waits = all_waits_seconds(longest, plan.number_if_any(task, "options.retry_backoff"), retries)
    if retries and waits:
        seconds = waits + (1 + retries) * plan.number(task, "longest_run_seconds")
        yield Horizon(seconds, f"its {retries} retries may take so long", task, key)


def _unanswered(plan: Plan, task: Scope) -> Iterator[Hazard]:
    """A duplicate that is ignored has no result, and sends nothing that follows it."""
    canvas = plan.get(task, "canvas")
    kept = plan.get(task, "options.ignore_result") is False
    if not canvas and not kept:
        return
    who = "a chain, group or chord with it never ends" if canvas else "its caller waits without end"
    message = f"a duplicate of {task.name} is ignored, and its result stays PENDING: {who}"
    path = plan.written(task, "idempotency_duplicate") or ("tasks", task.name, KEY)
    settings = ((task, "idempotency_duplicate"), (task, "canvas" if canvas else "options.ignore_result"))
    help_text = "write `duplicate: result`, which gives a duplicate the result of the first run"
    yield Hazard("duplicate-unanswered", settings, message, help_text, path, about=(task,))


def _broadcast(plan: Plan, task: Scope) -> Iterator[Hazard]:
    """A message that is parked goes to every process of a broadcast queue again."""
    queue = Scope("queue", plan.text(task, "queue"))
    if not plan.get(queue, "broadcast"):
        return
    guard = KEY if plan.get(task, KEY) else CALLS
    message = (
        f"every worker process of queue {queue.name} gets each message of {task.name}; each of them that has "
        "to wait sends it to all of them again, so messages multiply"
    )
    if guard == KEY:
        message += ", and its key lets one process run it"
    settings = ((task, guard), (queue, "broadcast"), (task, "queue"))
    help_text = f"remove `{guard}`, or give the task a queue that is no broadcast"
    path = place_of(plan, task, guard)
    yield Hazard("broadcast-guarded", settings, message, help_text, path, about=(task,))


def _refused_retry(plan: Plan, task: Scope) -> Iterator[Hazard]:
    """A queue that refuses messages refuses retries too."""
    queue = Scope("queue", plan.text(task, "queue"))
    retried = plan.get(task, "options.autoretry_for") and plan.get(task, "options.max_retries") != 0
    if not str(plan.get(queue, _OVERFLOW)).startswith("reject-publish") or not retried:
        return
    message = (
        f"queue {queue.name} refuses messages when it is full, retries too: a retry of {task.name} that is "
        "refused is lost"
    )
    related = (Related(place_of(plan, task, "options.autoretry_for"), "its retries"),)
    help_text = "remove the argument, and declare a `bound`, which lets retries pass"
    settings = ((queue, _OVERFLOW), (task, "options.autoretry_for"), (task, "queue"))
    path = place_of(plan, queue, _OVERFLOW)
    yield Hazard("retries-refused", settings, message, help_text, path, related, about=(task,))
