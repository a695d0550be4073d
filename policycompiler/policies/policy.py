"""What a policy is: a name, and a generator of decisions and diagnostics."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Protocol

from policycompiler.diagnostics import Diagnostic
from policycompiler.model import Workload
from policycompiler.plan import Decision, Origin, Parameter, Value, Written


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


def deployed(spec: Workload, field: str) -> tuple[Value, Origin] | None:
    """A field of `deploy` and its origin: that of the workload, else that of the policy file."""
    path = ("deploy", field)
    own = None if spec.deploy is None else getattr(spec.deploy, field)
    if own is not None:
        return own, Written(path)
    platforms = None if spec.platform.deploy is None else getattr(spec.platform.deploy, field)
    return None if platforms is None else (platforms, Parameter(path, platforms))
