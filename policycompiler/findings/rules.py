"""Reads the policy file of a platform, and the baseline of a team."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from policycompiler import emitters, load, model, policies
from policycompiler.diagnostics import Diagnostic
from policycompiler.findings import baseline as baselines
from policycompiler.findings.catalogue import FINDINGS
from policycompiler.findings.judge import rules_refused


class Rules(NamedTuple):
    """A policy file and a baseline; empty ones if there are none.

    `file` is the text of the policy file; None without one, or if it is unreadable. `refused` has the
    problems of both files: refused rules cannot judge anything.
    """

    policy: model.PolicyFile
    tuning: policies.Tuning
    baseline: baselines.Baseline
    file: load.OneFile | None
    refused: list[Diagnostic]


def read_rules(policy: Path | None, baseline: Path | None, root: Path) -> Rules:
    """Read both; names in findings are relative to `root`."""
    known, unread = baselines.read(baseline) if baseline else (baselines.NO_BASELINE, [])
    nothing = Rules(model.PolicyFile.silent(), policies.UNTUNED, known, None, unread)
    if policy is None:
        return nothing
    file, findings = load.load_one(policy, root=root)
    if file is None or findings:
        return nothing._replace(file=file, refused=[*findings, *unread])
    read, refused = model.parse_policy_file(file)
    if read is None:
        return nothing._replace(file=file, refused=[*refused, *unread])
    tuning, untyped = policies.tune(read)
    # In an invalid file too, so that one run finds all its mistakes.
    refused += [
        finding if finding.place else _placed(finding, file)
        for finding in (*untyped, *rules_refused(read, FINDINGS, emitters.TARGETS))
    ]
    return Rules(read, tuning, known, file, [*refused, *unread])


def _placed(finding: Diagnostic, file: load.OneFile) -> Diagnostic:
    return replace(finding, place=load.place_in(file.mark, finding.path, key=finding.at_key))
