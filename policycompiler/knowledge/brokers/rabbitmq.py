"""RabbitMQ (kombu/transport/pyamqp.py)."""

from __future__ import annotations

from policycompiler.knowledge.brokers.broker import (
    Bindings,
    Broker,
    DeadLetters,
    Fanout,
    Levels,
    Metrics,
    Place,
)
from policycompiler.knowledge.clients import AMQP_TLS

BROKER = Broker(
    label="RabbitMQ",
    aliases=("amqp", "amqps", "pyamqp", "rabbit"),
    schemes=frozenset({"amqp", "amqps", "librabbitmq", "pyamqp"}),
    server="rabbitmq",
    letters="",
    refused="",
    reserved="amq.",
    longest_name=255,
    separator=".",
    declarations=True,
    arguments=None,
    expiring=frozenset({"x-expires", "x-message-ttl", "x-max-length", "x-max-length-bytes"}),
    quorum_queues=True,
    evicts=False,
    durable=True,
    modes=True,
    confirms=True,
    unroutable=True,
    levels=Levels.ARGUMENT,
    redelivery=None,
    consumer_timeout=True,
    fanout=Fanout.KEPT,
    bindings=Bindings.BROKER,
    dead_letters=DeadLetters.ARGUMENTS,
    control=True,
    heartbeats=True,
    socket_timeout=False,
    disables_prefetch=False,
    tls=AMQP_TLS,
    metrics=Metrics(job="rabbitmq", up=None, ping="rabbitmq-diagnostics check_running"),
    folders=None,
    own_keys={},
    place=Place(
        keeps={"host": None, "virtual_host": None},
        meets={},
        holds={},
        acknowledges={},
        addresses="",
    ),
)
