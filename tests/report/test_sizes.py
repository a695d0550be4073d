"""The table of sizes, and its arithmetic, compared with a computation by hand."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from typing import Any

import pytest
from workloads import compiled, workload

from policycompiler.model import AS_WRITTEN
from policycompiler.plan import Plan
from policycompiler.plan.lines import worker_lines
from policycompiler.quantities import figure, percent
from policycompiler.report.size_steps import UnknownWorkerError, steps_text
from policycompiler.report.sizes import about, sizes_json, sizes_text, times

BY_HAND = """
tasks: {shop.a: {latency: interactive, queue: q, runtime: {p50: 2s, p99: 2s}, rate: 1/s}}
workers: {q: {concurrency: 4}}
"""
RATE, MEAN, SLOTS = Fraction(1), Fraction(2003, 1000), 4
"""Each run of 2 s holds its slot 3 ms longer."""


def plan(fragment: str) -> Plan:
    found = compiled(workload(fragment)).plan
    assert found is not None
    return found


def sized(fragment: str) -> dict[str, Any]:
    """What the JSON says about worker `q`; another one serves undeclared tasks."""
    every = json.loads(sizes_json(worker_lines(plan(fragment))))["workers"]
    (found,) = (each for each in every if each["worker"] == "q")
    return found


def text(fragment: str) -> str:
    found = plan(fragment)
    return sizes_text(found, worker_lines(found), AS_WRITTEN)


def steps(fragment: str, worker: str = "q") -> str:
    found = plan(fragment)
    return steps_text(found, worker_lines(found), worker, AS_WRITTEN)


def erlang_c(load: Fraction = RATE * MEAN) -> Fraction:
    """From the probabilities of the numbers of messages in an M/M/c queue."""
    some_free = sum((load**k / math.factorial(k) for k in range(SLOTS)), Fraction(0))
    all_busy = load**SLOTS / math.factorial(SLOTS) * SLOTS / (SLOTS - load)
    return all_busy / (some_free + all_busy)


def delay_of_equal_runs() -> float:
    """The mean wait of the messages that wait; half of that of exponential runs, and Cosmetatos' correction."""
    busy = RATE * MEAN / SLOTS
    exponential = MEAN / (SLOTS * (1 - busy))
    correction = float((1 - busy) * (SLOTS - 1) / (16 * busy * SLOTS)) * (math.sqrt(4 + 5 * SLOTS) - 2)
    return float(exponential) / 2 * (1 + correction)


def quantile(late: float) -> float:
    """By the Weibull distribution of docs/sizing-model.md, whose shape is found by halving."""
    busy = float(RATE * MEAN / SLOTS)
    rest = 1 / 3
    variation = (1 - busy) * (1 + (rest - 1) / math.sqrt(SLOTS)) + busy
    low, high = 0.2, 10.0
    for _ in range(100):
        shape = (low + high) / 2
        has = math.gamma(1 + 2 / shape) / math.gamma(1 + 1 / shape) ** 2 - 1
        low, high = (shape, high) if has > variation else (low, shape)
    scale = delay_of_equal_runs() / math.gamma(1 + 1 / low)
    share = float(erlang_c())
    return scale * math.log(share / late) ** (1 / low) if share > late else 0.0


def test_the_json_has_the_numbers_of_a_computation_by_hand():
    found = sized(BY_HAND)
    assert erlang_c(Fraction(2)) == Fraction(4, 23)
    waits = [found.pop(f"wait_{each}_seconds") for each in ("p50", "p95", "p99")]
    assert waits == pytest.approx([0, quantile(0.05), quantile(0.01)], rel=1e-4)
    assert found == {
        "worker": "q",
        "queues": ["q"],
        "pool": "prefork",
        "replicas": 1,
        "concurrency": 4,
        "slots": 4,
        "offered_load": 2,
        "utilization": 0.50075,
        "promise_seconds": 1,
        "memory_bytes": (100 + 4 * 50) * 2**20,
        "limited_by": "pinned",
    }


def test_the_steps_show_the_numbers_of_a_computation_by_hand():
    shown = steps(BY_HAND)
    waiting, delay, a = float(erlang_c()), delay_of_equal_runs(), RATE * MEAN
    for wanted in (
        "worker q: prefork, 1 process x 4 slots = 4 slots",
        "= 50%",
        f"= {waiting:.4f}",
        f"= {delay:.4f} s",
        f"= {waiting * delay:.5f} s",
        # Erlang B is the share of the last state: (a^4 / 24) / (1 + a + a^2 / 2 + a^3 / 6 + a^4 / 24).
        f"= {float(a**4 / 24 / sum(a**k / math.factorial(k) for k in range(5))):.4g}",
        f"= {about(quantile(0.01))}",
    ):
        assert wanted in shown, (wanted, shown)


def test_the_steps_name_the_smallest_number_of_slots_and_the_one_below():
    shown = steps("""
        tasks: {shop.a: {latency: interactive, queue: q, runtime: {p50: 2s, p99: 2s}, rate: 1/s}}
        workers: {q: {concurrency: 9}}
    """)
    rows = [line.split() for line in shown.splitlines() if line.endswith(("does not keep it", "keeps it"))]
    kept = {int(row[0]): row[-1] == "it" and row[-2] == "keeps" for row in rows}
    least = int(shown.partition("fewest slots that keep it: ")[2].split()[0])
    assert kept[least]
    assert not kept[least - 1]
    assert kept[9]


