"""What it means that another app runs a task from now on, or ran it until now."""

from __future__ import annotations

from policycompiler.review.facts import fleet
from policycompiler.review.risks.verdicts import At, Judged, lossy, manual, safe


def handed(at: At) -> Judged:
    """Another app runs a task from now on, or ran it until now."""
    name = at.scope.name
    before, after = at.facts.before.queue(name), at.facts.after.queue(name)
    if at.facts.after.runs(name):
        until = f"nothing is left of {before}" if before != after else "the workers here answer"
        return manual(f"this app runs it from now on: agree with the other one that it goes on until {until}")
    whose = "another app runs it from now on"
    if after in fleet.consumed(at.new):
        return lossy(
            f"{whose}, but workers here go on taking from {after}, and throw away what they do not run: "
            "give it a queue of that app's own"
        )
    if gone := sorted(each for each in at.needs.gone - {name} if at.facts.before.queue(each) == after):
        return lossy(
            f"{whose}, and throws away what is left of {', '.join(gone)} in {after}: give it a queue of that "
            "app's own"
        )
    first = f"{whose}: that has to know it and to consume {after} before"
    if before != after:
        # The steps wait for an entry that goes, not for one among those of a pattern that stays.
        left = (
            "" if name in at.needs.gone else f"; see that none is left in {before} before the workers go over"
        )
        return manual(f"{first} anything is sent there{left}")
    return manual(f"{first} the workers here stop, and runs what is left")


GOES_ALONG = safe("it goes with who runs the task")


def goes_along(at: At, kind: str) -> Judged | None:
    """What follows of a setting that goes with who runs a task; None of any other."""
    if at.scope.kind == "queue":
        return GOES_ALONG if _changes_hands(at) else None
    if at.scope.kind != "task" or at.scope.name not in at.facts.handed or at.key == "external":
        return None
    of_senders = kind in _OF_SENDERS or at.key == "options.delivery_mode"
    return None if of_senders else GOES_ALONG


def _changes_hands(at: At) -> bool:
    """Whether a setting of a queue changes because its tasks change hands.

    What this app declares from now on is not among those: it may be refused.
    """
    before, after = at.old.get(at.before, "external"), at.new.get(at.scope, "external")
    tasks = {*at.old.texts(at.before, "tasks"), *at.new.texts(at.scope, "tasks")}
    return before != after and bool(tasks & at.facts.handed) and (bool(after) or at.key == "external")


_OF_SENDERS = frozenset({"task-moved", "task-renamed", "task-expiry", "task-priority", "serialization"})
"""What a message says by itself, whoever runs it."""
