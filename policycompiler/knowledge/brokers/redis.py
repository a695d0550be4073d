"""Redis, and what speaks its protocol (kombu/transport/redis.py)."""

from __future__ import annotations

from policycompiler.knowledge.brokers.broker import (
    Bindings,
    Broker,
    DeadLetters,
    Fanout,
    Levels,
    Metrics,
    Place,
    Redelivery,
)
from policycompiler.knowledge.clients import REDIS_TLS

BROKER = Broker(
    label="Redis",
    aliases=("rediss", "sentinel", "valkey", "redis-sentinel"),
    schemes=frozenset({"redis", "rediss", "sentinel"}),
    server="redis",
    letters="",
    refused="",
    longest_name=255,
    separator=".",
    declarations=False,
    arguments=frozenset({"x-expires"}),
    expiring=frozenset({"x-expires"}),
    quorum_queues=False,
    durable=True,
    modes=False,
    confirms=False,
    unroutable=False,
    levels=Levels.LISTS,
    redelivery=Redelivery(option="visibility_timeout", default_seconds=3600, most_seconds=None, shared=True),
    consumer_timeout=False,
    fanout=Fanout.LIVE,
    bindings=Bindings.SET,
    dead_letters=DeadLetters.SIGNALS,
    control=True,
    heartbeats=False,
    socket_timeout=True,
    disables_prefetch=True,
    tls=REDIS_TLS,
    metrics=Metrics(job="redis", up="redis_up", ping="redis-cli ping"),
    folders=None,
    own_keys={
        "unacked_key": "unacked",
        "unacked_index_key": "unacked_index",
        "unacked_mutex_key": "unacked_mutex",
    },
    place=Place(
        keeps={"global_keyprefix": "", "sep": "\x06\x16", "master_name": None},
        meets={"fanout_prefix": True, "fanout_patterns": True, "sentinel_fanout_compat": False},
        holds={"unacked_key": "unacked", "unacked_index_key": "unacked_index"},
        acknowledges={"ack_emulation": True},
        addresses="",
    ),
)
