"""Workers that prefetch all messages, so that other workers get none."""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import SpecPath
from policycompiler.hazards.hazard import Hazard
from policycompiler.plan import Plan

KEY = "prefetch_multiplier"


def unlimited_prefetch(plan: Plan) -> Iterator[Hazard]:
    """Report each pin once."""
    told: set[SpecPath] = set()
    for worker in plan.scopes("worker"):
        if plan.find(worker, KEY) is None or plan.get(worker, KEY) != 0:
            continue
        path = plan.written(worker, KEY) or ("workers", worker.name)
        if path in told:
            continue
        told.add(path)
        message = f"worker {worker.name} prefetches all messages into its memory, and other workers get none"
        help_text = "set a prefetch multiplier above 0, such as 1"
        yield Hazard("prefetch-unlimited", ((worker, KEY),), message, help_text, path)
