"""The one process that sends periodic tasks.

Decides:
    Where there is an enabled schedule, or a `beat:` section: `beat/scheduler`, `beat/host`,
    `beat/max_interval_seconds`, `beat/stop_timeout_seconds`, `beat/log_level`.

Because:
    Two beats send everything twice, and nothing tells them of each other. So there is one process, in a
    unit that cannot be instantiated, on one host.

Example:
    tasks: {shop.reports.nightly: {latency: batch}}
    schedules: {nightly: {task: shop.reports.nightly, cron: "0 3 * * *"}}

    beat/scheduler = "celery.beat:PersistentScheduler"

Refuses:
    PC502 beat-multiple: remove `beat: true` from the worker.

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, error
from policycompiler.model import Workload
from policycompiler.plan import APP, BEAT, Constant, Decision, Derived, Plan, Value, Written

NAME = "beat"

BEAT_MULTIPLE = error("PC502", "beat-multiple")

SCHEDULER = "celery.beat:PersistentScheduler"
"""Celery's own; keeps its state in one file."""
MAX_INTERVAL_SECONDS = 30
"""Celery sleeps up to 300 s; 30 s lets a monitor tell a slow beat from a dead one."""
STOP_TIMEOUT_SECONDS = 10
"""Beat has nothing to finish but its state file."""
LOG_LEVEL = "INFO"
"""One line a task that it sends."""


def apply(spec: Workload, plan: Plan) -> Iterator[Decision | Diagnostic]:
    """One beat, where anything is scheduled."""
    for name, worker in spec.workers.items():
        if worker.options is not None and worker.options.beat:
            message = (
                f"worker {name} runs a beat of its own: beside the one beat, or with a second process, "
                "every schedule is sent twice"
            )
            help_text = "remove `beat: true`; the compiler emits one beat process"
            yield BEAT_MULTIPLE.at(("workers", name, "options", "beat"), message, help=help_text)
    written = spec.beat
    # A scheduler of its own may keep entries that no workload knows (in a database, say).
    if not plan.scopes("schedule") and written is None:
        return
    if written is not None and written.scheduler is not None:
        origins = (Written(("beat", "scheduler")),)
        yield Decision(BEAT, "scheduler", written.scheduler, "pinned in the workload", origins)
    else:
        constant = (Constant("SCHEDULER", SCHEDULER),)
        yield Decision(
            BEAT, "scheduler", SCHEDULER, "keeps its state in one file, needs nothing else", constant
        )
    if written is not None and written.host is not None:
        yield Decision(BEAT, "host", written.host, "declared", (Written(("beat", "host")),))
    numbers: dict[str, tuple[Value, str]] = {
        "max_interval_seconds": (MAX_INTERVAL_SECONDS, "a monitor can tell a slow beat from a dead one"),
        "stop_timeout_seconds": (STOP_TIMEOUT_SECONDS, "it has nothing to finish but its state file"),
        "log_level": (LOG_LEVEL, "one line a task that it sends"),
    }
    interval = plan.find(APP, "beat_max_loop_interval")
    if interval is not None and interval.value:
        origins_interval = (Derived(APP, interval.key),)
        yield Decision(
            BEAT, "max_interval_seconds", interval.value, "pinned in the workload", origins_interval
        )
        del numbers["max_interval_seconds"]
    for key, (value, because) in numbers.items():
        yield Decision(BEAT, key, value, because, (Constant(key.upper(), value),))
