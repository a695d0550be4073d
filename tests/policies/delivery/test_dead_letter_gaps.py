"""What is among the dead letters that did not fail, and what is missing."""

from __future__ import annotations

import pytest
from workloads import Found, after

from policycompiler.policies.delivery import dead_letter_gaps

REFUSES = {
    "a task that expires": (
        (
            "broker: {transport: rabbitmq, url: '${B}'}\n"
            "queues: {mail: {dead_letter: true}}\n"
            "tasks: {shop.a: {idempotent: true, queue: mail, expires: 1h}}"
        ),
        [
            Found(
                "dlq-expires-flood",
                "3:58",
                (
                    "shop.a expires after 1 h, and RabbitMQ keeps expired messages among the dead letters "
                    "of queue mail"
                ),
                "use a queue without `dead_letter: true`, or remove the expiry",
            )
        ],
    ),
    "pinned": (
        (
            "broker: {transport: rabbitmq, url: '${B}'}\n"
            "queues: {mail: {dead_letter: true}}\n"
            "tasks: {shop.a: {idempotent: true, queue: mail, options: {expires: 60}}}"
        ),
        [
            Found(
                "dlq-expires-flood",
                "3:68",
                (
                    "shop.a expires after 1 min, and RabbitMQ keeps expired messages among the dead "
                    "letters of queue mail"
                ),
                "use a queue without `dead_letter: true`, or remove the expiry",
            )
        ],
    ),
    "each run of a schedule": (
        (
            "broker: {transport: rabbitmq, url: '${B}'}\n"
            "queues: {mail: {dead_letter: true}}\n"
            "tasks: {shop.a: {idempotent: true, queue: mail}}\n"
            "schedules: {s: {task: shop.a, every: 1m, expires: 50s}}"
        ),
        [
            Found(
                "dlq-expires-flood",
                "4:16",
                (
                    "each run of schedule s expires after 50 s, and RabbitMQ keeps expired messages among "
                    "the dead letters of queue mail"
                ),
                "use a queue without `dead_letter: true`, or remove the expiry",
            )
        ],
    ),
    "of a task that a pattern declares": (
        (
            "broker: {transport: rabbitmq, url: '${B}'}\n"
            "queues: {mail: {dead_letter: true}}\n"
            "tasks: {shop.*: {idempotent: true, queue: mail}}\n"
            "schedules: {s: {task: shop.a, cron: '0 3 * * *', expires: 1h}}"
        ),
        [
            Found(
                "dlq-expires-flood",
                "4:16",
                (
                    "each run of schedule s expires after 1 h, and RabbitMQ keeps expired messages among "
                    "the dead letters of queue mail"
                ),
                "use a queue without `dead_letter: true`, or remove the expiry",
            )
        ],
    ),
    "sent to another queue": (
        (
            "broker: {transport: rabbitmq, url: '${B}'}\n"
            "queues: {mail: {dead_letter: true}}\n"
            "tasks: {shop.a: {idempotent: true}}\n"
            "schedules: {s: {task: shop.a, every: 1m, options: {queue: mail}}}"
        ),
        [
            Found(
                "dlq-expires-flood",
                "4:16",
                (
                    "each run of schedule s expires after 54 s, and RabbitMQ keeps expired messages among "
                    "the dead letters of queue mail"
                ),
                "use a queue without `dead_letter: true`, or remove the expiry",
            )
        ],
    ),
}
ACCEPTS = {
    "nothing expires": (
        "broker: {transport: rabbitmq, url: '${B}'}\n"
        "queues: {mail: {dead_letter: true}}\n"
        "tasks: {shop.a: {idempotent: true, queue: mail}}"
    ),
    "its queue keeps none": (
        "broker: {transport: rabbitmq, url: '${B}'}\n"
        "tasks: {shop.a: {idempotent: true, queue: mail, expires: 1h}}\n"
        "schedules: {s: {task: shop.a, every: 1m}}"
    ),
    "sent elsewhere": (
        "broker: {transport: rabbitmq, url: '${B}'}\n"
        "queues: {mail: {dead_letter: true}}\n"
        "tasks: {shop.a: {idempotent: true, queue: mail}}\n"
        "schedules: {s: {task: shop.a, every: 1m, options: {queue: other}}}"
    ),
    "Redis expires none": (
        "queues: {mail: {dead_letter: true}}\ntasks: {shop.a: {idempotent: true, queue: mail, expires: 1h}}"
    ),
    "a hard limit at once": (
        "broker: {transport: rabbitmq, url: '${B}'}\n"
        "queues: {mail: {dead_letter: true}}\n"
        "tasks: {shop.a: {idempotent: true, queue: mail, options: {acks_on_failure: "
        "true, soft_time_limit: 9, time_limit: 9}}}"
    ),
    "another app's": (
        "broker: {transport: rabbitmq, url: '${B}'}\n"
        "queues: {mail: {dead_letter: true}}\n"
        "tasks: {shop.a: {external: true, queue: mail, expires: 1h}}"
    ),
}


@pytest.mark.parametrize(("fragment", "findings"), REFUSES.values(), ids=REFUSES)
def test_it_refuses(fragment, findings):
    assert after(dead_letter_gaps, fragment).findings == findings


@pytest.mark.parametrize("fragment", ACCEPTS.values(), ids=ACCEPTS)
def test_it_accepts(fragment):
    assert after(dead_letter_gaps, fragment).findings == []
