"""Dead letters that a worker keeps: messages of tasks that will not run again.

Shipped by policycompiler beside celeryconfig.py, which names the queues. Do not edit.

A broker without dead letters deletes such a message. RabbitMQ keeps a message that the
worker rejects, so this module copies the ones that the worker acknowledges. A copy is
the message itself with one more header, `celeryconfig-dead-letter`. The header says
from which queue, why, and when. It has the class of an exception, never its text, which
may contain secrets.

`policycompiler dead-letters list` shows the copies, and `replay` sends them again. No
worker consumes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timezone
from logging import getLogger
from pathlib import PurePath
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

from celery import exceptions, signals
from kombu.serialization import dumps

HEADER = "celeryconfig-dead-letter"
"""A header of each copy: a mapping of texts."""
DELAYED_EXCHANGE, DELAY_BITS = "celery_delayed_delivery", 28
"""A message with a countdown on RabbitMQ: its routing key begins with so many bits."""
NEWEST = 100
"""How many letters are compared with one that may be there already."""
_REASONS = (
    (exceptions.TimeLimitExceeded, "time-limit"),
    (exceptions.WorkerLostError, "worker-lost"),
    (exceptions.Reject, "rejected"),
)
_OF_MESSAGES = (
    *("lang", "task", "id", "shadow", "eta", "expires", "group", "group_index"),
    *("retries", "timelimit", "root_id", "parent_id", "argsrepr", "kwargsrepr"),
    *("origin", "ignore_result", "replaced_task_nesting", "stamped_headers", "stamps"),
    "compression",
)
"""The headers of a task message that are attributes of its request."""
_IN_BODY = ("callbacks", "errbacks", "chain", "chord")
_LIBRARIES = frozenset({"billiard", "celery"})


class Kept(NamedTuple):
    """Where the dead letters of a queue are kept.

    `most`: the oldest is dropped above this number; 0 leaves that to the broker.
    `acknowledged_only`: the broker keeps messages that the worker rejects.
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
    """Keep the dead letters of these queues, each as `Kept`, in every worker."""
    _kept.clear()
    _kept.update({name: Kept(*each) for name, each in queues.items()})
    for signal, receiver in (
        (signals.worker_process_init, _enter_child),
        (signals.task_received, _note),
        (signals.task_failure, _failed),
        (signals.task_internal_error, _not_stored),
        (signals.task_unknown, _unknown),
        (signals.task_rejected, _refused),
    ):
        signal.connect(
            receiver, weak=False, dispatch_uid=f"{HEADER}-{receiver.__name__}"
        )


def _enter_child(**_: Any) -> None:
    """A process of a pool runs a task at a time, and inherits notes of the main one."""
    _requests.clear()
    _state["in_child"] = True


def _note(request: Any = None, **_: Any) -> None:
    """Remember a request while Celery does: some signals say only its id."""
    with suppress(TypeError):
        _requests[request.id] = request


def _failed(
    sender: Any = None, task_id: Any = None, exception: Any = None, **given: Any
) -> None:
    """Keep a run that failed, was killed at its hard limit, or lost its process."""
    try:
        request = _requests.get(task_id)
        context = _context(sender, given.get("request"))
        if context.get("is_eager") or not _is_first(request, context):
            return
        info = request.delivery_info if request else context.get("delivery_info")
        queue = _queue_of(sender.app, info, getattr(sender, "queue", None))
        kinds = (word for kind, word in _REASONS if isinstance(exception, kind))
        reason = given.get("reason") or next(kinds, "failed")
        if queue is None or _is_kept_otherwise(sender, reason, _kept[queue]):
            return
        about = {
            "reason": reason,
            "exception": _class_of(exception),
            "place": _place(given.get("traceback")),
        }
        copy = _of_message(request.message) if request else _again(sender, context)
        _publish(sender.app, queue, copy, about)
    except Exception as problem:  # noqa: BLE001 - a worker must not be disturbed
        _tell(getattr(sender, "name", "a task"), task_id, problem)


