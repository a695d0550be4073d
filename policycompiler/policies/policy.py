"""What a policy is: a name, and a generator of decisions and diagnostics."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Protocol

from policycompiler.diagnostics import Diagnostic
from policycompiler.plan import Decision, Parameter


class Policy(Protocol):
    """What a policy module offers."""

    NAME: str

    @property
    def apply(self) -> Callable[..., Iterator[Decision | Diagnostic]]:
        """`apply(spec, plan)` decides and objects, given what the user wrote and what has been settled.

        A policy that a policy file can tune has a class `Parameters`, and gets one as third argument.
        """
        ...


# A plan has a million origins. Tasks share the ones that are equal for all.


@lru_cache(typed=True)
def parameter(policy: str, key: str, value: float | str) -> Parameter:
    """A parameter of a policy as an origin."""
    return Parameter(("parameters", policy, key), value)


@lru_cache(typed=True)
def class_bound(latency: str, key: str, seconds: float) -> Parameter:
    """A bound of a latency class as an origin: `key` is the field of the class in the policy file."""
    return Parameter(("latency_classes", latency, key), seconds)
