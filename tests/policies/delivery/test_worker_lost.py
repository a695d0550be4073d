"""A task that kills its worker is tried again, and not for ever."""

from __future__ import annotations

import pytest
from workloads import Found, after, for_its_rabbitmq

from policycompiler.policies.delivery import worker_lost

COUNTED = "the record of its key counts lost runs, so the message returns at once and uses no retry"
DECIDES = {
    "the record of a key counts": (
        "tasks: {shop.a: {idempotency_key: id}}",
        {
            "task:shop.a/options.reject_on_worker_lost": (True, COUNTED),
            "task:shop.a/options.retry_on_worker_lost": (False, COUNTED),
        },
    ),
    "the record of a key counts, whatever the Celery": (
        "celery: {version: '5.6'}\ntasks: {shop.a: {idempotency_key: id}}",
        {
            "task:shop.a/options.reject_on_worker_lost": (True, COUNTED),
            "task:shop.a/options.retry_on_worker_lost": None,
        },
    ),
    "a queue that limits deliveries would drop it first": (
        "broker: {transport: rabbitmq, url: '${U}'}\ntasks: {shop.a: {idempotency_key: id}}",
        {
            "task:shop.a/options.retry_on_worker_lost": (
                True,
                "the task is safe to run twice, so Celery retries a run whose process died, and counts it",
            ),
            "task:shop.a/options.reject_on_worker_lost": None,
        },
    ),
    "to return it is pinned off": (
        "tasks: {shop.a: {idempotency_key: id, options: {reject_on_worker_lost: false}}}",
        {
            "task:shop.a/options.retry_on_worker_lost": (
                True,
                "the task is safe to run twice, so Celery retries a run whose process died, and counts it",
            ),
        },
    ),
    "nothing counts a task that also runs without the store": (
        "tasks: {shop.a: {idempotency_key: {key: id, on_store_error: run}}}",
        {
            "task:shop.a/options.retry_on_worker_lost": (
                True,
                "the task is safe to run twice, so Celery retries a run whose process died, and counts it",
            ),
            "task:shop.a/options.reject_on_worker_lost": None,
        },
    ),
    "Celery 5.7 retries and counts": (
        "tasks: {shop.a: {idempotent: true}}",
        {
            "task:shop.a/options.retry_on_worker_lost": (
                True,
                ("the task is safe to run twice, so Celery retries a run whose process died, and counts it"),
            ),
            "task:shop.a/options.max_retries": None,
            "task:shop.a/options.default_retry_delay": None,
            "app/task_reject_on_worker_lost": (
                False,
                "otherwise an undeclared task that kills its process would kill one process after the other",
            ),
        },
    ),
    "no retries are no restarts": (
        "tasks: {shop.a: {idempotent: true, retry: none}}",
        {
            "task:shop.a/options.max_retries": (
                3,
                (
                    "no error is retried, so this counts only restarts of a run whose process died; after "
                    "the last one the task fails"
                ),
            ),
        },
    ),
    "a restart does not wait three minutes": (
        "tasks: {shop.a: {idempotent: true, retry: none}}",
        {
            "task:shop.a/options.default_retry_delay": (
                5,
                "Celery would wait 3 min before it restarts a run whose process died",
            ),
        },
    ),
    "Celery 5.6 on Redis gives up": (
        "celery: {version: '5.6'}\ntasks: {shop.a: {idempotent: true}}",
        {
            "task:shop.a/options.reject_on_worker_lost": (
                False,
                "nothing would stop a task that keeps killing its process, so one loss is a failure",
            ),
        },
    ),
    "Celery 5.6 on a quorum queue puts back": (
        (
            "celery: {version: '5.6'}\n"
            "broker: {transport: rabbitmq, url: '${U}'}\n"
            "tasks: {shop.a: {idempotent: true}}"
        ),
        {
            "task:shop.a/options.reject_on_worker_lost": (
                True,
                "the queue's delivery limit stops a task that keeps killing its process",
            ),
        },
    ),
}
STAYS_SILENT = {
    "a pin of a task with a key": (
        "tasks: {shop.a: {idempotency_key: id, options: {retry_on_worker_lost: true}}}",
        ["task:shop.a/options.retry_on_worker_lost", "task:shop.a/options.reject_on_worker_lost"],
    ),
    "a pinned number leaves the wait as it is": (
        "tasks: {shop.a: {idempotent: true, options: {max_retries: 5}}}",
        ["task:shop.a/options.default_retry_delay", "task:shop.a/options.max_retries"],
    ),
    "the task's own retries wait as they did": (
        "tasks: {shop.a: {idempotent: true, retry: {max: 5}}}",
        ["task:shop.a/options.default_retry_delay"],
    ),
    "acknowledged early": (
        "tasks: {shop.a: {}}",
        ["task:shop.a/options.retry_on_worker_lost", "task:shop.a/options.max_retries"],
    ),
    "another app's": (
        "tasks: {shop.a: {idempotent: true, external: true, queue: q}}",
        ["task:shop.a/options.retry_on_worker_lost"],
    ),
    "a number of retries is declared": (
        "tasks: {shop.a: {idempotent: true, retry: {max: 7}}}",
        ["task:shop.a/options.max_retries"],
    ),
    "a wait before the task's own retries is declared": (
        "tasks: {shop.a: {idempotent: true, retry: {delay: 20s}}}",
        ["task:shop.a/options.default_retry_delay"],
    ),
    "pinned to none": (
        "tasks: {shop.a: {idempotent: true, options: {max_retries: 0}}}",
        ["task:shop.a/options.max_retries"],
    ),
    "no retry is pinned": (
        ("tasks: {shop.a: {idempotent: true, retry: none, options: {retry_on_worker_lost: false}}}"),
        [
            "task:shop.a/options.retry_on_worker_lost",
            "task:shop.a/options.max_retries",
            "task:shop.a/options.reject_on_worker_lost",
        ],
    ),
    "Celery 5.6 knows no such retry": (
        "celery: {version: '5.6'}\ntasks: {shop.a: {idempotent: true}}",
        ["task:shop.a/options.retry_on_worker_lost"],
    ),
    "the app's is pinned": (
        "celery: {settings: {task_reject_on_worker_lost: true}}",
        ["app/task_reject_on_worker_lost"],
    ),
}
LEADS_TO = {
    "the acknowledgement": (
        "tasks: {shop.a: {idempotent: true}}",
        "task:shop.a/options.retry_on_worker_lost",
        ["task:shop.a/options.acks_late", "app/celery_version"],
    ),
    "the bound, and what was declared instead": (
        "tasks: {shop.a: {idempotent: true, retry: none}}",
        "task:shop.a/options.max_retries",
        ["task:shop.a/options.retry_on_worker_lost", "RESTARTS", "1:43"],
    ),
    "the version and the queue": (
        "celery: {version: '5.6'}\ntasks: {shop.a: {idempotent: true}}",
        "task:shop.a/options.reject_on_worker_lost",
        ["app/celery_version", "task:shop.a/queue"],
    ),
}
REFUSES = {
    "nothing counts in Celery 5.6": (
        (
            "celery: {version: '5.6'}\n"
            "tasks: {shop.a: {idempotent: true, options: {reject_on_worker_lost: true}}}"
        ),
        [
            Found(
                "worker-lost-loop",
                "2:69",
                (
                    "shop.a is redelivered without end when it kills its process: nothing counts its "
                    "redeliveries"
                ),
                "remove `reject_on_worker_lost`, or use a quorum queue with a delivery limit",
            ),
        ],
    ),
    "nothing counts where the retry is off": (
        (
            "tasks: {shop.a: {idempotent: true, options: {reject_on_worker_lost: true, "
            "retry_on_worker_lost: false}}}"
        ),
        [
            Found(
                "worker-lost-loop",
                "1:69",
                (
                    "shop.a is redelivered without end when it kills its process: nothing counts its "
                    "redeliveries"
                ),
                "remove `reject_on_worker_lost`, or use a quorum queue with a delivery limit",
            ),
        ],
    ),
}
ACCEPTS = {
    "a quorum queue counts": (
        "celery: {version: '5.6'}\n"
        "broker: {transport: rabbitmq, url: '${U}'}\n"
        "tasks: {shop.a: {idempotent: true, options: {reject_on_worker_lost: "
        "true}}}"
    ),
    "Celery 5.7 counts": ("tasks: {shop.a: {idempotent: true, options: {reject_on_worker_lost: true}}}"),
}