def _not_stored(exception: Any = None, **given: Any) -> None:
    """Keep a run that ended while its result could not be stored; not a retry."""
    earlier = exception
    while earlier is not None and not isinstance(earlier, exceptions.Retry):
        earlier = earlier.__cause__ or earlier.__context__
    if earlier is None:
        _failed(exception=exception, **{**given, "reason": "internal-error"})


def _unknown(sender: Any = None, message: Any = None, **given: Any) -> None:
    """Keep a message of a task that the worker does not know."""
    name, task_id = given.get("name"), given.get("id")
    _keep_message(
        sender, message, {"reason": "unknown-task"}, f"unknown task {name}", task_id
    )


def _refused(
    sender: Any = None, message: Any = None, exc: Any = None, **_: Any
) -> None:
    """Keep a message that is no task, or whose content type is not trusted."""
    about = {"reason": "not-a-task", "exception": "" if exc is None else _class_of(exc)}
    _keep_message(sender, message, about, "a message that is no task", None)


def _keep_message(
    consumer: Any, message: Any, about: Mapping[str, str], what: str, task_id: Any
) -> None:
    try:
        queue = _queue_of(consumer.app, message.delivery_info, None)
        # The worker rejects it whatever is set.
        if queue is not None and not _kept[queue].acknowledged_only:
            _publish(consumer.app, queue, _of_message(message), about)
    except Exception as problem:  # noqa: BLE001 - a worker must not be disturbed
        _tell(what, task_id, problem)


def _context(task: Any, given: Any) -> Mapping[str, Any]:
    """The request of a run: Celery passes it, or it is the newest of the task."""
    if isinstance(given, Mapping):
        return given
    newest = task.request_stack.top
    return {} if newest is None else vars(newest)


def _is_first(request: Any, context: Mapping[str, Any]) -> bool:
    """Whether no signal was sent for this run yet: the hard limit sends two."""
    if request is not None:
        first = not getattr(request, "_is_dead_letter", False)
        request._is_dead_letter = True
        return first
    # One run at a time, whose properties are always the same object.
    properties = context.get("properties")
    first = properties is None or properties is not _state["last"]
    _state["last"] = properties
    return first


def _is_kept_otherwise(task: Any, reason: str, kept: Kept) -> bool:
    """Whether the broker keeps the message itself, or delivers it again."""
    if not task.acks_late:
        return False
    # Celery before 5.7 has one flag for both.
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


def _again(task: Any, context: Mapping[str, Any]) -> _Copy:
    """The message as a retry makes it: the process of a pool has no original."""
    if not context:
        raise LookupError("the request of the run is unknown")
    embedded = {key: context.get(key) for key in _IN_BODY}
    content_type, encoding, body = dumps(  # type: ignore[no-untyped-call]
        (context.get("args") or (), context.get("kwargs") or {}, embedded),
        serializer=getattr(task, "serializer", None) or task.app.conf.task_serializer,
    )
    of_message = {key: context[key] for key in _OF_MESSAGES if key in context}
    headers = {"task": task.name, **(context.get("headers") or {}), **of_message}
    return _Copy(body, content_type, encoding, headers, context.get("properties") or {})


def _queue_of(app: Any, info: Any, preferred: Any) -> str | None:
    """The queue that a message came from, if its dead letters are kept."""
    exchange, key = (
        (info or {}).get(each) or "" for each in ("exchange", "routing_key")
    )
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
        if each is not None
        and (delayed or each.exchange.name == exchange)
        and _is_bound(each, key)
    ]
    preferred = getattr(preferred, "name", preferred)
    consumed = [name for name in found if name in queues.consume_from] or found
    return preferred if preferred in consumed else next(iter(consumed), None)


def _is_bound(queue: Any, key: str) -> bool:
    if queue.exchange.type == "topic":
        return _matches(queue.routing_key.split("."), key.split("."))
    return bool(queue.exchange.type == "fanout" or queue.routing_key == key)


