"""Reviews of two workloads, each given as a fragment or as the data of one."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from datetime import date
from functools import cache
from pathlib import Path

from workloads import compiled, platform_for, workload

from policycompiler.compiler import compile_workload
from policycompiler.diagnostics import Diagnostic, Severity
from policycompiler.plan import Plan
from policycompiler.review import Change, Class, Review, review

ACCEPTED = {
    *("binding-overlap", "external-task-consumed", "folders-apart", "routing-key-unmatched"),
    "schedule-fraction-dropped",
}
"""What a plan of its own does to work; these reviews are about what a change does."""
TODAY = date(2026, 11, 21)
RABBITMQ = "broker: {transport: rabbitmq, url: '${CELERY_BROKER_URL}'}\n"


@cache
def plan_of(fragment: str) -> Plan:
    """The plan of a fragment, which has to compile; findings that are no errors are borne."""
    compilation = compiled(workload(fragment), platform_for(fragment))
    assert compilation.plan is not None, compilation.diagnostics
    errors = {each.name for each in compilation.diagnostics if _counts(each)}
    assert errors <= ACCEPTED, compilation.diagnostics
    return compilation.plan


def _counts(found: Diagnostic) -> bool:
    return found.severity is Severity.ERROR and found.waived is None


def plan_of_data(data: Mapping[str, object]) -> Plan | None:
    """The plan of a workload; None where it is refused. That nobody consumes a queue is borne."""
    compilation = compiled(json.dumps(data))
    errors = {each.finding.name for each in compilation.diagnostics if each.severity.name == "ERROR"}
    return None if errors - {"queue-unconsumed"} else compilation.plan


def plan_of_files(texts: Mapping[str, str]) -> Plan:
    """The plan of a workload of several files, by name."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, name) for name in texts]
        for path in paths:
            path.write_text(texts[path.name], "utf-8")
        compilation = compile_workload(paths, targets=())
    assert compilation.plan is not None, compilation.diagnostics
    assert not compilation.failed, compilation.diagnostics
    return compilation.plan


def reviewed(old: str, new: str) -> Review:
    """The review of two fragments."""
    return review(plan_of(old), plan_of(new), TODAY)


def triples(found: Review) -> set[tuple[Class, str, str]]:
    """Class, kind and address of each change."""
    return {(change.risk, change.kind, change.address) for change in found.changes}


def arguments_of(found: Review, queue: str) -> Change:
    """The riskiest change of an argument of a queue, with what is said of each that is as risky."""
    changes = [each for each in found.changes if each.address.startswith(f"{queue}/arguments.")]
    worst = max(changes, key=lambda change: change.risk.rank)
    reasons = [each.because for each in changes if each.risk is worst.risk]
    return worst._replace(because="; ".join(reasons))


def at(found: Review, address: str) -> Change:
    """The one change at an address."""
    (change,) = (change for change in found.changes if change.address == address)
    return change
