"""How long a stop waits for running tasks before it kills them.

Decides:
    `worker:NAME/stop_timeout_seconds`, read alike by systemd, supervisor and every other target.

Because:
    A worker that is told to stop finishes its running tasks first. Killed before that, it loses those
    acknowledged early, and no exit status says so. The longest run bounds the wait
    (https://docs.celeryq.dev/en/stable/userguide/workers.html#stopping-the-worker). On prefork a stop now
    and then forgets a job that it has just handed to a child: the child waits 30 s to be heard, and the task
    runs once more.

Example:
    tasks: {shop.reports.yearly: {latency: batch, runtime: 2h}}

    worker:shop.batch.io/stop_timeout_seconds = 13532

Refuses:
    PC305 stop-timeout-short: raise the pin, or shorten the task's limit.
        fires:
            tasks: {shop.a: {queue: q, runtime: 100s}}
            workers: {q: {stop_timeout: 1m}}
        silent:
            tasks: {shop.a: {queue: q, runtime: 100s}}
            workers: {q: {stop_timeout: 199s}}

Parameters:
    `margin_seconds`: the time from the end of the longest run to the end of the process; 40.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from policycompiler.diagnostics import Diagnostic, error
from policycompiler.hazards.hazard import as_findings
from policycompiler.hazards.stops import runs_of, short_stops
from policycompiler.model import PolicyParameters, Workload
from policycompiler.plan import Decision, Derived, Parameter, Plan

NAME = "stop-timeout"

STOP_TIMEOUT_SHORT = error("PC305", "stop-timeout-short")


class Parameters(PolicyParameters):
    """What a policy file may set."""

    margin_seconds: Annotated[int, Field(ge=10, le=3600)] = Field(
        40, description="to acknowledge, close connections and leave; of these prefork may take 30"
    )


def apply(spec: Workload, plan: Plan, tuned: Parameters) -> Iterator[Decision | Diagnostic]:
    """Wait for the longest run that its worker may have begun."""
    del spec
    margin = tuned.margin_seconds
    for scope in plan.scopes("worker"):
        if plan.find(scope, "stop_timeout_seconds") is None:
            longest = max(runs_of(plan, scope))
            because = "the longest run of its tasks, and time to leave"
            origins = (
                Derived(longest.scope, longest.key),
                Parameter(("parameters", NAME, "margin_seconds"), margin),
            )
            timeout = longest.seconds + margin
            yield Decision(scope, "stop_timeout_seconds", timeout, because, origins)
    yield from as_findings(short_stops(plan), STOP_TIMEOUT_SHORT)
