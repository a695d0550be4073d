"""The simulator keeps Celery's rules: `tests/knowledge` shows each of them on the real brokers."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policycompiler.sizing import Line, drain_seconds, held_by, last_start_seconds
from policycompiler.sizing.simulation import (
    RABBITMQ,
    REDIS,
    Broker,
    Burst,
    Constant,
    Exponential,
    Fleet,
    Flow,
    LogNormal,
    Outcome,
    Poisson,
    Regular,
    Worker,
    ideal_waits,
    measured,
    messages,
    simulate,
)

ONE_BY_ONE = {"prefetch_multiplier": 1, "acks_late": True}


def once(name: str, second: float, run: float, queue: str = "q", priority: int = 0, count: int = 1) -> Flow:
    return Flow(name, queue, (Burst(count, second),), Constant(run), priority)


def run(flows: list[Flow], *workers: Worker, broker: Broker = REDIS, seconds: float = 100) -> Outcome:
    return simulate(tuple(flows), Fleet(broker, workers), seconds=seconds)


def order(outcome: Outcome) -> list[str]:
    """The flows by the wait of their one message; they arrived at the same time."""
    return sorted(outcome.flows, key=lambda name: outcome.flows[name].mean)


RUNS = st.sampled_from([Constant(1.0), Exponential(1.0), LogNormal(0.5, 4, 5)])
FLOWS = st.lists(st.tuples(st.floats(0.1, 3), RUNS), min_size=1, max_size=3).map(
    lambda parts: tuple(
        Flow(f"t{number}", "q", (Poisson(rate),), runs) for number, (rate, runs) in enumerate(parts)
    )
)


@settings(derandomize=True, deadline=None)
@given(
    FLOWS,
    st.lists(st.integers(1, 4), min_size=1, max_size=4),
    st.integers(0, 9),
    st.sampled_from([REDIS, RABBITMQ]),
)
def test_workers_that_reserve_nothing_are_one_ideal_queue(flows, sizes, seed, broker):
    workers = tuple(Worker(("q",), size, **ONE_BY_ONE) for size in sizes)
    waits = simulate(flows, Fleet(broker, workers), seconds=40, seed=seed).queues["q"]
    assert waits.seconds == pytest.approx(
        sorted(ideal_waits(messages(flows, 40, seed), sum(sizes))), abs=1e-9
    )


@settings(derandomize=True, deadline=None)
@given(FLOWS, st.integers(1, 6), st.integers(0, 5), st.booleans(), st.integers(0, 9))
def test_one_worker_is_an_ideal_queue_whatever_it_reserves(flows, slots, multiplier, late, seed):
    worker = Worker(("q",), slots, multiplier, late)
    waits = simulate(flows, Fleet(REDIS, (worker,)), seconds=40, seed=seed).queues["q"]
    assert waits.seconds == pytest.approx(sorted(ideal_waits(messages(flows, 40, seed), slots)), abs=1e-9)


@pytest.mark.parametrize(
    ("multiplier", "late", "in_reserve"),
    [(1, True, 0), (1, False, 1), (4, False, 4), (4, True, 3), (0, False, 15)],
)
def test_messages_in_reserve_behind_a_long_run_stay_there(multiplier, late, in_reserve):
    # test_delivery.py: with multiplier 1 a worker reserves one a slot early and none late; with 4, four early.
    first = Worker(("long", "q"), 1, multiplier, late)
    other = Worker(("q",), 1, **ONE_BY_ONE)
    flows = [once("long", 0, 1000, "long"), once("short", 1, 1, count=16)]
    waits = run(flows, first, other).flows["short"]
    assert sum(wait > 900 for wait in waits.seconds) == in_reserve


def test_four_workers_with_prefetch_wait_as_long_as_real_ones():
    # Measured with Celery 5.7 on Redis: 4 workers of 2 slots, exponential runs of 0.2 s, 80 % busy, p95 and p99 in seconds.
    measured_waits = {(4, False): (0.671, 1.063), (1, False): (0.433, 0.642), (1, True): (0.291, 0.519)}
    flow = Flow("t", "q", (Poisson(32),), Exponential(0.2))
    for (multiplier, late), (p95, p99) in measured_waits.items():
        workers = (Worker(("q",), 2, multiplier, late),) * 4
        waits = simulate((flow,), Fleet(REDIS, workers), seconds=1000, seed=1).queues["q"]
        assert waits.quantile(0.95) == pytest.approx(p95, rel=0.2)
        assert waits.quantile(0.99) == pytest.approx(p99, rel=0.2)


def test_on_redis_the_lowest_number_goes_first_by_steps():
    flows = [once("busy", 0, 10), *(once(str(number), 1, 1, priority=number) for number in (9, 5, 4, 3, 0))]
    outcome = run(flows, Worker(("q",), 1, **ONE_BY_ONE))
    # 3 to 5 are one step, in the order of their sending.
    assert order(outcome) == ["busy", "0", "5", "4", "3", "9"]


def test_on_rabbitmq_the_highest_number_goes_first():
    flows = [once("busy", 0, 10), *(once(str(number), 1, 1, priority=number) for number in (0, 1, 9, 5))]
    outcome = run(flows, Worker(("q",), 1, **ONE_BY_ONE), broker=RABBITMQ)
    assert order(outcome) == ["busy", "9", "5", "1", "0"]


def two_queues(urgent: int, other: int, broker: Broker) -> list[str]:
    flows = [once("busy", 0, 10, "a"), *(once(f"a{number}", 1, 1, "a", priority=other) for number in (1, 2))]
    flows += [once(f"b{number}", 1, 1, "b", priority=urgent) for number in (1, 2)]
    return order(run(flows, Worker(("a", "b"), 1, **ONE_BY_ONE), broker=broker))


def test_on_redis_the_first_step_of_every_queue_goes_before_the_second_of_any():
    assert two_queues(0, 9, REDIS) == ["busy", "b1", "b2", "a1", "a2"]


def test_queues_take_turns():
    assert two_queues(0, 0, REDIS) == ["busy", "b1", "a1", "b2", "a2"]
    assert two_queues(9, 0, RABBITMQ) == ["busy", "b1", "a1", "b2", "a2"]


def test_priorities_do_not_reorder_what_a_worker_has_in_reserve():
    flows = [once("busy", 0, 10), once("late", 1, 1, priority=9, count=4), once("urgent", 2, 1)]
    assert order(run(flows, Worker(("q",), 1)))[-1] == "urgent"
    assert order(run(flows, Worker(("q",), 1, **ONE_BY_ONE)))[1] == "urgent"


def test_a_rate_limit_spaces_the_runs_of_each_worker():
    flow = once("t", 0, 0.5, count=6)._replace(rate_limit=1 / 3)
    one, two = (run([flow], *(Worker(("q",), 4),) * count).flows["t"].seconds for count in (1, 2))
    assert one == pytest.approx((0, 3, 6, 9, 12, 15))
    assert two == pytest.approx((0, 0, 3, 3, 6, 6))


def test_a_bucket_holds_one_token():
    flow = Flow("t", "q", (Burst(2, 50), Burst(1, 51)), Constant(0.1), rate_limit=0.5)
    assert run([flow], Worker(("q",), 4)).flows["t"].seconds == pytest.approx((0, 2, 3))


def test_what_waits_for_its_rate_limit_keeps_a_worker_from_other_queues():
    # test_workers.py has the same on Redis: two wait for their tokens, which is all that the worker may reserve.
    limited = once("limited", 0, 0.1, "limited", count=6)._replace(rate_limit=1 / 3)
    outcome = run([limited, once("echo", 1, 0.1, "other")], Worker(("limited", "other"), 1, 2))
    assert outcome.flows["echo"].mean == pytest.approx(2.1)


def test_an_autoscaler_opens_slots_for_what_is_reserved():
    flow = once("t", 0, 10, count=5)
    scaled = Worker(("q",), 3, least_slots=1)
    assert run([flow], scaled).flows["t"].seconds == (0, 0, 0, 10, 10)
    assert run([flow], scaled._replace(start_seconds=2)).flows["t"].seconds == (0, 2, 2, 10, 12)
    assert run([flow], Worker(("q",), 3)).flows["t"].seconds == (0, 0, 0, 10, 10)


def test_an_autoscaler_closes_idle_slots_after_half_a_minute_without_a_message():
    scaled = Worker(("q",), 4, least_slots=1, start_seconds=5)
    early = once("early", 0, 1, count=4)
    # The look at 60 s is the first one more than 30 s after the last message.
    for second, wait in ((59, 0), (61, 5)):
        waits = run([early, once("later", second, 10, count=2)], scaled).flows["later"]
        assert waits.seconds == (0, wait)
    # A message each 20 s keeps all slots open.
    kept = run([early, Flow("beat", "q", (Regular(20),), Constant(1)), once("later", 95, 1, count=2)], scaled)
    assert kept.flows["later"].seconds == (0, 0)


def test_an_autoscaler_has_fewer_slots_in_the_mean():
    flows = [once("early", 0, 1, count=4), once("late", 199, 1)]
    scaled, fixed = (run(flows, Worker(("q",), 4, least_slots=least), seconds=200) for least in (1, None))
    # 4 slots until the look at 60 s, 1 slot until 200 s.
    assert scaled.slots == pytest.approx(((4 * 60 + 140) / 200,))
    assert fixed.slots == (4,)


def test_busy_slots_are_not_closed():
    flows = [once("long", 0, 500, count=2), once("short", 0, 1, count=2), once("later", 99, 1, count=2)]
    outcome = run(flows, Worker(("q",), 4, least_slots=1, start_seconds=5))
    assert outcome.flows["later"].seconds == (5, 5)


def test_the_first_hungry_worker_is_served_first():
    # Each takes one in turn: none gets two while another one is idle.
    waits = run([once("t", 0, 10, count=3)], *(Worker(("q",), 2),) * 3).flows["t"]
    assert waits.seconds == (0, 0, 0)


def test_a_burst_over_traffic_ends_as_computed():
    runs = Exponential(1)
    line = Line(6, runs.service, 10)
    burst = Flow("burst", "q", (Burst(500, 100),), runs)
    base = Flow("base", "q", (Poisson(6),), runs)
    last, drained = [], []
    for seed in range(20):
        arriving = list(messages((burst, base), 400, seed))
        waits = list(ideal_waits(arriving, 10))
        last.append(max(wait for wait, message in zip(waits, arriving, strict=True) if message.flow == 0))
        after = [m.arrived for wait, m in zip(waits, arriving, strict=True) if m.arrived > 100 and not wait]
        drained.append(min(after) - 100)
    assert sum(last) / 20 == pytest.approx(last_start_seconds(500, line), rel=0.03)
    assert sum(drained) / 20 == pytest.approx(drain_seconds(500, line), rel=0.05)


def test_long_neighbors_hold_short_runs_as_computed():
    long, short = Constant(60), Constant(0.01)
    flows = (Flow("long", "q", (Poisson(1 / 50),), long), Flow("short", "q", (Poisson(1),), short))
    arriving = list(messages(flows, 400_000, 1))
    waits = measured(
        wait for wait, message in zip(ideal_waits(arriving, 3), arriving, strict=True) if message.flow == 1
    )
    held = held_by(Line(1 / 50, long.service, 3))
    assert waits.exceeds(0.5) == pytest.approx(held.share, rel=0.1)
    assert waits.mean == pytest.approx(held.share * held.seconds, rel=0.1)


def test_the_same_arguments_give_the_same_outcome():
    flows = (Flow("a", "q", (Poisson(3),), LogNormal(0.1, 1)), Flow("b", "q", (Poisson(1),), Exponential(1)))
    fleet = Fleet(REDIS, (Worker(("q",), 2),))
    first, second, other = (simulate(flows, fleet, seconds=200, seed=seed) for seed in (1, 1, 2))
    assert first == second != other
    # A flow has the same messages without the other one.
    alone = [message for message in messages(flows, 200, 1) if message.flow == 0]
    assert alone == list(messages(flows[:1], 200, 1))


def test_a_warm_up_is_not_measured():
    flow = Flow("t", "q", (Regular(1),), Constant(0.5))
    fleet = Fleet(REDIS, (Worker(("q",), 1),))
    assert len(simulate((flow,), fleet, seconds=10, warm_up=4).queues["q"].seconds) == 6


def test_a_queue_without_a_worker_is_refused():
    with pytest.raises(ValueError, match="no worker consumes: q"):
        run([once("t", 0, 1)], Worker(("other",), 1))


def test_quantiles_of_waits():
    waits = measured([4, 1, 3, 2])
    assert (waits.mean, waits.quantile(0.5), waits.quantile(0.51), waits.quantile(1)) == (2.5, 2, 3, 4)
    assert (waits.exceeds(0), waits.exceeds(2), waits.exceeds(4)) == (1, 0.5, 0)
    nothing = measured([])
    assert nothing.mean == nothing.quantile(0.99) == nothing.exceeds(0) == 0


@pytest.mark.parametrize("runs", [Constant(2), Exponential(2), LogNormal(1, 5), LogNormal(0.5, 8, 6)])
def test_drawn_runs_have_the_moments_that_the_formulas_use(runs):
    drawn = [message.run for message in messages((Flow("t", "q", (Poisson(100),), runs),), 600, 1)]
    for power, moment in enumerate(runs.service[:2], 1):
        assert sum(run**power for run in drawn) / len(drawn) == pytest.approx(moment, rel=0.05)
    assert len(drawn) == pytest.approx(60_000, rel=0.02)
