"""The line of each worker: what a plan says about its messages, its slots and its promise."""

from __future__ import annotations

import math
from itertools import combinations
from random import Random

import pytest
from workloads import compiled, workload

from policycompiler.plan.lines import Limit, WorkerLine, worker_lines

IMAGE = 'deploy: {image: "registry.example/shop:1.4.2"}\n'


def lines(fragment: str, platform: str = "") -> dict[str, WorkerLine]:
    compilation = compiled(workload(fragment), platform)
    assert compilation.plan is not None, compilation.diagnostics
    return {each.worker: each for each in worker_lines(compilation.plan)}


def test_the_load_is_rate_times_run_time_of_all_tasks_at_peak():
    found = lines("""
        tasks:
          shop.a: {queue: q, runtime: {p50: 2s, p99: 2s}, rate: {mean: 1/m, peak: 1/s}}
          shop.b: {queue: q, runtime: {p50: 6s, p99: 6s}, rate: 15/m}
        workers: {q: {concurrency: 3, replicas: 2}}
    """)["q"]
    # 1/s x 2 s and 1/4 per second x 6 s.
    assert found.load == pytest.approx(3.5)
    assert (found.processes, found.slots_each, found.slots) == (2, 3, 6)
    line = found.line
    assert line is not None
    # Each of 1.25 runs a second holds its slot 3 ms longer.
    assert line.utilization == pytest.approx((3.5 + 1.25 * 0.003) / 6)
    assert line.service.mean == pytest.approx(3.5 / 1.25 + 0.003)
    # (1 x 2.003^2 + 1/4 x 6.003^2) / 1.25
    assert line.service.square == pytest.approx((2.003**2 + 6.003**2 / 4) / 1.25)


@pytest.mark.parametrize(("pool", "limit"), [("prefork", 1.0), ("threads", None)])
def test_a_run_ends_at_the_hard_limit_if_the_pool_enforces_it(pool: str, limit: float | None):
    found = lines(f"""
        tasks: {{shop.a: {{queue: q, runtime: {{p50: 2s, p99: 2s}}, rate: 1/s, options: {{time_limit: 1}}}}}}
        workers: {{q: {{concurrency: 4, pool: {pool}}}}}
    """)["q"]
    (flow,) = found.flows
    assert flow.limit == limit
    assert found.load == pytest.approx(limit or 2)


def test_the_promise_is_that_of_the_most_urgent_queue():
    found = lines("""
        tasks: {shop.a: {latency: interactive, queue: q}, shop.b: {latency: batch, queue: r}}
        workers: {w: {queues: [q, r]}}
    """)["w"]
    policy = "version: 1\nlatency_classes: {interactive: {queue_wait_p99: 7s}}\n"
    tuned = lines(
        """
        tasks: {shop.a: {latency: interactive, queue: q}, shop.b: {latency: batch, queue: r}}
        workers: {w: {queues: [q, r]}}
        """,
        policy,
    )["w"]
    assert (found.promise_seconds, tuned.promise_seconds) == (1, 7)


def test_workers_that_share_a_queue_are_one_line_and_share_its_load_by_slots():
    found = lines("""
        tasks: {shop.a: {queue: q, runtime: {p50: 1s, p99: 1s}, rate: 3/s}}
        workers: {one: {queues: [q], concurrency: 4}, two: {queues: [q], concurrency: 2}}
    """)
    assert (found["one"].all_slots, found["one"].beside) == (6, ("two",))
    assert (found["two"].all_slots, found["two"].beside) == (6, ("one",))
    assert [found[name].load for name in ("one", "two")] == pytest.approx([2, 1])
    assert found["one"].line == found["two"].line


def shared(rates: tuple[str, str], slots: tuple[int, int]) -> dict[str, WorkerLine]:
    """`big` has the first queue, and `small` both; runs take 1 s."""
    first, second = (
        f"shop.{name}: {{queue: {name}, latency: standard, runtime: {{p50: 1s, p99: 1s}}, rate: {rate}}}"
        for name, rate in zip("ab", rates, strict=True)
    )
    return lines(f"""
        tasks:
          {first}
          {second}
        workers:
          big: {{queues: [a], concurrency: {slots[0]}}}
          small: {{queues: [a, b], concurrency: {slots[1]}}}
    """)


@pytest.mark.parametrize(
    ("rates", "slots", "busy"),
    [
        # Only `small` can run b, so `big` runs all of a.
        (("1/s", "10/s"), (30, 2), (1 / 30, 10 / 2)),
        # Each queue alone fits its workers, but both have 32 busy slots on 30.
        (("24/s", "8/s"), (20, 10), (32 / 30, 32 / 30)),
        (("15/s", "30/m"), (30, 2), (15.5 / 32, 15.5 / 32)),
        # Nobody else can run a message of b.
        (("1/s", "3/s"), (4, 4), (1 / 4, 3 / 4)),
    ],
)
def test_workers_that_share_some_queues_are_as_busy_as_the_fullest_queues_make_them(
    rates: tuple[str, str], slots: tuple[int, int], busy: tuple[float, float]
):
    found = shared(rates, slots)
    computed = [line.utilization for name in ("big", "small") if (line := found[name].line) is not None]
    # A slot is held for 3 ms more.
    assert computed == pytest.approx([1.003 * each for each in busy], rel=1e-3)


