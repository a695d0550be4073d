"""What fails goes to the dead letters, and nothing is put back for ever."""

from __future__ import annotations

import pytest
from workloads import Found, after, for_its_rabbitmq

from policycompiler.policies.delivery import failure_acknowledgement

DECIDES = {
    "a late task of a queue that keeps dead letters": (
        (
            "broker: {transport: rabbitmq, url: '${B}'}\n"
            "tasks: {shop.a: {idempotent: true, queue: mail}}\n"
            "queues: {mail: {dead_letter: true}}"
        ),
        {
            "task:shop.a/options.acks_on_failure": (
                False,
                "a message whose last retry fails goes to queue mail.dead",
            ),
            "task:shop.a/options.acks_on_timeout": (
                True,
                ("an unacknowledged message is redelivered and killed at its hard limit again, without end"),
            ),
        },
    ),
    "a pattern": (
        (
            "broker: {transport: rabbitmq, url: '${B}'}\n"
            "tasks: {shop.*: {idempotent: true, queue: mail}}\n"
            "queues: {mail: {dead_letter: true}}"
        ),
        {
            "task:shop.*/options.acks_on_failure": (
                False,
                "a message whose last retry fails goes to queue mail.dead",
            )
        },
    ),
    "Celery 5.6 has one flag": (
        (
            "celery: {version: '5.6'}\n"
            "broker: {transport: rabbitmq, url: '${B}'}\n"
            "tasks: {shop.a: {idempotent: true, queue: mail}}\n"
            "queues: {mail: {dead_letter: true}}"
        ),
        {
            "task:shop.a/options.acks_on_failure_or_timeout": (
                False,
                "a message whose last retry fails goes to queue mail.dead",
            ),
            "task:shop.a/options.acks_on_failure": None,
            "task:shop.a/options.acks_on_timeout": None,
        },
    ),
}
STAYS_SILENT = {
    "its queue keeps none": (
        ("broker: {transport: rabbitmq, url: '${B}'}\ntasks: {shop.a: {idempotent: true, queue: mail}}"),
        [
            "task:shop.a/options.acks_on_failure",
            "task:shop.a/options.acks_on_timeout",
            "task:shop.a/options.acks_on_failure_or_timeout",
        ],
    ),
    "Redis deletes what is rejected": (
        ("tasks: {shop.a: {idempotent: true, queue: mail}}\nqueues: {mail: {dead_letter: true}}"),
        [
            "task:shop.a/options.acks_on_failure",
            "task:shop.a/options.acks_on_timeout",
            "task:shop.a/options.acks_on_failure_or_timeout",
        ],
    ),
    "early": (
        (
            "broker: {transport: rabbitmq, url: '${B}'}\n"
            "tasks: {shop.a: {queue: mail}}\n"
            "queues: {mail: {dead_letter: true}}"
        ),
        [
            "task:shop.a/options.acks_on_failure",
            "task:shop.a/options.acks_on_timeout",
            "task:shop.a/options.acks_on_failure_or_timeout",
        ],
    ),
    "another app's": (
        (
            "broker: {transport: rabbitmq, url: '${B}'}\n"
            "tasks: {shop.a: {idempotent: true, external: true, queue: mail}}\n"
            "queues: {mail: {dead_letter: true}}"
        ),
        [
            "task:shop.a/options.acks_on_failure",
            "task:shop.a/options.acks_on_timeout",
            "task:shop.a/options.acks_on_failure_or_timeout",
        ],
    ),
    "pinned": (
        (
            "broker: {transport: rabbitmq, url: '${B}'}\n"
            "tasks: {shop.a: {idempotent: true, queue: mail, options: {acks_on_failure: "
            "true, acks_on_timeout: true}}}\n"
            "queues: {mail: {dead_letter: true}}"
        ),
        ["task:shop.a/options.acks_on_failure", "task:shop.a/options.acks_on_timeout"],
    ),
    "nothing counts before Celery 5.7": (
        (
            "celery: {version: '5.6'}\n"
            "broker: {transport: rabbitmq, url: '${B}', version: '3.13'}\n"
            "tasks: {shop.a: {idempotent: true, queue: mail}}\n"
            "queues: {mail: {dead_letter: true}}"
        ),
        ["task:shop.a/options.acks_on_failure_or_timeout"],
    ),
}
LEADS_TO = {
    "the queue and the acknowledgement": (
        (
            "broker: {transport: rabbitmq, url: '${B}'}\n"
            "tasks: {shop.a: {idempotent: true, queue: mail}}\n"
            "queues: {mail: {dead_letter: true}}"
        ),
        "task:shop.a/options.acks_on_failure",
        ["queue:mail/dead_letter_queue", "task:shop.a/options.acks_late", "ACKS_ON_FAILURE"],
    ),
    "what is put back": (
        (
            "broker: {transport: rabbitmq, url: '${B}'}\n"
            "tasks: {shop.a: {idempotent: true, queue: mail}}\n"
            "queues: {mail: {dead_letter: true}}"
        ),
        "task:shop.a/options.acks_on_timeout",
        ["queue:mail/dead_letter_queue", "task:shop.a/options.acks_late", "ACKS_ON_TIMEOUT"],
    ),
    "the version": (
        (
            "celery: {version: '5.6'}\n"
            "broker: {transport: rabbitmq, url: '${B}'}\n"
            "tasks: {shop.a: {idempotent: true, queue: mail}}\n"
            "queues: {mail: {dead_letter: true}}"
        ),
        "task:shop.a/options.acks_on_failure_or_timeout",
        [
            "queue:mail/dead_letter_queue",
            "task:shop.a/options.acks_late",
            "ACKS_ON_FAILURE",
            "app/celery_version",
        ],
    ),
}
REFUSES = {
    "early": (
        (
            "broker: {transport: rabbitmq, url: '${B}'}\n"
            "tasks: {shop.a: {queue: mail}}\n"
            "queues: {mail: {dead_letter: true}}"
        ),
        [
            Found(
                "dlq-needs-late-ack",
                "2:17",
                (
                    "a run of shop.a leaves no dead letter in mail.dead if its whole worker is killed: "
                    "its message is acknowledged before it runs"
                ),
                ("make the task safe to run twice and declare it, so that its message is redelivered"),
            )
        ],
    ),
    "declared not safe": (
        (
            "broker: {transport: rabbitmq, url: '${B}'}\n"
            "tasks: {shop.a: {idempotent: false, queue: mail}}\n"
            "queues: {mail: {dead_letter: true}}"
        ),
        [
            Found(
                "dlq-needs-late-ack",
                "2:30",
                (
                    "a run of shop.a leaves no dead letter in mail.dead if its whole worker is killed: "
                    "its message is acknowledged before it runs"
                ),
                ("make the task safe to run twice and declare it, so that its message is redelivered"),
            )
        ],
    ),
    "pinned early": (
        (
            "broker: {transport: rabbitmq, url: '${B}'}\n"
            "tasks: {shop.a: {idempotent: true, queue: mail, options: {acks_late: false}}}\n"
            "queues: {mail: {dead_letter: true}}"
        ),
        [
            Found(
                "dlq-needs-late-ack",
                "2:70",
                (
                    "a run of shop.a leaves no dead letter in mail.dead if its whole worker is killed: "
                    "its message is acknowledged before it runs"
                ),
                ("make the task safe to run twice and declare it, so that its message is redelivered"),
            )
        ],
    ),
    "put back for ever": (
        ("tasks: {shop.a: {idempotent: true, runtime: 10s, options: {acks_on_timeout: false}}}"),
        [
            Found(
                "timeout-requeue-loop",
                "1:77",
                (
                    "shop.a is redelivered when it is killed at its hard time limit of 21 s, and killed "
                    "again without end: nothing counts its redeliveries"
                ),
                "remove `acks_on_timeout`, or use a quorum queue with a delivery limit",
            )
        ],
    ),
    "put back for ever on a classic queue": (
        (
            "broker: {transport: rabbitmq, url: '${B}', version: '3.13'}\n"
            "tasks: {shop.a: {idempotent: true, runtime: 10s, options: {acks_on_timeout: "
            "false}}}"
        ),
        [
            Found(
                "timeout-requeue-loop",
                "2:77",
                (
                    "shop.a is redelivered when it is killed at its hard time limit of 21 s, and killed "
                    "again without end: nothing counts its redeliveries"
                ),
                "remove `acks_on_timeout`, or use a quorum queue with a delivery limit",
            )
        ],
    ),
    "all put back for ever": (
        (
            "celery: {settings: {task_acks_on_timeout: false}}\n"
            "tasks: {shop.a: {idempotent: true, queue: mail}}"
        ),
        [
            Found(
                "timeout-requeue-loop",
                "1:43",
                (
                    "`task_acks_on_timeout: false` redelivers late-acknowledged tasks without end when "
                    "they are killed at their hard time limit, for instance shop.a: nothing counts "
                    "redeliveries"
                ),
                "remove `task_acks_on_timeout`, or use quorum queues with a delivery limit",
            )
        ],
    ),
    "the flag for both": (
        "celery: {settings: {task_acks_on_failure_or_timeout: false}}",
        [
            Found(
                "legacy-ack-flag",
                "1:54",
                (
                    "`task_acks_on_failure_or_timeout: false` also redelivers tasks that are killed at "
                    "their hard time limit: Celery 5.7 has separate flags for failures and timeouts"
                ),
                "write `task_acks_on_failure: false` and `task_acks_on_timeout: true`",
            )
        ],
    ),
    "the flag for both before Celery 5.7": (
        (
            "celery: {version: '5.6', settings: {task_acks_on_failure_or_timeout: false}}\n"
            "tasks: {shop.a: {idempotent: true, queue: mail}}"
        ),
        [
            Found(
                "timeout-requeue-loop",
                "1:70",
                (
                    "`task_acks_on_failure_or_timeout: false` redelivers late-acknowledged tasks without "
                    "end when they are killed at their hard time limit, for instance shop.a: nothing "
                    "counts redeliveries"
                ),
                "remove `task_acks_on_failure_or_timeout`, or use quorum queues with a delivery limit",
            )
        ],
    ),
}
ACCEPTS = {
    "a quorum queue counts": (
        "broker: {transport: rabbitmq, url: '${B}'}\n"
        "tasks: {shop.a: {idempotent: true, options: {acks_on_timeout: false}}}"
    ),
    "an early task is not put back": "tasks: {shop.a: {options: {acks_on_timeout: false}}}",
    "for all, but each says itself": (
        "celery: {settings: {task_acks_on_timeout: false}}\n"
        "tasks: {shop.a: {idempotent: true, options: {acks_on_timeout: true}}}"
    ),
    "for all, where none is late": ("celery: {settings: {task_acks_on_timeout: false}}\ntasks: {shop.a: {}}"),
    "for all, where queues count": (
        "celery: {settings: {task_acks_on_timeout: false}}\n"
        "broker: {transport: rabbitmq, url: '${B}'}\n"
        "tasks: {shop.a: {idempotent: true, queue: mail}}"
    ),
    "failures of all": (
        "celery: {settings: {task_acks_on_failure: false}}\ntasks: {shop.a: {idempotent: true, queue: mail}}"
    ),
    "the flag for both as it is anyway": (
        "celery: {settings: {task_acks_on_failure_or_timeout: true}}\n"
        "tasks: {shop.a: {idempotent: true, queue: mail}}"
    ),
    "another app's": (
        "broker: {transport: rabbitmq, url: '${B}'}\n"
        "tasks: {shop.a: {external: true, queue: mail}}\n"
        "queues: {mail: {dead_letter: true}}"
    ),
    "Celery 5.6 on a quorum queue": (
        "celery: {version: '5.6'}\n"
        "broker: {transport: rabbitmq, url: '${B}'}\n"
        "tasks: {shop.a: {idempotent: true, queue: mail}}\n"
        "queues: {mail: {dead_letter: true}}"
    ),
}


