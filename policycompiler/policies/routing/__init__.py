"""The queue of each task, the workers that consume it, pins for all workers, and how queues are declared."""

from __future__ import annotations

from policycompiler.policies.policy import Policy
from policycompiler.policies.routing import (
    app_wide_pins,
    consumer_timeout,
    consumers,
    lost_ways,
    placement,
    queue_arguments,
    queue_declarations,
    queue_promises,
    renames,
    shared_exchanges,
)

DECIDERS: tuple[Policy, ...] = (
    placement,
    consumers,
    renames,
    app_wide_pins,
    queue_promises,
    queue_declarations,
    consumer_timeout,
)

CHECKS: tuple[Policy, ...] = (
    queue_arguments,
    shared_exchanges,
    lost_ways,
)
