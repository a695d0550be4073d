"""The command line: arguments in, exit code out. What is decided or formatted happens elsewhere.

Exit codes: 0 nothing at or above the threshold; 1 findings, or stale output; 2 wrong use, or a bug;
3 nothing matched the sources; 130 interrupted.
"""

from __future__ import annotations

import errno
import gc
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import click

from policycompiler import __version__, interrupts
from policycompiler.cli.baseline import baseline
from policycompiler.cli.check import check
from policycompiler.cli.compile import compile_
from policycompiler.cli.diff import diff
from policycompiler.cli.explain import explain
from policycompiler.cli.finding import finding
from policycompiler.cli.init import init
from policycompiler.cli.policy import policy
from policycompiler.cli.schema import schema
from policycompiler.cli.test_policy import test_policy

EXIT_WRONG_USE_OR_BUG = 2


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="policycompiler")
def cli() -> None:
    """Compile a short workload YAML into a Celery deployment that agrees with itself and says why."""


for command in (init, check, compile_, diff, explain, policy, finding, baseline, schema, test_policy):
    cli.add_command(command)


@contextmanager
def own_exit_codes() -> Iterator[None]:
    """Neither a bug nor Ctrl-C ends with a finding's exit code."""
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
            traceback.print_exc()
            click.echo("This is a bug in policycompiler.", err=True)
        sys.exit(EXIT_WRONG_USE_OR_BUG)


def main() -> None:
    """Run the command line."""
    # A compile builds much and frees nothing: the collector would only look at it again and again.
    gc.disable()
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
    """What a shell has closed (`>&-`) takes what is written and loses it, and no file gets its number."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            mode = os.O_WRONLY if number else os.O_RDONLY
            descriptor = os.open(os.devnull, mode)
            if descriptor != number:
                os.dup2(descriptor, number)
                os.close(descriptor)
            setattr(sys, name, os.fdopen(number, "w" if number else "r", encoding="utf-8"))
