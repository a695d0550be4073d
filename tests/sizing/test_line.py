"""Waits of a line: closed forms where there are any, exact numbers for equal runs, and the directions."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policycompiler.sizing import Line, Service, constant, exponential, lognormal
from policycompiler.sizing.line import weibull_shape

SERVICES = [constant(2.0), exponential(2.0), lognormal(1, 5), lognormal(0.1, 2, 3)]


def crommelin(slots: int, utilization: float) -> float:
    """The exact mean wait of M/D/c for runs of 1 second.

    C. D. Crommelin, "Delay probability formulae when the holding times are constant", 1932: after one run
    time, all that ran have ended, so the number in the system is what waited plus what arrived. Its long-run
    distribution follows by iteration, and the mean wait by Little's law.
    """
    rate = slots * utilization
    size = slots + math.ceil(40 / (1 - utilization))
    arrived = [math.exp(-rate + count * math.log(rate) - math.lgamma(count + 1)) for count in range(size)]
    states = [1.0] + [0.0] * (size - 1)
    while True:
        left = [sum(states[: slots + 1]), *states[slots + 1 :]]
        following = [
            sum(left[waiting] * arrived[count - waiting] for waiting in range(min(count + 1, len(left))))
            for count in range(size)
        ]
        change = max(abs(new - old) for new, old in zip(following, states, strict=True))
        states = following
        if change < 1e-9:
            return sum((count - slots) * share for count, share in enumerate(states) if count > slots) / rate


@pytest.mark.parametrize(
    ("slots", "utilization"),
    [(1, 0.5), (1, 0.8), (2, 0.5), (2, 0.8), (4, 0.5), (4, 0.8), (8, 0.6), (8, 0.8), (16, 0.7)],
)
def test_equal_runs_are_within_two_percent_of_the_exact_mean(slots: int, utilization: float):
    line = Line(slots * utilization, constant(1), slots)
    assert line.mean_wait == pytest.approx(crommelin(slots, utilization), rel=0.02)


def test_the_oracle_itself_for_one_slot_and_from_a_table():
    # Pollaczek and Khinchine: half of the wait of exponential runs.
    assert crommelin(1, 0.8) == pytest.approx(2.0, rel=1e-3)
    # L. P. Seelen, H. C. Tijms, M. H. van Hoorn, "Tables for Multi-Server Queues", 1985: 2 servers at 0.5.
    assert crommelin(2, 0.5) == pytest.approx(0.1767, abs=1e-4)


@pytest.mark.parametrize("utilization", [0.1, 0.5, 0.9])
def test_one_slot_and_exponential_runs(utilization: float):
    line = Line(utilization / 2, exponential(2), 1)
    assert line.waiting_share == pytest.approx(utilization)
    assert line.mean_wait == pytest.approx(2 * utilization / (1 - utilization))
    assert line.mean_waiting == pytest.approx(utilization**2 / (1 - utilization))
    for seconds in (0, 1, 10):
        beyond = utilization * math.exp(-(1 - utilization) * seconds / 2)
        assert line.wait_quantile(1 - beyond) == pytest.approx(seconds, abs=1e-9)


def test_five_slots_and_exponential_runs():
    line = Line(4, exponential(1), 5)
    assert line.mean_waiting == pytest.approx(2.216451, abs=1e-6)
    assert line.mean_wait == pytest.approx(0.554113, abs=1e-6)
    assert line.wait_quantile(0.99) == pytest.approx(math.log(0.554113 / 0.01), abs=1e-5)
    assert line.wait_quantile(0.4) == 0


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("utilization", [0.3, 0.8])
def test_one_slot_has_the_first_two_moments_of_pollaczek_and_takacs(service: Service, utilization: float):
    rate = utilization / service.mean
    line = Line(rate, service, 1)
    mean = rate * service.square / (2 * (1 - utilization))
    square = 2 * mean**2 + rate * service.cube / (3 * (1 - utilization))
    assert line.mean_wait == pytest.approx(mean)
    # The integral of the squared wait over all messages, in steps that shrink towards the longest waits.
    beyond = [utilization * 0.99**step for step in range(3000)]
    integral = sum(
        (more - less) * (line.wait_quantile(1 - more) ** 2 + line.wait_quantile(1 - less) ** 2) / 2
        for more, less in pairwise(beyond)
        if 1 - less < 1
    )
    assert integral == pytest.approx(square, rel=1e-3)


def test_a_line_with_too_few_slots_waits_without_end():
    for line in (Line(4, exponential(1), 4), Line(4, exponential(1), 0), Line(5, constant(1), 4)):
        assert line.utilization >= 1
        assert line.waiting_share == 1
        assert line.mean_wait == line.mean_waiting == line.wait_quantile(0.5) == math.inf


def test_a_line_without_load_does_not_wait():
    for line in (Line(0, exponential(1), 4), Line(3, constant(0), 1), Line(0, constant(0), 0)):
        assert line.utilization == line.waiting_share == line.mean_wait == line.mean_waiting == 0
        assert line.wait_quantile(0.999) == 0


def test_five_thousand_slots():
    service = lognormal(0.5, 5)
    line = Line(4900 / service.mean, service, 5000)
    assert 0 < line.wait_quantile(0.95) < line.wait_quantile(0.99) < 1
    assert math.isfinite(line.mean_wait)


@pytest.mark.parametrize("variation", [1e-3, 0.1, 1 / 3, 0.999, 1, 1.001, 3, 30, 1000])
def test_the_shape_has_the_variation(variation: float):
    inverse = 1 / weibull_shape(variation)
    assert math.gamma(1 + 2 * inverse) / math.gamma(1 + inverse) ** 2 == pytest.approx(
        1 + variation, rel=1e-5
    )


@settings(derandomize=True, deadline=None)
@given(
    st.sampled_from(SERVICES),
    st.integers(1, 300),
    st.floats(0.01, 0.98),
    st.floats(0.5, 0.999),
    st.floats(1.001, 1.5),
)
def test_waits_grow_with_traffic_and_fall_with_slots(
    service: Service, slots: int, utilization: float, share: float, factor: float
):
    rate = slots * utilization / service.mean
    line = Line(rate, service, slots)
    more_traffic, more_slots = line._replace(rate=rate * factor), line._replace(slots=slots + 1)
    for wait in (
        lambda each: each.wait_quantile(share),
        lambda each: each.mean_wait,
        lambda each: each.waiting_share,
    ):
        assert wait(more_slots) <= wait(line) * (1 + 1e-9) <= wait(more_traffic) * (1 + 1e-8)
