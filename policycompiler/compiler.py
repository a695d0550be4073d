"""The whole pipeline: load → model → policies → plan → emit.

`load` and `model` turn text into a checked model of the workload. An ordered list of policies turns the model
into a plan: every setting has its policy and its reason (`policies`, `plan`). The policy file, the waivers
and the baseline judge the findings (`judge`). Emitters turn the plan into files (`emitters`). Only `output`
writes them, and only `report` formats text for people. Every command uses this pipeline and shows a different
result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import NamedTuple

from policycompiler import emitters, load, model, policies
from policycompiler.diagnostics import Diagnostic, Severity
from policycompiler.emitters.base import OutputFile
from policycompiler.findings import refused_outputs
from policycompiler.findings.catalogue import FINDINGS
from policycompiler.findings.empty_targets import empty_targets
from policycompiler.findings.judge import Verdict, judge
from policycompiler.findings.rules import Rules, read_rules
from policycompiler.plan import Plan


class Compilation(NamedTuple):
    """The result of a compile. An invalid workload has no plan, and an error prevents files.

    `sources` maps each file to the sha256 of its text, by a name that is the same on every machine. `hidden`
    counts the findings that a baseline hides. `misruled` says that the policy file or the baseline is
    invalid, so nothing was checked. `policy` is the policy file, or an empty one, and `waivers` are those of
    the workload, as written.
    """

    document: load.Document
    plan: Plan | None
    files: list[OutputFile]
    diagnostics: list[Diagnostic]
    sources: Mapping[str, str]
    hidden: int = 0
    misruled: bool = False
    policy: model.PolicyFile = model.PolicyFile.silent()
    waivers: Sequence[load.Data] = ()

    @property
    def nothing_read(self) -> bool:
        """Whether no file matched the sources, which is not a success."""
        return not self.document.per_file and not self.diagnostics

    @property
    def failed(self) -> bool:
        """Whether a finding is an error without a waiver."""
        return any(each.severity is Severity.ERROR and each.waived is None for each in self.diagnostics)


class _Decided(NamedTuple):
    """The waivers, the plan and the findings of a document; no plan if it is not a workload."""

    waivers: Sequence[load.Data]
    plan: Plan | None
    diagnostics: list[Diagnostic]


def compile_workload(  # noqa: PLR0913 - named arguments, each with a default
    sources: Iterable[Path],
    *,
    environment: str | None = None,
    policy: Path | None = None,
    baseline: Path | None = None,
    targets: Sequence[str] | None = None,
    today: date | None = None,
    apply_waivers: bool = True,
    what_if: model.WhatIf = model.AS_WRITTEN,
    root: Path = Path(),
) -> Compilation:
    """Compile workload files and folders, in memory; nothing is written.

    `environment` names the overlay of `environments:` to apply, `policy` the policy file and `baseline` the
    findings to hide. `targets` are the wanted kinds of output, by default those of the policy file; an empty
    list stops after the plan. `today` decides which waivers have expired. `what_if` changes the workload
    before it is checked. The names of sources and policy file, which findings show, are relative to `root`.
    Every mistake of a user is a diagnostic; an exception is a bug.
    """
    paths = load.find_sources(sources, leave_out=policy, root=root)
    rules = read_rules(policy, baseline, root)
    document, unread = load.load(paths, environment if paths else None, root=root)
    document = document.beside(rules.file)
    hashes = load.hashes(document.texts)
    if rules.refused:
        nothing = load.load([])[0].beside(rules.file)
        return Compilation(nothing, None, [], rules.refused, hashes, misruled=True)
    # Without any file there are no findings, not even about missing keys.
    readable = bool(paths) and not _has_error(unread)
    if readable:
        document, refused = model.supposed(document, what_if)
        readable, unread = not _has_error(refused), [*unread, *refused]
    decided = _decide(document, rules, what_if.rate_factor) if readable else _Decided((), None, [])
    waivers, plan, found = decided
    # A waiver ends with the local day.
    day = today or date.today()  # noqa: DTZ011

    def judged(findings: Sequence[Diagnostic], written: Sequence[load.Data]) -> Verdict:
        return judge(findings, written if apply_waivers else (), rules.policy, day, rules.baseline, FINDINGS)

    found = [*unread, *found]
    verdict = judged(found, waivers)
    compilation = Compilation(
        document, plan, [], verdict.diagnostics, hashes, verdict.hidden, policy=rules.policy, waivers=waivers
    )
    wanted = rules.policy.targets or emitters.TARGETS if targets is None else targets
    if not wanted or plan is None or compilation.failed:
        return compilation
    if empty := [*empty_targets(plan, targets or ())]:
        return compilation._replace(diagnostics=[*verdict.diagnostics, *empty])
    plans: dict[str, Plan] = {}
    if environment is None and emitters.shows_environments(plan, wanted):
        plans, refused = _environments(document, rules, judged)
        found += refused
    files = emitters.emit(plan, wanted, plans)
    verdict = judged([*found, *refused_outputs.of_files(files)], waivers)
    compilation = compilation._replace(diagnostics=verdict.diagnostics, hidden=verdict.hidden)
    return compilation if compilation.failed else compilation._replace(files=files)


def _has_error(findings: Iterable[Diagnostic]) -> bool:
    return any(finding.severity is Severity.ERROR for finding in findings)


def _environments(
    document: load.Document, rules: Rules, judged: Callable[..., Verdict]
) -> tuple[dict[str, Plan], list[Diagnostic]]:
    """The plan of each environment, and a finding for each that has none."""
    plans: dict[str, Plan] = {}
    refused: list[Diagnostic] = []
    for name in sorted(document.overlays()):
        other, unread = document.environment(name)
        waivers, plan, found = _decide(other, rules)
        verdict = judged([*unread, *found], waivers)
        place = document.environment_place(name)
        wrong = [*refused_outputs.of_environment(name, verdict.diagnostics, place)]
        wrong += refused_outputs.of_name(name, plans, place)
        refused += wrong
        if plan is not None and not wrong:
            plans[name] = plan
    return plans, refused


def _decide(document: load.Document, rules: Rules, rate_factor: float = 1) -> _Decided:
    workload, malformed = model.parse(document)
    if workload is None:
        return _Decided((), None, malformed)
    workload = workload.under(rules.policy)
    if rate_factor != 1:
        workload = workload.with_traffic(rate_factor)
    plan, objections = policies.decide(workload, rules.tuning)
    return _Decided(workload.waivers, plan, [*malformed, *objections])
