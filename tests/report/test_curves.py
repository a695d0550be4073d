"""The numbers behind a plot."""

from __future__ import annotations

import math

import pytest
from workloads import compiled, workload

from policycompiler.plan.lines import WorkerLine, worker_lines
from policycompiler.report.curves import Curves, curves


def line(task: str, slots: int = 4) -> WorkerLine:
    plan = compiled(
        workload(f"tasks: {{shop.a: {{queue: q, {task}}}}}\nworkers: {{q: {{concurrency: {slots}}}}}")
    ).plan
    assert plan is not None
    (found,) = (each for each in worker_lines(plan) if each.worker == "q")
    return found


def drawn(task: str, slots: int = 4) -> Curves:
    found = curves(line(task, slots))
    assert found is not None
    return found


EVEN = "latency: interactive, runtime: {p50: 2s, p99: 2s}"


def test_the_curves_are_the_waits_with_other_traffic():
    found = drawn(f"{EVEN}, rate: 1/s")
    for share, points in zip((0.5, 0.95, 0.99), found.percentiles, strict=True):
        assert len(points) > 20
        for factor, wait in points[::10]:
            other = line(f"{EVEN}, rate: {max(factor, 1e-9):.9f}/s").line
            assert other is not None
            assert wait == pytest.approx(other.wait_quantile(share), rel=1e-3, abs=1e-6)


def test_waits_grow_with_the_traffic_until_the_slots_are_full_or_the_axis_ends():
    found = drawn(f"{EVEN}, rate: 1/s")
    for points in found.percentiles:
        assert [*points] == sorted(points)
        assert points[0] == (0, 0)
        # 4 slots, 2 of them busy today.
        assert points[-1][0] < 2
    assert found.percentiles[-1][-1][1] > found.longest


def test_today_and_the_end_of_the_promise_are_on_the_axes():
    found = drawn(f"{EVEN}, rate: 1/s")
    assert found.breaks_at is not None
    assert found.most_traffic > 1
    assert found.breaks_at < found.most_traffic
    assert found.promise is not None
    assert found.promise < found.longest


def test_a_worker_without_slots_enough_has_a_wait_without_end():
    found = drawn(f"{EVEN}, rate: 5/s")
    assert (found.today, found.busy) == (math.inf, 2.50375)
    assert found.most_traffic > 1
    assert all(math.isfinite(wait) for points in found.percentiles for _, wait in points)


@pytest.mark.parametrize("task", ["runtime: 2s", "rate: 1/s", "runtime: 2s, rate: 0/s"])
def test_an_unknown_load_has_no_curves(task: str):
    assert curves(line(task)) is None
