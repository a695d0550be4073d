"""The one process that sends periodic tasks.

Decides:
    Where there is an enabled schedule, a `beat:` section, a worker that asks for beat, or a store of results
    that beat has to clean: `beat/scheduler`, `beat/host`, `beat/max_interval_seconds`,
    `beat/stop_timeout_seconds`, `beat/log_level`; `app/beat_scheduler` where the workload names a scheduler.

Because:
    Two beats send everything twice, and nothing tells them of each other. So there is one process, in a
    unit that cannot be instantiated, on one host, and no worker gets `-B`: a beat inside a worker stops with
    each of its restarts and doubles with each of its replicas. Results in a database stay there until beat
    sends `celery.backend_cleanup`, once a day
    (https://docs.celeryq.dev/en/stable/userguide/periodic-tasks.html#starting-the-scheduler).

Example:
    tasks: {shop.reports.nightly: {latency: batch}}
    schedules: {nightly: {task: shop.reports.nightly, cron: "0 3 * * *"}}

    beat/scheduler = "celery.beat:PersistentScheduler"

Refuses:
    PC502 beat-multiple: remove `beat: true` from the workers.
        fires:
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, every: 1h}}
            workers: {w: {queues: [shop.standard.io], replicas: 2, options: {beat: true}}}
        silent:
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, every: 1h}}
            workers: {w: {queues: [shop.standard.io], replicas: 2}}
    PC516 beat-schedule-path: remove it; the command of beat names its file.
        fires:
            celery: {settings: {beat_schedule_filename: /tmp/schedule}}
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, every: 1h}}
        silent:
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, every: 1h}}
    PC517 beat-in-worker: remove `beat: true`; beat gets a process of its own.
        fires:
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, every: 1h}}
            workers: {w: {queues: [shop.standard.io], options: {beat: true}}}
        silent:
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, every: 1h}}
            workers: {w: {queues: [shop.standard.io], options: {beat: false}}}
    PC518 beat-embedded-green: remove `beat: true`; such a worker would not start.
        fires:
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, every: 1h}}
            workers: {w: {queues: [shop.standard.io], pool: gevent, options: {beat: true}}}
        silent:
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, every: 1h}}
            workers: {w: {queues: [shop.standard.io], pool: gevent}}

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, Fix, Related, Remove, SpecPath, error, warning
from policycompiler.knowledge import pools
from policycompiler.knowledge.beat_schedulers import NO_STORE, STORES
from policycompiler.model import Workload
from policycompiler.plan import APP, BEAT, Constant, Decision, Derived, Origin, Plan, Scope, Value, Written

NAME = "beat"

BEAT_MULTIPLE = error("PC502", "beat-multiple")
BEAT_SCHEDULE_PATH = warning("PC516", "beat-schedule-path")
BEAT_IN_WORKER = warning("PC517", "beat-in-worker")
BEAT_EMBEDDED_GREEN = error("PC518", "beat-embedded-green")

SCHEDULER = "celery.beat:PersistentScheduler"
"""Celery's own; keeps its state in one file."""
MAX_INTERVAL_SECONDS = 30
"""Celery sleeps up to 300 s; 30 s lets a monitor tell a slow beat from a dead one."""
STOP_TIMEOUT_SECONDS = 10
"""Beat has nothing to finish but its state file."""
LOG_LEVEL = "INFO"
"""One line a task that it sends."""
CLEANED_BY_BEAT = frozenset({"database", "mongodb"})
"""Stores that forget nothing by themselves and that Celery knows how to clean."""


def apply(spec: Workload, plan: Plan) -> Iterator[Decision | Diagnostic]:
    """One beat, where anything is scheduled."""
    inside = [
        name for name, worker in spec.workers.items() if worker.options is not None and worker.options.beat
    ]
    cleaning = _cleaning(plan)
    needed = bool(plan.scopes("schedule") or spec.beat is not None or cleaning)
    yield from _inside(plan, inside, needed=needed)
    # A scheduler of its own may keep entries that no workload knows (in a database, say).
    if not needed and not inside:
        return
    pinned_file = "beat_schedule_filename"
    if plan.find(APP, pinned_file) is not None:
        path: SpecPath = ("celery", "settings", pinned_file)
        message = "the command of beat names its file, on a disk that outlives it; this changes nothing"
        fix = (Remove(path),)
        yield BEAT_SCHEDULE_PATH.at(path, message, help="remove it", at_key=True, fix=fix)
    yield from _decisions(spec, plan, cleaning)


