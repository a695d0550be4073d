"""How long a stop waits for runs in progress before KILL.

Decides:
    `worker:NAME/stop_timeout_seconds`, which systemd, supervisor and all other targets use.

Because:
    A worker that receives TERM first finishes its runs. If KILL comes earlier, runs acknowledged early are
    lost, and no exit status reports it. The longest run bounds the wait
    (https://docs.celeryq.dev/en/stable/userguide/workers.html#stopping-the-worker). On prefork, a stopping
    worker sometimes forgets a task that it has just sent to a child process. The child process then waits
    30 s, and the task runs again.

Example:
    tasks: {shop.reports.yearly: {latency: batch, runtime: 2h}}

    worker:shop.batch.io/stop_timeout_seconds = 13532

Refuses:
    PC305 stop-timeout-short: raise `stop_timeout`, or lower the task's hard time limit.
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
from policycompiler.plan import Decision, Derived, Plan
from policycompiler.policies.policy import parameter

NAME = "stop-timeout"

STOP_TIMEOUT_SHORT = error("PC305", "stop-timeout-short")


class Parameters(PolicyParameters):
    """The parameters of the policy."""

    margin_seconds: Annotated[int, Field(ge=10, le=3600)] = Field(
        40, description="time to acknowledge, close connections and exit; prefork may need 30 s of it"
    )


def apply(spec: Workload, plan: Plan, tuned: Parameters) -> Iterator[Decision | Diagnostic]:
    """Wait for the longest run that the worker may have started."""
    del spec
    margin = tuned.margin_seconds
    for scope in plan.scopes("worker"):
        if plan.find(scope, "stop_timeout_seconds") is None:
            longest = max(runs_of(plan, scope))
            because = "the stop must wait for the longest run, plus time to exit"
            origins = (
                Derived(longest.scope, longest.key),
                parameter(NAME, "margin_seconds", margin),
            )
            timeout = longest.seconds + margin
            yield Decision(scope, "stop_timeout_seconds", timeout, because, origins)
    yield from as_findings(short_stops(plan), STOP_TIMEOUT_SHORT)
