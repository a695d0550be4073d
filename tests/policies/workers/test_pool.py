"""Prefork keeps time limits; others are asked for."""

from __future__ import annotations

import pytest
from workloads import Found, after

from policycompiler.policies.workers import pool

DECIDES = {
    "by default": (
        "tasks: {shop.a: }",
        {
            "worker:shop.standard.io/pool": (
                "prefork",
                "only prefork enforces both time limits and survives a task that kills its process",
            ),
        },
    ),
    "a worker that pins other things": (
        "tasks: {shop.a: {queue: q}}\nworkers: {q: {concurrency: 2}}",
        {
            "worker:q/pool": (
                "prefork",
                "only prefork enforces both time limits and survives a task that kills its process",
            ),
        },
    ),
}
STAYS_SILENT = {
    "pinned": ("tasks: {shop.a: {queue: q}}\nworkers: {q: {pool: solo}}", ["worker:q/pool"]),
}
LEADS_TO = {
    "the policy": ("tasks: {shop.a: }", "worker:shop.standard.io/pool", ["PREFORK"]),
}
REFUSES = {
    "no limit is kept": (
        "tasks: {shop.a: {queue: q}}\nworkers: {q: {pool: threads}}",
        [
            Found(
                "pool-time-limit-unkept",
                "2:21",
                "pool threads applies no time limit: a stuck shop.a keeps its slot without end",
                "use `pool: prefork`, or set timeouts for the calls inside the task",
            ),
        ],
    ),
    "none of several": (
        (
            "tasks: {shop.a: {queue: q}, shop.b: {queue: q}, shop.c: {queue: q}}\n"
            "workers: {q: {pool: threads}}"
        ),
        [
            Found(
                "pool-time-limit-unkept",
                "2:21",
                (
                    "pool threads applies no time limit: a stuck shop.a (or one of 2 more) keeps its slot "
                    "without end"
                ),
                "use `pool: prefork`, or set timeouts for the calls inside the task",
            ),
        ],
    ),
    "pinned limits are ignored": (
        (
            "tasks: {shop.a: {queue: q, options: {soft_time_limit: 5, time_limit: 9}}}\n"
            "workers: {q: {pool: threads}}"
        ),
        [
            Found(
                "pool-time-limit-inert",
                "1:70",
                "shop.a pins `time_limit` (and 1 more pinned limit), but pool threads ignores it",
                ("use `pool: prefork`, or remove the limit and set timeouts for the calls inside the task"),
            ),
        ],
    ),
    "a task that computes stops all others": (
        "tasks: {shop.a: {queue: q, work: cpu, options: {time_limit: 9}}}\nworkers: {q: {pool: threads}}",
        [
            Found(
                "pool-time-limit-inert",
                "1:61",
                "shop.a pins `time_limit`, but pool threads ignores it",
                ("use `pool: prefork`, or remove the limit and set timeouts for the calls inside the task"),
            ),
            Found(
                "pool-cpu-green",
                "1:34",
                "shop.a is CPU-bound (`work: cpu`), but pool threads runs all tasks in one process",
                "use `pool: prefork`, or give this task another worker",
            ),
        ],
    ),
    "a glob brings it": (
        "tasks: {shop.*: {queue: q-1}}\nworkers: {w: {queues: ['q-*'], pool: solo}}",
        [
            Found(
                "pool-time-limit-unkept",
                "2:38",
                "pool solo applies no time limit: a stuck shop.* keeps its slot without end",
                "use `pool: prefork`, or set timeouts for the calls inside the task",
            ),
        ],
    ),
    "gevent keeps only the hard limit": (
        (
            "tasks: {shop.a: {queue: q, options: {soft_time_limit: 5, time_limit: 9}}}\n"
            "workers: {q: {pool: gevent}}"
        ),
        [
            Found(
                "pool-gevent-soft",
                "1:55",
                (
                    "shop.a pins `soft_time_limit`, but pool gevent ignores it: only the hard time limit "
                    "stops a run"
                ),
                ("use `pool: prefork`, or remove the limit and set timeouts for the calls inside the task"),
            ),
        ],
    ),
    "eventlet": (
        "queues: {q: {}, r: {}}\nworkers: {q: {pool: eventlet}, r: {}}",
        [
            Found(
                "pool-eventlet",
                "2:21",
                "eventlet is no longer developed, and `celery[eventlet]` no longer installs it",
                "use `pool: gevent`, or `pool: threads`",
            ),
        ],
    ),
    "patches that come too late": (
        "celery: {settings: {worker_pool: gevent}}\nqueues: {q: {}}",
        [
            Found(
                "pool-in-config",
                "1:34",
                (
                    "Celery reads `worker_pool` too late for the gevent pool, which must patch the "
                    "standard library before other imports"
                ),
                "remove it, and give each worker `pool: gevent`",
            ),
        ],
    ),
    "eventlet for all, told once": (
        "celery: {settings: {worker_pool: eventlet}}\nqueues: {q: {}, r: {}}",
        [
            Found(
                "pool-eventlet",
                "1:34",
                "eventlet is no longer developed, and `celery[eventlet]` no longer installs it",
                "use `pool: gevent`, or `pool: threads`",
            ),
        ],
    ),
}
ACCEPTS = {
    "prefork": (
        "tasks: {shop.a: {queue: q, work: cpu, options: {time_limit: 9}}}\nworkers: {q: {pool: prefork}}"
    ),
    "no task": "queues: {q: {}}\nworkers: {q: {pool: threads}}",
    "another app's task": ("tasks: {shop.a: {queue: q, external: true}}\nworkers: {q: {pool: threads}}"),
    "the hard limit on gevent": (
        "tasks: {shop.a: {queue: q, options: {time_limit: 9}}}\nworkers: {q: {pool: gevent}}"
    ),
    "no limit on gevent": "tasks: {shop.a: {queue: q}}\nworkers: {q: {pool: gevent}}",
    "threads in the settings": "celery: {settings: {worker_pool: threads}}\nqueues: {q: {}}",
}


@pytest.mark.parametrize(("fragment", "expected"), DECIDES.values(), ids=DECIDES)
def test_it_decides(fragment, expected):
    decided = after(pool, fragment).decided
    assert {address: decided.get(address) for address in expected} == expected


@pytest.mark.parametrize(("fragment", "addresses"), STAYS_SILENT.values(), ids=STAYS_SILENT)
def test_it_stays_silent(fragment, addresses):
    assert after(pool, fragment).decided.keys().isdisjoint(addresses)


@pytest.mark.parametrize(("fragment", "address", "places"), LEADS_TO.values(), ids=LEADS_TO)
def test_its_origins_lead_to(fragment, address, places):
    assert after(pool, fragment).origins[address] == places


@pytest.mark.parametrize(("fragment", "findings"), REFUSES.values(), ids=REFUSES)
def test_it_refuses(fragment, findings):
    assert after(pool, fragment).findings == findings


@pytest.mark.parametrize("fragment", ACCEPTS.values(), ids=ACCEPTS)
def test_it_accepts(fragment):
    assert after(pool, fragment).findings == []
