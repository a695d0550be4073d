"""Pinned slots against declared work, pinned memory against slots."""

from __future__ import annotations

import pytest
from workloads import Found, after

from policycompiler.policies.workers import capacity

REFUSES = {
    "waits grow": (
        "tasks: {shop.a: {queue: q, runtime: {p50: 2s, p99: 2s}, rate: 3/s}}\nworkers: {q: {concurrency: 8}}",
        [
            Found(
                "capacity-short",
                "2:28",
                (
                    "the declared load keeps 6 slots busy on average (rate times mean run time), and "
                    "worker q has 8 slots: 75% busy, so waits grow faster than the load"
                ),
                "pin 9 slots or more, or remove the pin",
            ),
        ],
    ),
    "the queue grows": (
        (
            "tasks: {shop.a: {queue: q, runtime: {p50: 2s, p99: 2s}, rate: 3/s}, shop.b: {queue: "
            "q, runtime: 1s, rate: 1/s}}\n"
            "workers: {q: {concurrency: {min: 1, max: 2}, replicas: 2}}"
        ),
        [
            Found(
                "capacity-short",
                "2:28",
                (
                    "the declared load keeps 6.5 slots busy on average (rate times mean run time), and "
                    "worker q has 4 slots: 162% busy, so the backlog grows without end"
                ),
                "pin 5 slots or more in each process, or remove the pin",
            ),
        ],
    ),
    "two workers of one queue": (
        (
            "tasks: {shop.a: {queue: q, runtime: {p50: 2s, p99: 2s}, rate: 3/s}}\n"
            "workers: {q: {concurrency: 2}, r: {queues: [q], concurrency: 2}}"
        ),
        [
            Found(
                "capacity-short",
                "2:28",
                (
                    "the declared load keeps 6 slots busy on average (rate times mean run time), and the 2 "
                    "workers of these queues have 4 slots: 150% busy, so the backlog grows without end"
                ),
                "pin 9 slots or more for these workers together, or remove the pin",
            ),
        ],
    ),
    "pinned for all": (
        (
            "celery: {settings: {worker_concurrency: 2}}\n"
            "tasks: {shop.a: {queue: q, runtime: {p50: 2s, p99: 2s}, rate: 3/s}}"
        ),
        [
            Found(
                "capacity-short",
                "1:41",
                (
                    "the declared load keeps 6 slots busy on average (rate times mean run time), and "
                    "worker q has 2 slots: 300% busy, so the backlog grows without end"
                ),
                "pin 9 slots or more, or remove the pin",
            ),
        ],
    ),
    "slots over memory": (
        "tasks: {shop.a: {queue: q, memory: 600MiB}}\nworkers: {q: {concurrency: 4, memory: 2GiB}}",
        [
            Found(
                "memory-budget",
                "2:39",
                (
                    "4 runs of shop.a take 2.34 GiB, but a process of worker q has a budget of 2 GiB: the "
                    "kernel kills a child process or the whole worker process"
                ),
                "raise the memory budget, or pin 3 slots",
            ),
        ],
    ),
    "one run over memory": (
        "tasks: {shop.a: {queue: q, memory: 3GiB}}\nworkers: {q: {memory: 2GiB}}",
        [
            Found(
                "memory-budget",
                "2:23",
                (
                    "a run of shop.a takes 3 GiB, but a process of worker q has a budget of 2 GiB: the "
                    "kernel kills a child process or the whole worker process"
                ),
                "raise the memory budget",
            ),
        ],
    ),
}
ACCEPTS = {
    "enough": (
        "tasks: {shop.a: {queue: q, runtime: {p50: 2s, p99: 2s}, rate: 3/s}}\nworkers: {q: {concurrency: 9}}"
    ),
    "enough together": (
        "tasks: {shop.a: {queue: q, runtime: {p50: 2s, p99: 2s}, rate: 3/s}}\n"
        "workers: {q: {concurrency: 4}, r: {queues: [q], concurrency: 5}}"
    ),
    "nothing is pinned": "tasks: {shop.a: {queue: q, runtime: {p50: 2s, p99: 2s}, rate: 30/s}}",
    "no rate": "tasks: {shop.a: {queue: q, runtime: 2h}}\nworkers: {q: {concurrency: 1}}",
    "every worker gets each message": (
        "tasks: {shop.a: {queue: q, runtime: {p50: 2s, p99: 2s}, rate: 3/m}}\n"
        "queues: {q: {broadcast: true}}\n"
        "workers: {q: {concurrency: 1}}"
    ),
    "it fits": "tasks: {shop.a: {queue: q, memory: 600MiB}}\nworkers: {q: {concurrency: 3, memory: 2GiB}}",
    "the compiler makes it fit": "tasks: {shop.a: {queue: q, memory: 600MiB}}\nworkers: {q: {memory: 2GiB}}",
    "slots of one process": (
        "tasks: {shop.a: {queue: q, memory: 600MiB}}\n"
        "workers: {q: {pool: threads, concurrency: 4, memory: 2GiB}}"
    ),
}


@pytest.mark.parametrize(("fragment", "findings"), REFUSES.values(), ids=REFUSES)
def test_it_refuses(fragment, findings):
    assert after(capacity, fragment).findings == findings


@pytest.mark.parametrize("fragment", ACCEPTS.values(), ids=ACCEPTS)
def test_it_accepts(fragment):
    assert after(capacity, fragment).findings == []
