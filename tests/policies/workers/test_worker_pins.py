"""What is pinned for all has to hold for one."""

from __future__ import annotations

import pytest
from workloads import Found, after

from policycompiler.policies.workers import worker_pins

REFUSES = {
    "each has its own": (
        (
            "celery: {settings: {worker_concurrency: 2, worker_pool: threads}}\n"
            "queues: {q: {}, shop.standard.io: {}}\n"
            "workers: {q: {concurrency: 4}, shop.standard.io: {concurrency: {min: 1, max: 2}}}"
        ),
        [
            Found(
                "app-wide-pin-unused",
                "1:41",
                "each of the 2 workers pins its own, so `worker_concurrency` holds for none",
                "remove it",
            ),
        ],
    ),
    "the only one has its own": (
        (
            "celery: {settings: {worker_prefetch_multiplier: 2}}\n"
            "workers: {w: {queues: ['*'], options: {prefetch_multiplier: 3}}}"
        ),
        [
            Found(
                "app-wide-pin-unused",
                "1:49",
                "the one worker pins its own, so `worker_prefetch_multiplier` holds for none",
                "remove it",
            ),
        ],
    ),
    "as many as processors": (
        "celery: {settings: {worker_concurrency: 0}}\nqueues: {q: {}}",
        [
            Found(
                "concurrency-implicit",
                "1:41",
                "0 is no number of slots: Celery counts the machine's processors, also in a container",
                "write a number, or remove it and leave it to the compiler",
            ),
        ],
    ),
}
ACCEPTS = {
    "one follows it": (
        "celery: {settings: {worker_concurrency: 2}}\nqueues: {q: {}}\nworkers: {q: {concurrency: 4}}"
    ),
    "all follow it": "celery: {settings: {worker_concurrency: 2}}\nqueues: {q: {}}",
    "a setting of null": (
        "celery: {settings: {worker_concurrency: null}}\nworkers: {w: {queues: ['*'], concurrency: 2}}"
    ),
}


@pytest.mark.parametrize(("fragment", "findings"), REFUSES.values(), ids=REFUSES)
def test_it_refuses(fragment, findings):
    assert after(worker_pins, fragment).findings == findings


@pytest.mark.parametrize("fragment", ACCEPTS.values(), ids=ACCEPTS)
def test_it_accepts(fragment):
    assert after(worker_pins, fragment).findings == []