def test_a_queue_that_only_some_workers_have_waits_for_their_slots():
    found = shared(("15/s", "30/m"), (30, 2))
    assert (found["big"].all_slots, found["big"].beside) == (32, ("small",))
    assert (found["small"].all_slots, found["small"].beside) == (2, ())
    small = found["small"].line
    assert small is not None
    # 31 of 32 slots are free half the time, but not both of two.
    assert small.wait_quantile(0.99) > 1


@pytest.mark.parametrize("rate", ["15/s", "25/s"])
def test_the_fewest_slots_keep_the_promise_though_more_slots_take_more_of_the_load(rate: str):
    def at(slots: int) -> WorkerLine:
        return lines(f"""
            tasks:
              shop.a: {{queue: a, latency: interactive, runtime: {{p50: 1s, p99: 1s}}, rate: {rate}}}
              shop.b: {{queue: b, latency: interactive, runtime: {{p50: 1s, p99: 1s}}, rate: 30/m}}
            workers:
              big: {{queues: [a], concurrency: 30}}
              small: {{queues: [a, b], concurrency: {slots}}}
        """)["small"]

    few, promise = at(2), at(2).promise
    assert few.fewest_slots is not None
    assert promise is not None
    assert few.line is not None
    assert not promise.holds(few.line)
    enough = at(few.fewest_slots).line
    assert enough is not None
    assert promise.holds(enough)


def test_each_process_of_a_broadcast_has_a_line_of_its_own():
    found = {
        replicas: lines(f"""
        tasks:
          shop.a: {{queue: all, runtime: {{p50: 1s, p99: 1s}}, rate: 1/s}}
          shop.b: {{queue: q, runtime: {{p50: 1s, p99: 1s}}, rate: 1/s}}
        queues: {{all: {{broadcast: true}}}}
        workers: {{w: {{queues: [all, q], concurrency: 2, replicas: {replicas}}}}}
    """)["w"]
        for replicas in (1, 4)
    }
    assert found[1].load == pytest.approx(2)
    # All of `all`, and a quarter of q, in each of four.
    assert found[4].load == pytest.approx(4 * 1.25)
    assert found[4].all_slots == 2
    line = found[4].line
    assert line is not None
    assert line.utilization == pytest.approx(1.25 * 1.003 / 2)


def test_each_process_runs_the_messages_of_a_broadcast():
    found = lines("""
        tasks: {shop.a: {queue: all, runtime: {p50: 1s, p99: 1s}, rate: 1/s}}
        queues: {all: {broadcast: true}}
        workers: {w: {queues: [all], concurrency: 2, replicas: 3}, v: {queues: [all], concurrency: 1}}
    """)
    assert found["w"].load == pytest.approx(3)
    assert [line.utilization for each in found.values() if (line := each.line)] == pytest.approx(
        [1.003, 1.003 / 2]
    )


def test_a_task_of_another_app_is_no_load():
    found = lines("""
        tasks:
          shop.a: {queue: q, runtime: {p50: 1s, p99: 1s}, rate: 1/s}
          other.b: {queue: q, runtime: {p50: 1s, p99: 1s}, rate: 1/s, external: true}
        workers: {q: {concurrency: 4}}
    """)["q"]
    assert [flow.task for flow in found.flows] == ["shop.a"]


@pytest.mark.parametrize(
    ("fields", "undeclared"),
    [
        ("runtime: 1s", ["rate"]),
        ("rate: 1/s", ["runtime"]),
        ("work: io", ["rate", "runtime"]),
    ],
)
def test_without_a_rate_or_a_run_time_the_load_is_unknown(fields: str, undeclared: list[str]):
    found = lines(f"tasks: {{shop.a: {{queue: q, {fields}}}, shop.b: {{queue: q, rate: 1/s, runtime: 1s}}}}")[
        "q"
    ]
    assert [flow.undeclared for flow in found.flows] == [undeclared, []]
    assert (found.load, found.line, found.breaks_at, found.fewest_slots) == (None, None, None, None)
    assert found.slots > 0


def test_bounds_count_with_their_most():
    found = lines(
        IMAGE
        + """
        tasks: {shop.a: {queue: q}}
        workers: {q: {concurrency: {min: 2, max: 8}, replicas: {min: 1, max: 4}}}
    """.replace("\n        ", "\n")
    )["q"]
    assert (found.slots, found.autoscale, found.scaling) == (32, (2, 8), (1, 4))


SIX_CORES = "{one: {cores: 6, workers: {q: 1}}}"
ONE = "{queue: q, runtime: {p50: 1s, p99: 1s}, rate: 7/s"


