"""The whole way: load → model → policies → plan → emit.

Text becomes a checked model of what a team wrote (`load`, `model`); an ordered list of policies turns it
into a plan in which every setting knows who decided it and why (`policies`, `plan`); emitters lay the plan
out as files (`emitters`); `output` alone writes them, and `report` alone formats for people. Every command is
this same pipe with another tap at its end.
"""

from __future__ import annotations

import os.path
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from policycompiler import emitters, load, model, policies
from policycompiler.diagnostics import Diagnostic, Severity
from policycompiler.emitters.base import OutputFile
from policycompiler.plan import Plan


class Compilation(NamedTuple):
    """What came of a compile. There is no plan where the text is not a workload, and no file after an error.

    `sources` maps each file to the sha256 of its text, by a name that is the same on every machine.
    """

    document: load.Document
    plan: Plan | None
    files: list[OutputFile]
    diagnostics: list[Diagnostic]
    sources: Mapping[str, str]

    @property
    def failed(self) -> bool:
        """Whether a finding is an error."""
        return any(finding.severity is Severity.ERROR for finding in self.diagnostics)


def compile_workload(
    sources: Iterable[Path],
    *,
    environment: str | None = None,
    targets: Sequence[str] = emitters.TARGETS,
) -> Compilation:
    """Compile workload files and folders, in memory; nothing is written.

    `environment` names the overlay of `environments:` to apply, `targets` the kinds of output wanted; none
    stops after the plan. Everything a user can get wrong is a diagnostic; an exception is a bug.
    """
    paths = load.find_sources(sources)
    document, diagnostics = load.load(paths, environment if paths else None)
    plan = None
    # Of no file at all, nothing can be said: not even what it lacks.
    if paths and not any(finding.severity is Severity.ERROR for finding in diagnostics):
        workload, refused = model.parse(document)
        diagnostics = [*diagnostics, *refused]
        if workload is not None:
            plan, objections = policies.decide(workload)
            diagnostics = [*diagnostics, *objections]
    compilation = Compilation(document, plan, [], diagnostics, _hashes(document.texts))
    if plan is not None and not compilation.failed:
        compilation = compilation._replace(files=emitters.emit(plan, targets))
    return compilation


def _hashes(texts: Mapping[str, str]) -> dict[str, str]:
    """By path below the folder that all sources share."""
    folders = [os.path.dirname(os.path.abspath(name)) for name in texts]  # noqa: PTH100, PTH120 - no links followed
    shared = os.path.commonpath(folders) if folders else ""
    return {
        Path(os.path.relpath(name, shared)).as_posix(): sha256(text.encode()).hexdigest()
        for name, text in texts.items()
    }
