"""Who obeys the help of a finding is rid of it."""

from __future__ import annotations

import re

import pytest
from workloads import compiled, workload

from policycompiler.diagnostics import Diagnostic
from policycompiler.hazards import needs
from policycompiler.plan.lines import worker_lines
from policycompiler.policies.workers.concurrency import tuned

HEAD = "defaults: {idempotent: true, result: ignore, retry: none}\n"


def told(fragment: str, name: str) -> list[Diagnostic]:
    """The findings of this name."""
    return [each for each in compiled(workload(HEAD + fragment)).diagnostics if each.name == name]


PACED = (
    "dependencies: {{api: {{rate: {rate}{hold}}}}}\n"
    "tasks: {{s.a: {{queue: q, calls: [api], runtime: {{p50: 500ms, p99: 800ms}}, rate: 1/s}}}}\n"
    "workers: {{q: {{{pins}}}}}"
)


@pytest.mark.parametrize("rate", ["10/s", "7/m", "3/s", "1.1/s", "25/h"])
@pytest.mark.parametrize(("slots", "processes"), [(48, 1), (40, 2), (33, 7)])
def test_slots_over_a_rate_are_gone_with_the_hold_of_the_help(rate: str, slots: int, processes: int):
    pins = f"concurrency: {slots}, replicas: {processes}"
    (found,) = told(PACED.format(rate=rate, hold=", hold: 1s", pins=pins), "slots-over-rate")
    hold = re.search("`hold: ([^`]*)`", str(found.help))
    assert hold
    assert not told(PACED.format(rate=rate, hold=f", hold: {hold[1]}", pins=pins), "slots-over-rate")


@pytest.mark.parametrize(
    ("rate", "processes", "help_text", "follow"),
    [
        ("1/s", 1, "pin 2 slots, or", "concurrency: 2"),
        ("10/s", 2, "pin 12 slots in each process, or", "concurrency: 12, replicas: 2"),
        ("1/s", 3, "run 2 processes with 1 slot each, or", "concurrency: 1, replicas: 2"),
    ],
)
def test_slots_over_a_rate_are_gone_with_the_slots_of_the_help(
    rate: str, processes: int, help_text: str, follow: str
):
    pins = f"concurrency: 40, replicas: {processes}"
    (found,) = told(PACED.format(rate=rate, hold=", hold: 2s", pins=pins), "slots-over-rate")
    assert str(found.help).startswith(help_text)
    assert not told(PACED.format(rate=rate, hold=", hold: 2s", pins=follow), "slots-over-rate")


LIMITED = (
    "dependencies: {{api: {{rate: {rate}, hold: {hold}}}}}\n"
    "tasks: {{s.a: {{queue: q, latency: interactive, calls: [api], runtime: {{p50: 2s, p99: 4s}}, "
    "rate: {{mean: 5/s, peak: {peak}}}}}}}\n"
)
BROADCAST = (
    "queues: {q: {broadcast: true}}\n"
    "tasks: {s.a: {queue: q, latency: interactive, runtime: {p50: 500ms, p99: 800ms}, "
    "rate: {mean: 8/s, peak: 8/s}}}\n"
    "workers: {w: {queues: [q], replicas: 2}}\n"
)
"""Each process runs each message."""
UNTRUE = ("promise-unkept", "slots-over-rate", "budget-exceeded", "rate-below-traffic", "long-neighbor")


def untrue(fragment: str) -> list[str]:
    return [found.name for name in UNTRUE for found in told(fragment, name)]


@pytest.mark.parametrize("hold", ["2s", "500ms"])
@pytest.mark.parametrize("peak", ["20/s", "31/s"])
def test_a_rate_that_breaks_a_promise_is_told_with_the_rate_and_the_hold_that_keep_it(hold: str, peak: str):
    given = {"rate": "10/s", "hold": hold, "peak": peak}
    (found,) = told(LIMITED.format(**given), "promise-unkept")
    match = re.match("raise `dependencies.api.rate` to `(.*?)` or its `hold` to `(.*?)`", str(found.help))
    assert match
    for name, value in zip(("rate", "hold"), match.groups(), strict=True):
        assert untrue(LIMITED.format(**{**given, name: value})) == []


def test_a_longer_promise_is_no_advice_for_slots_that_are_too_busy():
    (found,) = told(LIMITED.format(rate="10/s", hold="2s", peak="20/s"), "promise-unkept")
    assert "latency class" not in str(found.help)
    assert untrue(LIMITED.format(rate="10/s", hold="2s", peak="20/s").replace("interactive", "batch")) == [
        "promise-unkept"
    ]