def test_more_load_than_slots_is_a_wait_without_end():
    fragment = """
        tasks: {shop.a: {queue: q, runtime: {p50: 2s, p99: 2s}, rate: 3/s}}
        workers: {q: {concurrency: 4}}
    """
    found = sized(fragment)
    assert [found[f"wait_{each}_seconds"] for each in ("p50", "p95", "p99")] == [None, None, None]
    assert found["utilization"] == 1.50225
    assert "q: the load keeps 6.01 slots busy, and there are 4, so the backlog grows without end; " in text(
        fragment
    )
    assert "150%" in text(fragment)
    assert "the backlog grows without end" in steps(fragment)


def test_a_broken_promise_is_told():
    told = text("""
        tasks: {shop.a: {latency: interactive, queue: q, runtime: {p50: 10s, p99: 10s}, rate: 6/m}}
        workers: {q: {concurrency: 2}}
    """)
    assert "would keep the promise of 1 s" in told


@pytest.mark.parametrize("shown", [text, steps])
def test_undeclared_facts_are_question_marks_and_a_line_says_what_to_declare(shown):
    told = shown("tasks: {shop.a: {queue: q, runtime: 1s}, shop.b: {queue: q}}")
    assert "declare tasks.shop.a.rate, tasks.shop.b.rate and tasks.shop.b.runtime to compute" in told
    assert "?" in told


def test_many_undeclared_facts_are_counted():
    tasks = ", ".join(f"shop.t{number}: {{queue: q, runtime: 1s}}" for number in range(9))
    told = text(f"tasks: {{{tasks}}}")
    assert "declare tasks.shop.t0.rate, tasks.shop.t1.rate, tasks.shop.t2.rate and 6 more to" in told


def test_a_worker_without_declared_tasks_has_no_load():
    told = text("queues: {q: {}}\nworkers: {q: {}}")
    assert "q: the workload declares no task that is sent to its queues" in told


def test_several_queues_and_bounds_are_told():
    told = text("""
        tasks:
          shop.a: {queue: q, runtime: 1s, rate: 1/s}
          shop.b: {queue: r, runtime: 1s, rate: 1/s}
          shop.c: {queue: s, runtime: 1s, rate: 1/s}
        workers:
          w: {queues: [q, r], concurrency: {min: 2, max: 9}}
          one: {queues: [s]}
          two: {queues: [s]}
    """)
    assert "w: all its queues share its slots, so the waits are those of all its messages together" in told
    assert "w: the slots of a process are 2 to 9; the numbers are those of the most" in told
    assert "one: shares queues with two; the waits are those of all their messages on" in told


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ("replicas: 2, options: {prefetch_multiplier: 4}", True),
        ("replicas: 2, options: {prefetch_multiplier: 0}", True),
        ("replicas: 2, options: {prefetch_multiplier: 1}", False),
        ("replicas: 1, options: {prefetch_multiplier: 4}", False),
    ],
)
def test_prefetching_processes_are_told(fields: str, *, told: bool):
    shown = text(f"""
        tasks: {{shop.a: {{queue: q, runtime: 1s, rate: 1/s}}}}
        workers: {{q: {{concurrency: 4, {fields}}}}}
    """)
    assert ("q: its processes prefetch messages while others are free" in shown) is told


def test_an_unknown_worker_has_a_name_close_to_it():
    with pytest.raises(UnknownWorkerError, match="no worker `serach`; did you mean `search`"):
        steps("tasks: {shop.a: {queue: search}}", "serach")


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0 s"),
        (0.0004, "0 s"),
        (0.0126, "0.013 s"),
        (4.26, "4.3 s"),
        (42.6, "43 s"),
        (95, "1 min 40 s"),
        (1000, "17 min"),
        (90_000, "1 d 1 h"),
        (math.inf, "endless"),
    ],
)
def test_waits_are_rounded_for_people(seconds: float, shown: str):
    assert about(seconds) == shown


def test_numbers_have_no_exponent_and_shares_are_not_rounded_to_the_whole():
    assert [figure(x) for x in (0, 0.00057871, 13.4444, 1250.4, math.inf)] == [
        *("0", "0.0005787", "13.44", "1,250", "endless"),
    ]
    assert [percent(x) for x in (0, 0.001, 0.744, 0.999, 1, 1.5)] == [
        *("0%", "under 1%", "74%", "over 99%", "100%", "150%"),
    ]
    assert [times(x) for x in (0.5, 0.9999, 1.849, 1e9)] == ["0.5 x", "0.99 x", "1.84 x", "over 100 x"]


BUDGETED = """
    tasks: {shop.a: {queue: q, runtime: {p50: 1s, p99: 1s}, rate: 7/s, connections: 2}}
    workers: {q: {concurrency: 10}}
"""


@pytest.mark.parametrize(
    ("budget", "told"),
    [
        # 10 slots in a process, beside the 4 slots of the default queue.
        ("", ["all workers: 14 slots in 2 processes, 900 MiB of memory, 1.4 cores, 20 connections"]),
        ("budget: {memory: 1GiB}", ["budget: 1 GiB of memory, 88% taken"]),
        ("budget: {connections: 12345}", ["budget: 12,345 connections, under 1% taken"]),
        ("budget: {cores: 1}", ["budget: 1 core, exceeded by 0.1 cores"]),
    ],
)
def test_the_sum_of_all_workers_stands_beside_the_budget(budget: str, told: list[str]):
    shown = text(BUDGETED + f"    {budget}").splitlines()
    assert [line for line in told if line not in shown] == []


def test_the_declared_cores_of_a_worker_count_without_an_image_too():
    shown = text("workers: {q: {concurrency: 10, cores: 8}}\nqueues: {q: {}}\nbudget: {cores: 9}")
    # Beside them the worker of the default queue takes 0.4.
    assert "budget: 9 cores, 93% taken" in shown.splitlines()
