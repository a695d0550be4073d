"""Runs that expire before they can start.

Decides:
    Nothing.

Because:
    An expiry counts from the send. A worker that takes an expired message drops it without running it, so a
    countdown that is not shorter lets no run start. A latency class says how long a task may wait in its
    queue: a shorter expiry drops runs that are on time
    (https://docs.celeryq.dev/en/stable/userguide/calling.html#expiration).

Example:
    tasks: {shop.cart.remind: {expires: 1m, max_countdown: 10m}}

    refuses expires-before-countdown

Refuses:
    PC265 expires-before-countdown: let it expire after the countdown, or shorten the countdown.
        fires: tasks: {shop.a: {expires: 1m, max_countdown: 10m}}
        silent: tasks: {shop.a: {expires: 11m, max_countdown: 10m}}
    PC266 expires-within-promise: let it expire later, or choose a shorter latency class.
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
    """Each expiry that is written, of tasks and of schedules."""
    del spec
    return as_findings(expiries(plan), EXPIRES_BEFORE_COUNTDOWN, EXPIRES_WITHIN_PROMISE)
