"""Findings: everything a user can get wrong, as data.

Policies and the model speak in symbolic paths (`("tasks", "shop.mail.send", "retry", "max")`);
only `report` turns a path into a line and a column.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

SpecPath = tuple[str | int, ...]


class Severity(StrEnum):
    """How bad a finding is; ordered from worst to mildest by `rank`."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"

    @property
    def rank(self) -> int:
        """0 for an error, growing as it gets milder."""
        return list(Severity).index(self)


class Place(NamedTuple):
    """A position in a source file; line and column count from 1, column in characters."""

    file: str
    line: int
    column: int


class Related(NamedTuple):
    """A second place that a finding talks about, with a few words."""

    path: SpecPath
    note: str
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding.

    `message` says what was found and what is allowed, `help` what to do. `path` leads to the value;
    `place` is set only where no path can exist (a file that does not parse). `at_key` says that the
    key itself is at fault rather than its value.
    """

    code: str
    name: str
    severity: Severity
    message: str
    path: SpecPath = ()
    help: str = ""
    related: tuple[Related, ...] = ()
    place: Place | None = None
    at_key: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """The fixed part of a diagnostic: a stable code, a name that reads well after "allow", a severity."""

    code: str
    name: str
    severity: Severity

    def at(
        self,
        path: SpecPath,
        message: str,
        *,
        help: str = "",  # noqa: A002 - the word users see
        related: tuple[Related, ...] = (),
        place: Place | None = None,
        at_key: bool = False,
    ) -> Diagnostic:
        """This finding at a path of the workload."""
        return Diagnostic(
            self.code,
            self.name,
            self.severity,
            message,
            path,
            help,
            related,
            place,
            at_key,
        )


def error(code: str, name: str) -> Finding:
    """A finding that stops the compile."""
    return Finding(code, name, Severity.ERROR)


def warning(code: str, name: str) -> Finding:
    """A finding that is printed and lets the compile go on."""
    return Finding(code, name, Severity.WARNING)


def info(code: str, name: str) -> Finding:
    """A finding that only informs."""
    return Finding(code, name, Severity.INFO)


def did_you_mean(word: str, known: Iterable[str], *, likeness: float = 0.6) -> str:
    """A question that names the known word most like a misspelt one; empty when none is like enough.

    `likeness` is from 0 to 1, as `difflib` measures it.
    """
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=likeness)
    return f"did you mean `{near[0]}`?" if near else ""


SECRET_WORDS = r"password|passwd|passphrase|secret|(?:secret|api|access)[_-]?key|credentials?|token"  # noqa: S105
"""What the name of a secret ends with, as a regular expression: model refuses one, report masks its value."""
