"""What a queue has given up waits in a bounded queue beside it."""

from __future__ import annotations

import pytest
from workloads import Found, after, for_its_rabbitmq

from policycompiler.policies.delivery import dead_letters

LEFT_OUT = (
    "Celery signals no end of a body that cannot be decoded or of a task that raises `Ignore`, so these leave "
    "no dead letter"
)
DECIDES = {
    "Redis": (
        "queues: {mail: {dead_letter: true}}",
        {
            "queue:mail/dead_letter_queue": (
                "mail.dead",
                "failed messages wait in this queue until a person reads them",
            ),
            "queue:mail/dead_letter_copies": ("all", f"Redis deletes a message whose run failed; {LEFT_OUT}"),
            "queue:mail/dead_letter_limit": (
                10000,
                "each worker drops the oldest dead letter above this number",
            ),
            "queue:mail/dead_letter_arguments": None,
            "queue:mail/arguments.x-dead-letter-exchange": None,
        },
    ),
    "a classic queue": (
        ("broker: {transport: rabbitmq, url: '${B}', version: '3.13'}\nqueues: {mail: {dead_letter: true}}"),
        {
            "queue:mail/dead_letter_queue": (
                "mail.dead",
                "failed messages wait in this queue until a person reads them",
            ),
            "queue:mail/dead_letter_copies": (
                "acknowledged",
                f"the broker keeps only messages that the worker rejects; {LEFT_OUT}",
            ),
            "queue:mail/dead_letter_limit": None,
            "queue:mail/dead_letter_arguments": (
                {"x-max-length": 10000},
                "the dead-letter queue has the type of its queue and holds 10,000 messages at most",
            ),
            "queue:mail/arguments.x-dead-letter-exchange": (
                "",
                "this exchange routes each dead letter to the queue that its routing key names",
            ),
            "queue:mail/arguments.x-dead-letter-routing-key": (
                "mail.dead",
                ("the routing key is the name of the dead-letter queue"),
            ),
            "queue:mail/arguments.x-dead-letter-strategy": None,
            "queue:mail/arguments.x-overflow": None,
        },
    ),
    "a quorum queue": (
        ("broker: {transport: rabbitmq, url: '${B}'}\nqueues: {mail: {dead_letter: true}}"),
        {
            "queue:mail/dead_letter_queue": (
                "mail.dead",
                "failed messages wait in this queue until a person reads them",
            ),
            "queue:mail/dead_letter_arguments": (
                {"x-max-length": 10000, "x-queue-type": "quorum"},
                "the dead-letter queue has the type of its queue and holds 10,000 messages at most",
            ),
            "queue:mail/arguments.x-dead-letter-exchange": (
                "",
                "this exchange routes each dead letter to the queue that its routing key names",
            ),
            "queue:mail/arguments.x-dead-letter-routing-key": (
                "mail.dead",
                ("the routing key is the name of the dead-letter queue"),
            ),
            "queue:mail/arguments.x-dead-letter-strategy": (
                "at-least-once",
                "the queue then deletes a dead letter only after the dead-letter queue has it",
            ),
            "queue:mail/arguments.x-overflow": (
                "reject-publish",
                ("the dead-letter strategy `at-least-once` needs it"),
            ),
        },
    ),
    "a quorum queue of a RabbitMQ that does not know the strategy": (
        (
            "broker: {transport: rabbitmq, url: '${B}', version: '3.9'}\n"
            "queues: {mail: {dead_letter: true, type: quorum}}"
        ),
        {
            "queue:mail/arguments.x-dead-letter-exchange": (
                "",
                "this exchange routes each dead letter to the queue that its routing key names",
            ),
            "queue:mail/arguments.x-dead-letter-routing-key": (
                "mail.dead",
                ("the routing key is the name of the dead-letter queue"),
            ),
            "queue:mail/arguments.x-dead-letter-strategy": None,
            "queue:mail/arguments.x-overflow": None,
        },
    ),
    "a quorum queue with a length of its own keeps its overflow": (
        (
            "broker: {transport: rabbitmq, url: '${B}'}\n"
            "queues: {mail: {dead_letter: true, arguments: {x-max-length: 5}}}"
        ),
        {
            "queue:mail/arguments.x-dead-letter-exchange": (
                "",
                "this exchange routes each dead letter to the queue that its routing key names",
            ),
            "queue:mail/arguments.x-dead-letter-routing-key": (
                "mail.dead",
                ("the routing key is the name of the dead-letter queue"),
            ),
            "queue:mail/arguments.x-dead-letter-strategy": None,
            "queue:mail/arguments.x-overflow": None,
        },
    ),
    "what is pinned stays": (
        (
            "broker: {transport: rabbitmq, url: '${B}', version: '3.13'}\n"
            "queues: {mail: {dead_letter: true, arguments: {x-dead-letter-routing-key: "
            "lost}}}"
        ),
        {
            "queue:mail/arguments.x-dead-letter-exchange": (
                "",
                "this exchange routes each dead letter to the queue that its routing key names",
            ),
            "queue:mail/arguments.x-dead-letter-routing-key": None,
        },
    ),
}
LETTERS = "queue:mail/arguments.x-dead-letter-exchange"
STAYS_SILENT = {
    "false": (
        ("broker: {transport: rabbitmq, url: '${B}'}\nqueues: {mail: {dead_letter: false}}"),
        ["queue:mail/dead_letter_queue", "queue:mail/dead_letter_arguments", LETTERS],
    ),
    "another app's": (
        ("broker: {transport: rabbitmq, url: '${B}'}\nqueues: {mail: {dead_letter: true, external: true}}"),
        ["queue:mail/dead_letter_queue", "queue:mail/dead_letter_arguments", LETTERS],
    ),
    "a broadcast": (
        ("broker: {transport: rabbitmq, url: '${B}'}\nqueues: {mail: {dead_letter: true, broadcast: true}}"),
        ["queue:mail/dead_letter_queue", "queue:mail/dead_letter_arguments", LETTERS],
    ),
}
LEADS_TO = {
    "the declaration": (
        ("broker: {transport: rabbitmq, url: '${B}'}\nqueues: {mail: {dead_letter: true}}"),
        "queue:mail/dead_letter_queue",
        ["2:30", "DEAD_SUFFIX"],
    ),
    "the parameter and the kind": (
        ("broker: {transport: rabbitmq, url: '${B}', version: '3.13'}\nqueues: {mail: {dead_letter: true}}"),
        "queue:mail/dead_letter_arguments",
        ["queue:mail/type", "parameters.dead-letters.most_messages"],
    ),
    "what gives the exchange": (
        "broker: {transport: rabbitmq, url: '${B}'}\nqueues: {mail: {dead_letter: true}}",
        LETTERS,
        ["2:30", "TO_QUEUE"],
    ),
    "what gives the key": (
        "broker: {transport: rabbitmq, url: '${B}'}\nqueues: {mail: {dead_letter: true}}",
        "queue:mail/arguments.x-dead-letter-routing-key",
        ["queue:mail/dead_letter_queue"],
    ),
}
REFUSES = {
    "SQS has its own": (
        ("broker: {transport: sqs, url: '${B}'}\nqueues: {mail: {dead_letter: true}}"),
        [
            Found(
                "dead-letter-elsewhere",
                "2:17",
                (
                    "neither Celery nor a worker keeps dead letters on SQS, so `dead_letter` has no "
                    "effect here"
                ),
                "remove `dead_letter`",
            )
        ],
    ),
    "another app's": (
        ("broker: {transport: rabbitmq, url: '${B}'}\nqueues: {mail: {dead_letter: true, external: true}}"),
        [
            Found(
                "dead-letter-elsewhere",
                "2:17",
                ("another app declares queue mail and its dead letters, so `dead_letter` has no effect here"),
                "remove `dead_letter`",
            )
        ],
    ),
    "a broadcast": (
        ("broker: {transport: rabbitmq, url: '${B}'}\nqueues: {mail: {dead_letter: true, broadcast: true}}"),
        [
            Found(
                "dead-letter-elsewhere",
                "2:17",
                (
                    "each worker has its own copy of broadcast queue mail, deleted when the worker stops, so "
                    "`dead_letter` has no effect here"
                ),
                "remove `dead_letter`",
            )
        ],
    ),
    "a worker consumes them": (
        (
            "broker: {transport: rabbitmq, url: '${B}'}\n"
            "queues: {mail: {dead_letter: true}}\n"
            "workers: {w: {queues: [mail, mail.dead]}}"
        ),
        [
            Found(
                "dlq-consumed",
                "3:24",
                (
                    "worker w consumes mail.dead, the dead-letter queue of queue mail: it would run the failed "
                    "tasks again"
                ),
                "let no worker consume mail.dead; `policycompiler dead-letters` shows its messages",
            )
        ],
    ),
    "so does one of a task of theirs": (
        (
            "broker: {transport: rabbitmq, url: '${B}'}\n"
            "queues: {mail: {dead_letter: true}}\n"
            "tasks: {shop.a: {queue: mail.dead}}"
        ),
        [
            Found(
                "dlq-consumed",
                "2:9",
                (
                    "worker mail.dead consumes mail.dead, the dead-letter queue of queue mail: it would run the "
                    "failed tasks again"
                ),
                "send shop.a to another queue",
            )
        ],
    ),
    "a pinned queue that nothing declares": (
        (
            "broker: {transport: rabbitmq, url: '${B}'}\n"
            "queues: {mail: {arguments: {x-dead-letter-exchange: '', "
            "x-dead-letter-routing-key: lost}}}"
        ),
        [
            Found(
                "dlq-undeclared",
                "2:53",
                (
                    "the dead letters of queue mail go to queue lost, which the workload does not declare: if it "
                    "does not exist, RabbitMQ drops them"
                ),
                (
                    "write `dead_letter: true` instead, or declare that queue under `queues:` (with `external: "
                    "true` if another app owns it)"
                ),
            )
        ],
    ),
    "a pinned exchange that nothing declares": (
        (
            "broker: {transport: rabbitmq, url: '${B}'}\n"
            "queues: {mail: {arguments: {x-dead-letter-exchange: lost}}}"
        ),
        [
            Found(
                "dlq-undeclared",
                "2:53",
                (
                    "the dead letters of queue mail go to a queue bound to exchange lost, which the workload does "
                    "not declare: if it does not exist, RabbitMQ drops them"
                ),
                (
                    "write `dead_letter: true` instead, or declare that queue under `queues:` (with `external: "
                    "true` if another app owns it)"
                ),
            )
        ],
    ),
    "pinned beside it, and nothing declares it": (
        (
            "broker: {transport: rabbitmq, url: '${B}', version: '3.13'}\n"
            "queues: {mail: {dead_letter: true, arguments: {x-dead-letter-routing-key: "
            "lost}}}"
        ),
        [
            Found(
                "dlq-undeclared",
                "2:75",
                (
                    "the dead letters of queue mail go to queue lost, which the workload does not declare: if it "
                    "does not exist, RabbitMQ drops them"
                ),
                (
                    "write `dead_letter: true` instead, or declare that queue under `queues:` (with `external: "
                    "true` if another app owns it)"
                ),
            )
        ],
    ),
}
ACCEPTS = {
    "kept": (
        "broker: {transport: rabbitmq, url: '${B}'}\n"
        "tasks: {shop.a: {idempotent: true, queue: mail}}\n"
        "queues: {mail: {dead_letter: true}}"
    ),
    "not asked for": "queues: {mail: {dead_letter: false}}",
    "a pinned queue that is declared": (
        "broker: {transport: rabbitmq, url: '${B}'}\n"
        "queues: {mail: {arguments: {x-dead-letter-exchange: '', "
        "x-dead-letter-routing-key: lost}}, lost: {external: true}}"
    ),
    "a pinned exchange that is declared": (
        "broker: {transport: rabbitmq, url: '${B}'}\n"
        "queues: {mail: {arguments: {x-dead-letter-exchange: lost}}, dead: {external: "
        "true, exchange: lost}}"
    ),
    "what has waited goes back to a queue that is consumed": (
        "broker: {transport: rabbitmq, url: '${B}'}\n"
        "queues: {later: {arguments: {x-message-ttl: 60000, x-dead-letter-exchange: '',"
        " x-dead-letter-routing-key: mail}}, mail: {}}"
    ),
}


