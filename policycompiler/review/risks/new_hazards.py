"""New hazards of the new plan, reported with the change that causes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from policycompiler.hazards import BOOK, Effect, Hazard, hazards
from policycompiler.plan import Plan, Scope, UndecidedError
from policycompiler.review.outcome import Change, Class

_RISKS = {
    Effect.LOST: Class.LOSSY,
    Effect.DOUBLED: Class.LOSSY,
    Effect.REFUSED: Class.MANUAL,
    Effect.STRANDED: Class.MANUAL,
    Effect.STARVED: Class.MANUAL,
    Effect.STALLED: Class.MANUAL,
}


def alarmed(
    changes: Sequence[Change], old: Plan, new: Plan, renamed: Mapping[str, Sequence[str]]
) -> list[Change]:
    """The changes, each at least as risky as its new hazards.

    `renamed` has the tasks of the new plan with their earlier names.
    """
    known = [_known(hazard, renamed) for hazard in _of(old)]
    told = [*changes]
    for hazard in hazards(new) if told else ():
        if not any(name == hazard.name and hazard.subject <= subject for name, subject in known):
            place = _brought_by(told, hazard)
            told[place] = _with(told[place], hazard)
    return told


def _of(old: Plan) -> Iterator[Hazard]:
    """All hazards of an old plan. A value that an earlier version did not write is no hazard."""
    for chapter in BOOK:
        try:
            yield from chapter(old)
        except UndecidedError:
            continue


def _known(hazard: Hazard, renamed: Mapping[str, Sequence[str]]) -> tuple[str, frozenset[Scope]]:
    """A hazard by its name and its subject, with the names of the new plan."""
    now = {Scope("task", old): Scope("task", name) for name, names in renamed.items() for old in names}
    return hazard.name, frozenset(now.get(scope, scope) for scope in hazard.subject)


def _brought_by(changes: Sequence[Change], hazard: Hazard) -> int:
    """The index of the change that explains the hazard best; else the first."""
    places = {(change.scope, change.key): place for place, change in enumerate(changes)}
    by_scope = {change.scope: place for place, change in reversed([*enumerate(changes)])}
    scopes = [scope for scope, _ in hazard.settings]
    makers = [*hazard.settings, *((scope, "") for scope in scopes)]
    found = [places[maker] for maker in makers if maker in places]
    found += [by_scope[scope] for scope in scopes if scope in by_scope]
    return next(iter(found), 0)


def _with(change: Change, hazard: Hazard) -> Change:
    """The change with the hazard; a milder reason is replaced."""
    risk = _RISKS[hazard.effect]
    if risk.rank > change.risk.rank:
        return change._replace(risk=risk, because=hazard.message)
    return change._replace(because=f"{change.because}; {hazard.message}")
