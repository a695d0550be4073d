"""Files in a folder that all processes share (kombu/transport/filesystem.py)."""

from __future__ import annotations

from policycompiler.knowledge.brokers.broker import Bindings, Broker, DeadLetters, Fanout, Place

BROKER = Broker(
    label="the file system",
    aliases=(),
    schemes=frozenset({"filesystem"}),
    server="filesystem",
    letters="",
    refused="/",
    reserved="",
    longest_name=180,
    separator=".",
    declarations=False,
    arguments=frozenset(),
    expiring=frozenset(),
    quorum_queues=False,
    evicts=False,
    durable=True,
    modes=False,
    confirms=False,
    unroutable=False,
    levels=None,
    redelivery=None,
    consumer_timeout=False,
    fanout=Fanout.KEPT,
    bindings=Bindings.FILE,
    dead_letters=DeadLetters.ELSEWHERE,
    control=False,
    heartbeats=False,
    socket_timeout=False,
    disables_prefetch=False,
    tls=None,
    metrics=None,
    container=None,
    scalers=(),
    folders=("data_folder_in", "data_folder_out"),
    own_keys={},
    place=Place(
        keeps={"data_folder_in": "data_in", "data_folder_out": "data_out"},
        meets={"control_folder": "control"},
        holds={},
        acknowledges={},
        addresses="",
    ),
)