def _cleaning(plan: Plan) -> tuple[Origin, ...]:
    """From what follows that results have to be deleted; nothing where nobody has to."""
    if plan.get(APP, "result_backend_kind") not in CLEANED_BY_BEAT:
        return ()
    return (Derived(APP, "result_expires"),) if plan.get(APP, "result_expires") else ()


def _inside(plan: Plan, names: list[str], *, needed: bool) -> Iterator[Diagnostic]:
    for name in names:
        scope, path = Scope("worker", name), ("workers", name, "options", "beat")
        replicas, pool = plan.number(scope, "replicas"), plan.value(scope, "pool")
        # Where beat is needed anyway, no worker has to ask for it.
        fix: Fix = (Remove(path),) if needed else ()
        help_text = "remove `beat: true`; beat gets a process of its own"
        if not needed:
            help_text = "write `beat: {}` instead; beat gets a process of its own"
        if pools.pool(str(pool)).green:
            message = f"worker {name} is to run a beat inside, but with the pool {pool} it would not start"
            yield BEAT_EMBEDDED_GREEN.at(path, message, help=help_text, fix=fix)
        elif replicas > 1 or len(names) > 1:
            of = f"{replicas:g} processes of worker {name}" if replicas > 1 else f"worker {name}"
            message = f"{of} are to run a beat each" if replicas > 1 else f"{of} is to run a second beat"
            message += ": every schedule would be sent that often"
            others = tuple(
                Related(("workers", other, "options", "beat"), "and here") for other in names if other != name
            )
            yield BEAT_MULTIPLE.at(path, message, help=help_text, related=others, fix=fix)
        else:
            message = (
                f"worker {name} is to run beat inside: it would stop with each restart of the worker, and a "
                "second process would send every schedule twice"
            )
            yield BEAT_IN_WORKER.at(path, message, help=help_text, fix=fix)


def _decisions(spec: Workload, plan: Plan, cleaning: tuple[Origin, ...]) -> Iterator[Decision]:
    written = spec.beat
    if written is not None and written.scheduler is not None:
        origins: tuple[Origin, ...] = (Written(("beat", "scheduler")),)
        yield Decision(BEAT, "scheduler", written.scheduler, "pinned in the workload", origins)
        because = "`celery beat` without `--scheduler` starts the same one"
        yield Decision(APP, "beat_scheduler", written.scheduler, because, (Derived(BEAT, "scheduler"),))
    else:
        origins = (Constant("SCHEDULER", SCHEDULER), *cleaning)
        because = "keeps its state in one file, needs nothing else"
        if cleaning:
            because += "; sends celery.backend_cleanup, which deletes old results"
        yield Decision(BEAT, "scheduler", SCHEDULER, because, origins)
    if written is not None and written.host is not None:
        yield Decision(BEAT, "host", written.host, "declared", (Written(("beat", "host")),))
    numbers: dict[str, tuple[Value, str]] = {
        "max_interval_seconds": (MAX_INTERVAL_SECONDS, "a monitor can tell a slow beat from a dead one"),
        "stop_timeout_seconds": (STOP_TIMEOUT_SECONDS, "it has nothing to finish but its state file"),
        "log_level": (LOG_LEVEL, "one line a task that it sends"),
    }
    interval = plan.find(APP, "beat_max_loop_interval")
    noticed = STORES.get(str(plan.get(BEAT, "store")), NO_STORE).max_interval_seconds
    if interval is not None and interval.value:
        origins_interval = (Derived(APP, interval.key),)
        yield Decision(
            BEAT, "max_interval_seconds", interval.value, "pinned in the workload", origins_interval
        )
        del numbers["max_interval_seconds"]
    elif noticed:
        because = "beat notices within this time what somebody changes in its store"
        del numbers["max_interval_seconds"]
        yield Decision(BEAT, "max_interval_seconds", noticed, because, (Derived(BEAT, "store"),))
    for key, (value, because) in numbers.items():
        yield Decision(BEAT, key, value, because, (Constant(key.upper(), value),))
