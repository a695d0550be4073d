"""Servers for the tests of this folder, one of a kind a test process, and labs on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from itertools import count, cycle
from pathlib import Path

import celery
import pytest
import redis
from knowledge.lab import OpenLab, open_lab
from servers import RABBITMQ, rabbitmq_server, redis_server

CELERY = tuple(int(part) for part in celery.__version__.split(".")[:2])
DATABASES = cycle(range(16))
QUEUES = count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of a Celery older than a claim is marked with, it must be untrue; with `run=False` it is not asked."""
    for item in items:
        for mark in item.iter_markers("since"):
            (version,) = mark.args
            if tuple(map(int, version.split("."))) > CELERY:
                reason = f"holds since Celery {version}"
                asked = mark.kwargs.get("run", True)
                item.add_marker(
                    pytest.mark.xfail(reason=reason) if asked else pytest.mark.skip(reason=reason)
                )


@pytest.fixture(scope="session")
def redis_address(tmp_path_factory) -> Iterator[str]:
    with redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url.removesuffix("/0")


@pytest.fixture(scope="session")
def rabbitmqs(tmp_path_factory) -> Iterator[Callable[[str], str]]:
    """Where the RabbitMQ of a release is, which is started when a test first asks for it."""
    with ExitStack() as stack:
        yield cache(
            lambda release: stack.enter_context(rabbitmq_server(tmp_path_factory.mktemp("rabbitmq"), release))
        )


@pytest.fixture
def release() -> str:
    """The release of RabbitMQ; a test that is parametrized with `release` gets others."""
    return RABBITMQ[0]


@pytest.fixture
def rabbitmq_url(rabbitmqs, release) -> str:
    return rabbitmqs(release)


@pytest.fixture
def database(redis_address) -> Iterator[redis.Redis]:
    """An empty database; what its messages wait for is the same for all that use it, so no two tests do."""
    with redis.Redis.from_url(f"{redis_address}/{next(DATABASES)}", decode_responses=True) as client:
        client.flushdb()
        yield client


@pytest.fixture
def redis_url(redis_address, database) -> str:
    """Where the test's database is, for results too."""
    return f"{redis_address}/{database.get_connection_kwargs()['db']}"


@pytest.fixture
def on_redis(redis_url, tmp_path) -> Iterator[OpenLab]:
    """Opens labs on the test's database; each call is an app with settings of its own."""
    base = {"broker_url": redis_url, "worker_lost_wait": 0.5}
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(open_lab(_folder(tmp_path), base | settings))


@pytest.fixture
def on_rabbitmq(rabbitmq_url, tmp_path) -> Iterator[OpenLab]:
    """Opens labs on RabbitMQ whose default queue nobody else has."""
    base = {"broker_url": rabbitmq_url, "worker_lost_wait": 0.5}
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(open_lab(_folder(tmp_path), base | settings))


@pytest.fixture
def queue_name() -> str:
    """The name of a queue that no other test of this process has."""
    return f"queue{next(QUEUES)}"


def _folder(parent: Path) -> Path:
    return parent / f"lab{len(list(parent.glob('lab*'))) + 1}"
