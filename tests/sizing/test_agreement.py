"""The formulas and the simulations agree; `tests/speed/sizes.py` compares more, for longer."""

from __future__ import annotations

import pytest
from sizing_cases import Case, random_case

from policycompiler.sizing import Promise, smallest_slots
from policycompiler.sizing.simulation import Constant, Exponential, LogNormal

RUNS = {"constant": Constant(1), "exponential": Exponential(1), "log-normal": LogNormal(1, 3)}


@pytest.mark.parametrize("runs", RUNS.values(), ids=RUNS)
@pytest.mark.parametrize(("slots", "busy"), [(1, 0.5), (2, 0.6), (4, 0.7), (8, 0.7)])
def test_the_mean_wait_is_within_3_percent_of_a_simulation(slots, busy, runs):
    case = Case(((slots * busy / runs.service.mean, runs),), Promise(1, 0.99, 1))
    simulated = case.waits(slots, round(30_000 / (1 - busy) ** 2), seed=slots).mean
    assert simulated == pytest.approx(case.line(slots).mean_wait, rel=0.03)


@pytest.mark.parametrize("seed", range(12))
def test_the_computed_size_is_the_smallest_or_one_above_it(seed):
    case = random_case(seed)
    slots = smallest_slots(case.rate, case.service, case.promise)
    assert case.holds(slots, seed, most=200_000)
    assert slots <= 2 or not case.holds(slots - 2, seed, most=200_000)


SELDOM = {
    "long runs on both slots": (40, ((0.033, Constant(1)), (0.301, Constant(100)))),
    "hardly any message waits": (0.125, ((0.183, LogNormal(0.301, 6.02)),)),
}
"""A promise in seconds, and tasks with their load, where the tail alone would make a slot too few."""


@pytest.mark.parametrize(("seconds", "tasks"), SELDOM.values(), ids=SELDOM)
def test_a_size_is_enough_where_waits_are_seldom(seconds, tasks):
    case = Case(tuple((load / runs.service.mean, runs) for load, runs in tasks), Promise(seconds, 0.99, 0.7))
    assert smallest_slots(case.rate, case.service, case.promise) == 3
    assert case.holds(3, seed=1, most=200_000)
    assert not case.holds(2, seed=1, most=200_000)
