"""Whether worker settings that are pinned for the whole app apply to any worker.

Decides:
    Nothing.

Because:
    An option of a worker overrides the setting of the app. If every worker overrides a setting, it has no
    effect and misleads its readers. With `worker_concurrency: 0` Celery uses the number of processors of
    the machine, even in a container that may use only one
    (https://docs.celeryq.dev/en/stable/userguide/configuration.html#worker-concurrency).

Example:
    celery: {settings: {worker_concurrency: 0}}
    tasks: {shop.a: {queue: q}}

    refuses concurrency-implicit

Refuses:
    PC323 app-wide-pin-unused: remove the setting, or the option of the worker that should use the setting.
        fires:
            celery: {settings: {worker_concurrency: 2}}
            tasks: {shop.a: {queue: q}}
            queues: {shop.standard.io: {}}
            workers: {q: {concurrency: 4}, shop.standard.io: {concurrency: {min: 1, max: 4}}}
        silent:
            celery: {settings: {worker_concurrency: 2}}
            tasks: {shop.a: {queue: q}}
            workers: {q: {concurrency: 4}}
    PC325 concurrency-implicit: write a positive number, or remove the setting: the compiler then sets it.
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
"""Settings, and the options of a worker that override each."""


def apply(spec: Workload, plan: Plan) -> Iterator[Diagnostic]:
    """Report each setting that no worker uses, and a number of slots below 1."""
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
            message = f"`{setting}` has no effect: each of the {len(workers)} workers pins its own value"
            if len(workers) == 1:
                message = f"`{setting}` has no effect: worker {workers[0].name} pins its own value"
            yield APP_WIDE_PIN_UNUSED.at(path, message, help=f"remove `{setting}`", fix=(Remove(path),))
        elif setting == "worker_concurrency" and isinstance(value, int) and value <= 0:
            message = (
                f"with `worker_concurrency: {value}` Celery uses the number of the machine's processors, "
                "even in a container"
            )
            help_text = "write a positive number, or remove it: the compiler then sets the slots"
            yield CONCURRENCY_IMPLICIT.at(path, message, help=help_text)


def _path(setting: str) -> SpecPath:
    return ("celery", "settings", setting)
