"""When a declared number disagrees with a measured one, and what to declare instead."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from workloads import compiled, workload

from policycompiler.model.units import parse_duration, parse_rate
from policycompiler.plan import Plan
from policycompiler.reality.measurements import Measured
from policycompiler.sizing import Histogram, histogram
from policycompiler.verify.declarations import Declarations, Fact, as_written, declarations

WEEK = 7 * 86400
DAY = 86400


def plan(fields: str, name: str = "shop.a") -> Plan:
    found = compiled(workload(f"tasks: {{{name}: {{{fields}}}}}")).plan
    assert found is not None
    return found


def mended(fields: str, measured: Measured, over: float = WEEK) -> dict[str, str]:
    """What to declare instead, by its key, as a workload writes it."""
    (task,) = declarations(plan(fields), {"shop.a": measured}, over).tasks
    return {
        each.fact.value: as_written(each.fact, each.mended) for each in task.mended if each.mended is not None
    }


def runs(*counted: tuple[float, float]) -> Histogram:
    return histogram(counted)


def rates(mean: float, peak: float) -> Measured:
    return Measured(mean, peak, None)


@pytest.mark.parametrize(
    ("declared", "mean", "peak", "expected"),
    [
        ("{mean: 5/s, peak: 40/s}", 5, 40, {}),
        # Within 1.2 above, and 1.5 below.
        ("{mean: 5/s, peak: 40/s}", 5.9, 47, {}),
        ("{mean: 5/s, peak: 40/s}", 3.4, 27, {}),
        ("{mean: 5/s, peak: 40/s}", 6.1, 40, {"rate.mean": "6.1/s"}),
        ("{mean: 5/s, peak: 40/s}", 5, 49, {"rate.peak": "49/s"}),
        ("{mean: 5/s, peak: 40/s}", 3.2, 26, {"rate.mean": "3.2/s", "rate.peak": "26/s"}),
        # Two digits, rounded up.
        ("{mean: 5/s, peak: 40/s}", 5, 101.1, {"rate.peak": "110/s"}),
        # A rate without a peak is meant for the peak.
        ("5/s", 5, 5.8, {}),
        ("5/s", 5, 9, {"rate.peak": "9/s"}),
        ("5/s", 2, 2.1, {"rate.mean": "2/s"}),
        # The peak stays above a mean that agrees.
        ("{mean: 5/s, peak: 40/s}", 4.5, 4.8, {"rate.peak": "5/s"}),
    ],
)
def test_a_rate_beyond_the_tolerance_disagrees(
    declared: str, mean: float, peak: float, expected: dict[str, str]
):
    assert mended(f"rate: {declared}", rates(mean, peak)) == expected


@pytest.mark.parametrize(
    ("declared", "mean", "events_in_five_minutes", "expected"),
    [
        # Two messages of an hourly task within five minutes are chance; a hundred are not.
        ("1/h", 1 / 3600, 2, {}),
        ("1/h", 1 / 3600, 100, {"rate.peak": "20/m"}),
        # A task of 5 a minute may have 10 in one of two thousand minutes.
        ("5/m", 5 / 60, 45, {}),
        ("5/m", 5 / 60, 90, {"rate.peak": "18/m"}),
    ],
)
def test_chance_is_no_disagreement(
    declared: str, mean: float, events_in_five_minutes: int, expected: dict[str, str]
):
    assert mended(f"rate: {declared}", rates(mean, events_in_five_minutes / 300)) == expected


def test_a_day_says_less_about_a_rare_task_than_a_quarter():
    rare = rates(0.4 / DAY, 1 / 300)
    assert mended("rate: 2/d", rare, DAY) == {}
    assert mended("rate: 2/d", rare, 90 * DAY) == {"rate.mean": "0.4/d"}


def test_a_rate_that_nobody_declared_is_declared():
    assert mended("runtime: 1s", rates(2, 9)) == {"rate.mean": "2/s", "rate.peak": "9/s"}
    assert mended("runtime: 1s", rates(2, 2.1)) == {"rate.mean": "2/s"}


@pytest.mark.parametrize(
    ("declared", "counted", "expected"),
    [
        # Inside of the bucket of the measured percentile, nothing is known to be wrong.
        ("{p50: 300ms, p99: 3s}", [(0.25, 400), (0.5, 600), (2.5, 980), (5, 1000), (math.inf, 1000)], {}),
        # p99 is in the bucket from 5 s to 10 s: 990 - 960 of 40 runs.
        (
            "{p50: 300ms, p99: 3s}",
            [(0.25, 400), (0.5, 600), (2.5, 900), (5, 960), (10, 1000), (math.inf, 1000)],
            {"runtime.p99": "8.8s"},
        ),
        # Runs are shorter than declared.
        (
            "{p50: 300ms, p99: 30s}",
            [(0.25, 4000), (0.5, 6000), (1, 10000), (math.inf, 10000)],
            {"runtime.p99": "990ms"},
        ),
        (
            "{p50: 3s, p99: 30s}",
            [(0.5, 6000), (20, 9800), (40, 10000), (math.inf, 10000)],
            {"runtime.p50": "420ms"},
        ),
        # Few slow runs are chance.
        ("{p50: 300ms, p99: 3s}", [(0.25, 10), (0.5, 28), (5, 28), (10, 30), (math.inf, 30)], {}),
        # The last bucket has a lower bound only.
        (
            "{p50: 300ms, p99: 3s}",
            [(0.25, 400), (0.5, 600), (10, 900), (math.inf, 1000)],
            {"runtime.p99": "10s"},
        ),
        ("{p50: 300ms, p99: 15s}", [(0.25, 400), (0.5, 600), (10, 900), (math.inf, 1000)], {}),
    ],
)
def test_a_run_time_outside_of_its_bucket_disagrees(
    declared: str, counted: list[tuple[float, float]], expected: dict[str, str]
):
    assert mended(f"runtime: {declared}", Measured(None, None, runs(*counted))) == expected


def test_both_run_times_change_if_one_alone_would_be_impossible():
    # The declared p50 of 2 s is in its bucket, but the measured p99 is below it.
    counted = runs((1, 4999), (2.5, 99999), (math.inf, 100000))
    found = mended("runtime: {p50: 2s, p99: 30s}", Measured(None, None, counted))
    assert set(found) >= {"runtime.p99"}
    p50 = parse_duration(found.get("runtime.p50", "2s"))
    assert p50 <= parse_duration(found["runtime.p99"])


def test_run_times_that_nobody_declared_need_twenty_runs():
    few = Measured(None, None, runs((1, 19), (math.inf, 19)))
    enough = Measured(None, None, runs((1, 20), (math.inf, 20)))
    assert mended("rate: 1/s", few) == {}
    assert mended("rate: 1/s", enough) == {"runtime.p50": "500ms", "runtime.p99": "990ms"}


def test_a_pattern_declares_several_tasks():
    declared = plan("rate: 1/s, runtime: {p50: 1s, p99: 4s}", "shop.reports.*")
    slow = runs((1, 100), (5, 100), (20, 1000), (math.inf, 1000))
    quick = runs((1, 9000), (5, 9000), (20, 9000), (math.inf, 9000))
    found = declarations(
        declared, {"shop.reports.x": Measured(1, 2, slow), "shop.reports.y": Measured(3, 4, quick)}, WEEK
    )
    (task,) = found.tasks
    assert task.seen == ("shop.reports.x", "shop.reports.y")
    assert (task.facts[Fact.MEAN].measured, task.facts[Fact.PEAK].measured) == (4, 6)
    # 900 of 10,000 runs are in the bucket from 5 s to 20 s; the 99th percentile is 800 of them in.
    assert task.facts[Fact.P99].measured == pytest.approx(5 + 15 * 800 / 900)


def names(found: Declarations) -> tuple[list[str], list[str]]:
    return [*found.undeclared], found.unseen


def test_tasks_on_one_side_only_are_named():
    seen = {
        "shop.b": rates(1, 1),
        "shop.idle": rates(0, 0),
        "celery.backend_cleanup": rates(1, 1),
        "None": rates(1, 1),
        "unknown": rates(1, 1),
    }
    assert names(declarations(plan("rate: 1/s"), seen, WEEK)) == (["shop.b"], ["shop.a"])


def test_a_task_of_another_app_is_not_compared():
    found = declarations(plan("external: true, rate: 1/s"), {"shop.a": rates(9, 9)}, WEEK)
    assert (found.tasks, names(found)) == ((), ([], []))


def test_a_former_name_counts_for_the_task():
    found = declarations(plan("rate: 1/s, renamed_from: [shop.old]"), {"shop.old": rates(9, 9)}, WEEK)
    assert found.tasks[0].seen == ("shop.old",)


def test_starts_of_a_broadcast_are_no_rate():
    broadcast = compiled(
        workload("""
            tasks: {shop.a: {queue: q, rate: 1/s}}
            queues: {q: {broadcast: true}}
            workers: {q: {replicas: 3}}
        """)
    ).plan
    assert broadcast is not None
    (task,) = declarations(broadcast, {"shop.a": rates(3, 3)}, WEEK).tasks
    assert task.mended == []


@settings(max_examples=25)
@given(st.floats(1e-6, 1e6), st.floats(1, 50))
def test_what_is_declared_instead_agrees(mean: float, factor: float):
    measured = rates(mean, mean * factor)
    for declared in ("1/s", "{mean: 1/m, peak: 1/s}"):
        new = mended(f"rate: {declared}", measured)
        old = {
            "{mean: 1/m, peak: 1/s}": {"rate.mean": "1/m", "rate.peak": "1/s"},
            "1/s": {"rate.mean": "1/s"},
        }[declared]
        both = {**old, **new}
        again = ", ".join(f"{key.removeprefix('rate.')}: {value}" for key, value in both.items())
        assert mended(f"rate: {{{again}}}", measured) == {}
        values = [parse_rate(value) for value in both.values()]
        assert values == sorted(values)


@settings(max_examples=25)
@given(st.lists(st.integers(0, 5000), min_size=5, max_size=5), st.floats(0.001, 1000))
def test_run_times_that_are_declared_instead_agree(numbers: list[int], p99: float):
    counts = [sum(numbers[: index + 1]) for index in range(len(numbers))]
    measured = Measured(None, None, runs(*zip((0.1, 1, 10, 100, math.inf), counts, strict=True)))
    declared = f"p50: {as_written(Fact.P50, p99 / 3)}, p99: {as_written(Fact.P99, p99)}"
    new = mended(f"runtime: {{{declared}}}", measured)
    both = {"runtime.p50": as_written(Fact.P50, p99 / 3), "runtime.p99": as_written(Fact.P99, p99), **new}
    again = ", ".join(f"{key.removeprefix('runtime.')}: {value}" for key, value in both.items())
    assert parse_duration(both["runtime.p50"]) <= parse_duration(both["runtime.p99"])
    assert mended(f"runtime: {{{again}}}", measured) == {}


@pytest.mark.parametrize("value", [1e-5, 0.0116, 0.5, 1, 59.99, 60, 3600, 1_234_567])
def test_numbers_are_written_as_the_language_reads_them(value: float):
    assert parse_rate(as_written(Fact.PEAK, value)) == pytest.approx(value, rel=1e-4)
    assert parse_duration(as_written(Fact.P99, value)) == pytest.approx(value, rel=1e-4)
