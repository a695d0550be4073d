"""All hazards: the ways in which a plan loses, repeats or delays work.

`check` reports the hazards of a plan, each by the policy that owns its finding. `diff` reports the hazards
that the new plan has and the old plan does not have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from policycompiler.hazards.acknowledgement import acknowledgement
from policycompiler.hazards.bindings import bindings
from policycompiler.hazards.broadcasts import broadcast_retries
from policycompiler.hazards.chords import chords
from policycompiler.hazards.connections import connections
from policycompiler.hazards.consumer_timeouts import consumer_timeouts
from policycompiler.hazards.critical import critical_messages
from policycompiler.hazards.dead_letters import consumed
from policycompiler.hazards.delays import overlapping, refused, stalled
from policycompiler.hazards.endless_runs import killed_again, put_back
from policycompiler.hazards.expiries import expiries
from policycompiler.hazards.external import external_tasks, unchecked_queues
from policycompiler.hazards.guards import guards
from policycompiler.hazards.hazard import EFFECTS, Effect, Hazard
from policycompiler.hazards.load import overloaded
from policycompiler.hazards.lost_connections import lost_connections
from policycompiler.hazards.lost_ways import lost_ways
from policycompiler.hazards.pools import computing, fixed_size, unkept_limits
from policycompiler.hazards.prefetch import unlimited_prefetch
from policycompiler.hazards.publishing import given_up, publishing
from policycompiler.hazards.queue_arguments import queue_arguments
from policycompiler.hazards.quorum import version_pairs
from policycompiler.hazards.rate_limits import below_rate, starving
from policycompiler.hazards.remote_control import remote_control
from policycompiler.hazards.results import unending_results
from policycompiler.hazards.retries import retried_twice, retried_without_end
from policycompiler.hazards.serialization import serialization
from policycompiler.hazards.sqs import sqs_queues
from policycompiler.hazards.stops import cold_stops, late_redeliveries, short_stops
from policycompiler.hazards.stored_schedules import stored_schedules
from policycompiler.hazards.time_limits import time_limits
from policycompiler.hazards.unconsumed import unconsumed
from policycompiler.hazards.visibility import held_too_long, hoarded
from policycompiler.hazards.waits import waits
from policycompiler.hazards.worker_starts import delayed_starve, worker_starts
from policycompiler.plan import Plan

__all__ = ["BOOK", "EFFECTS", "Effect", "Hazard", "hazards"]

BOOK: tuple[Callable[[Plan], Iterator[Hazard]], ...] = (
    acknowledgement,
    below_rate,
    bindings,
    broadcast_retries,
    chords,
    cold_stops,
    computing,
    connections,
    consumed,
    consumer_timeouts,
    critical_messages,
    delayed_starve,
    expiries,
    external_tasks,
    fixed_size,
    given_up,
    guards,
    held_too_long,
    hoarded,
    killed_again,
    late_redeliveries,
    lost_connections,
    lost_ways,
    overlapping,
    overloaded,
    publishing,
    put_back,
    queue_arguments,
    refused,
    remote_control,
    retried_twice,
    retried_without_end,
    serialization,
    short_stops,
    sqs_queues,
    stalled,
    starving,
    stored_schedules,
    time_limits,
    unchecked_queues,
    unconsumed,
    unending_results,
    unkept_limits,
    unlimited_prefetch,
    version_pairs,
    waits,
    worker_starts,
)
"""Each chapter; the policy on its subject describes it."""


def hazards(plan: Plan) -> Iterator[Hazard]:
    """All hazards of a plan."""
    for chapter in BOOK:
        yield from chapter(plan)
