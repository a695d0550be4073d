"""The memory of one process, for tests (kombu/transport/memory.py)."""

from __future__ import annotations

from policycompiler.knowledge.brokers.broker import Bindings, Broker, DeadLetters, Fanout, Place

BROKER = Broker(
    label="memory",
    aliases=(),
    schemes=frozenset({"memory"}),
    server="memory",
    letters="",
    refused="",
    reserved="",
    longest_name=255,
    separator=".",
    declarations=False,
    arguments=frozenset(),
    expiring=frozenset(),
    quorum_queues=False,
    evicts=False,
    blocks=False,
    durable=False,
    modes=False,
    confirms=False,
    unroutable=False,
    levels=None,
    redelivery=None,
    consumer_timeout=False,
    fanout=Fanout.KEPT,
    bindings=Bindings.NONE,
    dead_letters=DeadLetters.ELSEWHERE,
    control=True,
    heartbeats=False,
    socket_timeout=False,
    disables_prefetch=False,
    tls=None,
    metrics=None,
    container=None,
    scalers=(),
    folders=None,
    own_keys={},
    place=Place(keeps={}, meets={}, holds={}, acknowledges={}, addresses=""),
)
