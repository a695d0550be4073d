"""Moments of run times: closed forms, and the integral over the tail."""

from __future__ import annotations

import math
from itertools import pairwise
from statistics import NormalDist

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policycompiler.sizing import Service, constant, exponential, lognormal, mixture

Z99 = NormalDist().inv_cdf(0.99)


def by_integration(p50: float, p99: float, limit: float, power: int) -> float:
    """The mean of S^power, as the integral of power x^(power-1) P(S > x) up to the limit: Simpson in log x."""
    mu, sigma = math.log(p50), math.log(p99 / p50) / Z99

    def integrand(log: float) -> float:
        return power * math.exp(power * log) * NormalDist().cdf((mu - log) / sigma)

    steps = 4000
    low, high = mu - 12 * sigma, min(math.log(limit), mu + 14 * sigma)
    width = (high - low) / steps
    middle = sum(integrand(low + width * step) * (4 if step % 2 else 2) for step in range(1, steps))
    below = math.exp(power * low)
    return below + width / 3 * (integrand(low) + middle + integrand(high))


@pytest.mark.parametrize("limit", [None, 15.0, 11.0, 2.0])
@pytest.mark.parametrize(("p50", "p99"), [(1, 10), (0.1, 2), (1, 1.2)])
def test_a_lognormal_service_has_the_moments_of_its_distribution(p50: float, p99: float, limit: float | None):
    service = lognormal(p50, p99, limit)
    for power in (1, 2, 3):
        wanted = by_integration(p50, p99, limit or math.inf, power)
        assert service[power - 1] == pytest.approx(wanted, rel=1e-5)


def test_the_closed_forms_without_a_limit():
    service, sigma = lognormal(2, 20), math.log(10) / Z99
    assert service.mean == pytest.approx(2 * math.exp(sigma**2 / 2), rel=1e-5)
    assert service.variation == pytest.approx(math.exp(sigma**2) - 1, rel=1e-5)


def test_equal_percentiles_are_runs_of_equal_length():
    assert lognormal(3, 3) == constant(3)
    assert lognormal(3, 2) == constant(2)
    assert lognormal(3, 3, limit=1) == constant(1)
    assert constant(3).variation == 0
    assert constant(3).residual_mean == 1.5
    assert constant(3).residual_variation == pytest.approx(1 / 3)


def test_the_mean_without_a_median_is_that_of_the_declared_facts():
    assert lognormal(None, 10).mean == pytest.approx(5)


def test_the_rest_of_an_exponential_run_is_such_a_run():
    service = exponential(2)
    assert service.variation == pytest.approx(1)
    assert service.residual_mean == pytest.approx(2)
    assert service.residual_variation == pytest.approx(1)


def test_the_rest_of_runs_of_two_lengths():
    service = mixture([(3, constant(1)), (1, constant(5))])
    # Of a run seen at a random moment: 3 of 8 are short, so half of all take longer than another second.
    assert [service.rest_exceeded_by(share) for share in (1, 0.5, 0.25, 0)] == pytest.approx([0, 1, 3, 5])
    assert constant(4).rest_exceeded_by(0.25) == 3
    assert constant(0).rest_exceeded_by(0.5) == 0


def test_a_mixture_is_weighted_by_rate():
    service = mixture([(3, constant(1)), (1, constant(5)), (0, constant(1000))])
    assert service == Service(2, 7, 32)
    assert mixture([]) == constant(0)
    assert mixture([(0, constant(1))]) == constant(0)
    assert constant(0).variation == constant(0).residual_mean == constant(0).residual_variation == 0


@settings(derandomize=True, deadline=None)
@given(st.floats(1e-3, 1e4), st.floats(1, 100), st.floats(0.5, 5))
def test_a_limit_only_takes_away(p50: float, spread: float, of_p99: float):
    p99 = p50 * spread
    cut, whole = lognormal(p50, p99, p99 * of_p99), lognormal(p50, p99)
    for less, more in zip(cut, whole, strict=True):
        assert 0 < less <= more * (1 + 1e-9)
    # Moments of a positive variable grow (Lyapunov).
    roots = [moment ** (1 / power) for power, moment in enumerate(cut, 1)]
    assert all(low <= high * (1 + 1e-9) for low, high in pairwise(roots))


def test_an_absurd_spread_has_moments_and_a_mean_of_p99_at_most():
    service = lognormal(1e-6, 1e9)
    assert all(map(math.isfinite, service))
    assert service.mean == pytest.approx(1e9, rel=1e-3)
    assert 0 < service.rest_exceeded_by(0.01) < math.inf
