"""Slots and processes for the promise and the load, within budgets."""

from __future__ import annotations

import pytest
from workloads import after

from policycompiler.plan import Scope
from policycompiler.policies.platform import scaling_bounds
from policycompiler.policies.schedules import schedule_bursts
from policycompiler.policies.workers import capacity, concurrency, pool
from policycompiler.sizing.simulation import REDIS, Fleet, Flow, LogNormal, Poisson, Worker, simulate

MIB = 2**20
URGENT = "tasks: {shop.a: {queue: q, latency: interactive, runtime: {p50: 400ms, p99: 2s}, rate: {mean: 1/s, peak: 3/s}}}"
TWO = (
    "tasks:\n"
    "  shop.fast: {queue: fast, latency: interactive, runtime: {p50: 1s, p99: 1s}, rate: {mean: 7/s, peak: 7/s}}\n"
    "  shop.slow: {queue: slow, latency: batch, runtime: {p50: 1s, p99: 1s}, rate: {mean: 7/s, peak: 7/s}}\n"
)


def decided(fragment: str, worker: str = "q") -> tuple[object, ...]:
    found = after(concurrency, fragment).decided
    return tuple(found[f"worker:{worker}/{key}"][0] for key in ("sized_by", "concurrency", "replicas"))


def test_the_promise_decides_where_the_load_alone_would_wait_too_long():
    outcome = after(concurrency, URGENT)
    assert outcome.decided["worker:q/sized_by"] == (
        "wait",
        "4 slots are the fewest with which 99 of 100 messages start within 1 s at peak, the promise of q",
    )


@pytest.mark.parametrize(("slots", "kept"), [(4, True), (2, False)])
def test_the_slots_of_the_promise_keep_it_in_a_simulation(slots: int, kept: bool):  # noqa: FBT001
    flow = Flow("shop.a", "q", (Poisson(3.0),), LogNormal(0.4, 2.0))
    fleet = Fleet(REDIS, (Worker(("q",), slots, acks_late=True, prefetch_multiplier=1),))
    waits = simulate((flow,), fleet, seconds=30_000, seed=7).flows["shop.a"]
    assert (waits.quantile(0.99) <= 1.0) is kept


@pytest.mark.parametrize(
    ("budget", "fast", "slow"),
    [
        # A process takes 100 MiB and each slot 50 MiB. Each of both wants 10 slots, and the worker of the
        # default queue wants 4: 24 slots in three processes.
        ("memory: 1500MiB", ("load", 10), ("load", 10)),
        # The urgent one gets its 10 slots, then the one of the default queue.
        ("memory: 1450MiB", ("load", 10), ("memory", 9)),
        ("memory: 1250MiB", ("load", 10), ("memory", 8)),
        # 7 busy slots need 8, or the backlog grows. These are kept, and the urgent one takes the rest.
        ("memory: 1200MiB", ("memory", 9), ("memory", 8)),
        ("cores: 2.3", ("load", 10), ("cores", 9)),
        ("connections: 23", ("load", 10), ("connections", 9)),
    ],
)
def test_the_urgent_worker_gets_its_slots_first(budget: str, fast: tuple[str, int], slow: tuple[str, int]):
    found = f"{TWO}budget: {{{budget}}}"
    assert (decided(found, "fast")[:2], decided(found, "slow")[:2]) == (fast, slow)


def test_pinned_workers_take_their_part_first():
    found = f"{TWO}workers: {{slow: {{concurrency: 10}}}}\nbudget: {{memory: 1100MiB}}"
    assert decided(found, "fast")[:2] == ("memory", 8)


def test_a_budget_that_is_too_small_for_the_load_is_told_with_what_it_takes():
    found = after(concurrency, f"{TWO}budget: {{memory: 600MiB}}").findings
    assert [(each.name, each.at, each.message) for each in found] == [
        (
            "budget-exceeded",
            "4:18",
            # 500 MiB for each of both, and 150 MiB for the worker of the default queue.
            (
                "the workers take 1.12 GiB of memory, and the budget is 600 MiB: 550 MiB too much; "
                "worker slow takes most, 500 MiB"
            ),
        )
    ]


