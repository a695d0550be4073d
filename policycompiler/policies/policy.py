"""What a policy is: a name, and a generator of decisions and diagnostics."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from policycompiler.diagnostics import Diagnostic
from policycompiler.plan import Decision


class Policy(Protocol):
    """What a policy module offers."""

    NAME: str

    @property
    def apply(self) -> Callable[..., Iterator[Decision | Diagnostic]]:
        """`apply(spec, plan)` decides and objects, given what the user wrote and what has been settled.

        A policy that a policy file can tune has a class `Parameters`, and gets one as third argument.
        """
        ...
