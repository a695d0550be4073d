"""As many slots as the busiest minutes need."""

from __future__ import annotations

import pytest
from workloads import Found, after, workload

from policycompiler.compiler import compile_workload
from policycompiler.plan.file import to_json
from policycompiler.policies.workers import concurrency
from policycompiler.sides import read_side

DECIDES = {
    "what fits into memory": (
        "tasks: {shop.a: {queue: q, memory: 600MiB}}\nworkers: {q: {memory: 2GiB}}",
        {
            "worker:q/concurrency": (
                2,
                (
                    "not all rates are declared, and 4 slots are a safe number for tasks that wait for "
                    "other systems"
                ),
            ),
            "worker:q/replicas": (
                2,
                "the worker has 4 slots, and the memory of one process, at 650 MiB a slot, fits 2 slots",
            ),
        },
    ),
    "what fits into the memory of the processes that are pinned": (
        "tasks: {shop.a: {queue: q, memory: 600MiB}}\nworkers: {q: {memory: 2GiB, replicas: 1}}",
        {
            "worker:q/concurrency": (2, "the memory of one process, at 650 MiB a slot, fits 2 slots"),
        },
    ),
    "at least one slot, whatever its memory": (
        "tasks: {shop.a: {queue: q, memory: 4GiB}}\nworkers: {q: {memory: 2GiB, replicas: 1}}",
        {
            "worker:q/concurrency": (1, "the memory of one process, at 4.05 GiB a slot, fits 1 slot"),
        },
    ),
    "what is known of the peak": (
        "tasks: {shop.a: {runtime: {p50: 300ms, p99: 300ms}, rate: {mean: 5/s, peak: 40/s}}}",
        {
            "worker:shop.standard.io/concurrency": (
                18,
                ("the load keeps 12 slots busy at peak, and at most 70% of all slots may be busy"),
            ),
            "worker:shop.standard.io/replicas": (1, "one worker process has enough slots"),
        },
    ),
    "the mean stands for the peak": (
        "tasks: {shop.a: {runtime: {p50: 1s, p99: 1s}, rate: 7/s}}",
        {
            "worker:shop.standard.io/concurrency": (
                10,
                ("the load keeps 7 slots busy at peak, and at most 70% of all slots may be busy"),
            ),
        },
    ),
    "hardly anything to do": (
        "tasks: {shop.a: {runtime: 1s, rate: 1/d}}",
        {
            "worker:shop.standard.io/concurrency": (
                2,
                "the load is small, and with 2 slots one slow run does not block a queue",
            ),
        },
    ),
    "nothing but a name": (
        "tasks: {shop.a: }",
        {
            "worker:shop.standard.io/concurrency": (
                4,
                (
                    "not all rates are declared, and 4 slots are a safe number for tasks that wait for "
                    "other systems"
                ),
            ),
            "worker:shop.standard.io/replicas": (1, "one worker process has enough slots"),
        },
    ),
    "tasks that compute": (
        "tasks: {shop.a: {work: cpu}}",
        {
            "worker:shop.standard.cpu/concurrency": (
                2,
                "not all rates are declared, and 2 slots are a safe number for tasks that compute",
            ),
        },
    ),
    "no task": (
        "queues: {q: {}}",
        {
            "worker:q/concurrency": (
                4,
                (
                    "not all rates are declared, and 4 slots are a safe number for tasks that wait for "
                    "other systems"
                ),
            ),
        },
    ),
    "one of two is not known": (
        "tasks: {shop.a: {runtime: {p50: 1s, p99: 1s}, rate: 7/s}, shop.b: }",
        {
            "worker:shop.standard.io/concurrency": (
                10,
                ("the load keeps 7 slots busy at peak, and at most 70% of all slots may be busy"),
            ),
        },
    ),
    "more than one process holds": (
        "tasks: {shop.a: {runtime: {p50: 1s, p99: 1s}, rate: 70/s}}",
        {
            "worker:shop.standard.io/concurrency": (
                25,
                ("the load keeps 70 slots busy at peak, and at most 70% of all slots may be busy"),
            ),
            "worker:shop.standard.io/replicas": (
                4,
                ("the worker has 100 slots, and one process has at most 32 slots"),
            ),
        },
    ),
    "replicas are pinned": (
        "tasks: {shop.a: {queue: q, runtime: {p50: 1s, p99: 1s}, rate: 70/s}}\nworkers: {q: {replicas: 5}}",
        {
            "worker:q/concurrency": (
                20,
                ("the load keeps 70 slots busy at peak, and at most 70% of all slots may be busy"),
            ),
        },
    ),
    "no replica runs": (
        "queues: {q: {}}\nworkers: {q: {replicas: 0}}",
        {
            "worker:q/concurrency": (
                4,
                (
                    "not all rates are declared, and 4 slots are a safe number for tasks that wait for "
                    "other systems"
                ),
            ),
        },
    ),
    "solo": (
        "tasks: {shop.a: {queue: q, runtime: 1s, rate: 70/s}}\nworkers: {q: {pool: solo}}",
        {
            "worker:q/concurrency": (1, "a solo pool has one slot"),
            "worker:q/replicas": (1, "one worker process has enough slots"),
        },
    ),
    "slots are pinned": (
        "tasks: {shop.a: {queue: q}}\nworkers: {q: {concurrency: 8}}",
        {
            "worker:q/replicas": (1, "one worker process has all slots"),
        },
    ),
    "autoscale": (
        "tasks: {shop.a: {queue: q}}\nworkers: {q: {concurrency: {min: 2, max: 9}}}",
        {
            "worker:q/replicas": (1, "one worker process has all slots"),
        },
    ),
}
STAYS_SILENT = {
    "both are pinned": (
        "queues: {q: {}}\nworkers: {q: {concurrency: 8, replicas: 2}}",
        ["worker:q/concurrency", "worker:q/replicas"],
    ),
    "autoscale has no fixed slots": (
        "queues: {q: {}}\nworkers: {q: {concurrency: {min: 2, max: 9}}}",
        ["worker:q/concurrency"],
    ),
    "replicas are pinned": ("queues: {q: {}}\nworkers: {q: {replicas: 0}}", ["worker:q/replicas"]),
}
LEADS_TO = {
    "memory": (
        "tasks: {shop.a: {queue: q, memory: 600MiB}}\nworkers: {q: {memory: 2GiB, replicas: 1}}",
        "worker:q/concurrency",
        ["worker:q/memory_bytes", "worker:q/base_bytes", "worker:q/slot_bytes"],
    ),
    "the peak": (
        "tasks: {shop.a: {runtime: 1s, rate: {mean: 5/s, peak: 40/s}}}",
        "worker:shop.standard.io/concurrency",
        [
            "task:shop.a/rate_peak_per_second",
            "task:shop.a/runtime_mean_seconds",
            "parameters.concurrency.busy_at_peak",
            "parameters.concurrency.fewest_slots",
        ],
    ),
    "the policy": (
        "tasks: {shop.a: }",
        "worker:shop.standard.io/concurrency",
        ["parameters.concurrency.slots_io"],
    ),
    "the bound": (
        "tasks: {shop.a: }",
        "worker:shop.standard.io/replicas",
        ["parameters.concurrency.slots_io", "parameters.concurrency.most_slots"],
    ),
}
REFUSES = {
    "it shrinks above what it grows to": (
        "queues: {q: {}}\nworkers: {q: {concurrency: {min: 5, max: 2}}}",
        [
            Found(
                "autoscale-order",
                "2:34",
                "autoscale `min` is 5 slots, more than `max` with 2",
                "swap `min` and `max`",
            ),
        ],
    ),
    "threads never grow": (
        "queues: {q: {}}\nworkers: {q: {pool: threads, concurrency: {min: 2, max: 8}}}",
        [
            Found(
                "autoscale-off-prefork",
                "2:43",
                (
                    "a threads pool cannot grow from 2 slots to 8: the worker exits with an error when it "
                    "tries"
                ),
                "write `concurrency: 8`, or use `pool: prefork`",
            ),
        ],
    ),
    "solo never grows": (
        "queues: {q: {}}\nworkers: {q: {pool: solo, concurrency: {min: 0, max: 8}}}",
        [
            Found(
                "autoscale-off-prefork",
                "2:40",
                "a solo pool cannot grow from 0 slots to 8: it has one slot",
                "write `concurrency: 1`, or use `pool: prefork`",
            ),
        ],
    ),
}
ACCEPTS = {
    "it grows": "queues: {q: {}}\nworkers: {q: {concurrency: {min: 2, max: 5}}}",
    "it stays": "queues: {q: {}}\nworkers: {q: {concurrency: {min: 2, max: 2}}}",
    "gevent grows": "queues: {q: {}}\nworkers: {q: {pool: gevent, concurrency: {min: 2, max: 8}}}",
}