@pytest.mark.parametrize(
    ("host", "limit"),
    [
        ("memory: 600MiB", ("load", 10, 1)),
        ("memory: 500MiB", ("memory", 8, 1)),
        ("memory: 100MiB", ("memory", 8, 1)),
    ],
)
def test_a_host_bounds_the_slots_of_what_it_runs(host: str, limit: tuple[object, ...]):
    fragment = "tasks: {shop.a: {queue: q, runtime: {p50: 1s, p99: 1s}, rate: 7/s}}"
    assert decided(f"{fragment}\nhosts: {{one: {{{host}, workers: {{q: 1}}}}}}") == limit


def test_the_cores_of_a_worker_bound_slots_that_compute():
    fragment = "tasks: {shop.a: {queue: q, work: cpu, runtime: {p50: 1s, p99: 1s}, rate: 7/s}}"
    assert decided(f"{fragment}\nworkers: {{q: {{cores: 4}}}}") == ("load", 4, 3)
    pinned = f"{fragment}\nworkers: {{q: {{cores: 4, replicas: 1}}}}"
    found = after(concurrency, pinned).decided
    assert (found["worker:q/sized_by"][0], found["worker:q/concurrency"][0]) == ("cores", 4)


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [("", 10), (", connections: 3", 6), (", connections: 0", 10)],
)
def test_connections_are_those_of_the_slots(fields: str, wanted: int):
    fragment = f"tasks: {{shop.a: {{queue: q, runtime: {{p50: 1s, p99: 1s}}, rate: 7/s{fields}}}}}"
    least = 8 if fields == ", connections: 3" else wanted
    assert decided(f"{fragment}\nbudget: {{connections: 20}}")[1] == least


def test_a_chosen_pool_has_a_reserve_of_slots_in_one_process():
    fragment = "tasks: {shop.a: {queue: q, work: io, runtime: {p50: 100ms, p99: 100ms}, rate: 200/s}}"
    found = after(concurrency, fragment, {pool.NAME: pool.Parameters(up_to="gevent")}).decided
    # 20 busy slots are 35% of 58.
    assert found["worker:q/concurrency"][0] == 58
    assert found["worker:q/replicas"][0] == 1


def test_what_a_promise_costs_is_told():
    fragment = f"{URGENT}\nworkers: {{q: {{concurrency: 3}}}}"
    found = after(capacity, fragment).findings
    assert [each.name for each in found] == ["promise-unkept"]
    assert found[0].at == "2:28"
    assert found[0].help == "pin 4 slots or more, remove the pin, or choose a latency class that waits longer"


def test_a_budget_that_breaks_a_promise_is_told_with_the_memory_that_is_missing():
    fragment = f"{URGENT}\nbudget: {{memory: 200MiB}}"
    found = after(capacity, fragment).findings
    assert [(each.name, each.at) for each in found] == [("promise-unkept", "2:18")]
    told = "raise `budget.memory` to `450MiB`, or choose a latency class that waits longer"
    assert found[0].help == told
    assert not after(capacity, fragment.replace("200MiB", "450MiB")).findings


BOUNDS = (
    'deploy: {{image: "registry.example/shop:1.4.2"{autoscaler}}}\n'
    "tasks: {{shop.a: {{queue: q, latency: {latency}, runtime: {{p50: 1s, p99: 1s}}, "
    "rate: {{mean: 10/s, peak: 60/s}}{fields}}}}}\n"
)


@pytest.mark.parametrize(
    ("autoscaler", "latency", "fields", "wanted"),
    [
        (", autoscaler: keda", "batch", "", {"min": 1, "max": 3}),
        (", autoscaler: hpa", "batch", ", work: cpu", {"min": 1, "max": 3}),
        # An HPA does not see messages that wait.
        (", autoscaler: hpa", "batch", "", None),
        # Nobody asked for it.
        ("", "batch", "", None),
        # A new pod takes longer than a message may wait.
        (", autoscaler: keda", "standard", "", None),
    ],
)
def test_the_bounds_of_processes_follow_from_mean_and_peak(
    autoscaler: str, latency: str, fields: str, wanted: object
):
    fragment = BOUNDS.format(autoscaler=autoscaler, latency=latency, fields=fields)
    found = after(scaling_bounds, fragment).decided.get("worker:q/scaling")
    assert (found and found[0]) == wanted


def test_processes_are_scaled_beside_slots_that_grow():
    fragment = BOUNDS.format(autoscaler=", autoscaler: keda", latency="batch", fields="")
    tuning = {concurrency.NAME: concurrency.Parameters(autoscale=True)}
    outcome = after(scaling_bounds, fragment, tuning)
    # The peak needs 86 slots in three processes, and the mean rate 15.
    assert outcome.plan.value(Scope("worker", "q"), "autoscale") == {"min": 5, "max": 29}
    assert outcome.decided["worker:q/scaling"][0] == {"min": 1, "max": 3}


