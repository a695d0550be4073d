"""Slots within budgets: first what keeps the promises, then reserves, and the most urgent workers first."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import NamedTuple, TypeVar

Budget = TypeVar("Budget", bound=Hashable)
_ROUNDING = 1e-9


class Need(NamedTuple):
    """What a worker takes of budgets.

    It gets `least` slots in any case. `kept` slots keep its promise, and `wanted` have a reserve too; each
    is at least the one before. `costs` is what a number of slots takes of each budget; it must not fall as
    the slots grow.
    """

    worker: str
    least: int
    kept: int
    wanted: int
    costs: Callable[[int], Mapping[Hashable, float]]


class Share(NamedTuple):
    """The slots that a worker gets, and the budget that kept it from more; None if it gets what it wants."""

    slots: int
    short: Hashable | None = None


def allocate(needs: Sequence[Need], budgets: Mapping[Budget, float]) -> dict[str, Share]:
    """The slots of each worker. The first in the list, the most urgent, chooses first.

    If even the least slots of all exceed a budget, a worker that takes of it gets its least slots.
    """
    slots = {need.worker: need.least for need in needs}
    left = {
        budget: amount - sum(need.costs(need.least).get(budget, 0.0) for need in needs)
        for budget, amount in budgets.items()
    }
    for step in ("kept", "wanted"):
        for need in needs:
            had = slots[need.worker]
            slots[need.worker] = got = _largest(left, need, had, getattr(need, step))
            for budget in left:
                left[budget] -= _more(need, budget, had, got)
    return {need.worker: _share(left, need, slots[need.worker]) for need in needs}


def _share(left: Mapping[Budget, float], need: Need, slots: int) -> Share:
    return Share(slots, None if slots >= need.wanted else _short(left, need, slots, slots + 1))


def _more(need: Need, budget: Hashable, before: int, after: int) -> float:
    return need.costs(after).get(budget, 0.0) - need.costs(before).get(budget, 0.0)


def _short(left: Mapping[Budget, float], need: Need, had: int, slots: int) -> Budget | None:
    """The first budget that is too small for so many slots."""
    for budget, rest in left.items():
        more = _more(need, budget, had, slots)
        if more > 0 and more > rest + _ROUNDING * abs(more):
            return budget
    return None


def _largest(left: Mapping[Budget, float], need: Need, had: int, most: int) -> int:
    """The most slots that fit, up to a number."""
    if _short(left, need, had, most) is None:
        return most
    fits, too_many = had, most
    while too_many - fits > 1:
        middle = (fits + too_many) // 2
        fits, too_many = (fits, middle) if _short(left, need, had, middle) is not None else (middle, too_many)
    return fits
