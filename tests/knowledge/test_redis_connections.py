"""How many connections kombu's client of Redis has in a process by default."""

from __future__ import annotations

from kombu.transport.redis import Channel

from policycompiler.knowledge.brokers import broker


def test_the_client_has_as_many_connections_as_the_record_says():
    """Above it, an acknowledgment raises an error, and its message runs again."""
    assert Channel.max_connections == broker("redis").client_connections