def test_a_worker_whose_stop_may_lose_a_run_is_not_scaled():
    fragment = BOUNDS.format(autoscaler=", autoscaler: keda", latency="batch", fields="")
    pinned = f"{fragment}workers: {{q: {{stop_timeout: 1s}}}}"
    assert "worker:q/scaling" not in after(scaling_bounds, pinned).decided


CRON = "tasks: {{shop.a: {{queue: q, latency: interactive, runtime: {{p50: 2s, p99: 2s}}}}}}\nworkers: {{q: {{concurrency: 2}}}}\nschedules: {{{}}}"


@pytest.mark.parametrize(
    ("crons", "told"),
    [
        # Two slots start two at once, and the third waits 1 s to 2 s.
        (["0 3 * * *", "0 3 * * *"], False),
        (["0 3 * * *"] * 4, True),
        (["0 3 * * *", "0 */3 * * *", "0 * * * *", "*/30 * * * *"], True),
        (["0 3 * * 1", "0 3 * * 2", "0 3 * * 3", "0 3 * * 4"], False),
        (["0 3 1 * *", "0 3 2 * *", "0 3 3 * *", "0 3 * * *"], False),
        (["0 3 1 * *", "0 3 1-5 * *", "0 3 1 1 *", "0 3 * * *"], True),
        (["0 3 * * *", "1 3 * * *", "2 3 * * *", "3 3 * * *"], False),
    ],
)
def test_schedules_of_the_same_minute_are_told(crons: list[str], told: bool):  # noqa: FBT001
    entries = ", ".join(
        f's{number}: {{task: shop.a, cron: "{cron}", args: [{number}]}}' for number, cron in enumerate(crons)
    )
    found = after(schedule_bursts, CRON.format(entries)).findings
    assert [each.name for each in found] == (["schedules-crowded"] if told else [])


@pytest.mark.parametrize(
    ("zones", "told"), [(("UTC",) * 4, True), (("UTC", "UTC", "Europe/Paris", "Asia/Tokyo"), False)]
)
def test_schedules_of_other_zones_do_not_meet(zones: tuple[str, ...], told: bool):  # noqa: FBT001
    entries = ", ".join(
        f's{number}: {{task: shop.a, cron: "0 3 * * *", timezone: {zone}, args: [{number}]}}'
        for number, zone in enumerate(zones)
    )
    assert bool(after(schedule_bursts, CRON.format(entries)).findings) is told


@pytest.mark.parametrize(
    ("burst", "told"),
    # Two runs of 2 s each on four slots in the promised second: only those that start at once.
    [(4, False), (9, True)],
)
def test_a_burst_that_starts_too_late_is_told(burst: int, told: bool):  # noqa: FBT001
    fragment = (
        "tasks: {shop.a: {queue: q, latency: interactive, runtime: {p50: 2s, p99: 2s}, rate: 1/m, "
        f"burst: {burst}}}}}\nworkers: {{q: {{concurrency: 4}}}}"
    )
    found = after(capacity, fragment).findings
    assert [each.name for each in found] == (["burst-not-drained"] if told else [])
    assert (
        not told or "9 slots" in str(found[0].help) or "slots start all of them in time" in str(found[0].help)
    )


LONG = (
    "tasks:\n"
    "  shop.fast: {{queue: q, latency: interactive, runtime: 50ms, rate: 10/s}}\n"
    "  shop.slow: {{queue: {queue}, latency: batch, runtime: 10m, rate: 30/h}}\n"
)


def test_a_long_task_that_costs_its_neighbor_many_slots_is_told():
    found = [
        each for each in after(capacity, LONG.format(queue="q")).findings if each.name == "long-neighbor"
    ]
    assert [(each.at, each.help) for each in found] == [("3:22", "give shop.slow a queue of its own")]
    assert not after(capacity, LONG.format(queue="slow")).findings


def test_one_worker_for_both_queues_of_a_long_task_and_its_neighbor_is_told():
    fragment = LONG.format(queue="slow") + 'workers: {all: {queues: ["*"]}}'
    found = after(capacity, fragment).findings
    assert [(each.name, each.help) for each in found] == [
        ("long-neighbor", "give shop.slow a worker of its own")
    ]
