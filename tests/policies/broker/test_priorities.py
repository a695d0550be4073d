"""The most urgent goes first, whichever way the broker counts."""

from __future__ import annotations

import pytest
from workloads import Found, after, for_its_rabbitmq

from policycompiler.policies.broker import priorities

DECIDES = {
    "Redis takes the lowest first": (
        "tasks: {shop.a: {queue: mail, priority: 9}, shop.b: {queue: mail}}",
        {
            "task:shop.a/options.priority": (
                0,
                "priority 9 of 9 is 0 in the numbers of this broker",
            ),
            "task:shop.b/options.priority": (
                9,
                "the task declares no priority, and Redis would deliver its messages first",
            ),
            "app/broker_transport_options": (
                {
                    "visibility_timeout": 3600,
                    "unacked_restore_interval": 10,
                    "unacked_restore_throttle": 1,
                    "socket_timeout": 30.0,
                    "priority_steps": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
                },
                (
                    "the visibility timeout is longer than a worker holds any message; workers look every 10 s for "
                    "messages past their timeout, not every 100 s; `socket_timeout` "
                    "detects dead connections; Redis needs one list for each priority"
                ),
            ),
        },
    ),
    "RabbitMQ takes the highest first": (
        (
            "broker: {transport: rabbitmq, url: '${B}', version: '3.13'}\n"
            "tasks: {shop.a: {queue: mail, priority: 9}, shop.b: {queue: mail}}"
        ),
        {
            "task:shop.a/options.priority": (
                9,
                "priority 9 of 9 is 9 in the numbers of this broker",
            ),
            "task:shop.b/options.priority": None,
            "queue:mail/arguments.x-max-priority": (
                9,
                "the queue has 10 priority levels, and the lowest is 0",
            ),
        },
    ),
    "a quorum queue needs no argument": (
        (
            "broker: {transport: rabbitmq, url: '${B}'}\n"
            "tasks: {shop.a: {queue: mail, priority: 9}, shop.b: {queue: mail}}"
        ),
        {
            "task:shop.a/options.priority": (
                9,
                "priority 9 of 9 is 9 in the numbers of this broker",
            ),
            "task:shop.b/options.priority": None,
            "queue:mail/arguments.x-max-priority": None,
        },
    ),
    "three levels on Redis": (
        (
            "tasks: {shop.a: {queue: mail, priority: 9}, shop.b: {queue: mail}}\n"
            "queues: {mail: {priorities: 3}}"
        ),
        {
            "task:shop.a/options.priority": (
                0,
                "priority 9 of 9 is 0 in the numbers of this broker",
            ),
            "task:shop.b/options.priority": (
                2,
                "the task declares no priority, and Redis would deliver its messages first",
            ),
        },
    ),
    "three levels on RabbitMQ": (
        (
            "broker: {transport: rabbitmq, url: '${B}', version: '3.13'}\n"
            "tasks: {shop.a: {queue: mail, priority: 9}, shop.b: {queue: mail}}\n"
            "queues: {mail: {priorities: 3}}"
        ),
        {
            "task:shop.a/options.priority": (
                2,
                "priority 9 of 9 is 2 in the numbers of this broker",
            ),
            "task:shop.b/options.priority": None,
            "queue:mail/arguments.x-max-priority": (
                2,
                "the queue has 3 priority levels, and the lowest is 0",
            ),
        },
    ),
    "the levels of a pinned argument": (
        (
            "broker: {transport: rabbitmq, url: '${B}', version: '3.13'}\n"
            "tasks: {shop.a: {queue: mail, priority: 9}, shop.b: {queue: mail}}\n"
            "queues: {mail: {arguments: {x-max-priority: 4}}}"
        ),
        {
            "task:shop.a/options.priority": (
                4,
                "priority 9 of 9 is 4 in the numbers of this broker",
            ),
            "task:shop.b/options.priority": None,
            "queue:mail/arguments.x-max-priority": None,
        },
    ),
    "beside other arguments": (
        (
            "broker: {transport: rabbitmq, url: '${B}', version: '3.13'}\n"
            "tasks: {shop.a: {queue: mail, priority: 9}, shop.b: {queue: mail}}\n"
            "queues: {mail: {arguments: {x-message-ttl: 5}}}"
        ),
        {
            "queue:mail/arguments.x-max-priority": (
                9,
                "the queue has 10 priority levels, and the lowest is 0",
            )
        },
    ),
    "the steps that are pinned": (
        (
            "broker: {transport: redis, url: '${B}', options: {priority_steps: [0, 5, 7]}}\n"
            "tasks: {shop.a: {queue: mail, priority: 9}, shop.b: {queue: mail}}\n"
            "queues: {mail: {priorities: 3}}"
        ),
        {
            "task:shop.a/options.priority": (
                0,
                "priority 9 of 9 is 0 in the numbers of this broker",
            ),
            "task:shop.b/options.priority": (
                7,
                "the task declares no priority, and Redis would deliver its messages first",
            ),
            "app/broker_transport_options": None,
        },
    ),
    "levels for what producers choose": (
        ("broker: {transport: rabbitmq, url: '${B}', version: '3.13'}\nqueues: {mail: {priorities: 10}}"),
        {
            "queue:mail/arguments.x-max-priority": (
                9,
                "the queue has 10 priority levels, and the lowest is 0",
            )
        },
    ),
    "another app's queue is told too": (
        (
            "broker: {transport: rabbitmq, url: '${B}', version: '3.13'}\n"
            "tasks: {shop.a: {queue: q, external: true, priority: 4}}"
        ),
        {
            "task:shop.a/options.priority": (
                4,
                "priority 4 of 9 is 4 in the numbers of this broker",
            ),
            "queue:q/arguments.x-max-priority": None,
        },
    ),
    "a pattern": (
        "tasks: {shop.*: {priority: 0}}",
        {
            "task:shop.*/options.priority": (
                9,
                "priority 0 of 9 is 9 in the numbers of this broker",
            )
        },
    ),
    "steps that are pinned wrong count for nothing": (
        (
            "broker: {transport: redis, url: '${B}', options: {priority_steps: [3, 1]}}\n"
            "tasks: {shop.a: {queue: mail, priority: 9}, shop.b: {queue: mail}}"
        ),
        {
            "task:shop.a/options.priority": (
                0,
                "priority 9 of 9 is 0 in the numbers of this broker",
            ),
            "task:shop.b/options.priority": (
                9,
                "the task declares no priority, and Redis would deliver its messages first",
            ),
        },
    ),
}
STAYS_SILENT = {
    "nothing is declared": (
        "tasks: {shop.a: {}}",
        ["task:shop.a/options.priority", "task:shop.b/options.priority", "app/broker_transport_options"],
    ),
    "pinned": (
        "tasks: {shop.a: {priority: 9, options: {priority: 0}}}",
        ["task:shop.a/options.priority", "task:shop.b/options.priority"],
    ),
    "SQS": (
        (
            "broker: {transport: sqs, url: '${B}'}\n"
            "tasks: {shop.a: {queue: mail, priority: 9}, shop.b: {queue: mail}}"
        ),
        ["task:shop.a/options.priority", "task:shop.b/options.priority"],
    ),
    "one level": (
        ("broker: {transport: rabbitmq, url: '${B}', version: '3.13'}\nqueues: {mail: {priorities: 1}}"),
        ["queue:mail/arguments.x-max-priority"],
    ),
    "none is last on RabbitMQ anyway": (
        (
            "broker: {transport: rabbitmq, url: '${B}', version: '3.13'}\n"
            "tasks: {shop.a: {queue: mail, priority: 9}, shop.b: {queue: mail}}"
        ),
        ["task:shop.b/options.priority"],
    ),
    "another queue": (
        "tasks: {shop.a: {queue: mail, priority: 9}, shop.b: {queue: other}}",
        ["task:shop.b/options.priority"],
    ),
}
LEADS_TO = {
    "the declaration": (
        "tasks: {shop.a: {queue: mail, priority: 9}, shop.b: {queue: mail}}",
        "task:shop.a/options.priority",
        ["1:41"],
    ),
    "the levels": (
        (
            "broker: {transport: rabbitmq, url: '${B}', version: '3.13'}\n"
            "tasks: {shop.a: {queue: mail, priority: 9}, shop.b: {queue: mail}}\n"
            "queues: {mail: {priorities: 3}}"
        ),
        "queue:mail/arguments.x-max-priority",
        ["3:29"],
    ),
    "the task that asks, and the policy": (
        (
            "broker: {transport: rabbitmq, url: '${B}', version: '3.13'}\n"
            "tasks: {shop.a: {queue: mail, priority: 9}, shop.b: {queue: mail}}"
        ),
        "queue:mail/arguments.x-max-priority",
        ["2:41", "LEVELS"],
    ),
    "what nobody declared": (
        "tasks: {shop.a: {queue: mail, priority: 9}, shop.b: {queue: mail}}",
        "task:shop.b/options.priority",
        ["1:41", "LEAST_URGENT"],
    ),
    "the steps": (
        "tasks: {shop.a: {queue: mail, priority: 9}, shop.b: {queue: mail}}",
        "app/broker_transport_options",
        [
            "app/broker_transport",
            "app/visibility_timeout_seconds",
            "app/celery_version",
            "parameters.broker-connection.socket_timeout_seconds",
            "1:41",
            "STEPS",
        ],
    ),
}
REFUSES = {
    "two directions": (
        ("tasks: {shop.a: {queue: mail, priority: 9, options: {priority: 9}}, shop.b: {queue: mail}}"),
        [
            Found(
                "priority-direction",
                "1:64",
                (
                    "shop.a declares priority 9 of 9, which is 0 on this broker, but pins "
                    "`options.priority: 9`"
                ),
                "keep one of the two; if in doubt, `priority`",
            )
        ],
    ),
    "two directions on RabbitMQ": (
        (
            "broker: {transport: rabbitmq, url: '${B}', version: '3.13'}\n"
            "tasks: {shop.a: {priority: 9, options: {priority: 0}}}"
        ),
        [
            Found(
                "priority-direction",
                "2:51",
                (
                    "shop.a declares priority 9 of 9, which is 9 on this broker, but pins "
                    "`options.priority: 0`"
                ),
                "keep one of the two; if in doubt, `priority`",
            )
        ],
    ),
    "fewer steps than levels": (
        (
            "broker: {transport: redis, url: '${B}', options: {priority_steps: [0, 5]}}\n"
            "queues: {mail: {priorities: 3}}"
        ),
        [
            Found(
                "priority-redis-steps",
                "1:67",
                "`priority_steps` pins 2 steps, but queue mail has 3 levels",
                "remove `priority_steps` (the compiler then sets ten), or declare fewer levels",
            )
        ],
    ),
    "fewer steps than ten": (
        (
            "broker: {transport: redis, url: '${B}', options: {priority_steps: [0, 5]}}\n"
            "tasks: {shop.a: {queue: mail, priority: 9}, shop.b: {queue: mail}}"
        ),
        [
            Found(
                "priority-redis-steps",
                "1:67",
                "`priority_steps` pins 2 steps, but queue mail has 10 levels",
                "remove `priority_steps` (the compiler then sets ten), or declare fewer levels",
            )
        ],
    ),
    "steps that do not rise": (
        (
            "broker: {transport: redis, url: '${B}', options: {priority_steps: [3, 1]}}\n"
            "tasks: {shop.a: {queue: mail, priority: 9}, shop.b: {queue: mail}}"
        ),
        [
            Found(
                "priority-redis-steps",
                "1:67",
                "`priority_steps` must be whole numbers that rise from 0",
                "write numbers that rise from 0, or remove `priority_steps`",
            )
        ],
    ),
    "steps that are no numbers, where no task has a priority": (
        "broker: {transport: redis, url: '${B}', options: {priority_steps: [a, b]}}\ntasks: {shop.a: {}}",
        [
            Found(
                "priority-redis-steps",
                "1:67",
                "`priority_steps` must be whole numbers that rise from 0",
                "write numbers that rise from 0, or remove `priority_steps`",
            )
        ],
    ),
    "a quorum queue of RabbitMQ 3": (
        (
            "broker: {transport: rabbitmq, url: '${B}', version: '3.13'}\n"
            "tasks: {shop.a: {queue: mail, priority: 9}, shop.b: {queue: mail}}\n"
            "queues: {mail: {type: quorum}}"
        ),
        [
            Found(
                "quorum-priority",
                "2:41",
                (
                    "queue mail is a quorum queue, and RabbitMQ 3.13 does not support priorities on quorum "
                    "queues"
                ),
                "use a classic queue, a separate queue for urgent tasks, or RabbitMQ 4",
            )
        ],
    ),
    "with levels": (
        (
            "broker: {transport: rabbitmq, url: '${B}', version: '3.13'}\n"
            "queues: {mail: {type: quorum, priorities: 3}}"
        ),
        [
            Found(
                "quorum-priority",
                "2:43",
                (
                    "queue mail is a quorum queue, and RabbitMQ 3.13 does not support priorities on quorum "
                    "queues"
                ),
                "use a classic queue, a separate queue for urgent tasks, or RabbitMQ 4",
            )
        ],
    ),
    "SQS": (
        (
            "broker: {transport: sqs, url: '${B}'}\n"
            "tasks: {shop.a: {queue: mail, priority: 9}}\n"
            "queues: {mail: {priorities: 3}}"
        ),
        [
            Found(
                "priority-unused",
                "2:31",
                "sqs does not support priorities, so `priority` has no effect",
                "use Redis or RabbitMQ, or a separate queue for urgent tasks",
            ),
            Found(
                "priority-unused",
                "3:17",
                "sqs does not support priorities, so `priorities` has no effect",
                "use Redis or RabbitMQ, or a separate queue for urgent tasks",
            ),
        ],
    ),
}
ACCEPTS = {
    "said twice alike": "tasks: {shop.a: {priority: 9, options: {priority: 0}}}",
    "pinned alone": "tasks: {shop.a: {options: {priority: 200}}}",
    "RabbitMQ 4": (
        "broker: {transport: rabbitmq, url: '${B}', version: '4.0'}\n"
        "tasks: {shop.a: {queue: mail, priority: 9}, shop.b: {queue: mail}}"
    ),
    "an unknown RabbitMQ": (
        "broker: {transport: rabbitmq, url: '${B}'}\n"
        "tasks: {shop.a: {queue: mail, priority: 9}, shop.b: {queue: mail}}"
    ),
    "steps without priorities": "broker: {transport: redis, url: '${B}', options: {priority_steps: [0, 5]}}",
}


