"""Sizes: the smallest number that holds, by trying all; and how far the traffic can grow."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policycompiler.sizing import (
    CELERY_SECONDS,
    Line,
    Promise,
    constant,
    drain_seconds,
    exponential,
    held_by,
    largest_rate,
    last_start_seconds,
    lognormal,
    smallest_slots,
)

SERVICES = st.one_of(
    st.floats(0.01, 100).map(constant),
    st.floats(0.01, 100).map(exponential),
    st.builds(
        lambda p50, spread: lognormal(p50, p50 * spread, p50 * spread * 1.5),
        st.floats(0.01, 10),
        st.floats(1.1, 30),
    ),
)
PROMISES = st.builds(
    Promise,
    st.floats(0.01, 1000),
    st.sampled_from([0.5, 0.95, 0.99]),
    st.floats(0.5, 0.95),
    st.sampled_from([1, 1.1, 2]),
)


@settings(derandomize=True, deadline=None)
@given(st.floats(0.01, 60), SERVICES, PROMISES)
def test_the_smallest_size_is_the_first_that_keeps_the_promise(load: float, service, promise: Promise):
    rate = load / service.mean
    found = smallest_slots(rate, service, promise)
    assert found == next(slots for slots in range(1, 10_000) if promise.holds(Line(rate, service, slots)))


@settings(derandomize=True, deadline=None)
@given(st.integers(1, 100), SERVICES, PROMISES)
def test_the_largest_rate_is_where_the_promise_breaks(slots: int, service, promise: Promise):
    rate = largest_rate(service, slots, promise)
    assert rate > 0
    assert promise.holds(Line(rate, service, slots))
    assert not promise.holds(Line(rate * (1 + 1e-6), service, slots))
    assert smallest_slots(rate, service, promise) <= slots
    assert smallest_slots(rate * (1 + 1e-6), service, promise) > slots


def test_a_promise_of_exponential_runs_by_hand():
    # 4 busy slots: with 5 slots 55.4 % wait, exponentially with a mean of 1 s. So 1 % / 1.1 wait longer than
    # ln(55.4 · 1.1) = 4.1101 s.
    line = Line(4, exponential(1), 5)
    for caution in (1, 1.1, 2):
        enough = caution * 4.11011 + CELERY_SECONDS
        assert Promise(enough, 0.99, 0.9, caution).holds(line)
        assert not Promise(enough - 1e-4, 0.99, 0.9, caution).holds(line)


def test_the_ceiling_counts_whatever_the_wait():
    patient = Promise(1e9, 0.99, 0.8)
    assert smallest_slots(4, exponential(1), patient) == 5
    assert smallest_slots(4.01, exponential(1), patient) == 6
    assert largest_rate(exponential(1), 5, patient) == pytest.approx(4)
    # 0.7 x 10 is a little more than 7 as a float.
    assert smallest_slots(7, exponential(1), Promise(1e9, 0.99, 0.7)) == 10


def test_nothing_is_promised_below_the_delay_of_celery():
    hasty = Promise(CELERY_SECONDS / 2, 0.99, 0.9)
    assert smallest_slots(4, exponential(1), hasty) is None
    assert largest_rate(exponential(1), 100, hasty) == 0
    assert largest_rate(constant(0), 1, hasty) == 0


def test_a_queue_without_load_has_one_slot():
    promise = Promise(1, 0.99, 0.9)
    assert smallest_slots(0, exponential(1), promise) == 1
    assert smallest_slots(10, constant(0), promise) == 1
    assert largest_rate(constant(0), 1, promise) == math.inf


def test_a_thousand_slots_wait_hardly():
    assert 900 / 0.95 < smallest_slots(900, exponential(1), Promise(0.1, 0.99, 0.95)) < 960


def test_a_burst_on_idle_slots():
    line = Line(0, constant(2), 4)
    # 100 messages: 96 wait, and 2 start each second.
    assert last_start_seconds(100, line) == pytest.approx(48)
    assert drain_seconds(100, line) == pytest.approx(48)
    assert last_start_seconds(4, line) == drain_seconds(4, line) == 0


def test_a_burst_over_traffic_drains_with_the_spare_slots():
    line = Line(1.5, constant(2), 4)
    assert drain_seconds(400, line) == pytest.approx(4 * last_start_seconds(400, line))
    assert 790 < drain_seconds(400, line) < 810
    full = Line(2, constant(2), 4)
    assert drain_seconds(400, full) == math.inf
    assert last_start_seconds(400, full) == 200
    assert last_start_seconds(4, Line(1, constant(2), 0)) == math.inf


def test_long_neighbors_hold_one_slot_as_often_as_they_run():
    held = held_by(Line(0.01, constant(30), 1))
    assert held.share == pytest.approx(0.3)
    # Half a run, and what waits behind it.
    assert held.seconds == pytest.approx(15 / 0.7)
    assert held_by(Line(0.01, constant(30), 4)).share < 0.001
