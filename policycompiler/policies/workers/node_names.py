"""The node name of each worker process.

Decides:
    `worker:NAME/node_name`; a process adds its instance and host, `worker@NAME.INSTANCE.%h`.

Because:
    Two nodes with the same name confuse remote control, and Celery reports no error. Exporters keep only the
    part after the `@`, so the worker's name belongs there
    (https://docs.celeryq.dev/en/stable/userguide/workers.html#starting-the-worker).

Example:
    tasks: {shop.mail.send: {latency: interactive}}

    worker:shop.interactive.io/node_name = "worker@shop.interactive.io"

Refuses:
    PC406 node-name-collision: give each worker a different name.
        fires:
            queues: {q: {}, r: {}}
            workers: {q: {node_name: search}, r: {node_name: Search}}
        silent:
            queues: {q: {}, r: {}}
            workers: {q: {node_name: search-1}, r: {node_name: search-2}}
    PC407 reserved-worker-name: choose another name.
        fires:
            queues: {q: {}}
            workers: {beat: {queues: [q]}}
        silent:
            queues: {q: {}}
            workers: {beats: {queues: [q]}}

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, Related, SpecPath, error, fatal
from policycompiler.model import Workload
from policycompiler.plan import Constant, Decision, Origin, Plan, Scope, Written

NAME = "node-names"

NODE_NAME_COLLISION = error("PC406", "node-name-collision")
RESERVED_WORKER_NAME = fatal("PC407", "reserved-worker-name")

PREFIX = "worker"
"""The kind of node; the part after the `@` names the worker."""
RESERVED = frozenset({"beat"})
"""`launch/beat.sh`, `SERVICE-beat.service` and the program `SERVICE-beat` belong to beat."""


def apply(spec: Workload, plan: Plan) -> Iterator[Decision | Diagnostic]:
    """Give every worker its own node name, and check that names differ, ignoring case."""
    taken: dict[str, SpecPath] = {}
    for scope in plan.scopes("worker"):
        written = spec.workers.get(scope.name)
        path = _place(spec, plan, scope.name)
        origins: tuple[Origin, ...] = (Constant("PREFIX", PREFIX),)
        name, because = scope.name, "exporters read the worker's name after the @"
        if written is not None and written.node_name is not None:
            name, because = written.node_name, "the workload pins `node_name`"
            path = (*path, "node_name")
            origins = (Written(path),)
        if scope.name.lower() in RESERVED:
            message = f"worker {scope.name} has a reserved name: generated files with this name start beat"
            yield RESERVED_WORKER_NAME.at(path, message, help="rename the worker")
        key = name.lower()
        if key in taken:
            message = f"two workers have the node name {name}; node and file names must differ, ignoring case"
            related = (Related(taken[key], "first worker with this name"),)
            help_text = "give each worker a different name"
            yield NODE_NAME_COLLISION.at(path, message, help=help_text, related=related)
        taken.setdefault(key, path)
        yield _decision(scope, name, because, origins)


def _place(spec: Workload, plan: Plan, name: str) -> SpecPath:
    """The place in the workload that a worker comes from."""
    if name in spec.workers:
        return ("workers", name)
    if name in spec.queues:
        return ("queues", name)
    tasks = plan.texts(Scope("queue", name), "tasks")
    return ("tasks", tasks[0]) if tasks else ("workers",)


def _decision(scope: Scope, name: str, because: str, origins: tuple[Origin, ...]) -> Decision:
    return Decision(scope, "node_name", f"{PREFIX}@{name}", because, origins)
