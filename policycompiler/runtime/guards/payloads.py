"""A bound for the size of messages, at every publisher.

The encoder of the serializer `json` measures what is published, however it is sent.
Consumers need to know nothing of it.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from celery import current_task, signals
from kombu.serialization import registry

from . import counts
from .errors import PayloadTooLarge
from .told import Told, named

_SERIALIZER = "json"


def measure(told: Told) -> None:
    """Let publishers refuse large messages of these tasks.

    A process may publish for several services; each measures its own.
    """
    published: ContextVar[Any] = ContextVar("celeryconfig_published", default=None)
    known = registry._encoders[_SERIALIZER]

    def note(
        sender: Any = None, body: Any = None, headers: Any = None, **_: Any
    ) -> None:
        """What is encoded next, in this thread. A retry has been accepted before."""
        running = current_task.request.id if current_task else None
        again = running is not None and (headers or {}).get("id") == running
        published.set(None if again else (str(sender), body))

    def encode(content: Any) -> Any:
        text = known.encoder(content)
        name, body = published.get() or ("", None)
        # Results and events are encoded too.
        if name and body is content:
            published.set(None)
            bound = named(name, told.payloads, told.payload_patterns)
            size = len(text if isinstance(text, bytes) else text.encode())
            if bound is not None and size > bound:
                counts.add("refused_total", task=name, reason="payload")
                raise PayloadTooLarge(name, size, bound)
        return text

    uid = f"celeryconfig-guards-payloads-{told.service}"
    signals.before_task_publish.connect(note, weak=False, dispatch_uid=uid)
    registry._encoders[_SERIALIZER] = known._replace(encoder=encode)