@pytest.mark.parametrize(("fragment", "expected"), DECIDES.values(), ids=DECIDES)
def test_it_decides(fragment, expected):
    decided = after(priorities, fragment, for_its_rabbitmq(fragment)).decided
    assert {address: decided.get(address) for address in expected} == expected


@pytest.mark.parametrize(("fragment", "addresses"), STAYS_SILENT.values(), ids=STAYS_SILENT)
def test_it_stays_silent(fragment, addresses):
    assert after(priorities, fragment, for_its_rabbitmq(fragment)).decided.keys().isdisjoint(addresses)


@pytest.mark.parametrize(("fragment", "address", "places"), LEADS_TO.values(), ids=LEADS_TO)
def test_its_origins_lead_to(fragment, address, places):
    assert after(priorities, fragment, for_its_rabbitmq(fragment)).origins[address] == places


@pytest.mark.parametrize(("fragment", "findings"), REFUSES.values(), ids=REFUSES)
def test_it_refuses(fragment, findings):
    assert after(priorities, fragment, for_its_rabbitmq(fragment)).findings == findings


@pytest.mark.parametrize("fragment", ACCEPTS.values(), ids=ACCEPTS)
def test_it_accepts(fragment):
    assert after(priorities, fragment, for_its_rabbitmq(fragment)).findings == []
