"""A baseline: the findings of one day, so that a team sees only what it adds to them.

A finding is known by its code and its path in the workload, never by its line: text that moves is still the
same finding.

Refuses:
    PC741 baseline-entry-gone: write the baseline anew, so that what has been mended stays mended.
        when: a baseline holds a finding that is no longer found.
    PC742 invalid-baseline: write it anew with `policycompiler baseline write`.
        when: a baseline file cannot be read, or does not say what one says.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, TypeAlias

from policycompiler.diagnostics import Diagnostic, Place, fatal, info
from policycompiler.load.files import read_bounded

FORMAT = 1
LARGEST_BASELINE_BYTES = 16 * 1024 * 1024
"""As much as a workload file may have; a baseline is about one."""

BASELINE_ENTRY_GONE = info("PC741", "baseline-entry-gone")
INVALID_BASELINE = fatal("PC742", "invalid-baseline")

Fingerprint: TypeAlias = tuple[str, str]
"""Code and path of a finding."""


class Baseline(NamedTuple):
    """How many findings of each fingerprint are known, and the file that says so."""

    entries: Mapping[Fingerprint, int]
    name: str = ""

    def gone(self, left: Iterable[Fingerprint]) -> Iterator[Diagnostic]:
        """A finding for each entry that hides nothing any more."""
        for code, path in sorted(left):
            message = f"{code} at `{path}` is no longer found"
            yield BASELINE_ENTRY_GONE.at(
                (), message, help="write the baseline anew", place=Place(self.name, 1, 1)
            )


NO_BASELINE = Baseline({})


def fingerprint(diagnostic: Diagnostic) -> Fingerprint:
    """What stays the same when the text around a finding changes."""
    where = diagnostic.path or (diagnostic.place.file if diagnostic.place else "",)
    return diagnostic.code, ".".join(str(part) for part in where)


def to_json(diagnostics: Iterable[Diagnostic]) -> str:
    """A baseline of these findings."""
    known = Counter(
        (*fingerprint(each), each.name) for each in diagnostics if each.finding is not BASELINE_ENTRY_GONE
    )
    entries = [
        {"finding": code, "name": name, "at": path, "count": count}
        for (code, path, name), count in sorted(known.items())
    ]
    return json.dumps({"format": FORMAT, "findings": entries}, indent=2) + "\n"


def read(path: Path) -> tuple[Baseline, list[Diagnostic]]:
    """A baseline file; an empty one and a finding when it is none."""
    name = path.as_posix()
    try:
        text = read_bounded(path, LARGEST_BASELINE_BYTES + 1)
    except OSError as problem:
        return _invalid(name, f"cannot be read: {problem.strerror}")
    if len(text) > LARGEST_BASELINE_BYTES:
        return _invalid(name, f"a baseline has at most {LARGEST_BASELINE_BYTES} bytes")
    try:
        data = json.loads(text)
        if data["format"] != FORMAT:
            return _invalid(name, f"format {data['format']!r}; this policycompiler reads {FORMAT}")
        entries = {(str(each["finding"]), str(each["at"])): int(each["count"]) for each in data["findings"]}
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return _invalid(name, "this is no baseline")
    return Baseline(entries, name), []


def _invalid(name: str, message: str) -> tuple[Baseline, list[Diagnostic]]:
    help_text = "write it anew with `policycompiler baseline write`"
    return NO_BASELINE, [INVALID_BASELINE.at((), message, help=help_text, place=Place(name, 1, 1))]
