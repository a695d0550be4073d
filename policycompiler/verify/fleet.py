"""Whether the processes of the plan run: each worker with its replicas, under a name of its own.

Because:
    A stopped worker leaves its queues without a consumer, and nothing fails until somebody misses the work.

Refuses:
    PC845 workers-silent: start the workers, or check that they use this broker and its control exchange.
        when: no worker of the plan answers remote control within 5 s.
    PC846 worker-missing: start the worker.
        when: no process of a worker answers, and other workers do.
    PC847 replicas-differ: start or stop processes until their number is that of the plan.
        when: more or fewer processes of a worker answer than the plan has replicas.
    PC848 node-name-shared: give each process its own node name, such as its own `INSTANCE`.
        when: two processes answer with the same node name.
    PC849 worker-unplanned: stop the process, or declare it below `workers:`.
        when: a process that is no worker of the plan consumes a queue of the plan.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, error, warning
from policycompiler.knowledge.pools import pool
from policycompiler.plan import Plan, Scope
from policycompiler.plan.processes import fewest
from policycompiler.reality.nodes import Node, Workers
from policycompiler.reality.seen import Seen
from policycompiler.verify.words import counted, listed, waiting, worker_path

WORKERS_SILENT = error("PC845", "workers-silent")
WORKER_MISSING = error("PC846", "worker-missing")
REPLICAS_DIFFER = warning("PC847", "replicas-differ")
NODE_NAME_SHARED = error("PC848", "node-name-shared")
WORKER_UNPLANNED = warning("PC849", "worker-unplanned")


def findings(plan: Plan, found: Workers, broker: Seen | None) -> Iterator[Diagnostic]:
    """The workers that do not run as often as planned, and those that nobody planned."""
    nodes = found.of(plan)
    wanted = {scope: fewest(plan, scope)[0] for scope in plan.scopes("worker")}
    if any(wanted.values()) and not any(nodes[scope.name] for scope in wanted):
        message = f"no worker answers; the plan has {counted(sum(wanted.values()), 'replica')} of workers"
        help_text = "start the workers, or check that they use this broker and virtual host"
        yield WORKERS_SILENT.at(("workers",), message, help=help_text)
    else:
        for scope, replicas in wanted.items():
            yield from _replicas_of(plan, scope, replicas, nodes[scope.name], broker)
    for node in found.nodes.values():
        if node.answers > 1:
            message = f"{node.answers} processes answer as `{node.name}`, so remote control mixes them up"
            path = worker_path(plan, _worker(nodes, node), "node_name")
            yield NODE_NAME_SHARED.at(path, message, help="give each process its own `INSTANCE`")
    for node in nodes.get("", []):
        ours = [each.name for each in node.queues if plan.keys(Scope("queue", each.name))]
        if ours:
            message = f"`{node.name}` consumes {listed(ours)}, but it is no worker of the plan"
            help_text = "stop the process, or declare it below `workers:`"
            yield WORKER_UNPLANNED.at(("workers",), message, help=help_text)


def missing(plan: Plan, found: Workers, queue: str) -> bool:
    """Whether a finding about a missing worker already tells that a queue has no consumer."""
    nodes = found.of(plan)
    workers = [Scope("worker", name) for name in plan.texts(Scope("queue", queue), "workers")]
    return any(fewest(plan, scope)[0] and not nodes[scope.name] for scope in workers)


def _replicas_of(
    plan: Plan, scope: Scope, replicas: int, nodes: list[Node], broker: Seen | None
) -> Iterator[Diagnostic]:
    seen, most = sum(node.answers for node in nodes), int(plan.number(scope, "replicas"))
    if replicas and not seen:
        queues = plan.texts(scope, "queues")
        ready = sum((broker.queues[name].ready or 0) for name in queues if broker and name in broker.queues)
        message = f"no process of worker `{scope.name}` answers; it consumes {listed(queues)}{waiting(ready)}"
        if not pool(plan.text(scope, "pool")).answers:
            message += f"; its pool {plan.text(scope, 'pool')} does not answer while a task runs"
        yield WORKER_MISSING.at(worker_path(plan, scope.name), message, help=f"start `{scope.name}`")
    elif not replicas <= seen <= most:
        told = f"{seen} answer{'s' if seen == 1 else ''}"
        planned = counted(replicas, "replica") if replicas == most else f"{replicas} to {most} replicas"
        message = f"worker `{scope.name}`: {told}, the plan has {planned}"
        help_text = "start the others" if seen < replicas else "stop the surplus, or raise `replicas`"
        path = worker_path(plan, scope.name, "replicas")
        yield REPLICAS_DIFFER.at(path, message, help=help_text)


def _worker(nodes: dict[str, list[Node]], node: Node) -> str:
    return next((name for name, several in nodes.items() if node in several), "")
