"""One broker of a kind for each test process, emptied before each test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from rollout.brokers import Broker, a_broker


@pytest.fixture(scope="session")
def servers(tmp_path_factory) -> Iterator[dict[str, Broker]]:
    """Starts what is asked for and keeps it."""
    with ExitStack() as stack:

        class Servers(dict):
            def __missing__(self, transport):
                folder = tmp_path_factory.mktemp(transport)
                self[transport] = stack.enter_context(a_broker(transport, folder))
                return self[transport]

        yield Servers()


@pytest.fixture
def empty_broker(servers):
    """The broker of a transport, with nothing in it."""

    def empty(transport: str) -> Broker:
        broker = servers[transport]
        broker.reset()
        return broker

    return empty
