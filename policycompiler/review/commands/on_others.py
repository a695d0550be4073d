"""A broker of which no command tells how much is left: its workers are asked, and its own console."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from policycompiler.plan import Plan
from policycompiler.review.commands.asking import answers, inspect
from policycompiler.review.outcome import WaitFor


def until_empty(plan: Plan, queues: Sequence[str]) -> Iterator[WaitFor]:
    """Until workers and console show nothing of these queues; without remote control the console alone."""
    told = ", ".join(queues)
    if not answers(plan):
        yield WaitFor("true", f"the broker's own console shows no message of {told}, ready or held")
        return
    until = f"no worker holds a message of {told}, and the broker's own console shows none ready"
    yield WaitFor(inspect(plan, "active reserved scheduled"), until)


def until_taken(plan: Plan, queues: Sequence[str]) -> Iterator[WaitFor]:
    """No command shows it; the time that all of it may need passes anyway."""
    del plan, queues
    return iter(())


def until_none_in_form(plan: Plan, queues: Sequence[str], content_types: Sequence[str]) -> None:
    """Nobody can look into a message that a worker holds."""
    del plan, queues, content_types


def until_none_of(plan: Plan, task: str, queues: Sequence[str]) -> None:
    """Nobody can look into a message that a worker holds."""
    del plan, task, queues


def until_levels_moved(old: Plan, new: Plan, queues: Sequence[str]) -> Iterator[WaitFor]:
    """There are no levels."""
    del old, new, queues
    return iter(())


def delete_queue(plan: Plan, queue: str) -> None:
    """No command deletes it here."""
    del plan, queue


def delete_exchange(plan: Plan, exchange: str) -> None:
    """No command deletes it here."""
    del plan, exchange
