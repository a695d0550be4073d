"""How risky a change is while old and new processes run side by side, and why."""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.knowledge import pools
from policycompiler.review.differences.kinds import kind_of
from policycompiler.review.facts import fleet
from policycompiler.review.facts.sizes import GROWS_TWOFOLD, KEYS, Resized, size
from policycompiler.review.order import need
from policycompiler.review.outcome import Class
from policycompiler.review.risks.app import RULES as RULES_OF_THE_APP
from policycompiler.review.risks.broker import RULES as RULES_OF_BROKERS
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
        return safe("another app runs it; nothing is sent before somebody calls it")
    return _under_another_entry(at._replace(before=before), before.name)


def _task_removed(at: At) -> Judged:
    name = at.scope.name
    if name in at.facts.handed:
        return handed(at)
    if (gone := ordered(at.needs.find(need.GONE, name))) is not None:
        return gone
    after = at.facts.after.entry(name)
    if after is None:
        return safe("another app runs it")
    return _under_another_entry(at._replace(scope=after), after.name)


def _under_another_entry(at: At, other: str) -> Judged:
    """What it means for a name that it gets an entry of its own, or goes on under that of a pattern."""
    judged = [
        moved(at, at.old.text(at.before, "queue"), at.new.text(at.scope, "queue")),
        *_differing(at, other),
    ]
    worst = max((each.risk for each in judged), key=lambda risk: risk.rank)
    return Judged(worst, "; ".join(each.because for each in judged if each.risk is worst))


def _differing(at: At, other: str) -> Iterator[Judged]:
    """What each setting but the queue means that differs between two entries, where it is not safe."""
    for key in sorted({*at.old.keys(at.before), *at.new.keys(at.scope)} - {"queue", "renamed_from"}):
        if not fleet.same(at.old.get(at.before, key), at.new.get(at.scope, key)):
            judged = risk_of(at._replace(key=key), kind_of(at.scope, key))
            name = key.removeprefix("options.")
            if judged.risk is not Class.SAFE:
                yield judged._replace(because=f"`{name}` is another than that of `{other}`: {judged.because}")


def _pool(at: At) -> Judged:
    was, now = pools.pool(str(at.was)), pools.pool(str(at.now))
    if was.soft and not now.soft:
        return manual(f"pool {at.now} keeps no time limits as prefork does: nothing ends a run that hangs")
    if was.cancels and not now.cancels:
        return manual(
            f"pool {at.now} keeps no hard limit, as {at.was} does where a run waits: nothing ends a run that "
            "hangs"
        )
    return safe("it runs so from its start on")


def _worker_removed(at: At) -> Judged:
    return unattended(at) or safe(
        "it ends its runs when it is stopped, and others take what its queues bring"
    )


def _worker_queues(at: At) -> Judged:
    return unattended(at) or safe("what one worker leaves another takes")


def _capacity(at: At) -> Judged:
    if at.key == "replicas" and at.now == 0 and (left := unattended(at)):
        return left
    grown = Resized(at.scope.name, size(at.old, at.before), size(at.new, at.scope))
    before, after = grown.before.slots, grown.after.slots
    if after < before:
        return safe(f"nothing is lost by it; its slots go from {before} to {after}, and queues may grow")
    if grown.factor >= GROWS_TWOFOLD and not _asked_for(at):
        return manual(
            f"nobody pinned it, and its slots go from {before} to {after}: see that its machines have room, "
            "and that what its tasks call takes so many calls at once"
        )
    return safe(f"its slots go from {before} to {after}")


def _asked_for(at: At) -> bool:
    """Whether the workload itself says a size of the worker that it did not say before."""
    return any(
        at.new.written(at.scope, key) is not None
        and not fleet.same(at.old.get(at.before, key), at.new.get(at.scope, key))
        for key in KEYS
    )


def _worker_grace(at: At) -> Judged:
    kinds = (need.LASTING, need.HURRIED, need.LONGER_RUN)
    hasty = ordered(*(at.needs.find(kind, at.scope.name) for kind in kinds))
    return hasty or safe("a stop waits long enough for whatever is sent")


def _worker_options(at: At) -> Judged:
    if at.key in _ANYTHING:
        return manual(f"it is unknown what the new `{at.key}` does to worker {at.scope.name}: check it")
    return safe(_START)


_ANYTHING = frozenset({"command_prefix", "environment"})
"""Settings of a worker that can change what its processes are, in ways that nobody can list."""
_START = "it takes effect in each process when that starts with it"
_ALERT = "Prometheus goes by it once its rules are loaded"


_HARMLESS_KINDS = {
    **dict.fromkeys(("alert-added", "alert-removed", "alert-changed"), _ALERT),
    "worker-prefetch": _START,
    "worker-added": "it takes messages from its start on",
    "disabled_schedule-added": "beat is told not to send it",
    "disabled_schedule-changed": "beat does not send it",
    "disabled_schedule-removed": "beat did not send it",
    "task-facts": "it is what settings are reckoned from; no process reads it",
    "task-priority": "it is the order in which messages are taken, and loses none",
    "queue-promise": "it is what alerts and sizes are reckoned from",
    "beat-added": "nothing is sent before beat starts",
    "beat-removed": "nothing is sent by schedule any more",
}
"""Why the kinds that have no rule are safe."""


_RULES: dict[str, Rule] = {
    **RULES_OF_TASKS,
    **RULES_OF_QUEUES,
    **RULES_OF_SCHEDULES,
    **RULES_OF_BROKERS,
    **RULES_OF_THE_APP,
    "task-added": _task_added,
    "task-removed": _task_removed,
    "worker-removed": _worker_removed,
    "worker-queues": _worker_queues,
    "worker-pool": _pool,
    "capacity": _capacity,
    "worker-grace": _worker_grace,
    "worker-options": _worker_options,
}
"""How each kind is judged; the others change nothing that old and new processes share."""
