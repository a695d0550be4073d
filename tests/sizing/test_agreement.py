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