@pytest.mark.parametrize(("fragment", "expected"), DECIDES.values(), ids=DECIDES)
def test_it_decides(fragment, expected):
    decided = after(worker_lost, fragment, for_its_rabbitmq(fragment)).decided
    assert {address: decided.get(address) for address in expected} == expected


@pytest.mark.parametrize(("fragment", "addresses"), STAYS_SILENT.values(), ids=STAYS_SILENT)
def test_it_stays_silent(fragment, addresses):
    assert after(worker_lost, fragment, for_its_rabbitmq(fragment)).decided.keys().isdisjoint(addresses)


@pytest.mark.parametrize(("fragment", "address", "places"), LEADS_TO.values(), ids=LEADS_TO)
def test_its_origins_lead_to(fragment, address, places):
    assert after(worker_lost, fragment, for_its_rabbitmq(fragment)).origins[address] == places


@pytest.mark.parametrize(("fragment", "findings"), REFUSES.values(), ids=REFUSES)
def test_it_refuses(fragment, findings):
    assert after(worker_lost, fragment, for_its_rabbitmq(fragment)).findings == findings


@pytest.mark.parametrize("fragment", ACCEPTS.values(), ids=ACCEPTS)
def test_it_accepts(fragment):
    assert after(worker_lost, fragment, for_its_rabbitmq(fragment)).findings == []