@pytest.mark.parametrize(("fragment", "expected"), DECIDES.values(), ids=DECIDES)
def test_it_decides(fragment, expected):
    decided = after(dead_letters, fragment, for_its_rabbitmq(fragment)).decided
    assert {address: decided.get(address) for address in expected} == expected


@pytest.mark.parametrize(("fragment", "addresses"), STAYS_SILENT.values(), ids=STAYS_SILENT)
def test_it_stays_silent(fragment, addresses):
    assert after(dead_letters, fragment, for_its_rabbitmq(fragment)).decided.keys().isdisjoint(addresses)


@pytest.mark.parametrize(("fragment", "address", "places"), LEADS_TO.values(), ids=LEADS_TO)
def test_its_origins_lead_to(fragment, address, places):
    assert after(dead_letters, fragment, for_its_rabbitmq(fragment)).origins[address] == places


@pytest.mark.parametrize(("fragment", "findings"), REFUSES.values(), ids=REFUSES)
def test_it_refuses(fragment, findings):
    assert after(dead_letters, fragment, for_its_rabbitmq(fragment)).findings == findings


@pytest.mark.parametrize("fragment", ACCEPTS.values(), ids=ACCEPTS)
def test_it_accepts(fragment):
    assert after(dead_letters, fragment, for_its_rabbitmq(fragment)).findings == []
