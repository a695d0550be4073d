"""Compares a plan with reality: pure functions from a plan and looks to findings."""

from __future__ import annotations

from policycompiler.diagnostics import Finding
from policycompiler.verify import (
    agreement,
    audit,
    beats,
    broker_files,
    code,
    files,
    fleet,
    guard_store,
    nodes,
    queues,
    reach,
    servers,
    tasks,
)

FINDINGS = tuple(
    found
    for module in (
        *(files, agreement, broker_files, code, audit, reach),
        *(fleet, nodes, tasks, queues, servers, beats, guard_store),
    )
    for found in vars(module).values()
    if isinstance(found, Finding)
)
"""All findings about reality. A check of a workload has none of them, so it judges no waiver of them."""
