"""The argument and the options that choose dead letters."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, NamedTuple

import click

from policycompiler import letters
from policycompiler.cli import comparing, options, running
from policycompiler.knowledge.brokers import DeadLetters
from policycompiler.letters import Wanted
from policycompiler.plan import Plan
from policycompiler.reality.connection import Client, UnreachableError, broker_url, client
from policycompiler.report.text import clean
from policycompiler.sides import SideError, complete


class Chosen(NamedTuple):
    """What a command is about: the plan, its broker, dead-letter queues and the letters in them."""

    plan: Plan
    app: Client
    dead: Sequence[str]
    wanted: Wanted

    @property
    def filtered(self) -> bool:
        """Whether letters are chosen by what they are."""
        return bool(self.wanted.tasks or self.wanted.ids or self.wanted.reasons)


_FILTERS = (
    click.argument("build", required=False, metavar="[BUILD]"),
    click.option(
        "--queue",
        "queues",
        multiple=True,
        metavar="QUEUE",
        help="Only the dead letters of a queue; repeatable.",
    ),
    click.option(
        "--task",
        "tasks",
        multiple=True,
        metavar="TASK",
        help="Only a task, `*` stands for any text; repeatable.",
    ),
    click.option("--id", "ids", multiple=True, metavar="ID", help="Only a task id; repeatable."),
    click.option(
        "--reason",
        "reasons",
        multiple=True,
        metavar="REASON",
        help="Only a reason, such as failed; repeatable.",
    ),
    click.option(
        "--broker", metavar="URL", help="URL of the broker [default: as the processes of the plan read it]."
    ),
)


def of_letters(command: Callable[..., None]) -> Callable[..., None]:
    """The argument and the options that choose letters; the command gets them as `chosen`."""

    @options.for_answers
    @wraps(command)
    def with_chosen(*, run: options.Run, **given: Any) -> None:  # noqa: ANN401 - each option has its own type
        build, broker, queues = (given.pop(name) for name in ("build", "broker", "queues"))
        wanted = Wanted(given.pop("tasks"), given.pop("ids"), given.pop("reasons"))
        side = comparing.with_plan(comparing.side(build, run, run.project.sources), run)
        try:
            with complete(side) as plan:
                dead, own = _queues(plan, queues)
                wanted = wanted._replace(queues=own)
                app = client(plan, broker_url(plan, broker, os.environ))
                command(chosen=Chosen(plan, app, dead, wanted), run=run, **given)
        except SideError as problem:
            raise click.UsageError(str(problem)) from None
        except UnreachableError as problem:
            extra = f"; install policycompiler[{problem.extra}]" if problem.extra else ""
            running.tell(clean(f"the broker cannot be asked: {problem}{extra}"))
            sys.exit(running.EXIT_FINDINGS)

    wrapped: Callable[..., None] = with_chosen
    for option in reversed(_FILTERS):
        wrapped = option(wrapped)
    return wrapped


def _queues(plan: Plan, named: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """The dead-letter queues to read, and the queues whose letters are meant; none of these means all."""
    boxes = letters.boxes(plan)
    if not boxes:
        label = plan.broker.label
        message = f"no queue of the plan keeps dead letters on {label}"
        if plan.broker.dead_letters is not DeadLetters.ELSEWHERE:
            message += ": write `dead_letter: true` for a queue"
        raise click.UsageError(message)
    of_queues = {name: dead for dead, names in boxes.items() for name in (dead, *names)}
    if unknown := [name for name in named if name not in of_queues]:
        known = ", ".join(sorted({name for names in boxes.values() for name in names}))
        raise click.UsageError(clean(f"queue `{unknown[0]}` keeps no dead letters; these do: {known}"))
    # Queues may share a dead-letter queue during a rollout.
    shared = any(len(boxes[of_queues[name]]) > 1 for name in named)
    own = named if shared and boxes.keys().isdisjoint(named) else ()
    return sorted({of_queues[name] for name in named} or boxes), own
