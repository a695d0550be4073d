"""Brokers for the tests of dead letters, one of a kind a test process; a second RabbitMQ is one more name."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from letters.mailbox import Mailbox
from servers import rabbitmq_server, redis_server


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory) -> Iterator[str]:
    with redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture(scope="session")
def rabbitmq_url(tmp_path_factory) -> Iterator[str]:
    with rabbitmq_server(tmp_path_factory.mktemp("rabbitmq")) as url:
        yield url


@pytest.fixture(params=["redis", "classic", "quorum"])
def mailbox(request, tmp_path) -> Iterator[Mailbox]:
    """A queue with dead letters, on Redis, and of both types on RabbitMQ."""
    on_redis = request.param == "redis"
    url = request.getfixturevalue("redis_url" if on_redis else "rabbitmq_url")
    with Mailbox.opened(tmp_path, url, request.param) as found:
        yield found
