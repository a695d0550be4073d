"""What the real readers of a compiled folder say about its files.

Refuses:
    PC800 file-refused: compile again; if the file is as it was compiled, report a bug.
        when: the real reader of a file refuses it, or warns about it.
    PC801 checker-missing: install the program, so that it can judge the files.
        when: a program that judges files is not installed; with `--require-all` it is an error.
    PC802 file-changed: compile again, or move the change into the workload.
        when: a file of a compiled folder is not as it was compiled.
    PC803 file-missing: compile again.
        when: a file of a compiled folder is gone.
    PC804 checker-required: install the program.
        when: `--require-all` is set, and a program that judges files is not installed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path

from policycompiler.diagnostics import Diagnostic, Place, error, info
from policycompiler.plan import APP, Plan
from policycompiler.reality import checkers
from policycompiler.verify import agreement, broker_files, documents
from policycompiler.verify.words import listed

FILE_REFUSED = error("PC800", "file-refused")
CHECKER_MISSING = info("PC801", "checker-missing")
FILE_CHANGED = error("PC802", "file-changed")
FILE_MISSING = error("PC803", "file-missing")
CHECKER_REQUIRED = error("PC804", "checker-required")


MANIFEST = "manifest.json"
_PLACEHOLDERS = {"broker_url_variable": "memory://", "result_backend_variable": "cache+memory://"}
"""Addresses for the variables that the settings read: nothing connects to them."""


def findings(plan: Plan, folder: Path, version: str, *, require_all: bool = False) -> Iterator[Diagnostic]:
    """What is wrong with a compiled folder, says this version. Raises `OSError` without a manifest."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
        hashes: dict[str, str] = dict(manifest["files"].items())
        same_version = manifest.get("version") == version
    except (ValueError, LookupError, TypeError, AttributeError) as unread:
        place = Place((folder / MANIFEST).as_posix(), 1, 1)
        message = f"`{MANIFEST}` is not readable: {' '.join(str(unread).split())}"
        yield FILE_REFUSED.at((), message, help="compile again", place=place)
        return
    changed: set[str] = set()
    there = [name for name in sorted(hashes) if (folder / name).is_file()]
    for name in sorted(hashes):
        place = Place((folder / name).as_posix(), 1, 1)
        if name not in there:
            yield FILE_MISSING.at(
                (), f"`{name}` is in the manifest and not on disk", help="compile again", place=place
            )
        elif sha256((folder / name).read_bytes()).hexdigest() != hashes[name]:
            changed.add(name)
            message = f"`{name}` is not as it was compiled"
            help_text = "compile again, or move the change into the workload"
            yield FILE_CHANGED.at((), message, help=help_text, place=place)
    refused = {name: why for name in there if (why := checkers.unreadable(folder / name))}
    for name, why in refused.items():
        place = Place((folder / name).as_posix(), 1, 1)
        yield FILE_REFUSED.at((), why, help="compile again", place=place)
    there = [name for name in there if name not in refused]
    report = checkers.check(folder, there, variables(plan))
    for problem in report.problems:
        place = Place((folder / problem.file).as_posix(), problem.line, 1)
        yield FILE_REFUSED.at(
            (), problem.text, help="compile again; if that does not help, report a bug", place=place
        )
    # Another version may write the same plan in another form.
    yield from disagreements(plan, folder, there, there if same_version else changed)
    for program, files in sorted(report.missing.items()):
        kind = CHECKER_REQUIRED if require_all else CHECKER_MISSING
        message = f"`{program}` is not installed, so nothing judged {listed(dict.fromkeys(files))}"
        yield kind.at((), message, help=f"install `{program}`", place=Place(folder.as_posix(), 1, 1))


def disagreements(
    plan: Plan, folder: Path, names: Iterable[str], by_value: Iterable[str]
) -> Iterator[Diagnostic]:
    """Where files of a compiled folder say something else than the plan; each file is told once.

    Those in `by_value` are compared with what this version writes, the others by the meaning of commands.
    """
    disagreeing = [*agreement.findings(plan, folder, names), *broker_files.findings(plan, folder, names)]
    yield from disagreeing
    told = {each.place.file for each in disagreeing if each.place is not None}
    rest = [name for name in names if name in {*by_value} and (folder / name).as_posix() not in told]
    yield from documents.findings(plan, folder, rest, variables(plan))


def variables(plan: Plan) -> dict[str, str]:
    """What the compiled settings need to be loaded: an address for each variable, and the namespace."""
    found = {str(plan.value(APP, key)): url for key, url in _PLACEHOLDERS.items() if plan.find(APP, key)}
    sources = (str(plan.get(worker, "concurrency_source", "")) for worker in plan.scopes("worker"))
    slots = {source[2:-1]: "1" for source in sources if source.startswith("${")}
    return {**slots, **found, "POLICYCOMPILER_NAMESPACE": str(plan.get(APP, "namespace") or "")}
