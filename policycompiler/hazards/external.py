"""Tasks and queues of another app."""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Related
from policycompiler.hazards.hazard import Hazard, place_of
from policycompiler.hazards.queues import is_consumed, queues_by_task
from policycompiler.plan import APP, Plan, Scope


def external_tasks(plan: Plan) -> Iterator[Hazard]:
    """Tasks of another app that a worker of this app receives and discards."""
    queues = queues_by_task(plan)
    for task in plan.scopes("task"):
        if not plan.get(task, "external"):
            continue
        for queue in (queue for queue in queues[task.name] if is_consumed(plan, queue)):
            worker = plan.texts(queue, "workers")[0]
            message = (
                f"another app runs {task.name}, but worker {worker} of this app also consumes queue "
                f"{queue.name}: the worker discards its messages as unregistered"
            )
            help_text = (
                f"give {task.name} a queue that only the other app consumes, or remove {queue.name} from "
                f"worker {worker}"
            )
            settings = (
                (queue, "workers"),
                (task, "queue"),
                (task, "external"),
                (Scope("worker", worker), "queues"),
            )
            path = place_of(plan, task, "external")
            related: tuple[Related, ...] = ()
            if written := plan.written(Scope("worker", worker), "queues"):
                related = (Related(written, f"worker {worker} consumes the queue"),)
            yield Hazard("external-task-consumed", settings, message, help_text, path, related)
            break


def is_made_elsewhere(plan: Plan, queue: Scope) -> bool:
    """Whether the broker drops messages to a queue until another app has declared it."""
    transport = plan.broker
    return transport.unroutable and bool(plan.get(queue, "external")) and not is_consumed(plan, queue)


def unchecked_queues(plan: Plan) -> Iterator[Hazard]:
    """Queues of other apps whose messages may be dropped without an error."""
    for queue in plan.scopes("queue"):
        tasks = [Scope("task", name) for name in plan.texts(queue, "tasks")]
        unchecked = next((task for task in tasks if not _is_checked(plan, task, queue)), None)
        if unchecked is None or not is_made_elsewhere(plan, queue):
            continue
        message = (
            f"until another app declares queue {queue.name}, RabbitMQ confirms messages to it, such as "
            f"{unchecked.name}, and drops them"
        )
        help_text = (
            f"write `queue: {queue.name}` in the task and keep `confirm_publish`, so that such sends fail"
        )
        settings = (
            (unchecked, "mandatory"),
            (queue, "external"),
            (queue, "tasks"),
            (APP, "broker_transport_options"),
        )
        path = place_of(plan, queue, "external")
        yield Hazard("external-queue-unchecked", settings, message, help_text, path)


def _is_checked(plan: Plan, task: Scope, queue: Scope) -> bool:
    """Whether the broker returns a message that no queue takes, so that the send raises an error."""
    return plan.get(task, "queue") == queue.name and bool(plan.get(task, "mandatory"))
