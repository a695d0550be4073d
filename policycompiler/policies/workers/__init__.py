"""The processes that run tasks: pool, slots, prefetch, recycling, stopping, names."""

from __future__ import annotations

from policycompiler.policies.policy import Policy
from policycompiler.policies.workers import (
    capacity,
    concurrency,
    container_resources,
    guard_checks,
    guard_store,
    leases,
    node_names,
    pool,
    prefetch,
    recycling,
    remote_control,
    resources,
    shared_calls,
    soft_shutdown,
    stop_timeout,
    worker_descriptions,
    worker_mix,
    worker_pins,
    worker_starts,
)

DECIDERS: tuple[Policy, ...] = (
    pool,
    resources,
    concurrency,
    prefetch,
    recycling,
    container_resources,
    leases,
    guard_store,
    shared_calls,
    stop_timeout,
    node_names,
    worker_descriptions,
)

CHECKS: tuple[Policy, ...] = (
    worker_pins,
    worker_mix,
    capacity,
    soft_shutdown,
    remote_control,
    worker_starts,
    guard_checks,
)
