"""The brokers that rollouts run on: how to empty one, what is left in it, and how commands reach it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

import psutil
import redis
from servers import DEBIAN_RABBITMQ, start_rabbitmq, start_redis

# Replies to `inspect` and events: nobody's work.
NO_WORK = ("pidbox", "celeryev", "_kombu.")


class Broker(Protocol):
    """A private broker."""

    transport: str
    environment: Mapping[str, str]
    """What a command needs to reach it."""

    def reset(self) -> None:
        """Forget every queue and message."""

    def left(self) -> dict[str, int]:
        """How many messages wait or are not acknowledged, by queue; empty queues are left out."""


class RedisBroker(NamedTuple):
    """A Redis of its own."""

    url: str
    transport: str = "redis"

    @property
    def environment(self) -> dict[str, str]:
        """Where it is."""
        return {"CELERY_BROKER_URL": self.url}

    def reset(self) -> None:
        """Forget every key."""
        with redis.Redis.from_url(self.url) as client:
            client.flushall()

    def left(self) -> dict[str, int]:
        """Lists are queues, one for each priority step; the hash `unacked` is what workers hold."""
        with redis.Redis.from_url(self.url, decode_responses=True) as client:
            lists = [key for key in client.scan_iter() if client.type(key) == "list"]
            counts = {key: client.llen(key) for key in lists if not any(part in key for part in NO_WORK)}
            return {
                key: count for key, count in (counts | {"unacked": client.hlen("unacked")}).items() if count
            }


class RabbitBroker(NamedTuple):
    """A RabbitMQ of its own, whose `rabbitmqctl` is that of the node."""

    url: str
    variables: Mapping[str, str]
    transport: str = "rabbitmq"

    @property
    def environment(self) -> dict[str, str]:
        """Where it is, for clients and for `rabbitmqctl`."""
        return {"CELERY_BROKER_URL": self.url, **self.variables}

    def reset(self) -> None:
        """A new virtual host of the same name."""
        self.control("delete_vhost", "/")
        self.control("add_vhost", "/")
        self.control("set_permissions", "-p", "/", "guest", ".*", ".*", ".*")

    def left(self) -> dict[str, int]:
        """Ready and unacknowledged messages; those that wait for their time are in `celery_delayed_*`."""
        rows = self.control("list_queues", "--quiet", "--no-table-headers", "name", "messages").splitlines()
        counts = {name: int(count) for name, _, count in (row.partition("\t") for row in rows)}
        return {
            name: count
            for name, count in counts.items()
            if count and not any(part in name for part in NO_WORK)
        }

    def control(self, *words: str) -> str:
        """What `rabbitmqctl` prints."""
        done = subprocess.run(
            ["rabbitmqctl", *words],
            env=self.variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@contextmanager
def a_broker(transport: str, folder: Path) -> Iterator[Broker]:
    """A private server, gone afterwards."""
    if transport == "redis":
        with start_redis(folder) as server:
            yield RedisBroker(server.url)
        return
    with start_rabbitmq(folder) as server:
        # As the node itself has them: its name, its cookie's folder, its epmd.
        node = psutil.Process(server.pids[0]).environ()
        wanted = {name: node[name] for name in node if name.startswith(("RABBITMQ_", "ERL_EPMD_"))}
        path = os.pathsep.join([str(DEBIAN_RABBITMQ.parent), os.environ["PATH"]])
        yield RabbitBroker(server.url, {**wanted, "HOME": node["HOME"], "LANG": "C.UTF-8", "PATH": path})
