"""How risky a change is while old and new processes run side by side, and why."""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.knowledge import pools
from policycompiler.quantities import size as size_text
from policycompiler.review.differences.kinds import kind_of
from policycompiler.review.facts import fleet
from policycompiler.review.facts.sizes import GROWS_TWOFOLD, KEYS, Resized, size
from policycompiler.review.order import need
from policycompiler.review.outcome import Class
from policycompiler.review.risks.app import RULES as RULES_OF_THE_APP
from policycompiler.review.risks.broker import RULES as RULES_OF_BROKERS
from policycompiler.review.risks.guards import RULES as RULES_OF_GUARDS
from policycompiler.review.risks.other_apps import handed
from policycompiler.review.risks.queues import RULES as RULES_OF_QUEUES
from policycompiler.review.risks.queues import unattended
from policycompiler.review.risks.schedules import RULES as RULES_OF_SCHEDULES
from policycompiler.review.risks.tasks import RULES as RULES_OF_TASKS
from policycompiler.review.risks.tasks import moved
from policycompiler.review.risks.verdicts import UNKNOWN, At, Judged, Rule, manual, ordered, safe


def risk_of(at: At, kind: str) -> Judged:
    """Judge a change of a kind."""
    rule = _RULES.get(kind)
    if rule is not None:
        return rule(at)
    return safe(_HARMLESS_KINDS[kind]) if kind in _HARMLESS_KINDS else UNKNOWN


def _task_added(at: At) -> Judged:
    name = at.scope.name
    if name in at.facts.handed:
        return handed(at)
    if (unknown := ordered(at.needs.find(need.NEW_TASK, name))) is not None:
        return unknown
    before = at.facts.before.entry(name)
    if before is None:
        return safe("another app runs the task; no message is sent before code calls the task")
    return _under_another_entry(at._replace(before=before), before.name)


def _task_removed(at: At) -> Judged:
    name = at.scope.name
    if name in at.facts.handed:
        return handed(at)
    if (gone := ordered(at.needs.find(need.GONE, name))) is not None:
        return gone
    after = at.facts.after.entry(name)
    if after is None:
        return safe("another app runs the task")
    return _under_another_entry(at._replace(scope=after), after.name)


def _under_another_entry(at: At, other: str) -> Judged:
    """Judge a name that gets an entry of its own, or that now matches a pattern."""
    judged = [
        moved(at, at.old.text(at.before, "queue"), at.new.text(at.scope, "queue")),
        *_differing(at, other),
    ]
    worst = max((each.risk for each in judged), key=lambda risk: risk.rank)
    # What a person must do is told beside what is lost.
    told = {worst, Class.MANUAL} if worst is Class.LOSSY else {worst}
    return Judged(worst, "; ".join(each.because for each in judged if each.risk in told))


def _differing(at: At, other: str) -> Iterator[Judged]:
    """Judge each setting except the queue that differs between two entries; without safe ones."""
    for key in sorted({*at.old.keys(at.before), *at.new.keys(at.scope)} - {"queue", "renamed_from"}):
        if not fleet.same(at.old.get(at.before, key), at.new.get(at.scope, key)):
            judged = risk_of(at._replace(key=key), kind_of(at.scope, key))
            name = key.removeprefix("options.")
            if judged.risk is not Class.SAFE:
                yield judged._replace(because=f"`{name}` differs from that of `{other}`: {judged.because}")


def _pool(at: At) -> Judged:
    was, now = pools.pool(str(at.was)), pools.pool(str(at.now))
    if was.soft and not now.soft:
        return manual(f"pool {at.now} does not enforce time limits like prefork, so a hanging run never ends")
    if was.cancels and not now.cancels:
        return manual(
            f"pool {at.now} does not enforce hard time limits like {at.was}, which ends waiting runs; a "
            "hanging run never ends"
        )
    return safe("a worker uses the new pool when it starts")


def _worker_removed(at: At) -> Judged:
    return unattended(at) or safe("a stop waits for runs in progress, and other workers consume its queues")


def _worker_queues(at: At) -> Judged:
    dropped = set(at.old.texts(at.before, "queues")) - set(at.new.texts(at.scope, "queues"))
    if at.needs.names(need.LEAVING) & dropped:
        return safe("the worker itself changes safely; the removed queue has its own line")
    return unattended(at) or safe("other workers consume the queues that this worker no longer consumes")


