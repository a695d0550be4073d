"""Machines and what they are said to run."""

from __future__ import annotations

import pytest
from workloads import Found, after

from policycompiler.policies.platform import hosts

REFUSES = {
    "no such worker": (
        (
            "tasks: {shop.a: {queue: q}}\n"
            "workers: {all: {queues: ['*']}}\n"
            "hosts: {one: {workers: {all: 1, al: 1}}}"
        ),
        [
            Found(
                "host-worker-unknown",
                "3:33",
                "host one runs worker al, which does not exist; workers: all",
                "did you mean `all`?",
            ),
        ],
    ),
    "more memory than there is": (
        (
            "tasks: {shop.a: {queue: q}}\n"
            "workers: {all: {queues: ['*'], memory: 3GiB, replicas: 2}}\n"
            "hosts: {one: {memory: 4GiB, workers: {all: 2}}}"
        ),
        [
            Found(
                "host-memory-short",
                "3:23",
                "the workers of host one may take 6 GiB, but the host has 4 GiB of memory",
                "place fewer worker processes on host one, lower their memory budgets, or pin fewer slots",
            ),
        ],
    ),
    "more than there are cores": (
        (
            "tasks: {shop.a: {queue: q, work: cpu}}\n"
            "workers: {all: {queues: ['*'], concurrency: {min: 1, max: 8}}}\n"
            "hosts: {one: {cores: 4, workers: {all: 1}}}"
        ),
        [
            Found(
                "host-cores-short",
                "3:22",
                "8 slots compute at once on host one (all), but the host has 4 cores",
                "place fewer worker processes on host one, or give them fewer slots",
            ),
        ],
    ),
    "fewer than there are": (
        (
            "tasks: {shop.a: {queue: q}}\n"
            "workers: {all: {queues: ['*'], replicas: 2}}\n"
            "hosts: {one: {workers: {all: 1}}}"
        ),
        [
            Found(
                "host-replicas-differ",
                "3:30",
                "worker all has 2 processes, but the hosts run 1 (on one)",
                "place 2 processes on the hosts, or pin `replicas: 1`",
            ),
        ],
    ),
    "on no machine": (
        (
            "tasks: {shop.a: {queue: q}}\n"
            "workers: {q: {}, rest: {queues: [shop.*]}}\n"
            "hosts: {one: {workers: {q: 1}}}"
        ),
        [
            Found(
                "host-worker-unplaced",
                "3:8",
                "no host runs worker rest (1 process), which consumes shop.standard.io",
                "add worker rest to a host; its unit and its program are in no folder of a host",
            ),
        ],
    ),
    "beat elsewhere": (
        (
            "tasks: {shop.a: {queue: q}}\n"
            "schedules: {s: {task: shop.a, every: 1h}}\n"
            "beat: {host: onne}\n"
            "hosts: {one: {workers: {q: 1}}}"
        ),
        [
            Found(
                "host-worker-unplaced",
                "4:8",
                "no host runs worker shop.standard.io (1 process), which consumes shop.standard.io",
                "add worker shop.standard.io to a host; its unit and its program are in no folder of a host",
            ),
            Found(
                "beat-host-unknown",
                "3:14",
                "beat runs on onne, which `hosts:` does not list; hosts: one",
                "did you mean `one`?",
            ),
        ],
    ),
    "beat on a host whose folder is taken": (
        (
            "tasks: {shop.a: {queue: q}}\n"
            "workers: {all: {queues: ['*']}}\n"
            "schedules: {s: {task: shop.a, every: 1h}}\n"
            "beat: {host: One}\n"
            "hosts: {one: {workers: {all: 1}}}"
        ),
        [
            Found(
                "beat-host-unknown",
                "4:14",
                "beat runs on One, which `hosts:` does not list; hosts: one",
                "did you mean `one`?",
            ),
            Found(
                "host-name-taken",
                "4:14",
                "the folder of host One would have the name of the folder of host one, ignoring case",
                "rename the host",
            ),
        ],
    ),
    "a host with the name of a file": (
        (
            "tasks: {shop.a: {queue: q}}\n"
            "workers: {all: {queues: ['*']}}\n"
            "hosts: {shop.conf: {workers: {all: 1}}}"
        ),
        [
            Found(
                "host-name-taken",
                "3:9",
                "the folder of host shop.conf would have the name of the file shop.conf, ignoring case",
                "rename the host",
            ),
        ],
    ),
}
ACCEPTS = {
    "no host": "tasks: {shop.a: {queue: q}}",
    "all is placed and fits": (
        "tasks: {shop.a: {queue: q, work: cpu}}\n"
        "workers: {all: {queues: ['*'], concurrency: 2, replicas: 2, memory: 1GiB}}\n"
        "hosts: {one: {cores: 4, memory: 2GiB, workers: {all: 2}}}"
    ),
    "over two machines": (
        "workers: {all: {queues: ['*'], replicas: 2}}\n"
        "hosts: {one: {workers: {all: 1}}, two: {workers: {all: 1}}}"
    ),
    "tasks that wait share a core": (
        "tasks: {shop.a: {queue: q}}\n"
        "workers: {all: {queues: ['*'], concurrency: 8}}\n"
        "hosts: {one: {cores: 1, workers: {all: 1}}}"
    ),
}


@pytest.mark.parametrize(("fragment", "findings"), REFUSES.values(), ids=REFUSES)
def test_it_refuses(fragment, findings):
    assert after(hosts, fragment).findings == findings


@pytest.mark.parametrize("fragment", ACCEPTS.values(), ids=ACCEPTS)
def test_it_accepts(fragment):
    assert after(hosts, fragment).findings == []
