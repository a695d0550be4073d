"""How risky changes of tasks and their messages are, and why."""

from __future__ import annotations

import math
from typing import TypeGuard

from policycompiler.hazards.time_limits import is_seconds
from policycompiler.knowledge.rate_limits import seconds_apart
from policycompiler.plan import APP, Plan, Scope, Value
from policycompiler.quantities import duration
from policycompiler.review.facts import fleet
from policycompiler.review.order import need
from policycompiler.review.order.need import Need
from policycompiler.review.risks.other_apps import GOES_ALONG, handed
from policycompiler.review.risks.retries import retries
from policycompiler.review.risks.verdicts import UNKNOWN, At, Judged, Rule, lossy, manual, ordered, safe


def _task_renamed(at: At) -> Judged:
    names = at.old.get(at.before, "renamed_from"), at.new.get(at.scope, "renamed_from")
    was, now = ({*map(str, _list(each))} for each in names)
    unknown = sorted(was - now)
    if unknown and at.old.get(at.before, "idempotency_key") and at.new.get(at.scope, "idempotency_key"):
        keep = duration(at.old.number(at.before, "idempotency_keep_seconds"))
        return manual(
            f"workers no longer find the records of {need.told(unknown)}, so a message that comes again "
            f"repeats its effect: remove an earlier name when {keep} have passed since the last process that "
            "sent it or ran it stopped"
        )
    if at.key == "renamed_from" and at.scope.name not in at.facts.renamed:
        gone = ordered(at.needs.find(need.GONE, *was)) if was else None
        return gone or safe("no process has sent another name")
    return ordered(at.needs.find(need.NEW_NAME, at.scope.name)) or safe("no process sends the new name")


def _task_moved(at: At) -> Judged:
    name, queue, target = at.scope.name, str(at.was), str(at.now)
    if name not in at.facts.handed:
        return moved(at, queue, target)
    asked = ((need.HANDED_ON, name), (need.NEW_QUEUE, target), (need.NEW_TASK, name))
    return ordered(next(filter(None, (at.needs.find(*each) for each in asked)), None)) or GOES_ALONG


def moved(at: At, queue: str, target: str) -> Judged:
    """Judge messages that now go to another queue."""
    if queue == target:
        return safe(f"its messages still go to queue {target}")
    if at.new.get(Scope("queue", target), "external"):
        return manual(
            f"queue {target} belongs to another app, which must know the task and consume the queue first"
        )
    asked = (at.needs.find(need.NEW_QUEUE, target), at.needs.find(need.LEAVING, queue))
    return ordered(*asked) or safe("old and new workers consume both queues")


def _delivery(at: At) -> Judged:
    option = at.key.removeprefix("options.").removeprefix("task_").removeprefix("default_")
    if option == "delivery_mode":
        if at.now in (1, "transient"):
            return lossy("a restart of the broker loses its messages")
        return safe("each message carries its own delivery mode")
    if option in _OF_FAILURES and _keeps_fewer_failures(at):
        return lossy("a failed run is now acknowledged and leaves no dead letter")
    if option in {"acks_late", "retry_on_worker_lost", "reject_on_worker_lost"} and at.was and not at.now:
        early = at.key.replace(option, "acks_late")
        if option != "acks_late" and at.old.get(at.before, early) and not at.new.get(at.scope, early):
            return safe("the change follows from late acknowledgment")
        others = ("retry_on_worker_lost", "reject_on_worker_lost")
        if option == "acks_late" or not any(
            at.new.get(at.scope, at.key.replace(option, other)) for other in others
        ):
            return lossy("a run is now lost if its worker process is killed")
    return safe("each worker uses the new value when it starts")


_OF_FAILURES = ("acks_on_failure", "acks_on_failure_or_timeout")
"""The second applies if the first is not set."""


def _keeps_fewer_failures(at: At) -> bool:
    """Whether failed runs of a task, or of any task under the app's setting, leave no dead letter now."""
    pairs = [(at.before, at.scope)]
    if at.scope == APP:
        tasks = [(at.facts.before.entry(scope.name), scope) for scope in at.new.scopes("task")]
        pairs += [(before, scope) for before, scope in tasks if before is not None]
    return any(
        _keeps_failures(at.old, before) and not _keeps_failures(at.new, scope) for before, scope in pairs
    )


def _keeps_failures(plan: Plan, task: Scope) -> bool:
    """Whether a failed run leaves a dead letter; for the app, of an undeclared task."""
    queue = plan.get(APP, "task_default_queue") if task == APP else plan.get(task, "queue")
    said = [_option(plan, task, option) for option in _OF_FAILURES]
    acknowledged = next((value for value in said if value is not None), True)
    scope = Scope("queue", str(queue))
    if plan.get(scope, "dead_letter_copies") is not None:
        # A worker copies what is acknowledged.
        return True
    dead = plan.get(scope, "dead_letter_queue")
    return dead is not None and _option(plan, task, "acks_late") is True and not acknowledged


def _option(plan: Plan, task: Scope, option: str) -> Value:
    """The value for a task: its own, or that of the app."""
    own = plan.get(task, f"options.{option}")
    return plan.get(APP, f"task_{option}") if own is None else own


def _expiry(at: At) -> Judged:
    return expiring(at.was, at.now)


def expiring(was: Value, now: Value) -> Judged:
    """Judge messages that now expire after a number of seconds; None means never."""
    if isinstance(now, int | float) and not (isinstance(was, int | float) and was <= now):
        return lossy(f"workers now discard messages that wait longer than {duration(now)}")
    return safe("messages may wait longer than before")


