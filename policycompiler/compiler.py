"""The whole way: load → model → policies → plan → emit.

Text becomes a checked model of what a team wrote (`load`, `model`); an ordered list of policies turns it
into a plan in which every setting knows who decided it and why (`policies`, `plan`); what was found is judged
by the policy file, the waivers and the baseline (`judge`); emitters lay the plan out as files (`emitters`);
`output` alone writes them, and `report` alone formats for people. Every command is this same pipe with
another tap at its end.
"""

from __future__ import annotations

import os.path
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from policycompiler import emitters, load, model, policies
from policycompiler.diagnostics import Diagnostic, Severity
from policycompiler.emitters.base import OutputFile
from policycompiler.findings import baseline as baselines
from policycompiler.findings.catalogue import FINDINGS
from policycompiler.findings.judge import judge, rules_refused
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


class _Rules(NamedTuple):
    """A policy file, read; the one that says nothing where there is none."""

    policy: model.PolicyFile
    tuning: policies.Tuning
    file: load.OneFile | None


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
    rules, refused = _read_rules(policy, root)
    known, unread = baselines.read(baseline) if baseline else (baselines.NO_BASELINE, [])
    document, diagnostics = load.load(paths, environment if paths else None, root=root)
    if rules.file is not None:
        texts = {**document.texts, rules.file.name: rules.file.text}
        document = document._replace(texts=texts, policy=rules.file.mark)
    hashes = _hashes(document.texts)
    if refused or unread:
        rules_only = {rules.file.name: rules.file.text} if rules.file else {}
        nothing = load.load([])[0]._replace(texts=rules_only, policy=document.policy)
        return Compilation(nothing, None, [], [*refused, *unread], hashes, misruled=True)
    plan = None
    waivers: Sequence[load.Data] = ()
    # Of no file at all, nothing can be said: not even what it lacks.
    if paths and not any(finding.severity is Severity.ERROR for finding in diagnostics):
        workload, malformed = model.parse(document)
        diagnostics = [*diagnostics, *malformed]
        if workload is not None:
            waivers = workload.waivers
            plan, objections = policies.decide(workload.under(rules.policy), rules.tuning)
            diagnostics = [*diagnostics, *objections]
        # Emitters see the plan only: a large workload need not stand beside what they write.
        del workload
    # A waiver ends with the day of whoever reads it.
    judged = judge(
        diagnostics,
        waivers if heed_waivers else (),
        rules.policy,
        today or date.today(),  # noqa: DTZ011
        known,
        FINDINGS,
    )
    compilation = Compilation(
        document,
        plan,
        [],
        judged.diagnostics,
        hashes,
        judged.hidden,
        policy=rules.policy,
        waivers=waivers,
    )
    wanted = rules.policy.targets or emitters.TARGETS if targets is None else targets
    if wanted and plan is not None and not compilation.failed:
        compilation = compilation._replace(files=emitters.emit(plan, wanted))
    return compilation


def _read_rules(path: Path | None, root: Path) -> tuple[_Rules, list[Diagnostic]]:
    nothing = _Rules(model.PolicyFile.silent(), policies.UNTUNED, None)
    if path is None:
        return nothing, []
    file, findings = load.load_one(path, root=root)
    if file is None or findings:
        return nothing._replace(file=file), findings
    policy, refused = model.parse_policy_file(file)
    if policy is None:
        return nothing._replace(file=file), refused
    tuning, untyped = policies.tune(policy)
    # Of a wrong file, too: all of its mistakes are found at once.
    refused += [
        finding if finding.place else _placed(finding, file)
        for finding in (*untyped, *rules_refused(policy, FINDINGS, emitters.TARGETS))
    ]
    return _Rules(policy, tuning, file), refused


def _placed(finding: Diagnostic, file: load.OneFile) -> Diagnostic:
    return replace(finding, place=load.place_in(file.mark, finding.path, key=finding.at_key))


def _hashes(texts: Mapping[str, str]) -> dict[str, str]:
    """By path below the folder that all sources share."""
    folders = [os.path.dirname(os.path.abspath(name)) for name in texts]  # noqa: PTH100, PTH120 - no links followed
    shared = os.path.commonpath(folders) if folders else ""
    return {
        Path(os.path.relpath(name, shared)).as_posix(): sha256(text.encode()).hexdigest()
        for name, text in texts.items()
    }
