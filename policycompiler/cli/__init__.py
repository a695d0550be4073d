"""The command line: arguments in, exit code out. What is decided or formatted happens elsewhere.

Exit codes: 0 nothing at or above the threshold; 1 findings, or stale output; 2 wrong use, or a bug;
3 nothing matched the sources; 130 interrupted.
"""

from __future__ import annotations

import errno
import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import cast

import click

from policycompiler import __version__, interrupts

EXIT_WRONG_USE_OR_BUG = 2
LONGEST_SUMMARY = 200
"""Characters; no summary of a command is that long."""

COMMANDS = {
    "act": "act:act_",
    "baseline": "baseline:baseline",
    "check": "check:check",
    "compile": "compile:compile_",
    "dead-letters": "dead_letters:dead_letters",
    "diff": "diff:diff",
    "explain": "explain:explain",
    "finding": "finding:finding",
    "import": "import_:import_",
    "init": "init:init",
    "load": "load:load",
    "policy": "policy:policy",
    "rehearse": "rehearse:rehearse",
    "report": "report:report",
    "schema": "schema:schema",
    "size": "size:size",
    "status": "status:status",
    "test-policy": "test_policy:test_policy",
    "verify": "verify:verify",
    "wait": "wait:wait_",
}
"""Each command with the module of this package and the name in it."""


class _Commands(click.Group):
    """The commands, each imported when it is run, with the rooms that it needs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        return command(cmd_name) if cmd_name in COMMANDS else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Each command with its whole summary; Click cuts it off after a line."""
        commands = [(name, command(name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, each.get_short_help_str(limit=LONGEST_SUMMARY)) for name, each in commands]
            )


def command(name: str) -> click.Command:
    """A command by the name that users know."""
    module, _, attribute = COMMANDS[name].partition(":")
    found = interrupts.importing(lambda: import_module(f"{__name__}.{module}"))
    return cast("click.Command", getattr(found, attribute))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="policycompiler")
def cli() -> None:
    """Compile a short workload YAML into a consistent Celery deployment, with a reason for every value.

    \b
    Examples:
      policycompiler init shop
      policycompiler check workloads
      policycompiler compile workloads --output build
    """


@contextmanager
def own_exit_codes() -> Iterator[None]:
    """Keep the exit code of findings apart from those of bugs and of Ctrl-C."""
    try:
        yield
    except click.exceptions.Exit:
        raise
    except click.ClickException as wrong_use:
        wrong_use.show()
        sys.exit(wrong_use.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        sys.exit(interrupts.EXIT_INTERRUPTED)
    except Exception as problem:  # noqa: BLE001 - whatever it is, it must not look like a finding
        if isinstance(problem, OSError) and problem.errno == errno.ENOSPC:
            click.echo(f"Error: cannot write: {problem.strerror}", err=True)
        else:
            import traceback  # noqa: PLC0415 - for bugs alone

            traceback.print_exc()
            click.echo("This is a bug in policycompiler.", err=True)
        sys.exit(EXIT_WRONG_USE_OR_BUG)


def main() -> None:
    """Run the command line."""
    _open_standard_streams()
    try:
        with own_exit_codes():
            interrupts.raise_once()
            sys.exit(cli(prog_name="policycompiler", standalone_mode=False))
    finally:
        interrupts.end_at_once()
        # Python's own way out would, once.
        gc.freeze()


def _open_standard_streams() -> None:
    """Open the null device for each stream that a shell has closed (`>&-`): no file gets its number."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            mode = os.O_WRONLY if number else os.O_RDONLY
            descriptor = os.open(os.devnull, mode)
            if descriptor != number:
                os.dup2(descriptor, number)
                os.close(descriptor)
            setattr(sys, name, os.fdopen(number, "w" if number else "r", encoding="utf-8"))
