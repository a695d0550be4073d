"""`policycompiler dead-letters`: look at the messages of failed tasks, send them again, delete them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import click

from policycompiler import letters
from policycompiler.cli import options, running
from policycompiler.cli.choosing import Chosen, of_letters
from policycompiler.letters import Deed, Done, Letter, Seen
from policycompiler.letters.letter import arguments
from policycompiler.reality.connection import UnreachableError
from policycompiler.report import letters as report

_DRY_RUN = click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
_LIMIT = click.option(
    "--limit", type=click.IntRange(min=1), help="At most so many letters, the oldest first."
)
_ALL = click.option("--all", "everything", is_flag=True, help="All letters, where no filter chooses some.")


@click.group("dead-letters")
def dead_letters() -> None:
    """Look at the dead letters of a deployment, send them again, or delete them.

    BUILD is a compiled folder, a plan file, or workload sources. Without BUILD, the sources of the project
    file are used. Exit code 1 means that the broker cannot be asked, or that a letter stayed where it was.

    \b
    Examples:
      policycompiler dead-letters list build
      policycompiler dead-letters show build --task shop.mail.send
      policycompiler dead-letters replay build --reason failed --dry-run
      policycompiler dead-letters drop build --task shop.cart.remind
    """


@dead_letters.command("list")
@of_letters
def list_(*, chosen: Chosen, run: options.Run) -> None:
    """Count dead letters by task, reason and exception. It changes nothing.

    \b
    Examples:
      policycompiler dead-letters list build
      policycompiler dead-letters list build --queue mail --output-format json
    """
    found: dict[tuple[str, str, str, str], list[datetime | None]] = {}
    for key, when in _looked(chosen, lambda each: (_group_of(each), each.when)):
        found.setdefault(key, []).append(when)
    groups = []
    for key, moments in sorted(found.items()):
        times = sorted(each for each in moments if each is not None)
        ends = (times[0], times[-1]) if times else (None, None)
        groups.append(report.Group(*key, len(moments), *ends))
    if run.output_format == "json":
        running.print_text(report.list_json(groups), run)
        return
    full = {each.dead for each in groups}
    running.print_text(report.list_text(groups, [each for each in chosen.dead if each not in full]), run)


@dead_letters.command()
@of_letters
@_LIMIT
@click.option(
    "--show-arguments",
    "values",
    is_flag=True,
    help="Print the arguments of tasks, which may contain secrets.",
)
def show(*, chosen: Chosen, run: options.Run, limit: int | None, values: bool) -> None:
    """Show each dead letter: its task, why and when it failed, and the types of its arguments.

    \b
    Examples:
      policycompiler dead-letters show build --limit 10
      policycompiler dead-letters show build --id 4f1c2f6e-0c5f-4d0e-9e0e-2f3f0a7f6a10
    """
    found = _looked(chosen, _now, limit)
    if run.output_format == "json":
        running.print_text(report.show_json(found, values=values), run)
    else:
        running.print_text(report.show_text(found, values=values), run)


@dead_letters.command()
@of_letters
@_LIMIT
@_DRY_RUN
@_ALL
@click.option("--to", metavar="QUEUE", default="", help="Send to this queue of the plan, not to their own.")
@click.option("--expired", is_flag=True, help="Also send letters that have expired, without their expiry.")
def replay(
    *,
    chosen: Chosen,
    run: options.Run,
    limit: int | None,
    dry_run: bool,
    everything: bool,
    to: str,
    expired: bool,
) -> None:
    """Send dead letters to their queues again, with the same task id, all retries, and no doubled letter.

    A letter is in the dead-letter queue or in its own queue, even if the command is killed. A letter that has
    expired stays where it is.

    \b
    Examples:
      policycompiler dead-letters replay build --task shop.mail.send --dry-run
      policycompiler dead-letters replay build --task shop.mail.send --limit 100
    """
    _choose(chosen, everything=everything)
    deed = Deed(datetime.now(UTC), to, expired, dry_run)
    each = (letters.replay(chosen.plan, chosen.app, dead, chosen.wanted, deed) for dead in chosen.dead)
    _do(each, run, limit, "would send" if dry_run else "sent")


@dead_letters.command()
@of_letters
@_LIMIT
@_DRY_RUN
@_ALL
def drop(*, chosen: Chosen, run: options.Run, limit: int | None, dry_run: bool, everything: bool) -> None:
    """Delete dead letters. Their tasks do not run again.

    \b
    Examples:
      policycompiler dead-letters drop build --reason expired --dry-run
      policycompiler dead-letters drop build --all
    """
    _choose(chosen, everything=everything)
    deed = Deed(datetime.now(UTC), rehearsed=dry_run)
    each = (letters.drop(chosen.plan, chosen.app, dead, chosen.wanted, deed) for dead in chosen.dead)
    _do(each, run, limit, "would drop" if dry_run else "dropped")


def _choose(chosen: Chosen, *, everything: bool) -> None:
    """Refuse to touch all letters by accident."""
    if chosen.filtered == everything:
        message = "choose letters by --task, --id or --reason, or take --all"
        raise click.UsageError(f"{message}, not both" if everything else message)


def _looked(chosen: Chosen, read: Callable[[Letter], Seen], most: int | None = None) -> list[Seen]:
    found: list[Seen] = []
    for dead in chosen.dead:
        left = None if most is None else most - len(found)
        found += letters.look(chosen.plan, chosen.app, dead, chosen.wanted, read, left)
    return found


def _do(several: Iterator[Iterator[Done]], run: options.Run, limit: int | None, verb: str) -> None:
    """Do something with letters, and say what was done, also if the broker goes away meanwhile."""
    moved: list[report.Moved] = []
    problem = None
    try:
        for done in (each for one in several for each in one):
            letter = done.letter
            moved.append(report.Moved(letter.dead, letter.task, letter.id, done.queue, done.refused))
            if limit is not None and sum(not one.refused for one in moved) == limit:
                break
    except UnreachableError as gone:
        problem = gone
    json = run.output_format == "json"
    running.print_text(report.moved_json(moved) if json else report.moved_text(moved, verb=verb), run)
    if problem is not None:
        raise problem
    if not moved:
        running.tell("no dead letter matches")
    if not moved or any(each.refused for each in moved):
        sys.exit(running.EXIT_FINDINGS)


def _group_of(letter: Letter) -> tuple[str, str, str, str]:
    return letter.dead, letter.task, letter.reason, letter.exception


def _now(letter: Letter) -> report.LetterNow:
    kept = {name: getattr(letter, name) for name in report.LetterNow._fields if name != "arguments"}
    return report.LetterNow(**kept, arguments=arguments(letter))
