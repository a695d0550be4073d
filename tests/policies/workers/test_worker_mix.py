"""Pins that bring together what stands in its own way."""

from __future__ import annotations

import pytest
from workloads import Found, after

from policycompiler.policies.workers import worker_mix

REFUSES = {
    "promises far apart in a queue": (
        "tasks:\n  shop.a: {latency: interactive, queue: q}\n  shop.b: {latency: batch, queue: q}",
        [
            Found(
                "latency-mix",
                "3:35",
                (
                    "queue q serves shop.a with a latency target of 1 s and shop.b with a target of 15 "
                    "min: a backlog of shop.b delays shop.a"
                ),
                "give shop.b a separate queue",
            ),
        ],
    ),
    "promises far apart in a worker": (
        (
            "tasks:\n"
            "  shop.a: {latency: interactive}\n"
            "  shop.b: {latency: batch}\n"
            "workers: {w: {queues: [shop.*]}}"
        ),
        [
            Found(
                "latency-mix",
                "4:23",
                (
                    "worker w serves shop.a with a latency target of 1 s and shop.b with a target of 15 "
                    "min: a backlog of shop.b delays shop.a"
                ),
                "give shop.b a separate queue",
            ),
        ],
    ),
    "a queue is told once, not with its worker": (
        (
            "tasks:\n"
            "  shop.a: {latency: interactive, queue: q}\n"
            "  shop.b: {latency: batch, queue: q, runtime: 1h}\n"
            "  shop.c: {queue: r}\n"
            "workers: {w: {queues: [q, r]}}"
        ),
        [
            Found(
                "latency-mix",
                "3:35",
                (
                    "queue q serves shop.a with a latency target of 1 s and shop.b with a target of 15 "
                    "min: a backlog of shop.b delays shop.a"
                ),
                "give shop.b a separate queue",
            ),
        ],
    ),
    "long beside short": (
        "tasks:\n  shop.a: {queue: q, runtime: 2s}\n  shop.b: {queue: q, runtime: 10m}",
        [
            Found(
                "slow-with-fast",
                "3:19",
                (
                    "queue q serves shop.b, which may hold a slot for 10 min, and shop.a, whose latency "
                    "class `standard` allows 5 min"
                ),
                "give shop.b a separate queue",
            ),
        ],
    ),
    "long beside short in a worker": (
        "tasks:\n  shop.a: {runtime: 2s}\n  shop.b: {runtime: 10m}\nworkers: {w: {queues: [shop.*]}}",
        [
            Found(
                "slow-with-fast",
                "4:23",
                (
                    "worker w serves shop.b, which may hold a slot for 10 min, and shop.a, whose latency "
                    "class `standard` allows 5 min"
                ),
                "give shop.b a separate queue",
            ),
        ],
    ),
    "it computes beside what waits": (
        "tasks:\n  shop.a: {queue: q, work: io}\n  shop.b: {queue: q, work: cpu}",
        [
            Found(
                "cpu-io-mix",
                "3:19",
                (
                    "worker q runs shop.b (`work: cpu`) and shop.a (`work: io`). "
                    "No number of slots suits both, and tasks that compute take CPU time from tasks that wait"
                ),
                "give shop.b a separate queue and worker",
            ),
        ],
    ),
    "it computes beside what waits in a worker": (
        "tasks:\n  shop.a: {work: io}\n  shop.b: {work: cpu}\nworkers: {w: {queues: [shop.*]}}",
        [
            Found(
                "cpu-io-mix",
                "4:23",
                (
                    "worker w runs shop.b (`work: cpu`) and shop.a (`work: io`). "
                    "No number of slots suits both, and tasks that compute take CPU time from tasks that wait"
                ),
                "give shop.b a separate queue and worker",
            ),
        ],
    ),
    "one worker for all": (
        (
            "tasks: {shop.a: {latency: interactive}, shop.b: {}, shop.c: {queue: c}}\n"
            "workers: {w: {queues: ['*']}}"
        ),
        [
            Found(
                "one-worker-for-all",
                "2:23",
                (
                    "worker w consumes all 3 queues, so messages in one queue wait for slots that tasks of "
                    "other queues hold"
                ),
                "give the most urgent queue a separate worker",
            ),
        ],
    ),
}
ACCEPTS = {
    "neighboring classes": "tasks: {shop.a: {latency: interactive, queue: q}, shop.b: {queue: q}}",
    "long ones among themselves": (
        "tasks: {shop.a: {queue: q, runtime: 10m}, shop.b: {queue: q, runtime: 20m}}"
    ),
    "nothing is said of the work": "tasks: {shop.a: {queue: q}, shop.b: {queue: q, work: cpu}}",
    "another app's tasks": (
        "tasks: {shop.a: {latency: interactive, queue: q, external: true}, shop.b: {latency: "
        "batch, queue: q, external: true}}"
    ),
    "the compiler places them": (
        "tasks: {shop.a: {latency: interactive, work: io}, shop.b: {latency: batch, work: cpu, "
        "runtime: 1h}, shop.c: {runtime: 10m}}"
    ),
    "a small service": "tasks: {shop.a: {latency: interactive}, shop.b: {}}\nworkers: {w: {queues: ['*']}}",
}


@pytest.mark.parametrize(("fragment", "findings"), REFUSES.values(), ids=REFUSES)
def test_it_refuses(fragment, findings):
    assert after(worker_mix, fragment).findings == findings


@pytest.mark.parametrize("fragment", ACCEPTS.values(), ids=ACCEPTS)
def test_it_accepts(fragment):
    assert after(worker_mix, fragment).findings == []
