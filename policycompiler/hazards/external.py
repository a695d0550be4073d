"""Tasks and queues of another app."""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Related
from policycompiler.hazards.hazard import Hazard, place_of
from policycompiler.hazards.queues import is_consumed, queues_by_task
from policycompiler.plan import APP, Plan, Scope


def external_tasks(plan: Plan) -> Iterator[Hazard]:
    """A worker here takes them, does not know them, and drops them."""
    queues = queues_by_task(plan)
    for task in plan.scopes("task"):
        if not plan.get(task, "external"):
            continue
        for queue in (queue for queue in queues[task.name] if is_consumed(plan, queue)):
            worker = plan.texts(queue, "workers")[0]
            message = (
                f"another app runs {task.name}, but worker {worker} of this app consumes queue {queue.name} "
                "too: what it takes there it discards as unregistered"
            )
            help_text = (
                f"give {task.name} a queue that only the other app consumes, or take {queue.name} off "
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
                related = (Related(written, f"worker {worker} consumes it"),)
            yield Hazard("external-task-consumed", settings, message, help_text, path, related)
            break


def is_made_elsewhere(plan: Plan, queue: Scope) -> bool:
    """Whether a broker drops what is sent to a queue until another app has made it."""
    transport = plan.broker
    return transport.unroutable and bool(plan.get(queue, "external")) and not is_consumed(plan, queue)


def unchecked_queues(plan: Plan) -> Iterator[Hazard]:
    """Queues of others to which something is sent that may be dropped unseen."""
    for queue in plan.scopes("queue"):
        tasks = [Scope("task", name) for name in plan.texts(queue, "tasks")]
        unchecked = next((task for task in tasks if not _is_checked(plan, task, queue)), None)
        if unchecked is None or not is_made_elsewhere(plan, queue):
            continue
        message = (
            f"another app makes queue {queue.name}: until then RabbitMQ confirms what is sent there, such as "
            f"{unchecked.name}, and drops it"
        )
        help_text = (
            f"let the task's `queue` be {queue.name}, and keep `confirm_publish`: a send then fails instead"
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
    """Whether the broker returns what no queue takes, which the send then raises."""
    return plan.get(task, "queue") == queue.name and bool(plan.get(task, "mandatory"))
