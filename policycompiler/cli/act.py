"""`policycompiler act`: carry out the actions of a rollout step in the broker."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from policycompiler.cli import options, running
from policycompiler.cli.project import read_project
from policycompiler.reality.connection import UnreachableError
from policycompiler.report.text import clean
from policycompiler.review.conditions import DeleteRows
from policycompiler.review.rollout_files import ROWS
from policycompiler.rollout.acting import RefusedError, act
from policycompiler.rollout.looks import Access
from policycompiler.rollout.written_steps import StepsError, find_steps, plan_of, read_step


@click.command("act")
@click.argument("step", type=click.IntRange(min=1), metavar="STEP")
@options.of_a_rollout
@options.of_a_broker
def act_(*, step: int, rollout: Path | None, undo: bool, broker: str | None, management: str | None) -> None:
    """Carry out the actions of a rollout step: delete unused queues, move messages of old priority levels.

    STEP is a number of ROLLOUT.md. A queue that is not empty or has a consumer is kept, and so is an exchange
    with bindings: then the exit code is 1. Repeating the command does no harm.

    \b
    Examples:
      policycompiler act 5
      policycompiler act 5 --rollout build/rollout
    """
    try:
        folder = find_steps(rollout, read_project().output)
        found = read_step(folder, step)
        actions = [(each, plan_of(folder, each)) for each in (found.undo_run if undo else found.run)]
    except StepsError as problem:
        raise click.UsageError(str(problem)) from None
    if not actions:
        message = f"step {step} has no actions"
        raise click.UsageError(message)
    access = Access(broker, management, os.environ)
    try:
        for action, plan in actions:
            if isinstance(action, DeleteRows):
                click.echo(f"the application's Django deletes rows: python manage.py shell < {ROWS}")
            elif plan is not None:
                click.echo(clean(act(action, plan, access)))
    except UnreachableError as problem:
        click.echo(f"the broker cannot be asked: {clean(str(problem))}", err=True)
        sys.exit(running.EXIT_FINDINGS)
    except RefusedError as problem:
        click.echo(clean(str(problem)), err=True)
        sys.exit(running.EXIT_FINDINGS)
