"""Whether exactly one beat runs, and whether its store has the schedules of the plan.

A beat shows itself in three ways: it answers remote control if `beat_enable_remote_control` is on (Celery
5.7), RedBeat holds a lock in Redis, and two waiting messages of one firing have two senders. Without any of
them it is unknown.

Because:
    Without beat no schedule runs. Two beats run every schedule twice.

Refuses:
    PC873 beat-missing: start beat.
        when: beat must show itself by the plan, and does not.
    PC874 beat-twice: stop all beats but one.
        when: two beats answer remote control, or two processes sent one firing of a schedule.
    PC875 beat-unseen: set `beat_enable_remote_control` below `celery.settings`.
        when: nothing shows whether beat runs, and the plan has schedules.
    PC876 schedule-entry-missing: restart beat with the compiled configuration.
        when: the store of RedBeat does not have a schedule of the plan, or has it with another task.
    PC877 schedule-entry-unplanned: delete the entry, or declare the schedule.
        when: the store of RedBeat has an entry that the plan does not have.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime

from policycompiler.diagnostics import Diagnostic, error, info, warning
from policycompiler.plan import APP, BEAT, Plan, Scope
from policycompiler.reality.nodes import Workers
from policycompiler.reality.seen import Firing, Message, Seen
from policycompiler.verify.words import listed

BEAT_MISSING = error("PC873", "beat-missing")
BEAT_TWICE = error("PC874", "beat-twice")
BEAT_UNSEEN = info("PC875", "beat-unseen")
SCHEDULE_ENTRY_MISSING = error("PC876", "schedule-entry-missing")
SCHEDULE_ENTRY_UNPLANNED = warning("PC877", "schedule-entry-unplanned")

ONE_FIRING_SECONDS = 1.0
"""Two beats send a firing within this time of each other; a schedule fires less often in most plans."""
_BEAT = ("beat",)


def findings(plan: Plan, workers: Workers, broker: Seen | None) -> Iterator[Diagnostic]:
    """What is known about beat and its store."""
    if not plan.keys(BEAT):
        return
    seen = sum(workers.beats.values())
    lock = broker.beat_lock if broker else None
    if seen > 1 and not _is_shared(plan, workers):
        message = f"{seen} beats answer: {listed(workers.beats)}; each schedule runs {seen} times"
        yield BEAT_TWICE.at(_BEAT, message, help="stop all beats but one")
    elif twice := _sent_twice(plan, broker):
        message = f"two processes sent one firing of {listed(twice)}, so two beats run"
        yield BEAT_TWICE.at(_BEAT, message, help="stop all beats but one")
    elif lock is False or (not seen and plan.get(APP, "beat_enable_remote_control")):
        where = "no beat holds the lock of RedBeat" if lock is False else "no beat answers remote control"
        yield BEAT_MISSING.at(_BEAT, f"{where}, so no schedule runs", help="start beat")
    elif not seen and lock is None:
        message = "nothing shows whether beat runs"
        help_text = "set `beat_enable_remote_control: true` below `celery.settings` (Celery 5.7)"
        yield BEAT_UNSEEN.at(_BEAT, message, help=help_text)
    if broker and broker.entries is not None:
        yield from _entries(plan, broker.entries)


def _is_shared(plan: Plan, workers: Workers) -> bool:
    """Whether workers of another service answer here, because then a beat may be of that service."""
    others = workers.of(plan).get("", [])
    return any(not plan.keys(Scope("queue", queue.name)) for node in others for queue in node.queues)


def _sent_twice(plan: Plan, broker: Seen | None) -> set[str]:
    """The tasks of which two beats sent one firing: equal messages that expire at the same time.

    The expiry is the time of the send plus a constant, so it tells firings apart.
    """
    tasks = {plan.text(scope, "task") for scope in plan.scopes("schedule")}
    sent: dict[tuple[str, str], list[Message]] = defaultdict(list)
    for queue in broker.queues.values() if broker else ():
        for message in queue.messages:
            if message.scheduled and message.expires and message.task in tasks:
                sent[message.task, message.what].append(message)
    return {
        task
        for (task, _), several in sent.items()
        if any(_one_firing(first, second) for first in several for second in several)
    }


def _one_firing(first: Message, second: Message) -> bool:
    if first.sender == second.sender or not first.sender or not second.sender:
        return False
    try:
        apart = datetime.fromisoformat(first.expires) - datetime.fromisoformat(second.expires)
    except (ValueError, TypeError):
        return False
    return abs(apart.total_seconds()) < ONE_FIRING_SECONDS


def _entries(plan: Plan, entries: tuple[Firing, ...]) -> Iterator[Diagnostic]:
    stored = {entry.name: entry.task for entry in entries}
    planned = {scope.name: plan.text(scope, "task") for scope in plan.scopes("schedule")}
    for name, task in sorted(planned.items()):
        if stored.get(name) != task:
            found = f"has it with task {stored[name]}" if name in stored else "does not have it"
            message = f"schedule `{name}` sends {task}, but the store of beat {found}"
            help_text = "restart beat with the compiled configuration"
            yield SCHEDULE_ENTRY_MISSING.at(("schedules", name), message, help=help_text)
    off = {scope.name for scope in plan.scopes("disabled_schedule")}
    for name in sorted(stored.keys() - planned.keys()):
        if not name.startswith("celery."):
            why = "which the plan turns off" if name in off else "which the plan does not have"
            message = f"the store of beat has the entry `{name}`, {why}; it sends {stored[name]}"
            path = ("schedules", name) if name in off else ("schedules",)
            help_text = "delete the entry from the store, or declare the schedule"
            yield SCHEDULE_ENTRY_UNPLANNED.at(path, message, help=help_text)
