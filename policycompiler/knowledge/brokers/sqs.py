"""Amazon SQS (kombu/transport/SQS.py); kombu replaces a dot in a queue name with a dash."""

from __future__ import annotations

from string import punctuation

from policycompiler.knowledge.brokers.broker import Bindings, Broker, DeadLetters, Fanout, Place, Redelivery

BROKER = Broker(
    label="SQS",
    aliases=(),
    schemes=frozenset({"sqs"}),
    server="sqs",
    letters="-_",
    refused="",
    reserved="",
    longest_name=80,
    separator="-",
    declarations=False,
    arguments=frozenset(),
    expiring=frozenset(),
    quorum_queues=False,
    evicts=False,
    blocks=False,
    durable=True,
    modes=False,
    confirms=False,
    unroutable=False,
    levels=None,
    redelivery=Redelivery(
        option="visibility_timeout", default_seconds=1800, most_seconds=43_200, shared=False, sweep={}
    ),
    consumer_timeout=False,
    fanout=Fanout.NONE,
    bindings=Bindings.NONE,
    dead_letters=DeadLetters.ELSEWHERE,
    control=False,
    heartbeats=False,
    socket_timeout=False,
    disables_prefetch=False,
    tls=None,
    metrics=None,
    container=None,
    scalers=(),
    folders=None,
    own_keys={},
    place=Place(
        keeps={"queue_name_prefix": "", "region": None},
        meets={"supports_fanout": False, "predefined_exchanges": None},
        holds={},
        acknowledges={},
        addresses="predefined_queues",
    ),
)

_PUNCTUATION = str.maketrans(dict.fromkeys(set(punctuation) - set("-_."), "_") | {".": "-"})


def canonical(name: str) -> str:
    """The name of a queue on SQS."""
    if name.endswith(".fifo"):
        return name.removesuffix(".fifo").translate(_PUNCTUATION) + ".fifo"
    return name.translate(_PUNCTUATION)
