"""Findings: everything a user can get wrong, as data.

Policies and the model speak in symbolic paths (`("tasks", "shop.mail.send", "retry", "max")`);
only `report` turns a path into a line and a column.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, TypeAlias

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


class Profile(StrEnum):
    """How much a policy file asks for; each holds the findings of those before it, ordered by `rank`."""

    MINIMAL = "minimal"
    STANDARD = "standard"
    STRICT = "strict"

    @property
    def rank(self) -> int:
        """0 for the one that asks least."""
        return list(Profile).index(self)


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


class Remove(NamedTuple):
    """An edit: take a key with its value, or an item of a list, out of the workload."""

    path: SpecPath


class Rename(NamedTuple):
    """An edit: the key at a path gets another name."""

    path: SpecPath
    key: str


class Replace(NamedTuple):
    """An edit: the scalar at a path gets another value."""

    path: SpecPath
    value: str | int | float | bool


Fix: TypeAlias = tuple[Remove | Rename | Replace, ...]
"""Edits of the workload that mend a finding and cannot change its meaning for the worse."""


class Waived(NamedTuple):
    """Who answers for a finding, why, and the last day of it, as 2027-03-31."""

    reason: str
    owner: str
    expires: str


@dataclass(frozen=True, slots=True)
class Finding:
    """The fixed part of a diagnostic: a stable code, a name that reads well after "allow", a severity.

    Profiles that ask for less than `profile` do not have it. `fatal` says that no output can be made: such
    a finding keeps its severity whatever a policy file says, and cannot be waived.
    """

    code: str
    name: str
    severity: Severity
    profile: Profile = Profile.STANDARD
    fatal: bool = False

    def at(
        self,
        path: SpecPath,
        message: str,
        *,
        help: str = "",  # noqa: A002 - the word users see
        related: tuple[Related, ...] = (),
        place: Place | None = None,
        at_key: bool = False,
        fix: Fix = (),
    ) -> Diagnostic:
        """This finding at a path of the workload."""
        return Diagnostic(self, self.severity, message, path, help, related, place, at_key, fix)


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding at one place.

    `message` says what was found and what is allowed, `help` what to do. `path` leads to the value;
    `place` is set only where no path can exist (a file that does not parse). `at_key` says that the
    key itself is at fault rather than its value. `severity` is the finding's own until the policy file has
    been heard; `waived` says who answers for it, if anybody does, and `notes` why a waiver or a baseline
    does not count.
    """

    finding: Finding
    severity: Severity
    message: str
    path: SpecPath = ()
    help: str = ""
    related: tuple[Related, ...] = ()
    place: Place | None = None
    at_key: bool = False
    fix: Fix = ()
    waived: Waived | None = None
    notes: tuple[str, ...] = ()

    @property
    def code(self) -> str:
        """The finding's stable code."""
        return self.finding.code

    @property
    def name(self) -> str:
        """The finding's name."""
        return self.finding.name

    @property
    def told(self) -> str:
        """The message, and the notes in parentheses behind it."""
        return " ".join([self.message, *(f"({note})" for note in self.notes)])


def fatal(code: str, name: str) -> Finding:
    """A finding that no output can be made from."""
    return Finding(code, name, Severity.ERROR, Profile.MINIMAL, fatal=True)


def error(code: str, name: str) -> Finding:
    """A finding that stops the compile unless the policy file says less: work lost, doubled or stuck."""
    return Finding(code, name, Severity.ERROR, Profile.MINIMAL)


def warning(code: str, name: str, profile: Profile = Profile.STANDARD) -> Finding:
    """A finding that is printed and lets the compile go on."""
    return Finding(code, name, Severity.WARNING, profile)


def info(code: str, name: str, profile: Profile = Profile.STANDARD) -> Finding:
    """A finding that only informs."""
    return Finding(code, name, Severity.INFO, profile)


def did_you_mean(word: str, known: Iterable[str], *, likeness: float = 0.6) -> str:
    """A question that names the known word most like a wrong one; empty when none is like enough.

    `likeness` is from 0 to 1, as `difflib` measures it.
    """
    near = nearest(word, known, likeness=likeness)
    return f"did you mean `{near}`?" if near else ""


TYPO = 0.85
"""As like as this, as `difflib` measures it, a word is a misspelling of the other."""
SHORTEST_PART = 4
"""Letters of a word that names another one by a part of it; shorter ones are in too many."""
_APART = re.compile(r"[^a-z0-9]+")


def misspelt(word: str, known: Iterable[str]) -> str | None:
    """The known word that a wrong one is a misspelling of; capitals, dashes and blanks tell none apart."""
    return _like(_plain(word), {_plain(name): name for name in _in_order(known)}, TYPO)


def nearest(word: str, known: Iterable[str], *, likeness: float = 0.6) -> str | None:
    """The known word that a wrong one most likely stands for.

    A misspelling comes first, then a name that begins or ends with the word, such as
    `worker_prefetch_multiplier` for `worker_prefetch`: of names that differ in whole words, letters tell
    little.
    """
    plain = {_plain(name): name for name in _in_order(known)}
    meant = _plain(word)
    return (
        _like(meant, plain, TYPO)
        or (_longer(meant, plain) if len(meant) >= SHORTEST_PART else None)
        or _like(meant, plain, likeness)
    )


def _in_order(known: Iterable[str]) -> list[str]:
    """The longest first, so that of twins the shortest one is kept."""
    return sorted(known, key=lambda name: (-len(name), name))


def _like(meant: str, plain: Mapping[str, str], likeness: float) -> str | None:
    if meant in plain:
        return plain[meant]
    near = difflib.get_close_matches(meant, plain, n=1, cutoff=likeness)
    return plain[near[0]] if near else None


def _longer(meant: str, plain: Mapping[str, str]) -> str | None:
    begin = [each for each in plain if each.startswith(f"{meant}_")]
    end = [each for each in plain if each.endswith(f"_{meant}")]
    return plain[min(begin or end, key=len)] if begin or end else None


def _plain(word: str) -> str:
    return _APART.sub("_", word.strip().lower())


SECRET_WORDS = r"password|passwd|passphrase|secret|(?:secret|api|access)[_-]?key|credentials?|token"  # noqa: S105
"""What the name of a secret ends with, as a regular expression: model refuses one, report masks its value."""
