"""Erlang's formulas for servers that take calls at random.

`load` is the mean number of busy servers if there were enough: arrivals per second times mean service time.
Both formulas are stable up to many thousands of servers, and need a number of steps that grows with the root
of the load only.

Source: A. K. Erlang, "Solution of some problems in the theory of probabilities of significance in automatic
telephone exchanges", 1917.
"""

from __future__ import annotations

import math

_NEGLIGIBLE = 1e-17
"""A share of the sum below the precision of a float."""


def erlang_b(servers: int, load: float) -> float:
    """The share of calls that find all servers busy and are lost.

    Raises:
        ValueError: `servers` or `load` is negative.
    """
    return 1 / _inverse_b(servers, load)


def erlang_c(servers: int, load: float) -> float:
    """The share of calls that find all servers busy and wait: M/M/c; 1 if the load is as large as `servers`.

    Raises:
        ValueError: `servers` or `load` is negative.
    """
    lost = _inverse_b(servers, load)
    if load >= servers:
        return 1.0
    free = 1 - load / servers
    return 1 / (lost * free + 1 - free)


def _inverse_b(servers: int, load: float) -> float:
    """One over Erlang B, as the sum over k of servers! / (servers - k)! / load^k.

    All terms are positive, so nothing cancels; the terms fall quickly once servers - k is below the load. The
    sum is infinite if Erlang B is below the smallest float.
    """
    if servers < 0 or load < 0:
        raise ValueError("the number of servers and the load are at least 0")
    if load == 0:
        return math.inf if servers else 1.0
    total = term = 1.0
    for left in range(servers, 0, -1):
        term *= left / load
        total += term
        if term < total * _NEGLIGIBLE or total == math.inf:
            break
    return total
