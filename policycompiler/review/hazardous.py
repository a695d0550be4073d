"""What the new plan does to work and the old one does not, told with the change that brings it."""

from __future__ import annotations

from collections.abc import Sequence

from policycompiler.hazards import Effect, Hazard, hazards
from policycompiler.plan import Plan, Scope
from policycompiler.review.rollout import Change, Class

_RISKS = {
    Effect.LOST: Class.LOSSY,
    Effect.DOUBLED: Class.LOSSY,
    Effect.REFUSED: Class.MANUAL,
    Effect.STALLED: Class.MANUAL,
}


def alarmed(changes: Sequence[Change], old: Plan, new: Plan) -> list[Change]:
    """The changes, each no milder than the hazards that come with it."""
    known = {_identity(hazard) for hazard in hazards(old)}
    told = [*changes]
    for hazard in hazards(new):
        place = None if _identity(hazard) in known else _brought_by(told, hazard)
        if place is not None:
            told[place] = _with(told[place], hazard)
    return told


def _identity(hazard: Hazard) -> tuple[str, frozenset[Scope]]:
    return hazard.name, frozenset(scope for scope, _ in hazard.settings)


def _brought_by(changes: Sequence[Change], hazard: Hazard) -> int | None:
    """Where the most telling of the changes stands that make the hazard."""
    places = {(change.scope, change.key): place for place, change in enumerate(changes)}
    makers = [*hazard.settings, *((scope, "") for scope, _ in hazard.settings)]
    return next((places[maker] for maker in makers if maker in places), None)


def _with(change: Change, hazard: Hazard) -> Change:
    risk = _RISKS[hazard.effect]
    if risk.rank < change.risk.rank:
        return change
    because = f"{change.because}; {hazard.message}" if change.risk is risk else hazard.message
    return change._replace(risk=risk, because=because)