@pytest.mark.parametrize(
    ("fragment", "limit", "slots"),
    [
        # 7 busy slots, of which at most 70% are busy.
        (f"tasks: {{shop.a: {ONE}}}}}", Limit.LOAD, 10),
        ("tasks: {shop.a: {queue: q, runtime: {p50: 1s, p99: 1s}, rate: 1/m}}", Limit.FEWEST, 2),
        ("tasks: {shop.a: {queue: q}}", Limit.UNDECLARED, 4),
        (f"tasks: {{shop.a: {ONE}}}}}\nworkers: {{q: {{concurrency: 3}}}}", Limit.PINNED, 3),
        (f"tasks: {{shop.a: {ONE}}}}}\nworkers: {{q: {{concurrency: {{min: 1, max: 5}}}}}}", Limit.PINNED, 5),
        (
            f"tasks: {{shop.a: {ONE}, memory: 300MiB}}}}\nworkers: {{q: {{memory: 1GiB, replicas: 1}}}}",
            Limit.MEMORY,
            2,
        ),
        (f"tasks: {{shop.a: {ONE}}}}}\nworkers: {{q: {{concurrency: auto}}}}", Limit.ASSUMED, 4),
        (
            f"tasks: {{shop.a: {ONE}}}}}\nworkers: {{q: {{concurrency: auto}}}}\nhosts: {SIX_CORES}",
            Limit.CORES,
            6,
        ),
        (f"tasks: {{shop.a: {ONE}}}}}\nworkers: {{q: {{pool: solo, replicas: 1}}}}", Limit.POOL, 1),
    ],
)
def test_what_decided_the_slots(fragment: str, limit: Limit, slots: int):
    found = lines(fragment)["q"]
    assert (found.limited_by, found.slots) == (limit, slots)


MIB = 2**20


@pytest.mark.parametrize(
    ("fields", "pool", "wanted"),
    [
        ("", "prefork", 2 * (100 * MIB + 3 * 50 * MIB)),
        (", memory: 300MiB", "prefork", 2 * (100 * MIB + 3 * 350 * MIB)),
        ("", "threads", 2 * (100 * MIB + 3 * 100 * 1024)),
    ],
)
def test_the_memory_is_that_of_each_process_and_its_slots(fields: str, pool: str, wanted: int):
    found = lines(
        f"tasks: {{shop.a: {{queue: q{fields}}}}}\n"
        f"workers: {{q: {{pool: {pool}, concurrency: 3, replicas: 2}}}}"
    )["q"]
    assert found.memory_bytes == wanted


def test_the_traffic_can_grow_up_to_the_factor_and_no_further():
    """The same workload with a little less, and a little more than this factor."""

    def at(factor: float) -> WorkerLine:
        rate = round(3 * factor, 6)
        return lines(
            f"tasks: {{shop.a: {{latency: interactive, queue: q, runtime: {{p50: 1s, p99: 1s}}, "
            f"rate: {rate:f}/s}}}}\nworkers: {{q: {{concurrency: 8}}}}"
        )["q"]

    factor = at(1).breaks_at
    assert factor is not None
    assert 1 < factor < 8 / 3
    for share, holds in ((0.999, True), (1.001, False)):
        found = at(factor * share)
        assert found.promise is not None
        assert found.line is not None
        assert found.promise.holds(found.line) is holds
        assert found.breaks_at == pytest.approx(1 / share, rel=1e-4)


def test_no_process_has_no_slots_and_no_end_of_the_wait():
    found = lines("""
        tasks: {shop.a: {queue: q, runtime: 1s, rate: 1/s}}
        workers: {q: {replicas: 0, concurrency: 2}}
    """)["q"]
    assert found.line is not None
    assert (found.slots, found.line.utilization) == (0, math.inf)


@pytest.mark.parametrize("seed", range(12))
def test_the_busiest_line_is_as_busy_as_the_fullest_set_of_queues(seed: int):
    """Each set of queues has the slots of the workers that consume one of them (Hall)."""
    random = Random(seed)
    slots = {f"w{each}": random.randint(1, 20) for each in range(random.randint(2, 4))}
    rates = {f"q{each}": random.randint(1, 15) for each in range(random.randint(2, 4))}
    queues = {worker: {queue for queue in rates if random.random() < 0.5} for worker in slots}
    for queue in rates:
        queues[random.choice(sorted(queues))].add(queue)
    tasks = "".join(
        f"\n  shop.{queue}: {{queue: {queue}, runtime: {{p50: 1s, p99: 1s}}, rate: {rate}/s}}"
        for queue, rate in rates.items()
    )
    workers = "".join(
        f"\n  {worker}: {{queues: [{', '.join(sorted(own))}], concurrency: {slots[worker]}}}"
        for worker, own in queues.items()
        if own
    )
    found = lines(f"tasks:{tasks}\nworkers:{workers}")
    fullest = max(
        sum(rates[queue] for queue in some)
        / sum(slots[each] for each, own in queues.items() if own & {*some})
        for count in range(1, len(rates) + 1)
        for some in combinations(rates, count)
    )
    busy = max(line.utilization for each in found.values() if (line := each.line) is not None)
    assert busy == pytest.approx(1.003 * fullest, rel=1e-3)