def _results(at: At) -> Judged:
    if at.key.endswith("ignore_result") and at.now and not at.was:
        return manual("callers that still wait for a result never get one: check the callers")
    return safe("each worker uses the new value when it starts")


def _limits(at: At) -> Judged:
    if at.key in {"longest_run_seconds", "limits_assumed"}:
        return safe("stops and timeouts are computed from this value; no process reads the value itself")
    if _is_lower(at.now, at.was) and not _is_measured(at):
        return _unmeasured(at.key, at.now)
    if (hasty := ordered(*_hasty(at))) is not None:
        return hasty
    if _is_lower(at.now, at.was):
        return safe("messages carry their limit: tasks of old producers may still run as long as before")
    return safe("each run has the limit of its producer: deploy code that needs longer after the producers")


def limited(key: str, was: Value, now: Value, p99: float | None) -> Judged:
    """Judge a new limit of a message; `p99` is the declared run time, if any."""
    if not _is_lower(now, was):
        return safe("each run has the limit of its message")
    if p99 is None:
        return _unmeasured(key, now)
    if now >= p99:
        return safe("runs take less time than the new limit")
    return lossy(
        f"a run that takes longer than {duration(now)} is now {_end(key)}, and p99 is {duration(p99)}"
    )


def _unmeasured(key: str, limit: float) -> Judged:
    return manual(
        f"the workload does not declare a run time, and a run that takes longer than {duration(limit)} is "
        f"now {_end(key)}: check how long runs take first"
    )


def _is_lower(limit: Value, than: Value) -> TypeGuard[int | float]:
    """Whether a limit is lower than another; only a number above 0 is a limit."""
    now, was = (each if is_seconds(each) else math.inf for each in (limit, than))
    assert isinstance(now, int | float)
    assert isinstance(was, int | float)
    return now < was


def _is_measured(at: At) -> bool:
    """Whether the run time of a task is declared: then only a limit below it is a hazard."""
    return at.scope != APP and at.new.get(at.scope, "runtime_p99_seconds") is not None


def _end(key: str) -> str:
    return "interrupted" if "soft" in key else "killed"


def _hasty(at: At) -> list[Need | None]:
    """The needs of workers whose stop does not wait for the longer limit of a task.

    Only of workers without a change of their own.
    """
    if not at.key.endswith(".time_limit"):
        return []
    workers = {*at.old.texts(at.before, "workers"), *at.new.texts(at.scope, "workers")}
    names = [name for name in workers if _waits_alike(at, name)]
    kinds = (need.LASTING, need.HURRIED, need.LONGER_RUN) if names else ()
    return [at.needs.find(kind, *names) for kind in kinds]


def _waits_alike(at: At, worker: str) -> bool:
    scope = Scope("worker", worker)
    return at.old.get(scope, "stop_timeout_seconds") == at.new.get(scope, "stop_timeout_seconds")


def _serialization(at: At) -> Judged:
    if at.key.endswith("compression"):
        return compressed(at.now)
    if at.key.endswith("accept_content"):
        return _accepting(at)
    kinds = (need.NEW_FORM, need.NEW_RESULTS)
    if (refused := ordered(*(at.needs.find(kind) for kind in kinds))) is not None:
        return refused
    if at.facts.elsewhere:
        return safe("old and new workers cannot see each other's messages")
    return safe("old and new processes accept both")


def _accepting(at: At) -> Judged:
    if fleet.result_content(at.old) not in fleet.accepted_results(at.new):
        return lossy("clients can no longer read stored results of the old content type")
    refused = ordered(at.needs.find(need.OLD_FORM))
    return refused or safe("every content type in use is accepted on both sides")


def compressed(method: Value) -> Judged:
    """Judge messages with another compression; None means no compression."""
    if method is None or method in {"gzip", "zlib", "bzip2", "bzip", "lzma", "xz"}:
        return safe("each message names its compression, which Python can read")
    return manual("every worker needs the package of this compression first, or each message is lost")


def _options(at: At) -> Judged:
    option = at.key.removeprefix("options.")
    if option == "rate_limit":
        return rate_limited(at)
    return safe("each worker uses the new value when it starts") if option in _OF_EACH_WORKER else UNKNOWN


_OF_EACH_WORKER = frozenset({"send_events", "throws", "trail"})
"""Task options that affect each worker alone; other kinds have rules of their own."""


def rate_limited(at: At) -> Judged:
    """Judge a new rate limit of a task; None and 0 mean no limit."""
    was, now = (seconds_apart(value) or 0.0 for value in (at.was, at.now))
    rate = None if at.scope == APP else at.new.get(at.scope, "rate_mean_per_second")
    if now <= was or rate is not None:
        # A rate above the limit is a hazard.
        return safe("each worker uses the new limit when it starts")
    return manual(
        f"the workload does not declare a rate, and messages above {at.now} for each worker process wait "
        "without end: check the rate first"
    )


def _list(value: Value) -> list[Value]:
    return value if isinstance(value, list) else []


RULES: dict[str, Rule] = {
    "task-renamed": _task_renamed,
    "task-moved": _task_moved,
    "task-external": handed,
    "task-delivery": _delivery,
    "task-limits": _limits,
    "task-expiry": _expiry,
    "task-retries": retries,
    "task-results": _results,
    "task-options": _options,
    "serialization": _serialization,
}
"""The rule of each kind."""
