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
                "`worker_concurrency` has no effect: each of the 2 workers pins its own value",
                "remove `worker_concurrency`",
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
                "`worker_prefetch_multiplier` has no effect: worker w pins its own value",
                "remove `worker_prefetch_multiplier`",
            ),
        ],
    ),
    "as many as processors": (
        "celery: {settings: {worker_concurrency: 0}}\nqueues: {q: {}}",
        [
            Found(
                "concurrency-implicit",
                "1:41",
                (
                    "with `worker_concurrency: 0` Celery uses the number of the machine's processors, even "
                    "in a container"
                ),
                "write a positive number, or remove it: the compiler then sets the slots",
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
