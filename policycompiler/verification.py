"""Verifies a side: collects findings from sources of reality, and judges them by the rules of the side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import TypeAlias

from policycompiler import load
from policycompiler.compiler import Compilation
from policycompiler.diagnostics import Diagnostic
from policycompiler.findings.judge import judge_reality
from policycompiler.findings.rules import Rules, read_rules
from policycompiler.plan import Plan
from policycompiler.sides import Side, complete

Source: TypeAlias = Callable[[Plan], Iterable[Diagnostic]]
"""A kind of verification: it looks at a part of reality, and yields the differences from a plan."""


def rules_of(policy: Path | None, baseline: Path | None) -> Rules:
    """The policy file and the baseline. Refused rules cannot judge anything."""
    return read_rules(policy, baseline, Path())


def refused(rules: Rules) -> Compilation:
    """The problems of refused rules, to print."""
    nothing = load.load([])[0].beside(rules.file)
    return Compilation(nothing, None, [], rules.refused, {}, misruled=True)


def verify(
    side: Side, rules: Rules, sources: Sequence[Source], today: date, *, apply_waivers: bool = True
) -> Compilation:
    """The judged findings of all sources about a side that has a plan, to print.

    A plan file has no workload, so its findings have no line, and there are no waivers. Raises `SideError`
    for an incomplete plan.
    """
    with complete(side) as plan:
        found = [finding for source in sources for finding in source(plan)]
    waivers = side.compilation.waivers if side.compilation and apply_waivers else ()
    verdict = judge_reality(found, waivers, rules.policy, today, rules.baseline)
    document = side.document or load.load([])[0].beside(rules.file)
    return Compilation(document, plan, [], verdict.diagnostics, {}, verdict.hidden)
