"""Pool processes are replaced before a leak hurts."""

from __future__ import annotations

import pytest
from workloads import Found, after

from policycompiler.policies.workers import recycling

DECIDES = {
    "by count": (
        "tasks: {shop.a: }",
        {
            "worker:shop.standard.io/max_tasks_per_child": (
                1000,
                "a new child process ends slow memory leaks and is rare enough to cost little",
            ),
        },
    ),
    "by the largest memory": (
        "tasks: {shop.a: {memory: 600MiB}, shop.b: {memory: 1MiB}, shop.c: }",
        {
            "worker:shop.standard.io/max_memory_per_child": (
                998400,
                "an idle child plus the declared peak memory and a quarter bounds a healthy child",
            ),
        },
    ),
}
STAYS_SILENT = {
    "no memory is declared": ("tasks: {shop.a: }", ["worker:shop.standard.io/max_memory_per_child"]),
    "threads have no processes": (
        "tasks: {shop.a: {queue: q, memory: 1MiB}}\nworkers: {q: {pool: threads}}",
        ["worker:q/max_tasks_per_child", "worker:q/max_memory_per_child"],
    ),
    "pinned": (
        (
            "tasks: {shop.a: {queue: q, memory: 1MiB}}\n"
            "workers: {q: {options: {max_tasks_per_child: 5, max_memory_per_child: 9}}}"
        ),
        ["worker:q/max_tasks_per_child", "worker:q/max_memory_per_child"],
    ),
}
LEADS_TO = {
    "the memory": (
        "tasks: {shop.a: {memory: 600MiB}, shop.b: {memory: 1MiB}}",
        "worker:shop.standard.io/max_memory_per_child",
        [
            "task:shop.a/memory_bytes",
            "parameters.recycling.memory_margin",
            "parameters.recycling.idle_child_kib",
        ],
    ),
    "the policy": (
        "tasks: {shop.a: }",
        "worker:shop.standard.io/max_tasks_per_child",
        ["parameters.recycling.tasks_per_child", "worker:shop.standard.io/pool"],
    ),
}
REFUSES = {
    "nothing to replace": (
        (
            "queues: {q: {}}\n"
            "workers: {q: {pool: solo, options: {max_tasks_per_child: 9, max_memory_per_child: "
            "300000}}}"
        ),
        [
            Found(
                "pool-recycle-inert",
                "2:58",
                (
                    "the solo pool of worker q has no child processes to replace, so Celery ignores "
                    "`max_tasks_per_child`"
                ),
                "remove `max_tasks_per_child`, or use `pool: prefork`",
            ),
            Found(
                "pool-recycle-inert",
                "2:83",
                (
                    "the solo pool of worker q has no child processes to replace, so Celery ignores "
                    "`max_memory_per_child`"
                ),
                "remove `max_memory_per_child`, or use `pool: prefork`",
            ),
        ],
    ),
    "nothing to replace anywhere": (
        "celery: {settings: {worker_pool: threads, worker_max_tasks_per_child: 9}}\nqueues: {q: {}, r: {}}",
        [
            Found(
                "pool-recycle-inert",
                "1:71",
                (
                    "the threads pool of worker q has no child processes to replace, so Celery ignores "
                    "`max_tasks_per_child`"
                ),
                "remove `max_tasks_per_child`, or use `pool: prefork`",
            ),
        ],
    ),
    "less than an idle process": (
        "queues: {q: {}}\nworkers: {q: {options: {max_memory_per_child: 50000}}}",
        [
            Found(
                "memory-per-child-low",
                "2:47",
                (
                    "worker q replaces a child process above 48.8 MiB; an idle one with an application loaded may already take more, so each run may cost a new process"
                ),
                "write 150000 (KiB) or more, or remove `max_memory_per_child`",
            ),
        ],
    ),
    "less than one run": (
        (
            "tasks: {shop.a: {queue: q, memory: 600MiB}}\n"
            "workers: {q: {options: {max_memory_per_child: 500000}}}"
        ),
        [
            Found(
                "memory-per-child-low",
                "2:47",
                (
                    "a run of shop.a takes 600 MiB, but worker q replaces a child process above 488 MiB: "
                    "each run of shop.a costs a new process"
                ),
                "raise `max_memory_per_child` (in KiB), or remove it",
            ),
        ],
    ),
}
ACCEPTS = {
    "another worker has processes": (
        "celery: {settings: {worker_max_tasks_per_child: 9}}\n"
        "queues: {q: {}, r: {}}\n"
        "workers: {q: {pool: threads}}"
    ),
    "a pool of their own": (
        "queues: {q: {}}\nworkers: {q: {pool: 'shop.pools:Own', options: {max_tasks_per_child: 9}}}"
    ),
    "above what a process takes": (
        "tasks: {shop.a: {queue: q, memory: 100MiB}}\nworkers: {q: {options: {max_memory_per_child: 200000}}}"
    ),
}


@pytest.mark.parametrize(("fragment", "expected"), DECIDES.values(), ids=DECIDES)
def test_it_decides(fragment, expected):
    decided = after(recycling, fragment).decided
    assert {address: decided.get(address) for address in expected} == expected


@pytest.mark.parametrize(("fragment", "addresses"), STAYS_SILENT.values(), ids=STAYS_SILENT)
def test_it_stays_silent(fragment, addresses):
    assert after(recycling, fragment).decided.keys().isdisjoint(addresses)


@pytest.mark.parametrize(("fragment", "address", "places"), LEADS_TO.values(), ids=LEADS_TO)
def test_its_origins_lead_to(fragment, address, places):
    assert after(recycling, fragment).origins[address] == places


@pytest.mark.parametrize(("fragment", "findings"), REFUSES.values(), ids=REFUSES)
def test_it_refuses(fragment, findings):
    assert after(recycling, fragment).findings == findings


@pytest.mark.parametrize("fragment", ACCEPTS.values(), ids=ACCEPTS)
def test_it_accepts(fragment):
    assert after(recycling, fragment).findings == []