@pytest.mark.parametrize(("fragment", "expected"), DECIDES.values(), ids=DECIDES)
def test_it_decides(fragment, expected):
    decided = after(concurrency, fragment).decided
    assert {address: decided.get(address) for address in expected} == expected


@pytest.mark.parametrize(("fragment", "addresses"), STAYS_SILENT.values(), ids=STAYS_SILENT)
def test_it_stays_silent(fragment, addresses):
    assert after(concurrency, fragment).decided.keys().isdisjoint(addresses)


@pytest.mark.parametrize(("fragment", "address", "places"), LEADS_TO.values(), ids=LEADS_TO)
def test_its_origins_lead_to(fragment, address, places):
    assert after(concurrency, fragment).origins[address] == places


@pytest.mark.parametrize(("fragment", "findings"), REFUSES.values(), ids=REFUSES)
def test_it_refuses(fragment, findings):
    assert after(concurrency, fragment).findings == findings


@pytest.mark.parametrize("fragment", ACCEPTS.values(), ids=ACCEPTS)
def test_it_accepts(fragment):
    assert after(concurrency, fragment).findings == []


@pytest.mark.parametrize(
    ("fragment", "needs"),
    [
        (
            "tasks: {shop.a: {rate: 12000/s, runtime: {p50: 3s, p99: 3s}}}",
            ("1,608 processes with 32 slots each"),
        ),
        ("tasks: {shop.a: {rate: 1000000000/s, runtime: {p50: 3h, p99: 3h}}}", "a plan has at most 10,000"),
        (
            (
                "tasks: {shop.a: {queue: q, rate: 12000/s, runtime: {p50: 3s, p99: 3s}}}\n"
                "workers: {q: {replicas: 2}}"
            ),
            "25,715 slots in each process",
        ),
    ],
)
def test_a_fleet_that_nobody_runs_is_told_and_can_be_compared(fragment, needs, tmp_path):
    source = tmp_path / "workload.yaml"
    source.write_text(workload(fragment))
    made = compile_workload([source], targets=["systemd"])
    (told,) = [each for each in made.diagnostics if each.name == "absurd-capacity"]
    assert needs in told.message
    assert told.path == ("tasks", "shop.a", "rate")
    plan = tmp_path / "plan.json"
    plan.write_text(to_json(made.plan))
    assert read_side(str(plan)).plan == made.plan
