"""All findings about a running deployment, from one look at it."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from policycompiler.diagnostics import Diagnostic
from policycompiler.plan import Plan
from policycompiler.reality.live import Live
from policycompiler.verify import beats, fleet, nodes, queues, reach, servers, tasks


def findings(plan: Plan, live: Live, paused: Collection[str] = ()) -> Iterator[Diagnostic]:
    """The differences between a plan and its deployment; only the reason if the look failed.

    Open breakers have `paused` these queues.
    """
    yield from reach.findings(plan, live)
    if live.workers is not None:
        yield from fleet.findings(plan, live.workers, live.broker)
        yield from nodes.findings(plan, live.workers, paused)
        yield from tasks.findings(plan, live.workers)
        yield from beats.findings(plan, live.workers, live.broker)
    if live.broker is not None:
        yield from queues.findings(plan, live.broker, live.workers, paused)
        yield from servers.findings(plan, live.broker)
