"""No message waits behind a run while a worker is idle."""

from __future__ import annotations

import pytest
from workloads import Found, after

from policycompiler.policies.workers import prefetch

DECIDES = {
    "long runs that are acknowledged early": (
        "tasks: {shop.a: {queue: q, runtime: 20s}}\nworkers: {q: {replicas: 2}}",
        {
            "worker:q/disable_prefetch": (
                True,
                (
                    "shop.a may run 20 s and is acknowledged early, so a message prefetched behind it "
                    "would wait while another worker process is idle"
                ),
            ),
        },
    ),
    "by default": (
        "tasks: {shop.a: }",
        {
            "worker:shop.standard.io/prefetch_multiplier": (
                1,
                ("a prefetched message waits for the runs of its worker while another worker may be idle"),
            ),
        },
    ),
    "all are short": (
        "tasks: {shop.a: {runtime: 300ms}, shop.b: {runtime: 500ms}}",
        {
            "worker:shop.standard.io/prefetch_multiplier": (
                4,
                (
                    "all tasks of this worker run 0.5 s at most, and prefetched messages start within the "
                    "latency target of 30 s"
                ),
            ),
        },
    ),
    "a reserve that is just done within the promise": (
        "tasks: {shop.a: {latency: interactive, runtime: 250ms}}",
        {
            "worker:shop.interactive.io/prefetch_multiplier": (
                4,
                (
                    "all tasks of this worker run 0.25 s at most, and prefetched messages start within the "
                    "latency target of 1 s"
                ),
            ),
        },
    ),
    "a reserve that breaks the promise": (
        "tasks: {shop.a: {latency: interactive, runtime: 251ms}}",
        {
            "worker:shop.interactive.io/prefetch_multiplier": (
                1,
                ("a prefetched message waits for the runs of its worker while another worker may be idle"),
            ),
        },
    ),
    "a reserve that breaks the most urgent promise of several": (
        (
            "tasks: {shop.a: {latency: interactive, queue: a, runtime: 300ms}, shop.b: {queue: b, "
            "runtime: 300ms}}\nworkers: {both: {queues: [a, b]}}"
        ),
        {
            "worker:both/prefetch_multiplier": (
                1,
                ("a prefetched message waits for the runs of its worker while another worker may be idle"),
            ),
        },
    ),
    "one is not short": (
        "tasks: {shop.a: {runtime: 300ms}, shop.b: {runtime: 501ms}}",
        {
            "worker:shop.standard.io/prefetch_multiplier": (
                1,
                ("a prefetched message waits for the runs of its worker while another worker may be idle"),
            ),
        },
    ),
    "one is not known": (
        "tasks: {shop.a: {runtime: 300ms}, shop.b: }",
        {
            "worker:shop.standard.io/prefetch_multiplier": (
                1,
                ("a prefetched message waits for the runs of its worker while another worker may be idle"),
            ),
        },
    ),
    "no task": (
        "queues: {q: {}}",
        {
            "worker:q/prefetch_multiplier": (
                1,
                ("a prefetched message waits for the runs of its worker while another worker may be idle"),
            ),
        },
    ),
}
STAYS_SILENT = {
    "one process has nobody to leave it to": (
        "tasks: {shop.a: {queue: q, runtime: 20s}}",
        ["worker:q/disable_prefetch"],
    ),
    "late acknowledgment leaves no reserve": (
        "tasks: {shop.a: {queue: q, runtime: 20s, idempotent: true}}\nworkers: {q: {replicas: 2}}",
        ["worker:q/disable_prefetch"],
    ),
    "Celery is too old": (
        "celery: {version: '5.5'}\ntasks: {shop.a: {queue: q, runtime: 20s}}\nworkers: {q: {replicas: 2}}",
        ["worker:q/disable_prefetch"],
    ),
    "the broker is too good": (
        (
            "tasks: {shop.a: {queue: q, runtime: 20s}}\nworkers: {q: {replicas: 2}}\n"
            "broker: {transport: rabbitmq, url: '${B}'}"
        ),
        ["worker:q/disable_prefetch"],
    ),
    "it is pinned off": (
        (
            "celery: {settings: {worker_disable_prefetch: false}}\n"
            "tasks: {shop.a: {queue: q, runtime: 20s}}\nworkers: {q: {replicas: 2}}"
        ),
        ["worker:q/disable_prefetch"],
    ),
    "pinned": (
        "tasks: {shop.a: {queue: q, runtime: 300ms}}\nworkers: {q: {options: {prefetch_multiplier: 0}}}",
        ["worker:q/prefetch_multiplier"],
    ),
}
LEADS_TO = {
    "the longest": (
        "tasks: {shop.a: {runtime: 300ms}, shop.b: {runtime: 500ms}}",
        "worker:shop.standard.io/prefetch_multiplier",
        [
            "task:shop.b/runtime_p99_seconds",
            "queue:shop.standard.io/queue_wait_seconds",
            "parameters.prefetch.short_run_seconds",
            "parameters.prefetch.short_tasks_a_slot",
        ],
    ),
    "the policy": ("tasks: {shop.a: }", "worker:shop.standard.io/prefetch_multiplier", ["ONE_A_SLOT"]),
}
REFUSES = {
    "without bound": (
        "queues: {q: {}}\nworkers: {q: {options: {prefetch_multiplier: 0}}}",
        [
            Found(
                "prefetch-unlimited",
                "2:46",
                "worker q prefetches all messages into its memory, and other workers get none",
                "set a prefetch multiplier above 0, such as 1",
            ),
        ],
    ),
    "long runs in reserve": (
        (
            "tasks: {shop.a: {queue: q, runtime: 20s}, shop.b: {queue: q}}\n"
            "workers: {q: {options: {prefetch_multiplier: 4}}}"
        ),
        [
            Found(
                "prefetch-long",
                "2:46",
                (
                    "worker q prefetches 4 messages a slot, and shop.a may run 20 s: the last message may "
                    "wait 1 min 20 s while another worker is idle"
                ),
                "remove the pin (the compiler then sets 1), or give the long task a separate worker",
            ),
        ],
    ),
    "long runs in reserve, for all workers": (
        "celery: {settings: {worker_prefetch_multiplier: 8}}\ntasks: {shop.a: {queue: q, runtime: 1m}}",
        [
            Found(
                "prefetch-long",
                "1:49",
                (
                    "worker q prefetches 8 messages a slot, and shop.a may run 1 min: the last message may "
                    "wait 8 min while another worker is idle"
                ),
                "remove the pin (the compiler then sets 1), or give the long task a separate worker",
            ),
        ],
    ),
    "short and long": (
        (
            "tasks: {shop.a: {queue: q, runtime: 100ms}, shop.b: {queue: r, runtime: 20s}}\n"
            "workers: {w: {queues: [q, r]}}"
        ),
        [
            Found(
                "prefetch-mixed-worker",
                "2:23",
                (
                    "worker w prefetches one message a slot for the long tasks in r: each task "
                    "in q waits for a round trip to the broker"
                ),
                "give q a separate worker",
            ),
        ],
    ),
    "no reserve for short tasks": (
        "tasks: {shop.a: {queue: q, runtime: 100ms}}\nworkers: {q: {options: {prefetch_multiplier: 1}}}",
        [
            Found(
                "prefetch-short",
                "2:46",
                (
                    "all tasks of worker q run 0.1 s at most; with the pinned prefetch multiplier of 1, each run waits for a round trip to the broker"
                ),
                "remove `prefetch_multiplier: 1` (the compiler then sets 4)",
            ),
        ],
    ),
    "not on this broker": (
        (
            "queues: {q: {}}\n"
            "workers: {q: {options: {disable_prefetch: true}}}\n"
            "broker: {transport: rabbitmq, url: '${B}'}"
        ),
        [
            Found(
                "disable-prefetch-rabbit",
                "2:43",
                "`disable_prefetch` works only on Redis and has no effect on rabbitmq",
                "remove it; one message a slot with late acknowledgment prefetches nothing",
            ),
        ],
    ),
    "not on this broker, for all workers": (
        (
            "celery: {settings: {worker_disable_prefetch: true}}\n"
            "queues: {q: {}}\n"
            "broker: {transport: sqs, url: '${B}'}"
        ),
        [
            Found(
                "disable-prefetch-rabbit",
                "1:46",
                "`disable_prefetch` works only on Redis and has no effect on sqs",
                "remove it; one message a slot with late acknowledgment prefetches nothing",
            ),
        ],
    ),
}
ACCEPTS = {
    "runs of medium length": (
        "tasks: {shop.a: {queue: q, runtime: 2s}}\nworkers: {q: {options: {prefetch_multiplier: 4}}}"
    ),
    "long runs without a reserve": (
        "tasks: {shop.a: {queue: q, runtime: 20s}}\n"
        "workers: {q: {options: {prefetch_multiplier: 4, disable_prefetch: true}}}"
    ),
    "on Redis": "queues: {q: {}}\nworkers: {q: {options: {disable_prefetch: true}}}",
    "not asked for": (
        "queues: {q: {}}\n"
        "workers: {q: {options: {disable_prefetch: false}}}\n"
        "broker: {transport: rabbitmq, url: '${B}'}"
    ),
    "nothing is known": "tasks: {shop.a: {queue: q}}\nworkers: {q: {options: {prefetch_multiplier: 4}}}",
}


@pytest.mark.parametrize(("fragment", "expected"), DECIDES.values(), ids=DECIDES)
def test_it_decides(fragment, expected):
    decided = after(prefetch, fragment).decided
    assert {address: decided.get(address) for address in expected} == expected


@pytest.mark.parametrize(("fragment", "addresses"), STAYS_SILENT.values(), ids=STAYS_SILENT)
def test_it_stays_silent(fragment, addresses):
    assert after(prefetch, fragment).decided.keys().isdisjoint(addresses)


@pytest.mark.parametrize(("fragment", "address", "places"), LEADS_TO.values(), ids=LEADS_TO)
def test_its_origins_lead_to(fragment, address, places):
    assert after(prefetch, fragment).origins[address] == places


@pytest.mark.parametrize(("fragment", "findings"), REFUSES.values(), ids=REFUSES)
def test_it_refuses(fragment, findings):
    assert after(prefetch, fragment).findings == findings


@pytest.mark.parametrize("fragment", ACCEPTS.values(), ids=ACCEPTS)
def test_it_accepts(fragment):
    assert after(prefetch, fragment).findings == []
