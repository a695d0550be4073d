"""Percentiles of measured run times, compared with those of the runs themselves."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policycompiler.sizing import Histogram, histogram, mixed

BOUNDS = (0.1, 0.5, 1.0, 5.0, math.inf)
RUNS = st.lists(st.floats(0.001, 20), min_size=1, max_size=60)


def of(runs: list[float], bounds: tuple[float, ...] = BOUNDS) -> Histogram:
    return histogram([(bound, sum(run <= bound for run in runs)) for bound in bounds])


def test_a_percentile_is_linear_in_its_bucket():
    # 50 of 100 runs are reached in the middle of the bucket from 0.5 s to 1 s, which has runs 40 to 60.
    found = histogram([(0.5, 40), (1.0, 60), (5.0, 100), (math.inf, 100)]).quantile(0.5)
    assert found == (0.5, 1.0, 0.75)
    assert not found.at_least


def test_the_last_bucket_has_no_upper_bound():
    found = histogram([(1.0, 40), (math.inf, 100)]).quantile(0.99)
    assert found is not None
    assert (found.seconds, found.at_least) == (1.0, True)


def test_no_runs_have_no_percentile():
    assert Histogram((), ()).quantile(0.5) is None
    assert histogram([(1.0, 0), (math.inf, 0)]).quantile(0.5) is None


@given(RUNS, st.sampled_from((0.5, 0.95, 0.99)))
def test_the_percentile_of_the_runs_is_in_the_bucket(runs: list[float], share: float):
    found = of(runs).quantile(share)
    truth = sorted(runs)[math.ceil(share * len(runs) - 1e-9) - 1]
    assert found is not None
    assert found.low < truth <= found.high
    assert found.low <= found.seconds <= found.high


@given(RUNS, RUNS)
def test_a_mixture_has_the_runs_of_both(one: list[float], other: list[float]):
    assert mixed([of(one), of(other)]) == of(one + other)


@given(RUNS, RUNS)
def test_other_bounds_never_make_a_mixture_shorter(one: list[float], other: list[float]):
    coarse = (0.7, math.inf)
    found = mixed([of(one), of(other, coarse)]).quantile(0.99)
    truth = sorted(one + other)[math.ceil(0.99 * len(one + other) - 1e-9) - 1]
    assert found is not None
    assert found.high >= truth


@given(RUNS, st.floats(0.01, 10))
def test_certain_numbers_are_bounds_of_the_true_ones(runs: list[float], seconds: float):
    found = of(runs)
    assert found.up_to(seconds) <= sum(run <= seconds for run in runs)
    assert found.longer(seconds) <= sum(run > seconds for run in runs)


def test_buckets_that_appeared_later_do_not_count_backwards():
    found = histogram([(1.0, 50), (0.5, 40), (2.0, 45), (math.inf, 60)])
    assert all(before <= after for before, after in pairwise(found.counts))
    assert found.total == pytest.approx(60)