def _matches(pattern: list[str], words: list[str]) -> bool:
    """Whether words match a pattern of a topic: `*` is one word, `#` any number."""
    if not pattern:
        return not words
    if pattern[0] == "#":
        ends = range(len(words) + 1)
        return any(_matches(pattern[1:], words[end:]) for end in ends)
    fits = bool(words) and pattern[0] in ("*", words[0])
    return fits and _matches(pattern[1:], words[1:])


def _publish(app: Any, queue: str, copy: _Copy, about: Mapping[str, str]) -> None:
    info, headers = copy.properties.get("delivery_info") or {}, copy.headers
    tag, priority = (copy.properties.get(key) for key in ("delivery_tag", "priority"))
    letter = {
        **about,
        "queue": queue,
        "when": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "priority": "" if priority is None else str(priority),
        "message": "" if tag is None else str(tag),
    }
    # A process that was killed may have sent it already.
    killed = about["reason"] == "time-limit"
    again = killed or info.get("redelivered") or headers.get("redelivered")
    try:
        _send(app, _kept[queue], copy, letter, compare=bool(again))
    except exceptions.SoftTimeLimitExceeded:
        # The limit of the task, which has already failed. It is sent once.
        _send(app, _kept[queue], copy, letter, compare=True)


def _send(
    app: Any, kept: Kept, copy: _Copy, letter: Mapping[str, str], *, compare: bool
) -> None:
    """Publish a letter. A process of a pool waits up to 20 s for the broker.

    The main process tries once more at most: it takes messages for all its slots.
    """
    left_out = ("compression", "redelivered")
    headers = {key: copy.headers[key] for key in copy.headers if key not in left_out}
    told = {key: copy.properties.get(key) for key in ("correlation_id", "reply_to")}
    dead = getattr(app.amqp.queues.get(letter["queue"]), "dead", None)
    tries, wait = (10, 2) if _state["in_child"] else (1, 0.2)
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
            retry_policy={
                "max_retries": tries,
                "interval_start": 0,
                "interval_step": 0.5,
                "interval_max": wait,
            },
            **{key: value for key, value in told.items() if value},
        )
        _drop_oldest(producer, kept)


def _redis(producer: Any, kept: Kept) -> tuple[Any, str]:
    """A client of Redis and the key of the letters; None on another broker."""
    channel = producer.channel
    if not hasattr(channel, "_q_for_pri"):
        return None, ""
    from redis import Redis  # noqa: PLC0415 - other brokers need none

    # kombu's own client adds its prefix to the keys of some commands, not of others.
    prefix = getattr(channel, "global_keyprefix", "")
    return Redis(connection_pool=channel.pool), f"{prefix}{kept.queue}"


def _is_there(producer: Any, kept: Kept, tag: str) -> bool:
    """Whether one of the newest letters has the same message."""
    client, key = _redis(producer, kept)
    if client is not None and tag:
        with suppress(Exception):
            newest = client.lrange(key, 0, NEWEST - 1)
            return any(tag.encode() in each for each in newest)
    return False


def _drop_oldest(producer: Any, kept: Kept) -> None:
    client, key = _redis(producer, kept) if kept.most else (None, "")
    if client is not None:
        # The letter is there. If this fails, the next letter drops more.
        with suppress(Exception):
            client.ltrim(key, 0, kept.most - 1)


def _class_of(exception: Any) -> str:
    kind = type(exception)
    own = kind.__module__ != "builtins"
    return f"{kind.__module__}.{kind.__qualname__}" if own else kind.__name__


def _place(traceback: Any) -> str:
    """The file and line of the application that raised; empty if that is unknown."""
    found = ""
    while hasattr(traceback, "tb_frame"):
        frame = traceback.tb_frame
        module = str(frame.f_globals.get("__name__"))
        if module.partition(".")[0] not in _LIBRARIES:
            name = PurePath(frame.f_code.co_filename).name
            found = f"{name}:{traceback.tb_lineno}"
        traceback = traceback.tb_next
    return found


def _tell(what: str, task_id: Any, problem: Exception) -> None:
    """Say that a letter is missing. The text of an exception may have arguments."""
    message = "%s[%s] leaves no dead letter: its copy could not be published (%s)"
    getLogger(__name__).error(message, what, task_id, type(problem).__name__)
