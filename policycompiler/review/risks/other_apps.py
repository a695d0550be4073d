"""How risky it is that a task moves to another app, or from another app."""

from __future__ import annotations

from policycompiler.review.facts import fleet
from policycompiler.review.risks.verdicts import At, Judged, lossy, manual, safe


def handed(at: At) -> Judged:
    """Judge a task that moves to another app, or from another app."""
    name = at.scope.name
    before, after = at.facts.before.queue(name), at.facts.after.queue(name)
    if at.facts.after.runs(name):
        until = f"no message is left in {before}" if before != after else "the workers of this app answer"
        return manual(f"this app now runs the task: agree that the other app still runs it until {until}")
    whose = "another app now runs the task"
    if after in fleet.consumed(at.new):
        return lossy(
            f"{whose}, but workers of this app still consume {after} and discard its messages: give the "
            "task a queue of the other app"
        )
    if gone := sorted(each for each in at.needs.gone - {name} if at.facts.before.queue(each) == after):
        return lossy(
            f"{whose}, and discards the remaining messages of {', '.join(gone)} in {after}: give the task "
            "a queue of the other app"
        )
    first = f"{whose}: it must know the task and consume {after} before"
    if before != after:
        # The steps wait for a removed entry, not for one task of a pattern that stays.
        left = (
            ""
            if name in at.needs.gone
            else f"; check that none is left in {before} before you deploy the workers"
        )
        return manual(f"{first} messages are sent there{left}")
    return manual(f"{first} the workers of this app stop; it runs the remaining messages")


GOES_ALONG = safe("the change follows from which app runs the task")


def goes_along(at: At, kind: str) -> Judged | None:
    """Judge a setting that follows from the app that runs a task; None for other settings."""
    if at.scope.kind == "queue":
        return GOES_ALONG if _changes_hands(at) else None
    if at.scope.kind != "task" or at.scope.name not in at.facts.handed or at.key == "external":
        return None
    of_senders = kind in _OF_SENDERS or at.key == "options.delivery_mode"
    return None if of_senders else GOES_ALONG


def _changes_hands(at: At) -> bool:
    """Whether a setting of a queue changes because its tasks move between apps.

    A new declaration of this app does not count: the broker may refuse it.
    """
    before, after = at.old.get(at.before, "external"), at.new.get(at.scope, "external")
    tasks = {*at.old.texts(at.before, "tasks"), *at.new.texts(at.scope, "tasks")}
    return before != after and bool(tasks & at.facts.handed) and (bool(after) or at.key == "external")


_OF_SENDERS = frozenset({"task-moved", "task-renamed", "task-expiry", "task-priority", "serialization"})
"""Kinds of settings that a message carries, independent of the app that runs it."""
