"""`policycompiler wait`: look at the broker and the workers until conditions hold."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from policycompiler.cli import options, running
from policycompiler.cli.project import read_project
from policycompiler.plan import Plan
from policycompiler.review.conditions import Condition
from policycompiler.rollout.by_hand import conditions
from policycompiler.rollout.looks import Access
from policycompiler.rollout.waiting import Limits, wait
from policycompiler.rollout.written_steps import StepsError, find_steps, plan_of, read_plan, read_step


@click.command("wait")
@click.argument("condition", metavar="STEP|CONDITION")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@options.of_a_rollout
@click.option(
    "--plan", metavar="PLAN", help="Plan of a CONDITION, as for `diff` [default: the output folder]."
)
@click.option(
    "--timeout",
    type=options.DURATION,
    default="1h",
    show_default=True,
    help="Longest wait for each condition, such as 30m; pauses last their own time.",
)
@click.option(
    "--interval", type=options.DURATION, default="2s", show_default=True, help="Time between two looks."
)
@options.of_a_broker
def wait_(  # noqa: PLR0913 - an argument an option
    *,
    condition: str,
    names: tuple[str, ...],
    rollout: Path | None,
    undo: bool,
    plan: str | None,
    timeout: float,
    interval: float,
    broker: str | None,
    management: str | None,
) -> None:
    """Wait until the conditions of a rollout step hold, or one condition that you name.

    STEP is a number of ROLLOUT.md. CONDITION is one of: drained QUEUE... (no message ready, held or delayed),
    taken QUEUE... (no message ready), workers [WORKER]... (all processes answer with their queues and this
    plan), task-gone TASK [QUEUE]..., content-gone TYPE... The command changes nothing. Exit code 0 means that
    all conditions hold, 1 that one does not hold at the time limit or cannot be known.

    \b
    Examples:
      policycompiler wait 3 --rollout build/rollout
      policycompiler wait drained mail --plan build --timeout 30m
      policycompiler wait workers
    """
    try:
        if condition.isdecimal():
            if names or plan:
                raise click.UsageError("a step has its own queues and plans; omit NAME and --plan")
            pairs = _of_step(int(condition), rollout, undo=undo)
        else:
            if rollout or undo:
                raise click.UsageError("--rollout and --undo belong to a step; name its number")
            about = read_plan(plan or str(read_project().output))
            pairs = [(each, about) for each in conditions(condition, names, about)]
    except StepsError as problem:
        raise click.UsageError(str(problem)) from None
    ended = wait(pairs, Access(broker, management, os.environ), Limits(timeout, interval), running.tell)
    click.echo(ended.says, err=not ended.holds)
    if not ended.holds:
        sys.exit(running.EXIT_FINDINGS)


def _of_step(number: int, rollout: Path | None, *, undo: bool) -> list[tuple[Condition, Plan | None]]:
    folder = find_steps(rollout, read_project().output)
    step = read_step(folder, number)
    return [(each, plan_of(folder, each)) for each in (step.undo_wait_for if undo else step.wait_for)]
