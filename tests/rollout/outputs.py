"""What is read from a compiled folder."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from policycompiler.plan import BEAT, Plan
from policycompiler.plan.file import from_json


def read_plan(output: Path) -> Plan:
    """The plan of a compiled folder."""
    return from_json((output / "plan.json").read_text("utf-8"))


def processes(output: Path) -> list[str]:
    """What a compiled folder runs, as steps name it, without producers."""
    plan = read_plan(output)
    beat = ["beat"] if any(plan.scopes("schedule")) else []
    return [*(str(worker) for worker in plan.scopes("worker")), *beat]


class Commands(NamedTuple):
    """The commands that ROLLOUT.md prints for a step, and for its rollback."""

    forward: list[str]
    undo: list[str]


def guide(output: Path) -> list[Commands]:
    """The commands of each step, in order."""
    text = (output / "rollout" / "ROLLOUT.md").read_text("utf-8")
    steps = re.split(r"^\*\*\d+\. ", text, flags=re.MULTILINE)[1:]
    return [Commands(*(_FENCE.findall(part) for part in step.split("\n\nTo undo: "))) for step in steps]


_FENCE = re.compile(r"^```sh\n(.*)\n```$", re.MULTILINE)


def beat_host(output: Path) -> str:
    """Where beat runs; `anywhere` where nobody said."""
    return str(read_plan(output).value(BEAT, "host") or "anywhere")
