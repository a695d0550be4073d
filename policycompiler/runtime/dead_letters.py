"""Dead letters that the worker keeps: copies of messages whose tasks ended for good without success.

Shipped by policycompiler beside celeryconfig.py, which names the queues. Do not edit.

A broker without dead letters deletes such a message. On RabbitMQ the broker keeps a message that the worker
rejects, and this module copies one that the worker acknowledges. Each copy is the original message with one
more header, `celeryconfig-dead-letter`: it says from which queue, why, and when. The header has the class of
an exception, never its text, which may contain secrets.

`policycompiler dead-letters list` shows the copies, `replay` sends them again. No worker consumes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timezone
from logging import getLogger
from pathlib import PurePath
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

from celery import signals
from celery.exceptions import Reject, SoftTimeLimitExceeded, TimeLimitExceeded, WorkerLostError
from kombu.serialization import dumps

HEADER = "celeryconfig-dead-letter"
"""A header of each copy: a mapping of texts."""
DELAYED_EXCHANGE = "celery_delayed_delivery"
"""The last exchange of a message with a countdown on RabbitMQ. Its routing keys begin with 28 bits."""
DELAY_BITS = 28
NEWEST = 100
"""How many letters are compared with one that may be there already."""
IN_MAIN = {"max_retries": 1, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.2}
"""The main process of a worker must not wait for long: it takes messages for all its slots."""
IN_CHILD = {"max_retries": 10, "interval_start": 0, "interval_step": 0.5, "interval_max": 2}
"""A process of a pool waits up to 20 s for a broker that is briefly away."""

_OF_MESSAGES = (
    *("lang", "task", "id", "shadow", "eta", "expires", "group", "group_index", "retries", "timelimit"),
    *("root_id", "parent_id", "argsrepr", "kwargsrepr", "origin", "ignore_result", "replaced_task_nesting"),
    *("stamped_headers", "stamps", "compression"),
)
"""The headers of a task message that are attributes of its request."""
_LIBRARIES = frozenset({"billiard", "celery"})
_IN_BODY = ("callbacks", "errbacks", "chain", "chord")


class Kept(NamedTuple):
    """Where the dead letters of a queue are kept.

    `most`: the oldest is dropped above this number; 0 leaves that to the broker. `acknowledged_only`: the
    broker keeps messages that the worker rejects.
    """

    queue: str
    most: int
    acknowledged_only: bool


class _Copy(NamedTuple):
    """What a letter has of its message."""

    body: Any
    content_type: str
    content_encoding: str
    headers: Mapping[str, Any]
    properties: Mapping[str, Any]


_kept: dict[str, Kept] = {}
_requests: WeakValueDictionary[str, Any] = WeakValueDictionary()
_state: dict[str, Any] = {"in_child": False, "last": None}


def keep(queues: Mapping[str, tuple[str, int, bool]]) -> None:
    """Keep the dead letters of these queues, each as `Kept`, in every worker that loads this."""
    _kept.clear()
    _kept.update({name: Kept(*each) for name, each in queues.items()})
    for signal, receiver in (
        (signals.worker_process_init, _enter_child),
        (signals.task_received, _note),
        (signals.task_failure, _failed),
        (signals.task_internal_error, _failed),
        (signals.task_unknown, _unknown),
        (signals.task_rejected, _refused),
    ):
        signal.connect(receiver, weak=False, dispatch_uid=f"{HEADER}-{receiver.__name__}")


def _enter_child(**_: Any) -> None:
    """A process of a pool runs one task at a time, and inherits the notes of the main process."""
    _requests.clear()
    _state["in_child"] = True


def _note(request: Any = None, **_: Any) -> None:
    """Remember a request while Celery does: some signals say only its id."""
    with suppress(TypeError):
        _requests[request.id] = request


def _failed(sender: Any = None, task_id: Any = None, exception: Any = None, **given: Any) -> None:
    """Keep a run that failed, was killed at its hard time limit, or was lost with its process."""
    try:
        request = _requests.get(task_id)
        context = _context(sender, given.get("request"))
        if context.get("is_eager") or not _is_first(request, context):
            return
        info = context.get("delivery_info") if request is None else request.delivery_info
        queue, reason = _queue_of(sender.app, info, getattr(sender, "queue", None)), _reason(exception)
        if queue is None or _is_kept_otherwise(sender, reason, _kept[queue]):
            return
        copy = _of_context(sender, context) if request is None else _of_message(request.message)
        about = {"reason": reason, "exception": _class_of(exception), "place": _place(given.get("traceback"))}
        _publish(sender.app, queue, copy, about, doubtful=reason == "time-limit")
    except Exception as problem:  # noqa: BLE001 - a worker must not be disturbed
        _tell(getattr(sender, "name", "a task"), task_id, problem)


def _unknown(sender: Any = None, message: Any = None, name: Any = None, id: Any = None, **_: Any) -> None:  # noqa: A002 - the name of the argument is Celery's
    _of_consumer(sender, message, "unknown-task", f"the unknown task {name}", id)


def _refused(sender: Any = None, message: Any = None, exc: Any = None, **_: Any) -> None:
    _of_consumer(sender, message, "not-a-task", "a message that is no task", None, exc)


def _of_consumer(sender: Any, message: Any, reason: str, what: str, task_id: Any, error: Any = None) -> None:
    """Keep a message that the consumer refused; RabbitMQ keeps it itself."""
    try:
        queue = _queue_of(sender.app, message.delivery_info, None)
        if queue is not None and not _kept[queue].acknowledged_only:
            about = {"reason": reason, "exception": "" if error is None else _class_of(error)}
            _publish(sender.app, queue, _of_message(message), about)
    except Exception as problem:  # noqa: BLE001 - the same
        _tell(what, task_id, problem)


def _context(task: Any, given: Any) -> Mapping[str, Any]:
    """The request of a run as a mapping: Celery passes one, or has it as the newest of the task."""
    newest = task.request_stack.top
    return given if isinstance(given, Mapping) else {} if newest is None else vars(newest)


def _is_first(request: Any, context: Mapping[str, Any]) -> bool:
    """Whether no signal was sent for this run yet: the hard time limit sends two."""
    if request is not None:
        first = not getattr(request, "_is_dead_letter", False)
        request._is_dead_letter = True
        return first
    # A process of a pool has one run at a time, and the mapping of its properties is always the same.
    properties = context.get("properties")
    first = properties is None or properties is not _state["last"]
    _state["last"] = properties
    return first


def _reason(exception: Any) -> str:
    for kind, reason in (
        (TimeLimitExceeded, "time-limit"),
        (WorkerLostError, "worker-lost"),
        (Reject, "rejected"),
    ):
        if isinstance(exception, kind):
            return reason
    return "failed"


def _is_kept_otherwise(task: Any, reason: str, kept: Kept) -> bool:
    """Whether the broker keeps the message itself, or delivers it again."""
    if not task.acks_late:
        return False
    both = getattr(task, "acks_on_failure_or_timeout", True)
    if reason == "time-limit":
        return not getattr(task, "acks_on_timeout", both)
    rejects = reason == "rejected" or not getattr(task, "acks_on_failure", both)
    return kept.acknowledged_only and rejects


def _of_message(message: Any) -> _Copy:
    return _Copy(
        message.body,
        message.content_type or "application/data",
        message.content_encoding or "binary",
        message.headers or {},
        message.properties or {},
    )


def _of_context(task: Any, context: Mapping[str, Any]) -> _Copy:
    """The message again, as a retry makes it: the process of a pool has no original."""
    body = (
        context.get("args") or (),
        context.get("kwargs") or {},
        {key: context.get(key) for key in _IN_BODY},
    )
    content_type, content_encoding, text = dumps(  # type: ignore[no-untyped-call]
        body, serializer=getattr(task, "serializer", None) or task.app.conf.task_serializer
    )
    own = context.get("headers") or {}
    headers = {**own, **{key: context[key] for key in _OF_MESSAGES if key in context}}
    headers.setdefault("task", task.name)
    return _Copy(text, content_type, content_encoding, headers, context.get("properties") or {})


def _queue_of(app: Any, info: Any, preferred: Any) -> str | None:
    """The queue that a message came from, if its dead letters are kept."""
    exchange, key = ((info or {}).get(name) or "" for name in ("exchange", "routing_key"))
    if not exchange:
        return key if key in _kept else None
    delayed = exchange == DELAYED_EXCHANGE
    if delayed:
        key = key.split(".", DELAY_BITS)[-1]
    queues = app.amqp.queues
    declared = [queues.get(name) for name in _kept]
    found = [
        each.name
        for each in declared
        if each is not None and (delayed or each.exchange.name == exchange) and _is_bound(each, key)
    ]
    preferred = getattr(preferred, "name", preferred)
    consumed = [name for name in found if name in queues.consume_from] or found
    return preferred if preferred in consumed else next(iter(consumed), None)


def _is_bound(queue: Any, key: str) -> bool:
    if queue.exchange.type == "topic":
        return _matches(queue.routing_key.split("."), key.split("."))
    return bool(queue.exchange.type == "fanout" or queue.routing_key == key)


def _matches(pattern: list[str], words: list[str]) -> bool:
    """Whether the words of a routing key match a pattern of a topic: `*` is one word, `#` any number."""
    if not pattern:
        return not words
    if pattern[0] == "#":
        return any(_matches(pattern[1:], words[at:]) for at in range(len(words) + 1))
    return bool(words) and pattern[0] in ("*", words[0]) and _matches(pattern[1:], words[1:])


def _publish(app: Any, queue: str, copy: _Copy, about: Mapping[str, str], *, doubtful: bool = False) -> None:
    """Send a copy. `doubtful`: a process that was killed may have sent it already."""
    kept, info = _kept[queue], copy.properties.get("delivery_info") or {}
    tag, priority = copy.properties.get("delivery_tag"), copy.properties.get("priority")
    redelivered = info.get("redelivered") or copy.headers.get("redelivered")
    letter = {
        **about,
        "queue": queue,
        "when": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "priority": "" if priority is None else str(priority),
        "message": "" if tag is None else str(tag),
    }
    try:
        _send(app, kept, copy, letter, compare=bool(doubtful or redelivered))
    except SoftTimeLimitExceeded:
        # The time limit of the task, which has already failed. It is sent once.
        _send(app, kept, copy, letter, compare=True)


def _send(app: Any, kept: Kept, copy: _Copy, letter: Mapping[str, str], *, compare: bool) -> None:
    headers = {
        name: value for name, value in copy.headers.items() if name not in ("compression", "redelivered")
    }
    dead = getattr(app.amqp.queues.get(letter["queue"]), "dead", None)
    properties = {
        key: copy.properties[key] for key in ("correlation_id", "reply_to") if copy.properties.get(key)
    }
    with app.producer_or_acquire() as producer:
        if compare and _is_there(producer, kept, letter["message"]):
            return
        producer.publish(
            copy.body,
            exchange="",
            routing_key=kept.queue,
            content_type=copy.content_type,
            content_encoding=copy.content_encoding,
            compression=copy.headers.get("compression"),
            headers={**headers, HEADER: dict(letter)},
            declare=[] if dead is None else [dead],
            delivery_mode=2,
            retry=True,
            retry_policy=IN_CHILD if _state["in_child"] else IN_MAIN,
            **properties,
        )
        _drop_oldest(producer, kept)


def _redis(producer: Any) -> Any:
    """A client of Redis with the connections of a producer; None on another broker."""
    channel = producer.channel
    if not hasattr(channel, "_q_for_pri"):
        return None
    from redis import Redis  # noqa: PLC0415 - other brokers need none

    # kombu's own client adds its prefix to the keys of some commands, and not of others.
    return Redis(connection_pool=channel.pool)


def _key(producer: Any, kept: Kept) -> str:
    return f"{getattr(producer.channel, 'global_keyprefix', '')}{kept.queue}"


def _is_there(producer: Any, kept: Kept, tag: str) -> bool:
    """Whether one of the newest letters has the same message."""
    client = _redis(producer)
    if client is None or not tag:
        return False
    with suppress(Exception):
        newest = client.lrange(_key(producer, kept), 0, NEWEST - 1)
        return any(tag.encode() in each for each in newest)
    return False


def _drop_oldest(producer: Any, kept: Kept) -> None:
    client = _redis(producer) if kept.most else None
    if client is not None:
        # The letter is there; the next one drops what is too much now.
        with suppress(Exception):
            client.ltrim(_key(producer, kept), 0, kept.most - 1)


def _class_of(exception: Any) -> str:
    kind = type(exception)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _place(traceback: Any) -> str:
    """The file and line of the application that raised; empty where the process has no traceback."""
    found = ""
    while hasattr(traceback, "tb_frame"):
        frame = traceback.tb_frame
        if str(frame.f_globals.get("__name__")).partition(".")[0] not in _LIBRARIES:
            found = f"{PurePath(frame.f_code.co_filename).name}:{traceback.tb_lineno}"
        traceback = traceback.tb_next
    return found


def _tell(what: str, task_id: Any, problem: Exception) -> None:
    """Say that a letter is missing. The text of the exception may contain arguments of the task."""
    message = "%s[%s] leaves no dead letter: its copy could not be published (%s)"
    getLogger(__name__).error(message, what, task_id, type(problem).__name__)
