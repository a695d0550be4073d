"""Where messages go: the destination of each task, the routes with patterns, and the declared queues."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .saying import Notes, mapping

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .loading import Loaded


def destination_of(app: Any, name: str, notes: Notes) -> dict[str, Any]:
    """Where a plain `delay()` sends a task."""
    task = app.tasks[name]
    try:
        preset = {key: value for key, value in task._get_exec_options().items() if value is not None}
        found = app.amqp.router.route(preset, name, (), {}, task)
    except Exception as problem:  # noqa: BLE001 - a route may be any code of the application
        notes.failed(f"route of task {name}", problem)
        return {}
    queue, key = found.get("queue"), found.get("routing_key")
    if key is not None and queue is not None and key != queue.routing_key:
        # A queue of the workload has one key.
        notes.cannot(f"routing key {key} of task {name}", f"messages get the key of queue {queue.name}")
    return _sent(found)


def routes_of(loaded: Loaded, notes: Notes) -> Iterator[dict[str, Any]]:
    """The routes with a pattern, in the order in which Celery tries them; others are noted."""
    from celery.app.routes import MapRoute

    for router in loaded.app.amqp.router.routes:
        if not isinstance(router, MapRoute):
            name = getattr(router, "__name__", type(router).__name__)
            notes.cannot(f"route {name}", "it is code, which may look at the arguments of a task")
            continue
        for key, route in loaded.route_items[id(router)]:
            if not isinstance(key, str):
                notes.cannot(f"route {key.pattern}", "a regular expression has no form in the workload")
            elif "*" in key or key not in loaded.app.tasks:
                yield {"pattern": key, "route": _route(loaded.app, key, route, notes)}


def _route(app: Any, pattern: str, route: Any, notes: Notes) -> dict[str, Any]:
    fields = {"queue": route} if isinstance(route, str) else dict(route)
    try:
        return _sent(app.amqp.router.expand_destination(fields))
    except Exception as problem:  # noqa: BLE001 - an undeclared queue, for instance
        notes.failed(f"route {pattern}", problem)
        return {}


def _sent(options: dict[str, Any]) -> dict[str, Any]:
    """The queue and the priority of a message; exchange and key only of one without a queue."""
    queue = options.get("queue")
    # Each process has a name of its own for a queue that everybody gets.
    name = getattr(queue, "alias", None) or getattr(queue, "name", queue)
    found = {"queue": name, "priority": options.get("priority")}
    if queue is None:
        exchange = options.get("exchange")
        found["exchange"], found["routing_key"] = (
            getattr(exchange, "name", exchange),
            options.get("routing_key"),
        )
    return found


def queue_of(queue: Any, notes: Notes, *, declared: bool) -> dict[str, Any]:
    """The declaration of a queue, with the arguments that kombu makes of its fields."""
    from kombu.transport.base import to_rabbitmq_queue_arguments

    limits = {
        key: getattr(queue, key, None)
        for key in ("expires", "message_ttl", "max_length", "max_length_bytes", "max_priority")
    }
    arguments = to_rabbitmq_queue_arguments(queue.queue_arguments or {}, **limits)
    _note_unusual(queue, notes)
    return {
        "name": getattr(queue, "alias", None) or queue.name,
        "broadcast": type(queue).__name__ == "Broadcast" or queue.exchange.type == "fanout",
        "exchange": queue.exchange.name,
        "exchange_type": queue.exchange.type,
        "routing_key": queue.routing_key,
        "arguments": mapping(f"arguments of queue {queue.name}", arguments, notes),
        "consumer_arguments": mapping(
            f"consumer arguments of queue {queue.name}", queue.consumer_arguments or {}, notes
        ),
        "no_declare": bool(queue.no_declare),
        "declared": declared,
    }


def _note_unusual(queue: Any, notes: Notes) -> None:
    """The parts of a declaration that a workload does not say."""
    unusual = {
        "durable=False": not queue.durable,
        "auto_delete=True": queue.auto_delete and type(queue).__name__ != "Broadcast",
        "exclusive=True": queue.exclusive,
        "more bindings": bool(queue.bindings),
    }
    for what, there in unusual.items():
        if there:
            notes.cannot(f"{what} of queue {queue.name}", "the workload language has no form for it")
