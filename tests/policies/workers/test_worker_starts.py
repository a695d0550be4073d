"""The limit on delayed messages matters where workers hold them."""

from __future__ import annotations

import pytest
from workloads import Found, after

from policycompiler.policies.workers import worker_starts

LIMIT = "celery: {settings: {worker_eta_task_limit: %s}}\n"
RABBIT = "broker: {transport: rabbitmq, url: '${U}', version: '3.13'}\n"
QUORUM = RABBIT + "queues: {q: {type: quorum}}\n"


def starves(limit: str, delay: str, place: str = "1:44") -> Found:
    return Found(
        "eta-limit-starves",
        place,
        f"{delay}, but a worker that holds {limit} fetches no other: messages that are due wait behind "
        "delayed ones",
        "remove the limit",
    )


RETRY = "a retry of shop.a may wait 10 min"
FIRES = {
    "a countdown": (
        LIMIT % 1 + "tasks: {shop.a: {max_countdown: 10m}}",
        starves("1 delayed message", "shop.a may be sent with a countdown of 10 min"),
    ),
    "a wait before a retry": (
        LIMIT % 100 + "tasks: {shop.a: {idempotent: true, retry: {on: [OSError], max_delay: 10m}}}",
        starves("100 delayed messages", RETRY),
    ),
    "a classic queue": (
        LIMIT % 100 + RABBIT + "tasks: {shop.a: {idempotent: true, retry: {on: [OSError], max_delay: 10m}}}",
        starves("100 delayed messages", RETRY),
    ),
}
SILENT = {
    "the broker holds the messages": LIMIT % 1 + QUORUM + "tasks: {shop.a: {queue: q, max_countdown: 10m}}",
    "no limit": "tasks: {shop.a: {max_countdown: 10m}}",
    "another app runs the task": LIMIT % 1
    + "tasks: {shop.a: {queue: other, external: true, max_countdown: 10m}}",
}


@pytest.mark.parametrize(("text", "found"), FIRES.values(), ids=FIRES)
def test_a_limit_starves_where_workers_hold_delayed_messages(text, found):
    assert after(worker_starts, text).findings == [found]


@pytest.mark.parametrize("text", SILENT.values(), ids=SILENT)
def test_a_limit_starves_nothing_where_workers_hold_none(text):
    assert after(worker_starts, text).findings == []
