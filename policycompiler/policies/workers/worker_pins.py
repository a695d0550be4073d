"""What is pinned for all workers has to reach at least one of them, as a number.

Decides:
    Nothing.

Because:
    An option of a worker beats the setting of the app, so a setting that every worker replaces is a dead
    letter, and whoever reads it believes what is not so. `worker_concurrency: 0` means no number at all:
    Celery then counts the processors of the machine, also in a container that may use one of them
    (https://docs.celeryq.dev/en/stable/userguide/configuration.html#worker-concurrency).

Example:
    celery: {settings: {worker_concurrency: 0}}
    tasks: {shop.a: {queue: q}}

    refuses concurrency-implicit

Refuses:
    PC323 app-wide-pin-unused: remove the setting, or the option of the worker that should follow it.
        fires:
            celery: {settings: {worker_concurrency: 2}}
            tasks: {shop.a: {queue: q}}
            queues: {shop.standard.io: {}}
            workers: {q: {concurrency: 4}, shop.standard.io: {concurrency: {min: 1, max: 4}}}
        silent:
            celery: {settings: {worker_concurrency: 2}}
            tasks: {shop.a: {queue: q}}
            workers: {q: {concurrency: 4}}
    PC325 concurrency-implicit: write a number, or remove the setting and leave it to the compiler.
        fires:
            celery: {settings: {worker_concurrency: 0}}
            tasks: {shop.a: {queue: q}}
        silent:
            celery: {settings: {worker_concurrency: 2}}
            tasks: {shop.a: {queue: q}}

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, Remove, SpecPath, warning
from policycompiler.model import Workload
from policycompiler.plan import APP, Plan

NAME = "worker-pins"

APP_WIDE_PIN_UNUSED = warning("PC323", "app-wide-pin-unused")
CONCURRENCY_IMPLICIT = warning("PC325", "concurrency-implicit")

OPTIONS = {
    "worker_pool": ("pool",),
    "worker_concurrency": ("concurrency", "autoscale"),
    "worker_prefetch_multiplier": ("prefetch_multiplier",),
    "worker_max_tasks_per_child": ("max_tasks_per_child",),
    "worker_max_memory_per_child": ("max_memory_per_child",),
    "worker_disable_prefetch": ("disable_prefetch",),
}
"""Settings, and the options of a worker that replace each."""


def apply(spec: Workload, plan: Plan) -> Iterator[Diagnostic]:
    """Each setting that no worker follows, and a number of slots that is none."""
    del spec
    workers = plan.scopes("worker")
    for setting, options in OPTIONS.items():
        value, path = plan.get(APP, setting), _path(setting)
        if value is None or not workers:
            continue
        own = [
            where
            for worker in workers
            for option in options
            if (where := plan.written(worker, option)) is not None and where != path
        ]
        if len(own) == len(workers):
            message = f"each of the {len(workers)} workers pins its own, so `{setting}` holds for none"
            if len(workers) == 1:
                message = f"the one worker pins its own, so `{setting}` holds for none"
            yield APP_WIDE_PIN_UNUSED.at(path, message, help="remove it", fix=(Remove(path),))
        elif setting == "worker_concurrency" and isinstance(value, int) and value <= 0:
            message = (
                f"{value} is no number of slots: Celery counts the machine's processors, also in a container"
            )
            help_text = "write a number, or remove it and leave it to the compiler"
            yield CONCURRENCY_IMPLICIT.at(path, message, help=help_text)


def _path(setting: str) -> SpecPath:
    return ("celery", "settings", setting)
