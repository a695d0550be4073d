"""A queue with dead letters on a real broker: messages are put and counted by kombu, never by the product."""

from __future__ import annotations

import json
from base64 import b64decode
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from kombu import Connection, Queue
from kombu.exceptions import ChannelError
from workloads import workload

from policycompiler.compiler import compile_workload
from policycompiler.plan import Plan
from policycompiler.reality.connection import Client, client

NUMBERS = count(1)
HEADER = "celeryconfig-dead-letter"
BODY = [[1, "two"], {"note": "swordfish"}, {}]
RABBITMQ = 'broker: {{transport: rabbitmq, url: "${{B}}", version: "3.10"}}\n'
QUEUES = "queues: {{{name}: {{dead_letter: true{more}}}}}\ntasks: {{shop.mail: {{queue: {name}}}}}\n"


class Mailbox(NamedTuple):
    """A queue, its plan as a file, and a connection of the test's own."""

    plan: Plan
    url: str
    connection: Connection
    queue: str
    folder: Path

    @classmethod
    @contextmanager
    def opened(cls, folder: Path, url: str, kind: str, more: str = "") -> Iterator[Mailbox]:
        """Both queues, empty; on RabbitMQ of one type."""
        queue = f"mail{next(NUMBERS)}"
        more = more or (f", type: {kind}" if kind != "redis" else "")
        text = ("" if kind == "redis" else RABBITMQ) + QUEUES
        (folder / "workload.yaml").write_text(workload(text.format(name=queue, more=more)), "utf-8")
        compilation = compile_workload([folder / "workload.yaml"], targets=())
        assert compilation.plan is not None, compilation.diagnostics
        with Connection(url) as connection:
            found = cls(compilation.plan, url, connection, queue, folder)
            for name, type_ in ((queue, kind), (found.dead, kind)):
                arguments = {} if kind == "redis" else {"x-queue-type": type_}
                Queue(name, queue_arguments=arguments)(connection.default_channel).declare()
            yield found

    @property
    def dead(self) -> str:
        """The dead-letter queue."""
        return f"{self.queue}.dead"

    def client(self) -> Client:
        """A client of the product."""
        return client(self.plan, self.url)

    def put(self, task_id: str, /, queue: str = "", **told: object) -> None:
        """A dead letter as a worker leaves it; `told` are more headers."""
        headers = {"task": "shop.mail", "id": task_id, "retries": 3, "lang": "py", **told}
        about = {"queue": queue or self.queue, "reason": "failed", "exception": "OSError", "priority": "5"}
        headers.setdefault(HEADER, {**about, "when": "2026-11-30T04:00:00+00:00"})
        self.put_raw(json.dumps(BODY), headers=headers)

    def put_raw(self, body: str | bytes, **options: Any) -> None:
        """Any message."""
        with self.connection.Producer() as producer:
            producer.publish(
                body,
                exchange="",
                routing_key=self.dead,
                **{"content_type": "application/json", "content_encoding": "utf-8", **options},
            )

    def count(self, queue: str) -> int:
        """The messages that are ready; on Redis in all levels."""
        try:
            with self.connection.channel() as channel:
                return int(channel.queue_declare(queue, passive=True).message_count)
        except (ChannelError, *self.connection.channel_errors):
            return 0

    def taken(self, queue: str) -> list[Mapping[str, Any]]:
        """The headers of all messages of a queue, which are removed."""
        with self.connection.channel() as channel:
            bound, found = Queue(queue, no_declare=True)(channel), []
            while (message := bound.get(no_ack=True)) is not None:
                found.append({**message.headers, "body": message.body})
            return found

    def bodies(self, queue: str) -> list[bytes]:
        """The bodies of all messages of a queue, as they are stored."""
        with self.connection.channel() as channel:
            if hasattr(channel, "client"):
                stored = map(json.loads, channel.client.lrange(queue, 0, -1))
                return [b64decode(each["body"]) for each in stored]
            found = []
            while (message := channel.basic_get(queue, no_ack=True)) is not None:
                found.append(message.body.encode() if isinstance(message.body, str) else bytes(message.body))
            return found

    def everywhere(self) -> Counter[str]:
        """How often each task id is in one of both queues."""
        return Counter(each["id"] for queue in (self.queue, self.dead) for each in self.taken(queue))
