"""The rights that the processes of an app need in RabbitMQ, as anchored regular expressions.

https://www.rabbitmq.com/docs/access-control lists the right that each operation needs: a binding needs to
write to the queue and to read from the exchange, and a queue with dead letters to read from itself.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from policycompiler.emitters.base import Raw, Reading
from policycompiler.emitters.rabbitmq.definitions import declared, exchanges
from policycompiler.plan import APP

LONGEST = 24_000
"""Bytes of one pattern: RabbitMQ refuses an expression that takes more than 64 KiB when it is compiled.

A character takes two bytes then, and each name three more.
"""
NOTHING = "^$"
DEFAULT_EXCHANGE = re.escape("amq.default")
"""RabbitMQ's name of the default exchange in patterns: a user who may write to it reaches every queue."""
DELAYS = r"celery_delayed_(?:\d+|delivery)"
"""Queues and exchanges for delayed messages of quorum queues (kombu.transport.native_delayed_delivery)."""
DIRECT = (r"C\.dq2", r".+\.dq2")
"""The exchange and the queues of `worker_direct` (celery.utils.nodenames)."""
UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
EVENTS, CONTROL = "celeryev", "celery"
"""Celery's defaults of `event_exchange` and `event_queue_prefix`, and of `control_exchange`."""


class Role(NamedTuple):
    """A kind of user: the variable with its name, what it is for, and its three patterns.

    `given` is a shell word: empty if the variable is not set.
    """

    variable: Raw
    given: Raw
    purpose: Raw
    configure: str
    write: str
    read: str

    @property
    def too_long(self) -> bool:
        """Whether RabbitMQ may refuse one of the patterns."""
        return any(len(each.encode()) > LONGEST for each in (self.configure, self.write, self.read))


def roles(reading: Reading) -> list[Role]:
    """Workers; everything that sends tasks; and what watches and controls workers."""
    queues = [re.escape(queue.name) for queue in declared(reading)]
    dead = [re.escape(name) for name in _dead(reading)]
    own = [re.escape(name) for name in exchanges(reading)]
    talk, events = _control(reading), _events(reading)
    copies, others = _broadcasts(reading), [DEFAULT_EXCHANGE, *_external(reading)]
    answers = [UUID] * (reading.get(APP, "result_backend_kind") == "rpc")
    direct = [*DIRECT] * bool(reading.get(APP, "worker_direct"))
    sends = [*queues, *dead, *own, DELAYS, *answers]
    sent = events[:1] * bool(reading.get(APP, "task_send_sent_event"))
    controlled = talk * bool(reading.get(APP, "beat_enable_remote_control"))
    working = [*copies, *direct, *talk, *events]
    return [
        _role(
            "WORKER",
            "workers, which also send tasks",
            [*sends, *working],
            [*sends, *working, *others],
            [*queues, *own, DELAYS, *answers, *working],
        ),
        _role(
            "PRODUCER",
            "processes that only send tasks, and beat",
            [*sends, *sent, *controlled],
            [*sends, *sent, *controlled, *others],
            [*own, *_with_dead_letters(reading), DELAYS, *answers, *sent, *controlled],
        ),
        _role(
            "MONITOR",
            "Flower, exporters and `celery inspect`: events and remote control, no tasks",
            [*talk, *events],
            [*talk, *events],
            [*talk, *events],
        ),
    ]


def _role(name: str, purpose: str, configure: list[str], write: list[str], read: list[str]) -> Role:
    patterns = (_any_of(each) for each in (configure, write, read))
    variable = Raw(f"RABBITMQ_{name}_USER")
    return Role(variable, Raw(f'"${{{variable}:-}}"'), Raw(purpose), *patterns)


def _any_of(names: list[str]) -> str:
    found = sorted(set(names))
    return f"^(?:{'|'.join(found)})$" if found else NOTHING


def _dead(reading: Reading) -> list[str]:
    found = (reading.get(queue, "dead_letter_queue") for queue in declared(reading))
    return [str(each) for each in found if each is not None]


def _with_dead_letters(reading: Reading) -> list[str]:
    """The queues whose declaration needs to read them, beside those that have an exchange of their name."""
    own = exchanges(reading)
    others = (queue for queue in declared(reading) if queue.name not in own)
    return [
        re.escape(queue.name) for queue in others if reading.find(queue, "arguments.x-dead-letter-exchange")
    ]


def _broadcasts(reading: Reading) -> list[str]:
    """The queues of broadcasts, of which each process has its own."""
    every = (queue for queue in reading.scopes("queue") if reading.value(queue, "broadcast"))
    return [rf"{re.escape(queue.name)}\.{UUID}" for queue in every]


def _external(reading: Reading) -> list[str]:
    """Exchanges of queues that another app declares; a direct one is reached by the default exchange."""
    every = (queue for queue in reading.scopes("queue") if reading.value(queue, "external"))
    found = [str(reading.get(queue, "exchange", "")) for queue in every]
    return [re.escape(each) for each in found if each]


def _control(reading: Reading) -> list[str]:
    """The exchanges and queues of remote control: of each node, and for answers."""
    name = re.escape(str(reading.get(APP, "control_exchange") or CONTROL))
    return [rf"{name}\.pidbox", rf".+\.{name}\.pidbox"]


def _events(reading: Reading) -> list[str]:
    """The exchange of events, and the queues of those that read them."""
    exchange = re.escape(str(reading.get(APP, "event_exchange") or EVENTS))
    prefix = re.escape(str(reading.get(APP, "event_queue_prefix") or EVENTS))
    return [exchange, rf"{prefix}\..+"]
