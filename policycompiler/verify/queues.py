"""Whether the queues of the plan exist as declared and are consumed, and what is in them.

Because:
    A message in a queue without a consumer waits without end. RabbitMQ refuses a different declaration.

Refuses:
    PC859 queue-missing: start a worker that consumes the queue, which declares it.
        when: a queue of the plan does not exist on a broker that stores declarations.
    PC860 queue-declared-differently: delete or rename the queue, or declare it as it is.
        when: a queue exists on RabbitMQ with other arguments, so workers cannot declare it.
    PC861 queue-unserved: start a worker that consumes the queue.
        when: no worker consumes a queue of the plan, although its workers run or messages wait in it.
    PC862 messages-stray: consume or delete the queue, or correct what sends there.
        when: messages wait in a queue that neither the plan has nor any worker consumes.
    PC863 task-name-old: find what still sends the earlier name, and keep `renamed_from` until it is gone.
        when: messages with an earlier name of a task wait, or a worker has handled some.
    PC864 task-name-unknown: deploy the code of the task, or stop what sends it.
        when: messages of a task wait, and no worker that consumes the queue has registered it.
    PC865 queue-visibility-differs: set the visibility timeout of the queue to that of the plan.
        when: a queue of SQS has another visibility timeout than the plan.
    PC871 binding-unplanned: remove the binding from the broker.
        when: a queue that the plan does not have is bound to an exchange of the plan, so it gets copies.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator

from policycompiler.diagnostics import Diagnostic, error, info, warning
from policycompiler.plan import APP, Plan, Scope
from policycompiler.plan.processes import fewest
from policycompiler.quantities import duration
from policycompiler.reality.nodes import Workers
from policycompiler.reality.seen import Seen, SeenQueue
from policycompiler.verify import fleet
from policycompiler.verify.tasks import earlier
from policycompiler.verify.words import app_path, counted, listed, queue_path, task_path, waiting

QUEUE_MISSING = error("PC859", "queue-missing")
QUEUE_DECLARED_DIFFERENTLY = error("PC860", "queue-declared-differently")
QUEUE_UNSERVED = error("PC861", "queue-unserved")
MESSAGES_STRAY = warning("PC862", "messages-stray")
TASK_NAME_OLD = info("PC863", "task-name-old")
TASK_NAME_UNKNOWN = error("PC864", "task-name-unknown")
QUEUE_VISIBILITY_DIFFERS = error("PC865", "queue-visibility-differs")
BINDING_UNPLANNED = warning("PC871", "binding-unplanned")


def findings(
    plan: Plan, broker: Seen, workers: Workers | None, paused: Collection[str] = ()
) -> Iterator[Diagnostic]:
    """The differences of the queues on the broker; `paused` ones need no consumer now."""
    for queue in broker.queues.values():
        yield from _declaration(plan, queue)
        if queue.exists:
            if queue.name not in paused:
                yield from _consumers(plan, queue, workers)
            yield from _unknown_tasks(plan, queue, workers)
    for name, queue in (broker.others or {}).items():
        if not (workers and workers.consuming(name)) and not queue.consumers:
            told = counted(queue.ready or 0, "message")
            message = f"queue `{name}` holds {told}, but the plan does not have it and no worker consumes it"
            help_text = "consume or delete the queue, or correct what sends there"
            yield MESSAGES_STRAY.at(("queues",), message, help=help_text, at_key=True)
    yield from _old_names(plan, broker, workers)
    yield from _bindings(plan, broker)


def _declaration(plan: Plan, queue: SeenQueue) -> Iterator[Diagnostic]:
    path = queue_path(plan, queue.name)
    if not queue.exists:
        message = f"queue `{queue.name}` does not exist on the broker"
        yield QUEUE_MISSING.at(path, message, help="start a worker that consumes it, which declares it")
    if queue.differs:
        message = f"queue `{queue.name}` is declared differently on the broker: {queue.differs}"
        help_text = "delete the empty queue so that a worker declares it again, or change the workload"
        yield QUEUE_DECLARED_DIFFERENTLY.at(path, message, help=help_text)
    planned = plan.number_if_any(APP, "visibility_timeout_seconds")
    if None not in (planned, queue.visibility_seconds) and planned != queue.visibility_seconds:
        assert planned is not None
        assert queue.visibility_seconds is not None
        message = f"queue `{queue.name}` has a visibility timeout of {duration(queue.visibility_seconds)}; "
        message += f"planned: {duration(planned)}"
        path = app_path(plan, "visibility_timeout_seconds", ("broker",))
        help_text = "set the visibility timeout of the queue to that of the plan"
        yield QUEUE_VISIBILITY_DIFFERS.at(path, message, help=help_text)


def _consumers(plan: Plan, queue: SeenQueue, workers: Workers | None) -> Iterator[Diagnostic]:
    scope = Scope("queue", queue.name)
    own = bool(plan.keys(scope)) and not plan.get(scope, "external")
    if not own or (workers is not None and fleet.missing(plan, workers, queue.name)):
        return
    known = queue.consumers if workers is None else len(workers.consuming(queue.name))
    # A worker that is busy with a solo pool consumes too.
    if known or queue.consumers or (known is None and queue.consumers is None):
        return
    names = plan.texts(scope, "workers")
    scaled = [fewest(plan, Scope("worker", name)) == (0, "scaling") for name in names]
    if scaled and all(scaled) and not queue.ready:
        # A platform has stopped its last process, and starts one when a message arrives.
        return
    message = f"no worker consumes queue `{queue.name}`{waiting(queue.ready)}"
    help_text = f"let {listed(names)} consume it" if names else "declare a worker that consumes it"
    yield QUEUE_UNSERVED.at(queue_path(plan, queue.name), message, help=help_text)


def _unknown_tasks(plan: Plan, queue: SeenQueue, workers: Workers | None) -> Iterator[Diagnostic]:
    nodes = [node for node in (workers.consuming(queue.name) if workers else []) if node.tasks]
    if not nodes:
        return
    known = {name for node in nodes for name in node.tasks} | earlier(plan)
    waits = Counter(message.task for message in queue.messages)
    for task in sorted(waits.keys() - known):
        if not task.startswith("celery."):
            message = f"queue `{queue.name}` has messages of {task}, which no worker there has registered; "
            message += "workers discard them"
            help_text = "deploy the code of the task, or stop what sends it"
            path = task_path(plan, task) if plan.entry(task) else queue_path(plan, queue.name)
            yield TASK_NAME_UNKNOWN.at(path, message, help=help_text)


def _old_names(plan: Plan, broker: Seen, workers: Workers | None) -> Iterator[Diagnostic]:
    waits = {message.task for queue in broker.queues.values() for message in queue.messages}
    handled = {name for node in (workers.nodes.values() if workers else ()) for name in node.handles}
    for scope in plan.scopes("task"):
        for name in plan.texts(scope, "renamed_from") if plan.find(scope, "renamed_from") else ():
            if name in waits | handled:
                where = "wait in a queue" if name in waits else "have reached a worker"
                message = f"messages with the earlier name {name} of {scope.name} {where}"
                help_text = "keep `renamed_from` until nothing sends the earlier name"
                yield TASK_NAME_OLD.at(task_path(plan, scope.name, "renamed_from"), message, help=help_text)


def _bindings(plan: Plan, broker: Seen) -> Iterator[Diagnostic]:
    queues = {scope.name for scope in plan.scopes("queue")}
    queues |= {str(plan.get(scope, "dead_letter_queue")) for scope in plan.scopes("queue")}
    exchanges = {
        str(plan.get(scope, "exchange")): scope
        for scope in plan.scopes("queue")
        if not plan.get(scope, "broadcast")
    }
    for exchange, key, queue in sorted(broker.bindings or ()):
        if exchange in exchanges and queue not in queues:
            message = f"queue `{queue}`, which the plan does not have, is bound to exchange `{exchange}` "
            message += f"with key `{key}`, so it gets copies of messages"
            path = queue_path(plan, exchanges[exchange].name)
            yield BINDING_UNPLANNED.at(path, message, help="remove the binding from the broker")
