"""Settings that lose waiting messages, above all of critical tasks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from policycompiler.diagnostics import Related, SpecPath
from policycompiler.hazards.hazard import Hazard, place_of
from policycompiler.hazards.queues import arguments_of, queues_by_task, type_of
from policycompiler.knowledge.brokers import Broker
from policycompiler.knowledge.queue_arguments import drops
from policycompiler.plan import APP, Plan, Scope, Value

NAME = "critical-task-dropped"
TRANSIENT = (1, "transient")
PERSISTENT = "remove the delivery mode; messages are then persistent"


def critical_messages(plan: Plan) -> Iterator[Hazard]:
    """Check each critical task that runs here; hazards of the whole app are reported once."""
    transport = plan.broker
    critical = [task for task in plan.scopes("task") if plan.get(task, "critical")]
    critical = [task for task in critical if not plan.get(task, "external")]
    if critical:
        yield from _of_the_app(plan, critical[0], transport)
    elif not transport.modes:
        return
    queues = queues_by_task(plan)
    yield from _uncritical(plan, queues, transport)
    for task in critical:
        yield from _transient(plan, task, queues[task.name], transport)
        for queue in queues[task.name]:
            yield from _dropped(plan, task, queue, transport)


def _of_the_app(plan: Plan, task: Scope, transport: Broker) -> Iterator[Hazard]:
    if not transport.durable:
        name = plan.text(APP, "broker_transport")
        message = (
            f"the transport {name} keeps messages of {task.name} in one process: no other process gets them, "
            "and they are lost when the process ends"
        )
        settings = ((APP, "broker_transport"),)
        yield _hazard(plan, task, settings, message, "use Redis or RabbitMQ", ("broker", "transport"))
    options = plan.get(APP, "broker_transport_options")
    if isinstance(options, dict) and options.get("ack_emulation") is False:
        message = (
            "without `ack_emulation` Redis does not keep a message that a worker has received: "
            f"{task.name} is lost when the worker is killed"
        )
        settings = ((APP, "broker_transport_options"),)
        path: SpecPath = ("broker", "options", "ack_emulation")
        yield _hazard(plan, task, settings, message, "remove `ack_emulation: false`", path)


def _transient(plan: Plan, task: Scope, queues: Sequence[Scope], transport: Broker) -> Iterator[Hazard]:
    found = _says_transient(plan, task, queues, transport)
    if found is not None:
        scope, key = found
        path = plan.written(scope, key) or place_of(plan, task, "critical")
        message = f"messages of {task.name} are transient: a restart of RabbitMQ loses waiting messages"
        yield _hazard(plan, task, (found,), message, PERSISTENT, path)


def _uncritical(plan: Plan, queues: Mapping[str, Sequence[Scope]], transport: Broker) -> Iterator[Hazard]:
    """Reported once, with the number of tasks."""
    tasks = [task for task in plan.scopes("task") if not plan.get(task, "critical")]
    found = {
        task: says for task in tasks if (says := _says_transient(plan, task, queues[task.name], transport))
    }
    if not found:
        return
    first, says = next(iter(found.items()))
    more = len(found) - 1
    others = f" and {more} more task{'s' * (more > 1)}" if more else ""
    message = f"messages of {first.name}{others} are transient: a restart of RabbitMQ loses waiting messages"
    path = plan.written(*says) or place_of(plan, first, "queue")
    yield Hazard("messages-transient", tuple(found.values()), message, PERSISTENT, path)


def _says_transient(
    plan: Plan, task: Scope, queues: Sequence[Scope], transport: Broker
) -> tuple[Scope, str] | None:
    """The setting that keeps messages in memory only; a quorum queue writes every message to disk."""
    if not transport.modes or not any(type_of(plan, queue) == "classic" for queue in queues):
        return None
    for scope, key in ((task, "options.delivery_mode"), (APP, "task_default_delivery_mode")):
        if (mode := plan.get(scope, key)) is not None:
            return (scope, key) if mode in TRANSIENT else None
    return None


def _dropped(plan: Plan, task: Scope, queue: Scope, transport: Broker) -> Iterator[Hazard]:
    if plan.get(queue, "external"):
        return
    arguments: dict[str, Value] = arguments_of(plan, queue)
    kept = plan.get(queue, "dead_letter_queue") is not None or "x-dead-letter-exchange" in arguments
    for name, argument in drops(dict(arguments)).items():
        if name in transport.expiring and not (kept and argument.dead_letters):
            message = f"with `{name}` of queue {queue.name}, {argument.what}: {task.name} may never run"
            help_text = f"remove `{name}`"
            if argument.dead_letters:
                help_text += ", or write `dead_letter: true` to keep dropped messages"
            path: SpecPath = ("queues", queue.name, "arguments", name)
            yield _hazard(
                plan, task, ((queue, f"arguments.{name}"), (task, "queue")), message, help_text, path
            )


def _hazard(
    plan: Plan,
    task: Scope,
    settings: tuple[tuple[Scope, str], ...],
    message: str,
    help_text: str,
    path: SpecPath,
) -> Hazard:
    related = (Related(place_of(plan, task, "critical"), "each of its failures matters"),)
    settings = (*settings, (task, "critical"))
    return Hazard(NAME, settings, message, help_text, path, related)
