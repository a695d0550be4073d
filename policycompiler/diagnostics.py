"""Findings: all possible mistakes of a user, as data.

Policies and the model speak in symbolic paths (`("tasks", "shop.mail.send", "retry", "max")`);
only `report` turns a path into a line and a column.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple, TypeAlias

SpecPath = tuple[str | int, ...]


class Severity(StrEnum):
    """The severity of a finding; `rank` orders them from worst to mildest."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"

    @property
    def rank(self) -> int:
        """0 for an error, and higher for milder severities."""
        return list(Severity).index(self)


class Profile(StrEnum):
    """How strict a policy file is; `minimal`, `standard` and `strict` include the findings before them.

    `as-is` reports the findings of `standard`, but no more than a warning for what runs today.
    """

    AS_IS = "as-is"
    MINIMAL = "minimal"
    STANDARD = "standard"
    STRICT = "strict"

    @property
    def rank(self) -> int:
        """A higher number reports more findings."""
        return _RANKS[self]


_RANKS = {Profile.MINIMAL: 0, Profile.AS_IS: 1, Profile.STANDARD: 1, Profile.STRICT: 2}


class Place(NamedTuple):
    """A position in a source file; line and column count from 1, column in characters."""

    file: str
    line: int
    column: int


class Related(NamedTuple):
    """A second place of a finding, with a short note."""

    path: SpecPath
    note: str
    place: Place | None = None


class Remove(NamedTuple):
    """An edit: remove a key with its value, or an item of a list."""

    path: SpecPath


class Rename(NamedTuple):
    """An edit: rename the key at a path."""

    path: SpecPath
    key: str


class Replace(NamedTuple):
    """An edit: replace the scalar at a path."""

    path: SpecPath
    value: str | int | float | bool


Fix: TypeAlias = tuple[Remove | Rename | Replace, ...]
"""Safe edits of the workload that fix a finding."""


class Waived(NamedTuple):
    """A waiver: its reason, its owner, and its last day, such as 2027-03-31."""

    reason: str
    owner: str
    expires: str


@dataclass(frozen=True, slots=True)
class Finding:
    """The fixed part of a diagnostic: a stable code, a name that reads well after "allow", a severity.

    Profiles below `profile` do not report it. A `fatal` finding prevents output: a policy file cannot change
    its severity, and no waiver applies.
    """

    code: str
    name: str
    severity: Severity
    profile: Profile = Profile.STANDARD
    fatal: bool = False

    def severity_in(self, profile: Profile) -> Severity | None:
        """Its severity in a profile; None if the profile does not report it."""
        if profile.rank < self.profile.rank:
            return None
        runs_today = profile is Profile.AS_IS and not self.fatal
        return Severity.WARNING if runs_today and self.severity is Severity.ERROR else self.severity

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

    `message` says what was found and what is allowed, and `help` what to do. `path` leads to the value;
    `place` is set only if no path can exist (a file that does not parse). `at_key` marks a problem of the key
    and not of its value. `severity` is the finding's own until the policy file is applied. `waived` is the
    waiver, if any, and `notes` say why a waiver or a baseline does not apply.
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

    def in_profile(self, profile: Profile) -> Diagnostic:
        """The same with the severity of its finding in a profile, if that reports it."""
        return replace(self, severity=self.finding.severity_in(profile) or self.severity)

    @property
    def told(self) -> str:
        """The message, followed by the notes in parentheses."""
        return " ".join([self.message, *(f"({note})" for note in self.notes)])


def fatal(code: str, name: str) -> Finding:
    """A finding that prevents output."""
    return Finding(code, name, Severity.ERROR, Profile.MINIMAL, fatal=True)


def error(code: str, name: str) -> Finding:
    """A finding that stops the compile by default: lost, repeated or stuck work."""
    return Finding(code, name, Severity.ERROR, Profile.MINIMAL)


def warning(code: str, name: str, profile: Profile = Profile.STANDARD) -> Finding:
    """A finding that is printed and does not stop the compile."""
    return Finding(code, name, Severity.WARNING, profile)


def info(code: str, name: str, profile: Profile = Profile.STANDARD) -> Finding:
    """A finding that only informs."""
    return Finding(code, name, Severity.INFO, profile)


def did_you_mean(word: str, known: Iterable[str], *, likeness: float = 0.6) -> str:
    """A question with the known word most similar to a wrong word; empty if no word is similar enough.

    `likeness` is from 0 to 1, as `difflib` measures it.
    """
    near = nearest(word, known, likeness=likeness)
    return f"did you mean `{near}`?" if near else ""


TYPO = 0.85
"""From this likeness on, as `difflib` measures it, a word is a misspelling of another."""
SHORTEST_PART = 4
"""The shortest word that counts as a part of a name; shorter words are in too many names."""
_APART = re.compile(r"[^a-z0-9]+")


def misspelled(word: str, known: Iterable[str]) -> str | None:
    """The known word of a misspelling; capitals, dashes and blanks do not matter."""
    return _like(_plain(word), {_plain(name): name for name in _in_order(known)}, TYPO)


def nearest(word: str, known: Iterable[str], *, likeness: float = 0.6) -> str | None:
    """The known word that a wrong word most likely means.

    A misspelling comes first. Then a name that starts or ends with the word, such as
    `worker_prefetch_multiplier` for `worker_prefetch`: if names differ in whole words, similar letters mean
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
    """The longest first, so that the shortest of equal names is kept."""
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
"""The ends of secret names, as a regular expression: `model` refuses them, `report` masks values."""