def _capacity(at: At) -> Judged:
    if at.key == "scaling":
        return safe("the platform starts and stops processes; a stop waits for runs in progress")
    if at.key == "replicas" and at.now == 0 and (left := unattended(at)):
        return left
    grown = Resized(at.scope.name, size(at.old, at.before), size(at.new, at.scope))
    before, after = grown.before.slots, grown.after.slots
    if after < before:
        return safe(f"no work is lost; its slots go from {before} to {after}, and queues may grow")
    if grown.factor >= GROWS_TWOFOLD and not _asked_for(at):
        return manual(
            f"its slots go from {before} to {after} without a pin; check that its hosts have enough room, "
            "and that the systems behind its tasks can handle the extra concurrent calls"
        )
    return safe(f"its slots go from {before} to {after}")


def _asked_for(at: At) -> bool:
    """Whether the workload now pins a size of the worker."""
    return any(
        at.new.written(at.scope, key) is not None
        and not fleet.same(at.old.get(at.before, key), at.new.get(at.scope, key))
        for key in KEYS
    )


def _worker_grace(at: At) -> Judged:
    kinds = (need.LASTING, need.HURRIED, need.LONGER_RUN)
    hasty = ordered(*(at.needs.find(kind, at.scope.name) for kind in kinds))
    return hasty or safe("a stop still waits long enough for every run")


def _worker_options(at: At) -> Judged:
    if at.key in _ANYTHING:
        return manual(f"it is unknown what the new `{at.key}` does to worker {at.scope.name}: check it")
    return safe(_START)


def _worker_resources(at: At) -> Judged:
    number = (int, float)
    if at.key != "memory_limit_bytes" or not isinstance(at.now, number):
        return safe(_START)
    if isinstance(at.was, number) and at.was <= at.now:
        return safe("the new limit is not lower")
    return manual(
        f"above {size_text(int(at.now))} the kernel kills processes of worker {at.scope.name} with their "
        "runs: compare the limit with the memory that they take today"
    )


_ANYTHING = frozenset({"command_prefix", "environment", "soft_time_limit", "time_limit"})
"""Settings of a worker that can change its processes in any way."""
_START = "each worker process uses the new value when it starts"
_PLACEMENT = "a host starts and stops processes; a stop waits for runs in progress"
_ALERT = "Prometheus uses the alert once it loads the new rules"


_HARMLESS_KINDS = {
    **dict.fromkeys(("alert-added", "alert-removed", "alert-changed"), _ALERT),
    "worker-prefetch": _START,
    "worker-added": "the worker consumes messages when it starts",
    **dict.fromkeys(("host-added", "host-removed", "placement"), _PLACEMENT),
    **dict.fromkeys(
        ("dependency-added", "dependency-removed"), "what it does to its tasks is told at their settings"
    ),
    "disabled_schedule-added": "beat does not send a disabled schedule",
    "disabled_schedule-changed": "beat does not send a disabled schedule",
    "disabled_schedule-removed": "beat did not send the disabled schedule",
    "policies": "files set values that were left to Celery, or the reverse; a value in a file overrides a "
    "decorator, a base class or a setting that the workload does not show",
    "task-facts": "other settings are computed from this fact; no process reads the fact itself",
    "task-priority": "a priority changes the order of messages and loses none",
    "queue-promise": "alerts and sizes are computed from this value; no process reads the value itself",
    "beat-added": "no schedule is sent before beat starts",
    "beat-removed": "beat no longer sends schedules",
}
"""Why the kinds without a rule are safe."""


_RULES: dict[str, Rule] = {
    **RULES_OF_TASKS,
    **RULES_OF_QUEUES,
    **RULES_OF_SCHEDULES,
    **RULES_OF_BROKERS,
    **RULES_OF_THE_APP,
    **RULES_OF_GUARDS,
    "task-added": _task_added,
    "task-removed": _task_removed,
    "worker-removed": _worker_removed,
    "worker-queues": _worker_queues,
    "worker-pool": _pool,
    "capacity": _capacity,
    "worker-grace": _worker_grace,
    "worker-options": _worker_options,
    "worker-resources": _worker_resources,
}
"""The rule of each kind; other kinds change nothing that old and new processes share."""
