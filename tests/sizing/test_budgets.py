"""Slots within budgets: the urgent first, the least always, and never more than fits."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

from hypothesis import given
from hypothesis import strategies as st

from policycompiler.sizing import Need, Share, allocate


def need(worker: str, least: int, wanted: int, base: float, slot: float, kept: int | None = None) -> Need:
    def costs(slots: int) -> Mapping[Hashable, float]:
        return {"memory": base + slots * slot, "cores": slots * 0.1}

    return Need(worker, least, kept or wanted, wanted, costs)


def test_everybody_gets_what_fits():
    shares = allocate([need("a", 1, 4, 100, 10), need("b", 2, 5, 100, 10)], {"memory": 1000.0})
    assert shares == {"a": Share(4), "b": Share(5)}


def test_the_first_chooses_first_and_the_last_keeps_its_least():
    # 200 for both processes, 20 for the least slots of b: 80 are left for the 8 slots of a beyond none.
    shares = allocate([need("a", 1, 9, 100, 10), need("b", 2, 5, 100, 10)], {"memory": 300.0})
    assert shares == {"a": Share(8, "memory"), "b": Share(2, "memory")}


def test_promises_come_before_reserves():
    # 11 slots for both: 3 and 4 keep the promises, and the reserve is for the first.
    needs = [need("a", 1, 9, 0, 10, kept=3), need("b", 1, 9, 0, 10, kept=4)]
    assert allocate(needs, {"memory": 110.0}) == {"a": Share(7, "memory"), "b": Share(4, "memory")}


def test_what_does_not_take_of_a_budget_is_not_held_by_it():
    free = Need("b", 1, 7, 7, lambda slots: {"cores": float(slots)})
    shares = allocate([need("a", 3, 9, 100, 10), free], {"memory": 50.0})
    assert shares == {"a": Share(3, "memory"), "b": Share(7)}


def test_the_scarcest_budget_is_named():
    assert allocate([need("a", 1, 9, 0, 10)], {"memory": 1000.0, "cores": 0.4})["a"] == Share(4, "cores")


@given(
    st.lists(st.tuples(st.integers(1, 5), st.integers(0, 20), st.integers(1, 50)), min_size=1, max_size=6),
    st.integers(0, 2000),
)
def test_it_takes_no_more_than_there_is_and_leaves_nothing_that_fits(rows, amount):
    needs = [
        need(str(number), least, least + more, 10, slot) for number, (least, more, slot) in enumerate(rows)
    ]
    shares = allocate(needs, {"memory": float(amount)})

    def taken(slots: Mapping[str, int]) -> float:
        return sum(each.costs(slots[each.worker])["memory"] for each in needs)

    given_slots = {name: share.slots for name, share in shares.items()}
    least = {each.worker: each.least for each in needs}
    for each in needs:
        assert each.least <= given_slots[each.worker] <= each.wanted
        assert (shares[each.worker].short is None) == (given_slots[each.worker] == each.wanted)
    if taken(least) > amount:
        assert given_slots == {**given_slots, **least} or all(
            each.least == each.wanted for each in needs if given_slots[each.worker] != each.least
        )
        return
    assert taken(given_slots) <= amount
    for each in needs:
        if given_slots[each.worker] < each.wanted:
            assert taken({**given_slots, each.worker: given_slots[each.worker] + 1}) > amount
