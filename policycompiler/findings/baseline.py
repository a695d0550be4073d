"""A baseline: the known findings of one day, so that a team sees only new findings.

The code and the path in the workload identify a finding, not its line: a finding may move in the text.

Refuses:
    PC741 baseline-entry-gone: write the baseline again, so that a fixed finding cannot return unnoticed.
        when: a baseline contains a finding that is no longer found.
    PC742 invalid-baseline: write the baseline again with `policycompiler baseline write`.
        when: a baseline file is unreadable or malformed.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, TypeAlias

from policycompiler.diagnostics import Diagnostic, Place, fatal, info
from policycompiler.load.files import read_bounded
from policycompiler.quantities import size

FORMAT = 1
LARGEST_BASELINE_BYTES = 16 * 1024 * 1024
"""The same limit as for a workload file."""

BASELINE_ENTRY_GONE = info("PC741", "baseline-entry-gone")
INVALID_BASELINE = fatal("PC742", "invalid-baseline")

Fingerprint: TypeAlias = tuple[str, str]
"""Code and path of a finding."""


class Baseline(NamedTuple):
    """The number of known findings by fingerprint, and the name of the file."""

    entries: Mapping[Fingerprint, int]
    name: str = ""

    def gone(self, left: Iterable[Fingerprint]) -> Iterator[Diagnostic]:
        """A finding for each entry that no longer hides anything."""
        for code, path in sorted(left):
            message = f"{code} at `{path}` is no longer found"
            yield BASELINE_ENTRY_GONE.at(
                (),
                message,
                help="write the baseline again with `policycompiler baseline write`",
                place=Place(self.name, 1, 1),
            )


NO_BASELINE = Baseline({})


def fingerprint(diagnostic: Diagnostic) -> Fingerprint:
    """The part of a finding that stays the same when the text around it changes."""
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
    """A baseline file; an empty baseline and a finding if it is invalid."""
    name = path.as_posix()
    try:
        text = read_bounded(path, LARGEST_BASELINE_BYTES + 1)
    except OSError as problem:
        return _invalid(name, f"cannot be read: {problem.strerror}")
    if len(text) > LARGEST_BASELINE_BYTES:
        return _invalid(name, f"the baseline is larger than {size(LARGEST_BASELINE_BYTES)}")
    try:
        data = json.loads(text)
        if data["format"] != FORMAT:
            return _invalid(
                name, f"the baseline has format {data['format']!r}; this version reads format {FORMAT}"
            )
        entries = {(str(each["finding"]), str(each["at"])): int(each["count"]) for each in data["findings"]}
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return _invalid(name, "the file is not a baseline")
    return Baseline(entries, name), []


def _invalid(name: str, message: str) -> tuple[Baseline, list[Diagnostic]]:
    help_text = "write the baseline again with `policycompiler baseline write`"
    return NO_BASELINE, [INVALID_BASELINE.at((), message, help=help_text, place=Place(name, 1, 1))]
