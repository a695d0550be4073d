"""Real deployments as workloads: the cases of `data/corpus`, and what they compile to."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import NamedTuple

from places import CORPUS

from policycompiler.compiler import Compilation, compile_workload


class Case(NamedTuple):
    """A deployment in one of its environments."""

    name: str
    environment: str | None = None

    def __str__(self) -> str:
        return f"{self.name} {self.environment or ''}".strip()

    @property
    def source(self) -> Path:
        return CORPUS / self.name / "workload.yaml"

    @property
    def policy(self) -> Path | None:
        found = self.source.with_name("policy.yaml")
        return found if found.exists() else None


CASES = [
    Case("augur"),
    Case("bookwyrm"),
    Case("bookwyrm", "systemd"),
    Case("intelowl"),
    Case("intelowl", "multi-queue"),
    Case("intelowl", "rabbitmq"),
    Case("intelowl", "sqs"),
    Case("kitsune"),
    Case("kitsune", "development"),
    Case("kpi"),
    Case("packit-service"),
    Case("safe-transaction-service"),
    Case("safe-transaction-service", "l2"),
    Case("saleor"),
    Case("saleor", "redis"),
]


@cache
def compiled(case: Case, *, ruled: bool = True) -> Compilation:
    policy = case.policy if ruled else None
    return compile_workload([case.source], environment=case.environment, policy=policy)
