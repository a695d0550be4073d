"""One book of hazards: what a plan, as it stands, does to work.

`check` reports those of a plan, each by the policy that owns its finding; `diff` reports those that the new
plan has and the old one has not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from policycompiler.hazards.bindings import bindings
from policycompiler.hazards.broadcasts import broadcast_retries
from policycompiler.hazards.connections import connections
from policycompiler.hazards.critical import critical_messages
from policycompiler.hazards.external import external_tasks, unchecked_queues
from policycompiler.hazards.hazard import Effect, Hazard
from policycompiler.hazards.lost_connections import lost_connections
from policycompiler.hazards.queue_arguments import queue_arguments
from policycompiler.hazards.quorum import version_pairs
from policycompiler.hazards.rate_limits import starving
from policycompiler.hazards.remote_control import remote_control
from policycompiler.hazards.results import unending_results
from policycompiler.hazards.sqs import sqs_queues
from policycompiler.hazards.stored_schedules import stored_schedules
from policycompiler.plan import Plan

__all__ = ["BOOK", "Effect", "Hazard", "hazards"]

BOOK: tuple[Callable[[Plan], Iterator[Hazard]], ...] = (
    bindings,
    broadcast_retries,
    connections,
    critical_messages,
    external_tasks,
    lost_connections,
    queue_arguments,
    remote_control,
    sqs_queues,
    starving,
    stored_schedules,
    unchecked_queues,
    unending_results,
    version_pairs,
)
"""Each chapter; a policy of its subject tells what is in it."""


def hazards(plan: Plan) -> Iterator[Hazard]:
    """All that a plan does to work."""
    for chapter in BOOK:
        yield from chapter(plan)
