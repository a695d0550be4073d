"""What is read from a compiled folder."""

from __future__ import annotations

from pathlib import Path

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


def expected_queues(output: Path) -> dict[str, set[str]]:
    """The queues of each worker, by its node name without the instance."""
    plan = read_plan(output)
    return {
        str(plan.value(worker, "node_name")): set(plan.texts(worker, "queues"))
        for worker in plan.scopes("worker")
    }


def beat_host(output: Path) -> str:
    """Where beat runs; `anywhere` where nobody said."""
    return str(read_plan(output).value(BEAT, "host") or "anywhere")
