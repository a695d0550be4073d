"""What a page is about: a plan, with its sources and findings where it was compiled from sources."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from policycompiler.diagnostics import Diagnostic
from policycompiler.load import Document
from policycompiler.plan import Plan
from policycompiler.report.review import Reviewed


class Subject(NamedTuple):
    """A plan to show. `label` is the user's name for it; `name` is the service with its environment.

    A plan that was read from a file has no findings, and an empty document. `hidden` is the number of
    findings that a baseline hides.
    """

    label: str
    name: str
    plan: Plan
    document: Document
    findings: Sequence[Diagnostic] | None = None
    hidden: int = 0

    @property
    def sourced(self) -> bool:
        """Whether its sources were read, so that places are known."""
        return self.findings is not None


class Before(NamedTuple):
    """The earlier plan that the page compares with, and the review of both."""

    plan: Plan
    reviewed: Reviewed
