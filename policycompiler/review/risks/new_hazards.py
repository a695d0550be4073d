"""What the new plan does to work and the old one does not, told with the change that brings it."""

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
    """The changes, each no milder than the hazards that come with it.

    `renamed` are tasks of the new plan with the names that they had.
    """
    known = [_known(hazard, renamed) for hazard in _of(old)]
    told = [*changes]
    for hazard in hazards(new) if told else ():
        if not any(name == hazard.name and hazard.subject <= subject for name, subject in known):
            place = _brought_by(told, hazard)
            told[place] = _with(told[place], hazard)
    return told


def _of(old: Plan) -> Iterator[Hazard]:
    """All that an old plan does. What one of an earlier version does not say is no hazard that it has."""
    for chapter in BOOK:
        try:
            yield from chapter(old)
        except UndecidedError:
            continue


def _known(hazard: Hazard, renamed: Mapping[str, Sequence[str]]) -> tuple[str, frozenset[Scope]]:
    """A hazard by its name, and by what it is about as the new plan calls that."""
    now = {Scope("task", old): Scope("task", name) for name, names in renamed.items() for old in names}
    return hazard.name, frozenset(now.get(scope, scope) for scope in hazard.subject)


def _brought_by(changes: Sequence[Change], hazard: Hazard) -> int:
    """Where the most telling of the changes stands that make the hazard; else the first."""
    places = {(change.scope, change.key): place for place, change in enumerate(changes)}
    by_scope = {change.scope: place for place, change in reversed([*enumerate(changes)])}
    scopes = [scope for scope, _ in hazard.settings]
    makers = [*hazard.settings, *((scope, "") for scope in scopes)]
    found = [places[maker] for maker in makers if maker in places]
    found += [by_scope[scope] for scope in scopes if scope in by_scope]
    return next(iter(found), 0)


def _with(change: Change, hazard: Hazard) -> Change:
    """What was milder than the hazard is not worth its words any more."""
    risk = _RISKS[hazard.effect]
    if risk.rank > change.risk.rank:
        return change._replace(risk=risk, because=hazard.message)
    return change._replace(because=f"{change.because}; {hazard.message}")
