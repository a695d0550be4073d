"""Runs that expire before they can start.

Decides:
    Nothing.

Because:
    The time to an expiry starts when the message is published. A worker discards an expired message. So if
    the countdown is as long as the expiry or longer, no run starts. The latency target of a class says how
    long a task may wait in its queue. If the expiry is shorter, the worker also discards runs that are on
    time (https://docs.celeryq.dev/en/stable/userguide/calling.html#expiration).

Example:
    tasks: {shop.cart.remind: {expires: 1m, max_countdown: 10m}}

    refuses expires-before-countdown

Refuses:
    PC265 expires-before-countdown: declare an expiry after the countdown, or shorten the countdown.
        fires: tasks: {shop.a: {expires: 1m, max_countdown: 10m}}
        silent: tasks: {shop.a: {expires: 11m, max_countdown: 10m}}
    PC266 expires-within-promise: declare a later expiry, or choose a faster latency class.
        fires:
            tasks: {shop.a: {latency: batch}}
            schedules: {s: {task: shop.a, every: 1h, expires: 10s}}
        silent:
            tasks: {shop.a: {latency: batch}}
            schedules: {s: {task: shop.a, every: 1h, expires: 15m}}

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, error, warning
from policycompiler.hazards.expiries import expiries
from policycompiler.hazards.hazard import as_findings
from policycompiler.model import Workload
from policycompiler.plan import Plan

NAME = "expiry-checks"

EXPIRES_BEFORE_COUNTDOWN = error("PC265", "expires-before-countdown")
EXPIRES_WITHIN_PROMISE = warning("PC266", "expires-within-promise")


def apply(spec: Workload, plan: Plan) -> Iterator[Diagnostic]:
    """Each declared expiry, of tasks and of schedules."""
    del spec
    return as_findings(expiries(plan), EXPIRES_BEFORE_COUNTDOWN, EXPIRES_WITHIN_PROMISE)
