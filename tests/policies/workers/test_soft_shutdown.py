"""Short stops and what they lose."""

from __future__ import annotations

import pytest
from workloads import Found, after

from policycompiler.policies.workers import soft_shutdown

REFUSES = {
    "given back late": (
        "tasks: {shop.a: {queue: q, runtime: 100s, idempotent: true}}\nworkers: {q: {stop_timeout: 1m}}",
        [
            Found(
                "soft-shutdown-missing",
                "2:29",
                (
                    "a stop of worker q kills its runs after 1 min, but shop.a may run 3 min 9 s: the broker redelivers a killed run only 1 h after its delivery"
                ),
                (
                    "write `stop_timeout: 3m 19s` or more, or let a stop return unfinished runs: `environment: {REMAP_SIGTERM: "
                    "SIGQUIT}` and `worker_soft_shutdown_timeout: 50`"
                ),
            ),
        ],
    ),
    "given back late on an old Celery": (
        (
            "celery: {version: '5.4'}\n"
            "tasks: {shop.a: {queue: q, runtime: 100s, idempotent: true}}\n"
            "workers: {q: {stop_timeout: 1m}}"
        ),
        [
            Found(
                "soft-shutdown-missing",
                "3:29",
                (
                    "a stop of worker q kills its runs after 1 min, but shop.a may run 3 min 9 s: the broker redelivers a killed run only 1 h after its delivery"
                ),
                (
                    "write `stop_timeout: 3m 19s` or more, or run Celery 5.5 or newer and let a stop return unfinished runs: "
                    "`environment: {REMAP_SIGTERM: SIGQUIT}` and `worker_soft_shutdown_timeout: 50`"
                ),
            ),
        ],
    ),
    "lost at once": (
        "tasks: {shop.a: {queue: q, runtime: 100s}}\nworkers: {q: {environment: {REMAP_SIGTERM: SIGQUIT}}}",
        [
            Found(
                "cold-stop-early-ack",
                "2:44",
                (
                    "with REMAP_SIGTERM a stop of q kills its tasks at once: shop.a may run 3 min 9 s, is "
                    "acknowledged early and is lost"
                ),
                "remove `REMAP_SIGTERM`, or set `worker_soft_shutdown_timeout` to 189 or more",
            ),
        ],
    ),
    "lost after a while": (
        (
            "tasks: {shop.a: {queue: q, runtime: 100s}}\n"
            "workers: {q: {environment: {REMAP_SIGTERM: SIGQUIT}}}\n"
            "celery: {settings: {worker_soft_shutdown_timeout: 60}}"
        ),
        [
            Found(
                "cold-stop-early-ack",
                "2:44",
                (
                    "with REMAP_SIGTERM a stop of q kills its tasks after 1 min: shop.a may run 3 min 9 s, "
                    "is acknowledged early and is lost"
                ),
                "remove `REMAP_SIGTERM`, or set `worker_soft_shutdown_timeout` to 189 or more",
            ),
        ],
    ),
    "nothing sends QUIT": (
        (
            "queues: {q: {}}\n"
            "celery: {settings: {worker_soft_shutdown_timeout: 60, "
            "worker_enable_soft_shutdown_on_idle: true}}"
        ),
        [
            Found(
                "soft-shutdown-inert",
                "2:51",
                (
                    "`worker_soft_shutdown_timeout` has no effect: it applies only to QUIT, and the "
                    "generated units stop workers with TERM"
                ),
                (
                    "remove `worker_soft_shutdown_timeout`, or add `environment: {REMAP_SIGTERM: SIGQUIT}` "
                    "to a worker"
                ),
            ),
            Found(
                "soft-shutdown-inert",
                "2:92",
                (
                    "`worker_enable_soft_shutdown_on_idle` has no effect: it applies only to QUIT, and the "
                    "generated units stop workers with TERM"
                ),
                (
                    "remove `worker_enable_soft_shutdown_on_idle`, or add `environment: {REMAP_SIGTERM: "
                    "SIGQUIT}` to a worker"
                ),
            ),
        ],
    ),
    "no time to wait": (
        (
            "tasks: {shop.a: {queue: q, idempotent: true}}\n"
            "workers: {q: {environment: {REMAP_SIGTERM: SIGQUIT}}}\n"
            "celery: {settings: {worker_enable_soft_shutdown_on_idle: true}}"
        ),
        [
            Found(
                "soft-shutdown-inert",
                "3:58",
                (
                    "`worker_enable_soft_shutdown_on_idle` has no effect: it applies only to QUIT, and "
                    "`worker_soft_shutdown_timeout` is not set"
                ),
                (
                    "remove `worker_enable_soft_shutdown_on_idle`, or add `environment: {REMAP_SIGTERM: "
                    "SIGQUIT}` to a worker"
                ),
            ),
        ],
    ),
    "no time to put back": (
        (
            "tasks: {shop.a: {queue: q, runtime: 100s, idempotent: true}}\n"
            "workers: {q: {stop_timeout: 1m, environment: {REMAP_SIGTERM: SIGQUIT}}}\n"
            "celery: {settings: {worker_soft_shutdown_timeout: 60}}"
        ),
        [
            Found(
                "soft-shutdown-over-stop",
                "3:51",
                (
                    "the soft shutdown of worker q takes 1 min and KILL follows after 1 min: no time is "
                    "left to return unfinished messages"
                ),
                "lower it to 50 s, or raise `stop_timeout`",
            ),
        ],
    ),
}
ACCEPTS = {
    "long enough": (
        "tasks: {shop.a: {queue: q, runtime: 100s, idempotent: true}}\nworkers: {q: {stop_timeout: 199s}}"
    ),
    "RabbitMQ gives it back at once": (
        "tasks: {shop.a: {queue: q, runtime: 100s, idempotent: true}}\n"
        "workers: {q: {stop_timeout: 1m}}\n"
        "broker: {transport: rabbitmq, url: '${B}'}"
    ),
    "worse is told elsewhere": (
        "tasks: {shop.a: {queue: q, runtime: 100s, idempotent: true}, shop.b: {queue: q, "
        "runtime: 100s}}\n"
        "workers: {q: {stop_timeout: 1m}}"
    ),
    "put back in time": (
        "tasks: {shop.a: {queue: q, runtime: 100s, idempotent: true}}\n"
        "workers: {q: {stop_timeout: 1m, environment: {REMAP_SIGTERM: SIGQUIT}}}\n"
        "celery: {settings: {worker_soft_shutdown_timeout: 45, "
        "worker_enable_soft_shutdown_on_idle: true}}"
    ),
    "early ones are done in time": (
        "tasks: {shop.a: {queue: q, runtime: 2s}}\n"
        "workers: {q: {environment: {REMAP_SIGTERM: SIGQUIT}}}\n"
        "celery: {settings: {worker_soft_shutdown_timeout: 9}}"
    ),
}


@pytest.mark.parametrize(("fragment", "findings"), REFUSES.values(), ids=REFUSES)
def test_it_refuses(fragment, findings):
    assert after(soft_shutdown, fragment).findings == findings


@pytest.mark.parametrize("fragment", ACCEPTS.values(), ids=ACCEPTS)
def test_it_accepts(fragment):
    assert after(soft_shutdown, fragment).findings == []