ONE = (
    "tasks: {s.a: {queue: a, latency: interactive, connections: 1, runtime: {p50: 2s, p99: 6s}, "
    "rate: {mean: 5/s, peak: 12.3/s}}}\n"
)
TWO = (
    "tasks:\n"
    "  s.a: {queue: a, latency: interactive, runtime: {p50: 1s, p99: 2s}, rate: 8/s}\n"
    "  s.b: {queue: b, latency: interactive, runtime: {p50: 1s, p99: 2s}, rate: 8/s}\n"
)
QUICK = "tasks: {s.a: {queue: a, latency: interactive, runtime: {p50: 1s, p99: 5s}, rate: 10/s}}\n"


@pytest.mark.parametrize(
    ("fragment", "given"),
    [
        (ONE + "budget: {memory: AMOUNT}", "1850MiB"),
        (TWO + "budget: {memory: AMOUNT}", "700MiB"),
        (BROADCAST + "budget: {memory: AMOUNT}", "700MiB"),
        (ONE + "budget: {connections: AMOUNT}", "30"),
        (ONE + "workers: {a: {memory: 600MiB}}\nbudget: {memory: AMOUNT}", "1900MiB"),
        (QUICK + "workers: {a: {replicas: 4, memory: AMOUNT}}", "250MiB"),
        (QUICK + "workers: {a: {}}\nhosts: {one: {memory: AMOUNT, workers: {a: 2}}}", "700MiB"),
        (
            QUICK.replace("queue: a,", "queue: a, work: cpu,") + "workers: {a: {replicas: 4, cores: AMOUNT}}",
            "3",
        ),
    ],
)
def test_a_budget_that_breaks_a_promise_is_told_with_the_amount_that_keeps_it(fragment: str, given: str):
    (found, *_) = told(fragment.replace("AMOUNT", given), "promise-unkept")
    match = re.match("raise `[a-z0-9.]*` to `(.*?)`", str(found.help))
    assert match, found.help
    assert untrue(fragment.replace("AMOUNT", match[1])) == []


NEIGHBORS = (
    "tasks:\n"
    "  s.long: {{queue: {queue}, latency: {latency}, runtime: {{p50: {p50}, p99: {p99}}}, rate: {rate}}}\n"
    "  s.short: {{queue: q, latency: interactive, runtime: {short}, rate: {often}}}\n"
)


@pytest.mark.parametrize("latency", ["interactive", "standard", "batch"])
@pytest.mark.parametrize(
    ("p50", "p99", "rate", "short", "often"),
    [
        ("7s", "14s", "{mean: 5/m, peak: 5/m}", "{p50: 30ms, p99: 60ms}", "{mean: 2700/m, peak: 2700/m}"),
        ("31s", "155s", "{mean: 4.9/m, peak: 4.9/m}", "420ms", "{mean: 840/m, peak: 840/m}"),
        ("10m", "10m", "20/h", "50ms", "10/s"),
        ("5m", "10m", "30/h", "50ms", "2/s"),
        ("20s", "1m", "{mean: 1/m, peak: 4/m}", "200ms", "{mean: 1/s, peak: 9/s}"),
    ],
)
def test_a_long_neighbor_is_told_with_the_slots_that_the_compiler_then_chooses(
    latency: str, p50: str, p99: str, rate: str, short: str, often: str
):
    given = {"latency": latency, "p50": p50, "p99": p99, "rate": rate, "short": short, "often": often}
    found = told(NEIGHBORS.format(queue="q", **given), "long-neighbor")
    slots = [chosen(NEIGHBORS.format(queue=queue, **given)) for queue in ("q", "apart")]
    saved = sum(slots[0].values()) - sum(slots[1].values())
    assert bool(found) == (saved >= 2 and saved >= sum(slots[0].values()) / 4)
    for each in found:
        assert f"needs {slots[0]['q']} slots" in each.message
        assert f"{slots[1]['q']} and {slots[1]['apart']} slots suffice" in each.message


def chosen(fragment: str) -> dict[str, int]:
    """The slots of the workers of these queues."""
    plan = compiled(workload(HEAD + fragment)).plan
    assert plan is not None
    return {each.worker: each.slots for each in worker_lines(plan) if each.worker in ("q", "apart")}


def test_the_usual_parameters_are_those_of_the_policy():
    defaults = tuned.Parameters()
    assert {key: getattr(defaults, key) for key in needs.USUAL} == needs.USUAL
