"""Workers that keep messages from others."""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import SpecPath
from policycompiler.hazards.hazard import Hazard
from policycompiler.plan import Plan

KEY = "prefetch_multiplier"


def unlimited_prefetch(plan: Plan) -> Iterator[Hazard]:
    """Of each pin once."""
    told: set[SpecPath] = set()
    for worker in plan.scopes("worker"):
        if plan.find(worker, KEY) is None or plan.get(worker, KEY) != 0:
            continue
        path = plan.written(worker, KEY) or ("workers", worker.name)
        if path in told:
            continue
        told.add(path)
        message = (
            f"worker {worker.name} takes every message there is into its memory, and other workers get none"
        )
        help_text = "set a number, 1 where in doubt"
        yield Hazard("prefetch-unlimited", ((worker, KEY),), message, help_text, path)
