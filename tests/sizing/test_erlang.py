"""Erlang's formulas: exact fractions, published tables, and sizes at which a naive sum overflows."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policycompiler.sizing import erlang_b, erlang_c


def exact_b(servers: int, load: Fraction) -> Fraction:
    """The definition: the last of the terms load^k / k!, over their sum."""
    term = total = Fraction(1)
    for count in range(1, servers + 1):
        term *= load / count
        total += term
    return term / total


def exact_c(servers: int, load: Fraction) -> Fraction:
    """The definition of M/M/c: the last term stands for all states with waiting calls."""
    term = below = Fraction(1)
    for count in range(1, servers):
        term *= load / count
        below += term
    above = (term * load / servers if servers > 1 else load) / (1 - load / servers)
    return above / (below + above)


LOADS = [
    (1, "1/2"),
    (2, "1"),
    (3, "2"),
    (5, "4"),
    (8, "1/100"),
    (10, "8"),
    (40, "39"),
    (120, "100"),
    (300, "299"),
]


@pytest.mark.parametrize(("servers", "load"), LOADS)
def test_both_are_exact_to_nine_digits(servers: int, load: str):
    exact = Fraction(load)
    assert erlang_b(servers, float(exact)) == pytest.approx(float(exact_b(servers, exact)), rel=1e-9)
    assert erlang_c(servers, float(exact)) == pytest.approx(float(exact_c(servers, exact)), rel=1e-9)


@pytest.mark.parametrize(
    ("servers", "load", "lost"),
    [
        *((1, 0.0101, 0.01), (10, 4.461, 0.01), (20, 12.03, 0.01), (50, 37.90, 0.01), (100, 84.06, 0.01)),
        *((10, 5.084, 0.02), (100, 87.97, 0.02)),
    ],
)
def test_the_traffic_tables_of_telephony(servers: int, load: float, lost: float):
    # The Erlang B table that textbooks and ITU-D's teletraffic handbook print: load per number of trunks.
    assert erlang_b(servers, load) == pytest.approx(lost, rel=1.5e-3)


@pytest.mark.parametrize(
    ("servers", "load", "waits", "waiting"),
    # D. Gross and C. M. Harris, "Fundamentals of Queueing Theory": M/M/c with c=3, r=2 is their example.
    [
        (3, 2, 4 / 9, 8 / 9),
        (2, 1, 1 / 3, 1 / 3),
        (4, 2, 4 / 23, 4 / 23),
        (5, 4, 0.554113, 2.216451),
        (10, 9, 0.668732, 6.018584),
    ],
)
def test_the_chance_to_wait_and_the_length_in_textbooks(
    servers: int, load: float, waits: float, waiting: float
):
    chance = erlang_c(servers, load)
    assert chance == pytest.approx(waits, abs=1e-6)
    assert chance * load / (servers - load) == pytest.approx(waiting, abs=1e-5)


def test_five_thousand_servers():
    # The recurrence from 1 server upwards is the other stable way.
    lost = 1.0
    for count in range(1, 5001):
        lost = 4900 * lost / (count + 4900 * lost)
    assert erlang_b(5000, 4900) == pytest.approx(lost, rel=1e-9)
    assert erlang_c(5000, 4900) == pytest.approx(lost / (1 - 0.98 * (1 - lost)), rel=1e-9)


def test_the_ends():
    assert erlang_b(0, 3) == 1
    assert erlang_b(3, 0) == 0
    assert erlang_b(5000, 1) == 0
    assert erlang_c(5000, 1) == 0
    assert erlang_c(4, 4) == 1
    assert erlang_c(4, 5) == 1
    assert erlang_c(4, 4 * (1 - 1e-12)) == pytest.approx(1)
    with pytest.raises(ValueError, match="at least 0"):
        erlang_b(-1, 1)
    with pytest.raises(ValueError, match="at least 0"):
        erlang_c(1, -1)


@settings(derandomize=True, deadline=None)
@given(st.integers(1, 5000), st.floats(0.001, 6000))
def test_more_servers_help_and_more_load_harms(servers: int, load: float):
    for formula in (erlang_b, erlang_c):
        chance = formula(servers, load)
        assert 0 <= chance <= 1
        assert math.isfinite(chance)
        assert formula(servers + 1, load) <= chance
        assert formula(servers, load * 1.01) >= chance * (1 - 1e-12)