@pytest.mark.parametrize(("fragment", "expected"), DECIDES.values(), ids=DECIDES)
def test_it_decides(fragment, expected):
    decided = after(failure_acknowledgement, fragment, for_its_rabbitmq(fragment)).decided
    assert {address: decided.get(address) for address in expected} == expected


@pytest.mark.parametrize(("fragment", "addresses"), STAYS_SILENT.values(), ids=STAYS_SILENT)
def test_it_stays_silent(fragment, addresses):
    assert (
        after(failure_acknowledgement, fragment, for_its_rabbitmq(fragment))
        .decided.keys()
        .isdisjoint(addresses)
    )


@pytest.mark.parametrize(("fragment", "address", "places"), LEADS_TO.values(), ids=LEADS_TO)
def test_its_origins_lead_to(fragment, address, places):
    assert after(failure_acknowledgement, fragment, for_its_rabbitmq(fragment)).origins[address] == places


@pytest.mark.parametrize(("fragment", "findings"), REFUSES.values(), ids=REFUSES)
def test_it_refuses(fragment, findings):
    assert after(failure_acknowledgement, fragment, for_its_rabbitmq(fragment)).findings == findings


@pytest.mark.parametrize("fragment", ACCEPTS.values(), ids=ACCEPTS)
def test_it_accepts(fragment):
    assert after(failure_acknowledgement, fragment, for_its_rabbitmq(fragment)).findings == []
