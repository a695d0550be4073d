"""The single process that sends scheduled tasks.

Decides:
    If there is an enabled schedule, a `beat:` section, a worker with `beat: true`, or a result backend that
    beat must clean: `beat/scheduler`, `beat/host`, `beat/max_interval_seconds`,
    `beat/stop_timeout_seconds`, `beat/log_level`; and `app/beat_scheduler` if the workload names a
    scheduler.

Because:
    Two beat processes send every task twice, and neither notices the other. Therefore one process runs beat
    on one host, in a unit that cannot have several instances. No worker gets `-B`: a beat inside a worker
    stops with each restart of the worker, and each replica runs another beat. Results in a database stay
    there until beat sends `celery.backend_cleanup`, once a day
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
    PC516 beat-schedule-path: remove the setting; the command of beat names its schedule file.
        fires:
            celery: {settings: {beat_schedule_filename: /tmp/schedule}}
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, every: 1h}}
        silent:
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, every: 1h}}
    PC517 beat-in-worker: remove `beat: true`; beat has its own process.
        fires:
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, every: 1h}}
            workers: {w: {queues: [shop.standard.io], options: {beat: true}}}
        silent:
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, every: 1h}}
            workers: {w: {queues: [shop.standard.io], options: {beat: false}}}
    PC518 beat-embedded-green: remove `beat: true`; the worker would not start.
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
from policycompiler.knowledge.celery_defaults import BEAT_LOG_LEVEL
from policycompiler.model import Workload
from policycompiler.plan import (
    APP,
    BEAT,
    Constant,
    Decision,
    Default,
    Derived,
    Origin,
    Plan,
    Scope,
    Value,
    Written,
)

NAME = "beat"

BEAT_MULTIPLE = error("PC502", "beat-multiple")
BEAT_SCHEDULE_PATH = warning("PC516", "beat-schedule-path")
BEAT_IN_WORKER = warning("PC517", "beat-in-worker")
BEAT_EMBEDDED_GREEN = error("PC518", "beat-embedded-green")

SCHEDULER = "celery.beat:PersistentScheduler"
"""Celery's default, which keeps its state in one file."""
MAX_INTERVAL_SECONDS = 30
"""By default beat sleeps up to 300 s. With 30 s, a monitor can distinguish a slow beat from a dead one."""
STOP_TIMEOUT_SECONDS = 10
"""At a stop, beat only writes its state file."""
LOG_LEVEL = "INFO"
"""One log line for each sent task."""
CELERYS_INTERVAL_SECONDS = 300
"""The default of a scheduler that keeps its state in a file."""
CLEANED_BY_BEAT = frozenset({"database", "mongodb"})
"""Result backends that never delete results, and that Celery can clean."""


def apply(spec: Workload, plan: Plan) -> Iterator[Decision | Diagnostic]:
    """Decide one beat process if there is anything to send."""
    inside = [
        name for name, worker in spec.workers.items() if worker.options is not None and worker.options.beat
    ]
    cleaning = () if plan.as_is(APP) else _cleaning(plan)
    needed = bool(plan.scopes("schedule") or spec.beat is not None or cleaning)
    yield from _inside(plan, inside, needed=needed)
    # A custom scheduler may have entries that are not in the workload, for instance in a database.
    if not needed and not inside:
        return
    pinned_file = "beat_schedule_filename"
    if plan.find(APP, pinned_file) is not None:
        path: SpecPath = ("celery", "settings", pinned_file)
        message = f"`{pinned_file}` has no effect: the command of beat names its file, on a persistent disk"
        fix = (Remove(path),)
        help_text = f"remove `{pinned_file}`"
        yield BEAT_SCHEDULE_PATH.at(path, message, help=help_text, at_key=True, fix=fix)
    yield from _decisions(spec, plan, cleaning)


def _cleaning(plan: Plan) -> tuple[Origin, ...]:
    """The setting that requires beat to delete results, if any."""
    if plan.get(APP, "result_backend_kind") not in CLEANED_BY_BEAT:
        return ()
    return (Derived(APP, "result_expires"),) if plan.get(APP, "result_expires") else ()


