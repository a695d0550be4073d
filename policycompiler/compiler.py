"""The whole way: load → model → policies → plan → emit.

Text becomes a checked model of what a team wrote (`load`, `model`); an ordered list of policies turns it
into a plan in which every setting knows who decided it and why (`policies`, `plan`); what was found is judged
by the policy file, the waivers and the baseline (`judge`); emitters lay the plan out as files (`emitters`);
`output` alone writes them, and `report` alone formats for people. Every command is this same pipe with
another tap at its end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import NamedTuple

from policycompiler import emitters, load, model, policies
from policycompiler.diagnostics import Diagnostic, Severity
from policycompiler.emitters.base import OutputFile
from policycompiler.findings.catalogue import FINDINGS
from policycompiler.findings.judge import judge
from policycompiler.findings.rules import Rules, read_rules
from policycompiler.plan import Plan


class Compilation(NamedTuple):
    """What came of a compile. There is no plan where the text is not a workload, and no file after an error.

    `sources` maps each file to the sha256 of its text, by a name that is the same on every machine. `hidden`
    counts the findings that a baseline hides. `misruled` says that the policy file or the baseline could not
    be read: nothing has been looked at. `policy` is the policy file, the silent one where there is none, and
    `waivers` are those of the workload, as they were written.
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
        """Whether no file matched the sources: there is nothing to say, and nothing is right either."""
        return not self.document.per_file and not self.diagnostics

    @property
    def failed(self) -> bool:
        """Whether a finding is an error that nobody answers for."""
        return any(each.severity is Severity.ERROR and each.waived is None for each in self.diagnostics)


class _Decided(NamedTuple):
    """What a document says, and what the policies made of it; no plan where it is not a workload."""

    waivers: Sequence[load.Data]
    plan: Plan | None
    diagnostics: list[Diagnostic]


def compile_workload(
    sources: Iterable[Path],
    *,
    environment: str | None = None,
    policy: Path | None = None,
    baseline: Path | None = None,
    targets: Sequence[str] | None = None,
    today: date | None = None,
    heed_waivers: bool = True,
    root: Path = Path(),
) -> Compilation:
    """Compile workload files and folders, in memory; nothing is written.

    `environment` names the overlay of `environments:` to apply, `policy` the policy file and `baseline` the
    findings to hide. `targets` are the kinds of output wanted, by default those of the policy file; an empty
    one stops after the plan and makes no file. `today` decides which waivers have expired. `root` is the
    folder that the names of sources and policy file are relative to, which findings show. Everything a user
    can get wrong is a diagnostic; an exception is a bug.
    """
    paths = load.find_sources(sources, leave_out=policy, root=root)
    rules = read_rules(policy, baseline, root)
    document, unread = load.load(paths, environment if paths else None, root=root)
    document = document.beside(rules.file)
    hashes = load.hashes(document.texts)
    if rules.refused:
        nothing = load.load([])[0].beside(rules.file)
        return Compilation(nothing, None, [], rules.refused, hashes, misruled=True)
    # Of no file at all, nothing can be said: not even what it lacks.
    readable = bool(paths) and not any(finding.severity is Severity.ERROR for finding in unread)
    waivers, plan, found = _decide(document, rules) if readable else _Decided((), None, [])
    # A waiver ends with the day of whoever reads it.
    day = today or date.today()  # noqa: DTZ011
    heeded = waivers if heed_waivers else ()
    judged = judge([*unread, *found], heeded, rules.policy, day, rules.baseline, FINDINGS)
    compilation = Compilation(
        document, plan, [], judged.diagnostics, hashes, judged.hidden, policy=rules.policy, waivers=waivers
    )
    wanted = rules.policy.targets or emitters.TARGETS if targets is None else targets
    if wanted and plan is not None and not compilation.failed:
        compilation = compilation._replace(files=emitters.emit(plan, wanted))
    return compilation


def _decide(document: load.Document, rules: Rules) -> _Decided:
    workload, malformed = model.parse(document)
    if workload is None:
        return _Decided((), None, malformed)
    plan, objections = policies.decide(workload.under(rules.policy), rules.tuning)
    return _Decided(workload.waivers, plan, [*malformed, *objections])
