"""Verifies a side: collects findings from sources of reality, and judges them by the rules of the side."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import TypeAlias

from policycompiler import __version__, load
from policycompiler.compiler import Compilation
from policycompiler.diagnostics import Diagnostic
from policycompiler.findings.judge import judge_reality
from policycompiler.findings.rules import Rules, read_rules
from policycompiler.plan import Plan
from policycompiler.reality import checkers
from policycompiler.reality import code as codes
from policycompiler.reality import guard_store as stores
from policycompiler.reality import live as looks
from policycompiler.sides import Side, complete
from policycompiler.verify import code, files, guard_store, live
from policycompiler.verify.audit import audit

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


def of_files(folder: Path, *, require_all: bool) -> Source:
    """The readers of the files of a compiled folder."""
    return lambda plan: files.findings(plan, folder, __version__, require_all=require_all)


def of_code(
    apps: Sequence[str],
    python: str,
    build: Path | None,
    *,
    folder: Path,
    django: bool,
    source: Sequence[Path] = (),
) -> Source:
    """The code of an application, in its folder. Raises `CodeError` when it looks."""

    def look(plan: Plan) -> Iterator[Diagnostic]:
        found = [
            codes.look(app, python, folder=folder, django=django, calls=code.calls(plan)) for app in apps
        ]
        yield from code.against(plan, found)
        queues = [scope.name for scope in plan.scopes("queue")]
        yield from audit(found, codes.read_source(source, python, folder=folder) if source else None, queues)
        if build is not None and (problem := checkers.loads(python, build, files.variables(plan))):
            yield code.unimportable(problem, (build / "celeryconfig.py").as_posix())

    return look


def of_deployment(broker: str | None, management: str | None, store: str | None = None) -> Source:
    """The running workers, the broker, and the store of guards."""

    def look(plan: Plan) -> Iterator[Diagnostic]:
        seen = stores.look(plan, os.environ, url=store)
        paused = guard_store.paused(plan, seen)
        running = looks.look(plan, os.environ, broker=broker, management=management)
        yield from live.findings(plan, running, paused)
        yield from guard_store.findings(plan, seen)

    return look
