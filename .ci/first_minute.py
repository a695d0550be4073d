"""Draw docs/first-minute.svg: the first minute of a user in a terminal, from real output.

first_minute.py [FILE]     by default docs/first-minute.svg
"""

from __future__ import annotations

import io
import shlex
import sys
import tempfile
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path

from click.testing import CliRunner
from rich.console import Console
from rich.text import Text

from policycompiler.cli import cli

COLUMNS = 132
TITLE = "The first minute of policycompiler"
BEFORE = """\
version: 1
service: shop
app: shop.celery_app:app
owner: payments
broker: {transport: redis, url: "${CELERY_BROKER_URL}"}
tasks:
  shop.payments.charge_card:
    idempotent: false
    latency: interactive
    runtime: {p50: 800ms, p99: 8s}
    retry: {on: [TimeoutError], max: 3}
"""
AFTER = BEFORE.replace("{on: [TimeoutError], max: 3}", "none")
COMMANDS = (
    (BEFORE, "check payments.yaml"),
    (AFTER, "compile payments.yaml"),
    (AFTER, "explain payments.yaml task:shop.payments.charge_card/time_limit"),
)
"""What the workload says, and the command that follows."""
EDIT = "# write `retry: none`"

FRAME = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="A terminal">
<style>
.{unique_id}-matrix {{font-family: Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: {char_height}px;
  line-height: {line_height}px}}
.{unique_id}-title {{font-family: sans-serif; font-size: 18px; font-weight: bold}}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/></clipPath>
{lines}</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix" xml:space="preserve">
{matrix}
</g>
</g>
</svg>
"""
"""As rich draws a terminal, with the fonts of the reader's machine: a picture loads nothing."""


def session() -> Iterator[str]:
    """The commands as they are typed, each with what it prints in color."""
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        before = BEFORE
        for text, command in COMMANDS:
            if text != before:
                yield f"{EDIT}\n"
            Path("payments.yaml").write_text(before := text, "utf-8")
            color = [] if command.startswith("compile") else ["--color", "always"]
            printed = CliRunner().invoke(cli, [*shlex.split(command), *color])
            yield f"\x1b[1m$ policycompiler {command}\x1b[0m\n{printed.output.rstrip()}\n\n"


def picture() -> str:
    """The SVG; the same session gives the same bytes."""
    console = Console(
        record=True, width=COLUMNS, file=io.StringIO(), color_system="standard", force_terminal=True
    )
    console.print(Text.from_ansi("".join(session()).rstrip()))
    drawn = console.export_svg(title=TITLE, unique_id="minute", code_format=FRAME)
    return "".join(f"{line.rstrip()}\n" for line in drawn.splitlines())


if __name__ == "__main__":
    (Path(sys.argv[1]) if sys.argv[1:] else Path("docs/first-minute.svg")).write_text(picture(), "utf-8")
