"""A broker without a command that counts messages: a person asks the workers and the broker's console."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from policycompiler.plan import Plan
from policycompiler.review.commands.asking import answers, inspect
from policycompiler.review.outcome import WaitFor


def until_empty(plan: Plan, queues: Sequence[str]) -> Iterator[WaitFor]:
    """Until workers and console show no message of these queues; without remote control, the console."""
    told = ", ".join(f"`{queue}`" for queue in queues)
    if not answers(plan):
        yield WaitFor(
            "true", f"the broker's console shows no message in {told}, neither ready nor unacknowledged"
        )
        return
    until = f"no worker holds a message of {told}, and the broker's console shows no ready message"
    yield WaitFor(inspect(plan, "active reserved scheduled"), until)


def until_taken(plan: Plan, queues: Sequence[str]) -> Iterator[WaitFor]:
    """No command shows it; a pause of the longest possible time follows anyway."""
    del plan, queues
    return iter(())


def until_none_in_form(plan: Plan, queues: Sequence[str], content_types: Sequence[str]) -> None:
    """No command can read a message that a worker holds."""
    del plan, queues, content_types


def until_none_of(plan: Plan, task: str, queues: Sequence[str]) -> None:
    """No command can read a message that a worker holds."""
    del plan, task, queues


def until_levels_moved(old: Plan, new: Plan, queues: Sequence[str]) -> Iterator[WaitFor]:
    """This broker has no priority levels."""
    del old, new, queues
    return iter(())


def delete_queue(plan: Plan, queue: str) -> None:
    """This broker has no command for it."""
    del plan, queue


def delete_exchange(plan: Plan, exchange: str) -> None:
    """This broker has no command for it."""
    del plan, exchange