def _inside(plan: Plan, names: list[str], *, needed: bool) -> Iterator[Diagnostic]:
    for name in names:
        scope, path = Scope("worker", name), ("workers", name, "options", "beat")
        replicas, pool = plan.number(scope, "replicas"), plan.value(scope, "pool")
        # The fix needs another reason to run beat.
        fix: Fix = (Remove(path),) if needed else ()
        help_text = "remove `beat: true`; beat has its own process"
        if not needed:
            help_text = "remove `beat: true`, and add the section `beat: {}`; beat has its own process"
        if pools.pool(str(pool)).green:
            message = f"worker {name} runs beat, but a worker with pool {pool} and beat does not start"
            yield BEAT_EMBEDDED_GREEN.at(path, message, help=help_text, fix=fix)
        elif replicas > 1 or len(names) > 1:
            message = (
                f"worker {name} has `beat: true` and `replicas: {replicas:g}`: each process runs a beat, so "
                f"each scheduled task is sent {replicas:g} times"
                if replicas > 1
                else f"worker {name} runs a second beat, so each scheduled task is sent more than once"
            )
            others = tuple(
                Related(("workers", other, "options", "beat"), "another beat")
                for other in names
                if other != name
            )
            yield BEAT_MULTIPLE.at(path, message, help=help_text, related=others, fix=fix)
        else:
            message = (
                f"worker {name} runs beat: beat stops with each restart of the worker, and a second worker "
                "process would send every task twice"
            )
            yield BEAT_IN_WORKER.at(path, message, help=help_text, fix=fix)


def _left_to_celery(plan: Plan, key: str, value: Value, name: str) -> Decision:
    because = "the workload does not set it, and this is Celery's default"
    return Decision(BEAT, key, value, because, (Default(name, plan.text(APP, "celery_version")),))


def _decisions(spec: Workload, plan: Plan, cleaning: tuple[Origin, ...]) -> Iterator[Decision]:
    written = spec.beat
    if written is not None and written.scheduler is not None:
        origins: tuple[Origin, ...] = (Written(("beat", "scheduler")),)
        yield Decision(BEAT, "scheduler", written.scheduler, "the workload pins it", origins)
        because = "`celery beat` without `--scheduler` must start the same scheduler"
        yield Decision(APP, "beat_scheduler", written.scheduler, because, (Derived(BEAT, "scheduler"),))
    elif plan.as_is(BEAT):
        yield _left_to_celery(plan, "scheduler", SCHEDULER, "beat_scheduler")
    else:
        origins = (Constant("SCHEDULER", SCHEDULER), *cleaning)
        because = "this scheduler keeps its state in one file and needs nothing else"
        if cleaning:
            because += "; it sends celery.backend_cleanup, which deletes old results"
        yield Decision(BEAT, "scheduler", SCHEDULER, because, origins)
    if written is not None and written.host is not None:
        yield Decision(
            BEAT, "host", written.host, "the workload declares `beat.host`", (Written(("beat", "host")),)
        )
    yield _max_interval(plan)
    because = "at a stop, beat only writes its state file"
    stop = Constant("STOP_TIMEOUT_SECONDS", STOP_TIMEOUT_SECONDS)
    yield Decision(BEAT, "stop_timeout_seconds", STOP_TIMEOUT_SECONDS, because, (stop,))
    if plan.as_is(BEAT):
        yield _left_to_celery(plan, "log_level", BEAT_LOG_LEVEL, "--loglevel")
    else:
        because = "INFO logs one line for each sent task"
        yield Decision(BEAT, "log_level", LOG_LEVEL, because, (Constant("LOG_LEVEL", LOG_LEVEL),))


def _max_interval(plan: Plan) -> Decision:
    """The longest sleep of beat: pinned, that of its store, or that of the policy."""
    key = "max_interval_seconds"
    interval = plan.find(APP, "beat_max_loop_interval")
    noticed = STORES.get(str(plan.get(BEAT, "store")), NO_STORE).max_interval_seconds
    if interval is not None and interval.value:
        return Decision(BEAT, key, interval.value, "the workload pins it", (Derived(APP, interval.key),))
    if plan.as_is(BEAT):
        return _left_to_celery(plan, key, noticed or CELERYS_INTERVAL_SECONDS, "--max-interval")
    if noticed:
        because = "beat reads changes in its store within this time"
        return Decision(BEAT, key, noticed, because, (Derived(BEAT, "store"),))
    because = "with this interval a monitor can distinguish a slow beat from a dead one"
    return Decision(
        BEAT, key, MAX_INTERVAL_SECONDS, because, (Constant("MAX_INTERVAL_SECONDS", MAX_INTERVAL_SECONDS),)
    )
