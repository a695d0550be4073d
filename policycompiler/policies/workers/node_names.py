"""What each worker process calls itself.

Decides:
    `worker:NAME/node_name`; a process adds its instance and host, `worker@NAME.INSTANCE.%h`.

Because:
    Two nodes of one name confuse remote control without an error. Exporters keep only what stands
    behind the `@`, so the worker's name belongs there
    (https://docs.celeryq.dev/en/stable/userguide/workers.html#starting-the-worker).

Example:
    tasks: {shop.mail.send: {latency: interactive}}

    worker:shop.interactive.io/node_name = "worker@shop.interactive.io"

Refuses:
    PC406 node-name-collision: give each worker a name of its own.
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
"""What a node is; the part behind the `@` says which."""
RESERVED = frozenset({"beat"})
"""`launch/beat.sh`, `SERVICE-beat.service` and the program `SERVICE-beat` are no workers."""


def apply(spec: Workload, plan: Plan) -> Iterator[Decision | Diagnostic]:
    """Name every worker after itself, and see that names differ, also where case does not count."""
    taken: dict[str, SpecPath] = {}
    for scope in plan.scopes("worker"):
        written = spec.workers.get(scope.name)
        path = _place(spec, plan, scope.name)
        origins: tuple[Origin, ...] = (Constant("PREFIX", PREFIX),)
        name, because = scope.name, "the worker's name, where exporters look for it"
        if written is not None and written.node_name is not None:
            name, because = written.node_name, "pinned in the workload"
            path = (*path, "node_name")
            origins = (Written(path),)
        if scope.name.lower() in RESERVED:
            message = (
                f"a worker may not be called {scope.name}: generated files of that name mean another process"
            )
            yield RESERVED_WORKER_NAME.at(path, message, help="choose another name")
        key = name.lower()
        if key in taken:
            message = (
                f"two workers would be called {name}; node and file names must differ, also in lower case"
            )
            related = (Related(taken[key], "the other one"),)
            yield NODE_NAME_COLLISION.at(path, message, help="give each a name of its own", related=related)
        taken.setdefault(key, path)
        yield _decision(scope, name, because, origins)


def _place(spec: Workload, plan: Plan, name: str) -> SpecPath:
    """What in the workload a worker is there for."""
    if name in spec.workers:
        return ("workers", name)
    if name in spec.queues:
        return ("queues", name)
    tasks = plan.texts(Scope("queue", name), "tasks")
    return ("tasks", tasks[0]) if tasks else ("workers",)


def _decision(scope: Scope, name: str, because: str, origins: tuple[Origin, ...]) -> Decision:
    return Decision(scope, "node_name", f"{PREFIX}@{name}", because, origins)
