"""Judges each finding: its severity, its waiver, and whether a baseline hides it.

Every command judges here.

Refuses:
    PC701 waiver-not-allowed: remove the waiver and fix the finding, or ask the owner of the policy file.
        when: a waiver names a locked finding or a finding that prevents output, or it expires too late.
    PC702 waiver-unused: remove the waiver.
        when: the finding of a waiver does not exist at its path.
    PC703 unknown-finding: correct the name; `policycompiler finding` lists all findings.
        when: a waiver or a policy file names a finding that does not exist.
    PC704 severity-fixed: remove the severity.
        when: a policy file lowers the severity of a finding that prevents output.
    PC708 unknown-target: correct the name; `policycompiler compile --help` lists all targets.
        when: a policy file names a target that does not exist.
    PC751 lossy-change: keep the old behavior, or acknowledge the change with a waiver in the new workload.
        when: `diff` or `compile --rollout` finds a change that can lose or repeat work.
    PC752 manual-change: do what the change requires, then acknowledge it with a waiver in the new workload.
        when: `diff` or `compile --rollout` finds a change that needs an action or a decision of a person.
    PC753 ordered-change: follow the steps of the rollout in order; `compile --rollout` writes them.
        when: `diff` or `compile --rollout` finds a change that is safe only in the order of the steps.
    PC925 queue-args-change: write the steps with `compile --rollout OLD`, or give the queue a new name.
        when: a compile changes the arguments or the exchange type of a queue in the plan of its output
            folder. With `--rollout OLD`, no step replaces the queue.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import NamedTuple

from policycompiler.diagnostics import (
    Diagnostic,
    Finding,
    Profile,
    Related,
    Severity,
    SpecPath,
    Waived,
    did_you_mean,
    error,
    fatal,
    info,
    warning,
)
from policycompiler.findings.baseline import BASELINE_ENTRY_GONE, Baseline, Fingerprint, fingerprint
from policycompiler.load import Data
from policycompiler.model import PolicyFile, Waiver, checked
from policycompiler.verify import FINDINGS as OF_REALITY

WAIVER_NOT_ALLOWED = error("PC701", "waiver-not-allowed")
WAIVER_UNUSED = warning("PC702", "waiver-unused")
UNKNOWN_FINDING = fatal("PC703", "unknown-finding")
SEVERITY_FIXED = fatal("PC704", "severity-fixed")
UNKNOWN_TARGET = fatal("PC708", "unknown-target")
LOSSY_CHANGE = warning("PC751", "lossy-change", Profile.MINIMAL)
MANUAL_CHANGE = warning("PC752", "manual-change", Profile.MINIMAL)
ORDERED_CHANGE = info("PC753", "ordered-change", Profile.MINIMAL)
QUEUE_ARGS_CHANGE = error("PC925", "queue-args-change")

RETIRED = frozenset({"PC214", "dlq-without-limit", "PC215", "dlq-redis", "PC220", "dlq-hard-timeout-gap"})
"""Findings of earlier versions: a policy file may still name one, and a waiver of one is unused."""
_OF_CHANGES: Mapping[str, Finding] = {
    word: found
    for found in (LOSSY_CHANGE, MANUAL_CHANGE, ORDERED_CHANGE, QUEUE_ARGS_CHANGE)
    for word in (found.code, found.name)
}
"""Findings about two plans; a waiver of such a finding is an acknowledgment."""
_OF_REALITY = {word: found for found in OF_REALITY for word in (found.code, found.name)}
"""Findings of `verify`, which a check cannot have."""


MOST_NAMED = 5


class Verdict(NamedTuple):
    """The remaining findings, and the number of findings that a baseline hides."""

    diagnostics: list[Diagnostic]
    hidden: int


class Answers(NamedTuple):
    """The findings about changes with their waivers, in the given order; and judged."""

    answered: list[Diagnostic]
    judged: list[Diagnostic]


class _Why(StrEnum):
    """Why a waiver does not apply."""

    MALFORMED = "malformed"
    REFUSED = "refused"
    """The waiver is not allowed."""
    EXPIRED = "expired"
    EARLIER = "earlier"
    """The waiver belongs to an earlier change."""


class _Void(NamedTuple):
    """Why a waiver does not apply: a note for its finding, and an objection to the waiver."""

    why: _Why
    note: str
    objection: str = ""


class _Heard(NamedTuple):
    """The readable parts of a waiver; `void` if the waiver does not apply."""

    finding: str
    at: str
    path: SpecPath
    waived: Waived
    void: _Void | None = None


def rules_refused(
    policy: PolicyFile, catalogue: Mapping[str, Finding], targets: Sequence[str]
) -> Iterator[Diagnostic]:
    """Findings about the findings and targets of a policy file; paths are in the policy file."""
    known = _with_own(catalogue, policy)
    for word in policy.severities:
        if word != "*":
            path: SpecPath = ("severities", word)
            yield from _unknown(word, path, known, at_key=True)
            if word in known and known[word].fatal and policy.severities[word] != "error":
                message = f"`{word}` prevents output, so it is always an error"
                yield SEVERITY_FIXED.at(path, message, help="remove the severity", at_key=True)
    for index, word in enumerate(policy.locked):
        yield from _unknown(word, ("locked", index), known)
    for index, target in enumerate(policy.targets or ()):
        if target not in targets:
            help_text = did_you_mean(target, targets) or f"use one of {', '.join(targets)}"
            yield UNKNOWN_TARGET.at(("targets", index), f"target `{target}` does not exist", help=help_text)


def _with_own(catalogue: Mapping[str, Finding], policy: PolicyFile) -> dict[str, Finding]:
    return {**catalogue, **{own.name: own.as_finding() for own in policy.custom}}


def judge(
    found: Iterable[Diagnostic],
    waivers: Sequence[Data],
    policy: PolicyFile,
    today: date,
    baseline: Baseline,
    catalogue: Mapping[str, Finding],
) -> Verdict:
    """Apply severities, then waivers, then the baseline, which hides findings without a waiver.

    `catalogue` has the findings that a waiver may name, in addition to those of the policy file. `today`
    decides which waivers have expired; it is the only clock of the program. A waiver of a change is checked
    here, and used by `judge_changes`.
    """
    known = _with_own(catalogue, policy)
    judged = [each for diagnostic in found for each in _with_severity(diagnostic, policy)]
    heard: list[_Heard] = []
    own: list[Diagnostic] = []
    for index, waiver in enumerate(waivers):
        each, refused = _hear(waiver, ("waivers", index), policy, known, today)
        heard += each
        own += refused
    used: set[SpecPath] = set()
    judged = [_with_waiver(diagnostic, heard, used) for diagnostic in judged]
    own += [
        WAIVER_UNUSED.at(
            waiver.path, f"there is no finding `{waiver.finding}` at `{waiver.at}`", help="remove the waiver"
        )
        for waiver in heard
        if waiver.path not in used
        and waiver.finding in (known.keys() | RETIRED) - _OF_CHANGES.keys() - _OF_REALITY.keys()
        and (waiver.void is None or waiver.void.why is _Why.EXPIRED)
    ]
    profile = Profile(policy.extends)
    own = [each.in_profile(profile) for each in own]
    own = [each for diagnostic in own for each in _with_severity(diagnostic, policy)]
    entries = {mark: count for mark, count in baseline.entries.items() if mark[0] not in _OF_REALITY}
    return _without_known(judged + own, baseline._replace(entries=entries), policy)


def judge_changes(
    found: Sequence[Diagnostic],
    waivers: Sequence[Data],
    policy: PolicyFile,
    today: date,
    earlier: Sequence[Data] = (),
) -> Answers:
    """The same for findings about changes. `judge` reports problems of a waiver itself.

    A waiver stays in the workload for a while after its change is merged. So a waiver among the `earlier`
    ones of the old side does not apply to a change of today. An unused waiver is reported only while a change
    of its kind has no waiver, because then its path is wrong.
    """
    heard = [
        each._replace(void=each.void or (_EARLIER if waiver in earlier else None))
        for index, waiver in enumerate(waivers)
        for each in _hear(waiver, ("waivers", index), policy, _OF_CHANGES, today)[0]
        if each.finding in _OF_CHANGES
    ]
    used: set[SpecPath] = set()
    answered = [_with_waiver(diagnostic, heard, used) for diagnostic in found]
    waiting = [each for each in answered if each.waived is None]
    unused: list[Diagnostic] = []
    for waiver in heard:
        at = [glob_of(each.path) for each in waiting if waiver.finding in (each.code, each.name)]
        if at and waiver.path not in used and not waiver.void:
            message = f"there is no finding `{waiver.finding}` at `{waiver.at}`"
            unused.append(WAIVER_UNUSED.at(waiver.path, message, help=f"correct `at`: {_waiting(at)}"))
    judged = [each for diagnostic in (*answered, *unused) for each in _with_severity(diagnostic, policy)]
    return Answers(answered, judged)


def judge_reality(
    found: Iterable[Diagnostic],
    waivers: Sequence[Data],
    policy: PolicyFile,
    today: date,
    baseline: Baseline,
) -> Verdict:
    """The same for findings of `verify`. `judge` reports problems of a waiver itself.

    Reality changes by the minute, so neither a waiver nor an entry of the baseline is ever unused.
    """
    heard = [
        each
        for index, waiver in enumerate(waivers)
        for each in _hear(waiver, ("waivers", index), policy, _OF_REALITY, today)[0]
        if each.finding in _OF_REALITY
    ]
    used: set[SpecPath] = set()
    judged = [
        each
        for diagnostic in found
        for each in _with_severity(diagnostic.in_profile(Profile(policy.extends)), policy)
    ]
    judged = [_with_waiver(diagnostic, heard, used) for diagnostic in judged]
    kept = _without_known(judged, baseline, policy)
    return kept._replace(
        diagnostics=[each for each in kept.diagnostics if each.finding is not BASELINE_ENTRY_GONE]
    )


def _with_severity(diagnostic: Diagnostic, policy: PolicyFile) -> list[Diagnostic]:
    """The finding with the severity of the policy file; nothing if that is `off`."""
    finding = diagnostic.finding
    if finding.fatal:
        return [diagnostic]
    said = policy.severities.get(finding.name) or policy.severities.get(finding.code)
    if said is None and finding.profile.rank > Profile(policy.extends).rank:
        return []
    said = said or policy.severities.get("*")
    if said == "off":
        return []
    return [replace(diagnostic, severity=Severity(said))] if said else [diagnostic]


def _hear(
    given: Data, path: SpecPath, policy: PolicyFile, known: Mapping[str, Finding], today: date
) -> tuple[list[_Heard], list[Diagnostic]]:
    waiver, refused = checked(Waiver, given, path)
    if waiver is None:
        readable = isinstance(given, dict) and all(
            isinstance(given.get(key), str) for key in ("finding", "at")
        )
        if not readable or not isinstance(given, dict):
            return [], refused
        nobody = Waived("", "", "")
        void = _Void(_Why.MALFORMED, "its waiver does not apply: it is malformed")
        return [_Heard(str(given["finding"]), str(given["at"]), path, nobody, void)], refused
    refused = list(_unknown(waiver.finding, (*path, "finding"), known))
    absent = _void(waiver, policy, known.get(waiver.finding), today)
    if absent is not None and absent.objection:
        refused.append(
            WAIVER_NOT_ALLOWED.at(path, absent.objection, help="remove the waiver and fix the finding")
        )
    waived = Waived(waiver.reason, waiver.owner, waiver.expires)
    return [_Heard(waiver.finding, waiver.at, path, waived, absent)], refused


def _void(waiver: Waiver, policy: PolicyFile, finding: Finding | None, today: date) -> _Void | None:
    """Why a waiver does not apply; None if it applies."""
    expires = date.fromisoformat(waiver.expires)
    if finding is not None and finding.fatal:
        why = "it prevents output"
    elif finding is not None and is_locked(finding, policy):
        why = "the policy file locks it"
    elif not waiver.reason.strip():
        why = "it gives no reason"
        return _refused(why, "the waiver gives no reason")
    elif expires < today:
        return _Void(_Why.EXPIRED, f"its waiver does not apply: it expired on {waiver.expires}")
    elif (
        policy.waivers
        and policy.waivers.longest
        and expires - today > timedelta(policy.waivers.longest / 86400)
    ):
        days = policy.waivers.longest / 86400
        latest = today + timedelta(days)
        why = f"it expires on {waiver.expires}, more than {days:g} days ahead"
        allowed = f"the policy file allows {days:g} days, until {latest}"
        return _refused(
            why,
            f"the waiver expires on {waiver.expires}; {allowed}",
        )
    elif policy.owners is not None and waiver.owner not in policy.owners:
        why = f"`{waiver.owner}` is not among the `owners` of the policy file"
        return _refused(why, why)
    else:
        return None
    return _refused(why, f"`{waiver.finding}` cannot be waived: {why}")


def _refused(why: str, objection: str) -> _Void:
    return _Void(_Why.REFUSED, f"its waiver does not apply: {why}", objection)


_EARLIER = _Void(
    _Why.EARLIER, "its waiver does not apply: the old side has it too, so it belongs to an earlier change"
)


def _unknown(
    word: str, path: SpecPath, known: Collection[str], *, at_key: bool = False
) -> Iterator[Diagnostic]:
    if word not in known and word not in RETIRED:
        help_text = did_you_mean(word, known) or "run `policycompiler finding` to list all findings"
        yield UNKNOWN_FINDING.at(path, f"finding `{word}` does not exist", help=help_text, at_key=at_key)


def _with_waiver(diagnostic: Diagnostic, waivers: Sequence[_Heard], used: set[SpecPath]) -> Diagnostic:
    words = (diagnostic.code, diagnostic.name)
    ours = [each for each in waivers if each.finding in words and covers(each.at, diagnostic.path)]
    used.update(each.path for each in ours)
    for waiver in ours:
        if waiver.void is None:
            return replace(diagnostic, waived=waiver.waived)
    for waiver in ours:
        assert waiver.void is not None
        note, place = waiver.void.note, Related(waiver.path, "the waiver")
        diagnostic = replace(
            diagnostic,
            notes=(*diagnostic.notes, note),
            related=(*diagnostic.related, place),
        )
    return diagnostic


def glob_of(path: SpecPath) -> str:
    """The value of `at` in a waiver for this path."""
    return ".".join(str(part) for part in path).replace("[", "[[]")


def _waiting(globs: Sequence[str]) -> str:
    told = [f"`{glob}`" for glob in dict.fromkeys(globs)]
    more = [f"{len(told) - MOST_NAMED} more"] if len(told) > MOST_NAMED else []
    return f"changes without a waiver are at {', '.join([*told[:MOST_NAMED], *more])}"


def covers(glob: str, path: SpecPath) -> bool:
    """Whether a glob matches a path or a parent of it; `*` matches dots too."""
    parts = [str(part) for part in path]
    return any(fnmatchcase(".".join(parts[:length]), glob) for length in range(1, len(parts) + 1))


def is_locked(finding: Finding, policy: PolicyFile) -> bool:
    """Whether the policy file locks a finding."""
    return not {finding.name, finding.code}.isdisjoint(policy.locked)


def can_be_hidden(diagnostic: Diagnostic, policy: PolicyFile) -> bool:
    """Whether a baseline may hide a finding: it allows output, has no waiver, and is not locked."""
    fatal_or_waived = diagnostic.finding.fatal or diagnostic.waived is not None
    return not fatal_or_waived and not is_locked(diagnostic.finding, policy)


def _without_known(judged: list[Diagnostic], baseline: Baseline, policy: PolicyFile) -> Verdict:
    """Each entry of a baseline hides one finding, at any line."""
    left = dict(baseline.entries)
    kept = []
    for diagnostic in judged:
        mark: Fingerprint = fingerprint(diagnostic)
        if left.get(mark) and is_locked(diagnostic.finding, policy) and diagnostic.waived is None:
            # The finding still exists, so the entry is not outdated; it only hides nothing.
            left[mark] -= 1
            note = "the baseline cannot hide this finding: the policy file locks it"
            kept.append(replace(diagnostic, notes=(*diagnostic.notes, note)))
        elif left.get(mark) and can_be_hidden(diagnostic, policy):
            left[mark] -= 1
        else:
            kept.append(diagnostic)
    gone = list(baseline.gone({mark: count for mark, count in left.items() if count}))
    return Verdict([*kept, *gone], len(judged) - len(kept))
