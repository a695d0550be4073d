"""The node name of each worker process.

Decides:
    `worker:NAME/node_name`; a process adds its instance and host, `worker@NAME.INSTANCE.%h`. For a name
    with an `@` in the workload also `node_name_is_whole`.

Because:
    Two nodes with the same name confuse remote control, and Celery reports no error. Exporters keep only the
    part after the `@`, so the worker's name belongs there
    (https://docs.celeryq.dev/en/stable/userguide/workers.html#starting-the-worker).

    A name with an `@`, such as `apply@%h`, is used as it is written. Celery replaces `%h` (host), `%n`
    (name), `%d` (domain) and `%i` (process index). If the worker has several replicas, each process adds
    its number before the `@`.

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
from policycompiler.plan import Constant, Decision, Plan, Scope, Written

NAME = "node-names"

NODE_NAME_COLLISION = error("PC406", "node-name-collision")
RESERVED_WORKER_NAME = fatal("PC407", "reserved-worker-name")

PREFIX = "worker"
"""The kind of node; the part after the `@` names the worker."""
RESERVED = frozenset({"beat"})
"""`launch/beat.sh`, `SERVICE-beat.service` and the program `SERVICE-beat` belong to beat."""


def apply(spec: Workload, plan: Plan) -> Iterator[Decision | Diagnostic]:
    """Give every worker its own node name, and check that node and file names differ, ignoring case."""
    nodes: dict[str, SpecPath] = {}
    files: dict[str, SpecPath] = {}
    for scope in plan.scopes("worker"):
        path = _place(spec, plan, scope.name)
        if scope.name.lower() in RESERVED:
            message = f"worker {scope.name} has a reserved name: generated files with this name start beat"
            yield RESERVED_WORKER_NAME.at(path, message, help="rename the worker")
        left, written = plan.find(scope, "node_name"), _written(spec, scope)
        if left is not None:
            name = str(left.value)
        elif written is None:
            name = scope.name
            because, origin = "exporters read the worker's name after the @", Constant("PREFIX", PREFIX)
            yield Decision(scope, "node_name", f"{PREFIX}@{name}", because, (origin,))
        else:
            name, where = written, (*path, "node_name")
            yield from _pinned(scope, name, where)
        help_text = "write a `node_name` for each of them" if left else "give each worker a different name"
        yield from _taken(name, nodes, path if written is None else (*path, "node_name"), help_text)
        if scope.name.lower() != name.lower():
            yield from _taken(scope.name, files, path, help_text)


def _written(spec: Workload, scope: Scope) -> str | None:
    worker = spec.workers.get(scope.name)
    return None if worker is None else worker.node_name


def _pinned(scope: Scope, name: str, path: SpecPath) -> Iterator[Decision]:
    origins = (Written(path),)
    because = "the workload pins `node_name`"
    if "@" not in name:
        yield Decision(scope, "node_name", f"{PREFIX}@{name}", because, origins)
        return
    yield Decision(scope, "node_name", name, because, origins)
    because = "the workload writes the whole node name, so a process adds no host"
    yield Decision(scope, "node_name_is_whole", value=True, because=because, origins=origins)


def _taken(name: str, taken: dict[str, SpecPath], path: SpecPath, help_text: str) -> Iterator[Diagnostic]:
    first = taken.setdefault(name.lower(), path)
    if first != path:
        message = f"two workers have the node name {name}; node and file names must differ, ignoring case"
        related = (Related(first, "first worker with this name"),)
        yield NODE_NAME_COLLISION.at(path, message, help=help_text, related=related)


def _place(spec: Workload, plan: Plan, name: str) -> SpecPath:
    """The place in the workload that a worker comes from."""
    if name in spec.workers:
        return ("workers", name)
    queue = plan.texts(Scope("worker", name), "queues")[0]
    if queue in spec.queues:
        return ("queues", queue)
    tasks = plan.texts(Scope("queue", queue), "tasks")
    return ("tasks", tasks[0]) if tasks else ("workers",)
