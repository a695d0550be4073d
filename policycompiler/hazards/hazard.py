"""What a hazard is: what a plan, as it stands, does to work."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from policycompiler.diagnostics import Diagnostic, Finding, Related, SpecPath
from policycompiler.plan import Plan, Scope, Written


class Effect(StrEnum):
    """What happens to work."""

    LOST = "lost"
    DOUBLED = "doubled"
    REFUSED = "refused"
    """By the broker or a client: processes do not start, or sends fail."""
    STALLED = "stalled"


class Hazard(NamedTuple):
    """What a plan does to work, by the name of the finding, and the settings that make it so."""

    name: str
    effect: Effect
    settings: tuple[tuple[Scope, str], ...]
    message: str
    help: str
    path: SpecPath
    related: tuple[Related, ...] = ()

    def as_finding(self, finding: Finding) -> Diagnostic:
        """As a user of `check` meets it."""
        return finding.at(self.path, self.message, help=self.help, related=self.related)


def place_of(plan: Plan, scope: Scope, *keys: str) -> SpecPath:
    """Where the workload says one of these settings; else the entry of the scope."""
    for key in keys:
        found = plan.find(scope, key)
        for origin in found.origins if found is not None else ():
            if isinstance(origin, Written):
                return origin.path
    return (f"{scope.kind}s", scope.name) if scope.name else (scope.kind,)
