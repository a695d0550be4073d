"""Dead letters on Redis: a list, whose oldest message is its last. Each deed is one script."""

from __future__ import annotations

import json
from base64 import b64decode
from bisect import bisect
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from policycompiler.letters.letter import Letter, Stored, headers_again, letter_of
from policycompiler.plan import Plan
from policycompiler.reality.connection import Client, connected
from policycompiler.reality.messages.on_redis import key_of, level_of, steps_of

_CHUNK = 50
"""Letters that are read at once; a message may have megabytes."""
_MOST_PRIORITY = 9
"""kombu takes every higher number for this one."""
_COUNT = 'return redis.call("LLEN", KEYS[1])'
_READ = 'return redis.call("LRANGE", KEYS[1], ARGV[1], ARGV[2])'
_DROP = 'return redis.call("LREM", KEYS[1], -1, ARGV[1])'
_MOVE = """
if redis.call("LREM", KEYS[1], -1, ARGV[1]) == 0 then return 0 end
redis.call("LPUSH", KEYS[2], ARGV[2])
return 1
"""


class Box:
    """The letters of a dead-letter queue, from the oldest; one that is neither moved nor dropped stays."""

    def __init__(self, plan: Plan, client: Any, dead: str, queues: Collection[str]) -> None:  # noqa: ANN401
        self._plan, self._client, self._dead, self._queues = plan, client, dead, queues
        self._gone = False

    def count(self) -> int:
        """How many letters there are."""
        return int(self._evaluated(_COUNT, []))

    def __iter__(self) -> Iterator[Letter]:
        # Letters that arrive meanwhile are behind these: a message that is sent again may fail at once.
        stay, left = 0, self.count()
        while rows := self._evaluated(_READ, [], -(stay + min(left, _CHUNK)), -(stay + 1)) if left else []:
            left -= len(rows)
            for raw in reversed(rows):
                self._gone = False
                yield letter_of(_stored(raw), self._dead, self._queues, raw)
                stay += not self._gone

    def refuses(self, queue: str) -> str:
        """Why a queue takes no message; empty if it does. On Redis any list is a queue."""
        del queue
        return ""

    def send(self, letter: Letter, queue: str, *, expires: bool) -> bool:
        """Move a letter to a queue as a new message; False if it is gone already."""
        priority = min(letter.priority or 0, _MOST_PRIORITY)
        steps = steps_of(self._plan)
        level = level_of(self._plan, steps[max(bisect(steps, priority) - 1, 0)])
        message = json.dumps(_again(letter, queue, priority, expires=expires))
        target = f"{key_of(self._plan, queue)}{level}"
        self._gone = bool(self._evaluated(_MOVE, [target], letter.handle, message))
        return self._gone

    def drop(self, letter: Letter) -> bool:
        """Delete a letter; False if it is gone already."""
        self._gone = bool(self._evaluated(_DROP, [], letter.handle))
        return self._gone

    def _evaluated(self, script: str, more: list[str], *words: object) -> Any:  # noqa: ANN401
        keys = [key_of(self._plan, self._dead), *more]
        return self._client.eval(script, len(keys), *keys, *words)


@contextmanager
def opened(plan: Plan, app: Client, dead: str, queues: Collection[str]) -> Iterator[Box]:
    """The letters of a dead-letter queue that has those of these queues. Raises `UnreachableError`."""
    with connected(app) as connection:
        yield Box(plan, connection.default_channel.client, dead, queues)


def _stored(raw: bytes) -> Stored:
    """A message as kombu writes it; whatever else is in the list has neither headers nor a body."""
    message = _envelope(raw)
    headers, properties = (_mapping(message.get(key)) for key in ("headers", "properties"))
    body = message.get("body")
    encoded = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else None
    if encoded is not None and properties.get("body_encoding") == "base64":
        try:
            encoded = b64decode(encoded)
        except ValueError:
            encoded = None
    return Stored(headers, properties, str(message.get("content-type")), encoded, len(raw))


def _envelope(raw: bytes) -> Mapping[str, Any]:
    try:
        return _mapping(json.loads(raw))
    except (ValueError, RecursionError):
        return {}


def _again(letter: Letter, queue: str, priority: int, *, expires: bool) -> Mapping[str, Any]:
    """The message as kombu would publish it to the queue; its body as it is."""
    message = _envelope(letter.handle)
    return {
        **message,
        "headers": headers_again(letter, expires=expires),
        "properties": {
            **_mapping(message.get("properties")),
            "priority": priority,
            "delivery_tag": str(uuid4()),
            "delivery_info": {"exchange": "", "routing_key": queue},
        },
    }


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
