"""The option `--plot` of `size`: a picture of the waits of workers against their traffic."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from policycompiler import report
from policycompiler.cli import running
from policycompiler.cli.options import Run
from policycompiler.model import WhatIf
from policycompiler.plan import APP, Plan
from policycompiler.plan.lines import WorkerLine
from policycompiler.report.curves import Curves, curves
from policycompiler.report.plot import FORMATS, MOST_WORKERS, MissingLibraryError, plot
from policycompiler.report.sizes import supposed


def _file(context: click.Context, parameter: click.Parameter, given: Path | None) -> Path | None:
    if given is not None and given.suffix.lower().removeprefix(".") not in FORMATS:
        endings = " or ".join(f".{each}" for each in FORMATS)
        message = f"{given} does not end with {endings}"
        raise click.BadParameter(message, context, parameter)
    return given


plotted = click.option(
    *("--plot", "picture"),
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.svg|FILE.png",
    callback=_file,
    help="Also draw the wait of each worker against its traffic; needs policycompiler[plot].",
)


def write(picture: Path, plan: Plan, lines: Sequence[WorkerLine], what_if: WhatIf, run: Run) -> None:
    """Write the picture of these workers, and say which are not in it. Ends the program if none can be."""
    found = {each.worker: curves(each) for each in lines}
    known = [each for each in found.values() if each is not None]
    unknown = [name for name, each in found.items() if each is None]
    if not known:
        running.tell(
            f"no plot: no worker has a known load; {_not_drawn(unknown)}"
            if unknown
            else "no plot: no workers"
        )
        sys.exit(running.EXIT_FINDINGS)
    drawn = {each.worker for each in sorted(known, key=_headroom)[:MOST_WORKERS]}
    kind = next(each for each in FORMATS if picture.suffix.lower() == f".{each}")
    title = str(plan.get(APP, "service", "")) + (f" ({run.env})" if run.env else "")
    try:
        data = plot(
            [each for each in known if each.worker in drawn],
            f"{title}: wait against traffic",
            [*supposed(what_if)],
            kind,
        )
    except MissingLibraryError:
        message = "--plot needs matplotlib: install it with `pip install 'policycompiler[plot]'`"
        raise click.UsageError(message) from None
    try:
        picture.write_bytes(data)
    except OSError as problem:
        message = f"{picture}: {problem.strerror}"
        raise click.UsageError(message) from None
    left = len(known) - len(drawn)
    running.tell(
        report.clean(f"wrote {picture}"),
        _not_drawn(unknown) if unknown else "",
        f"only the {MOST_WORKERS} workers that break first are drawn, without {left} others" if left else "",
    )


def _headroom(each: Curves) -> tuple[float, str]:
    """How far the traffic can grow, the least first."""
    return each.most_traffic if each.breaks_at is None else each.breaks_at, each.worker


def _not_drawn(names: Sequence[str]) -> str:
    return report.clean(f"not drawn, because their load is unknown or 0: {', '.join(names)}")
