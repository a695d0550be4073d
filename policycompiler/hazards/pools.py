"""Pools that do not stop a run that hangs, and pools that run all tasks in one process."""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Related, SpecPath
from policycompiler.hazards.hazard import Hazard
from policycompiler.knowledge import pools
from policycompiler.plan import APP, Plan, Scope, Written

LIMITS = ("time_limit", "soft_time_limit")
CELERY_WITH_SLOW_GREEN = (5, 7)
"""Its synchronous loop, which green pools run, waits 0.1 s for events after every message."""
MOST_RELATED = 5
"""Places that a finding shows; the others are counted."""


def slowed_by_events(plan: Plan, pool: str) -> bool:
    """Whether events would limit a worker with this pool to ten tasks a second."""
    return (
        plan.broker.heartbeats
        and pools.pool(pool).green
        and plan.version(APP, "celery_version") == CELERY_WITH_SLOW_GREEN
        and plan.get(APP, "broker_heartbeat") != 0
    )


def unkept_limits(plan: Plan) -> Iterator[Hazard]:
    """For each worker: the limits that its pool does not apply, and how many of them are pinned."""
    for worker in plan.scopes("worker"):
        pool = pools.pool(plan.text(worker, "pool"))
        if pool.soft:
            continue
        pins = _pins(plan, worker)
        ignored = [path for path, limit in pins.items() if not pool.hard or limit == "soft_time_limit"]
        if ignored:
            yield _ignored(plan, worker, ignored)
        pinned = {path[1] for path in pins}
        unkept = [name for name in plan.texts(worker, "tasks") if name not in pinned]
        if unkept and not pool.hard:
            yield _unkept(plan, worker, unkept)


def fixed_size(plan: Plan) -> Iterator[Hazard]:
    """Workers with autoscale in a pool that cannot grow."""
    for worker in plan.scopes("worker"):
        name, bounds = plan.text(worker, "pool"), plan.get(worker, "autoscale")
        if not isinstance(bounds, dict) or name not in pools.POOLS or pools.POOLS[name].autoscales:
            continue
        least, most = int(str(bounds["min"])), int(str(bounds["max"]))
        if least >= most:
            continue  # another finding
        has_slots = pools.POOLS[name].slots
        then = "the worker exits with an error when it tries" if has_slots else "it has one slot"
        message = f"a {name} pool cannot grow from {least} slots to {most}: {then}"
        help_text = f"write `concurrency: {most if has_slots else 1}`, or use `pool: prefork`"
        path: SpecPath = ("workers", worker.name, "concurrency")
        settings = ((worker, "autoscale"), (worker, "pool"))
        yield Hazard("autoscale-off-prefork", settings, message, help_text, path)


def computing(plan: Plan) -> Iterator[Hazard]:
    """CPU-bound tasks in a pool whose tasks all share a process."""
    for worker in plan.scopes("worker"):
        pool = plan.text(worker, "pool")
        if pool not in pools.POOLS or not pools.POOLS[pool].shares_process:
            continue
        here = (Related(_place(plan, worker), f"worker {worker.name} uses pool {pool}"),)
        for name in plan.texts(worker, "tasks"):
            task = Scope("task", name)
            if plan.get(task, "work") == "cpu":
                message = f"{name} is CPU-bound (`work: cpu`), but pool {pool} runs all tasks in one process"
                help_text = "use `pool: prefork`, or give this task another worker"
                settings = ((worker, "pool"), (task, "work"))
                path: SpecPath = ("tasks", name, "work")
                yield Hazard("pool-cpu-green", settings, message, help_text, path, here, about=(task,))


def _pins(plan: Plan, worker: Scope) -> dict[SpecPath, str]:
    """The limits that its tasks pin, by their place."""
    pins: dict[SpecPath, str] = {}
    for name in plan.texts(worker, "tasks"):
        for limit in LIMITS:
            path: SpecPath = ("tasks", name, "options", limit)
            found = plan.find(Scope("task", name), f"options.{limit}")
            if found is not None and found.value is not None and Written(path) in found.origins:
                pins[path] = limit
    return pins


def _ignored(plan: Plan, worker: Scope, ignored: list[SpecPath]) -> Hazard:
    pool = plan.text(worker, "pool")
    ends_runs = pools.pool(pool).hard
    first, more = ignored[0], len(ignored) - 1
    others = f" (and {more} more pinned limit{'s' * (more > 1)})" if more else ""
    ignores = "ignores it: only the hard time limit stops a run" if ends_runs else "ignores it"
    message = f"{first[1]} pins `{first[3]}`{others}, but pool {pool} {ignores}"
    related = (
        Related(_place(plan, worker), f"worker {worker.name} uses pool {pool}"),
        *(Related(path, "also pinned") for path in ignored[1:MOST_RELATED]),
    )
    help_text = "use `pool: prefork`, or remove the limit and set timeouts for the calls inside the task"
    name = "pool-gevent-soft" if ends_runs else "pool-time-limit-inert"
    settings = ((worker, "pool"), (Scope("task", str(first[1])), f"options.{first[3]}"))
    about = tuple({Scope("task", str(path[1])) for path in ignored})
    return Hazard(name, settings, message, help_text, first, related, about=about)


def _unkept(plan: Plan, worker: Scope, unkept: list[str]) -> Hazard:
    pool = plan.text(worker, "pool")
    others = f" (or one of {len(unkept) - 1} more)" if len(unkept) > 1 else ""
    message = f"pool {pool} applies no time limit: a stuck {unkept[0]}{others} keeps its slot without end"
    help_text = "use `pool: prefork`, or set timeouts for the calls inside the task"
    settings = ((worker, "pool"), (worker, "tasks"))
    # A task that ran on such a pool before is no new hazard, even on another worker.
    about = tuple(Scope("task", name) for name in unkept)
    return Hazard("pool-time-limit-unkept", settings, message, help_text, _place(plan, worker), about=about)


def _place(plan: Plan, worker: Scope) -> SpecPath:
    return plan.written(worker, "pool") or ("workers", worker.name)
