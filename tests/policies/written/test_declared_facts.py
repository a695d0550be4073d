"""What is declared becomes a fact, and what is not a cautious one."""

from __future__ import annotations

import pytest
from workloads import Found, after

from policycompiler.policies.written import declared_facts

DECIDES = {
    "what alerts and messages need": (
        (
            "tasks: {shop.a: {critical: true, burst: 50, payload: 2KiB, canvas: [chord], "
            "runbook: 'https://wiki.example.com/a'}}"
        ),
        {
            "task:shop.a/critical": (True, "the workload declares it"),
            "task:shop.a/burst": (50, "the workload declares it"),
            "task:shop.a/payload_bytes": (2048, "the workload declares it"),
            "task:shop.a/canvas": (["chord"], "the workload declares it"),
            "task:shop.a/runbook": ("https://wiki.example.com/a", "the workload declares it"),
        },
    ),
    "nothing but a name": (
        "tasks: {shop.a: }",
        {
            "task:shop.a/latency": (
                "standard",
                ("the workload declares no latency class, so the middle one applies"),
            ),
            "task:shop.a/work": (
                "io",
                ("the workload declares no kind of work, and most tasks wait for other services"),
            ),
            "task:shop.a/idempotent": (
                False,
                ("the workload does not declare that the task is safe to run twice"),
            ),
            "task:shop.a/external": (False, "this app runs the task"),
        },
    ),
    "everything": (
        (
            "tasks: {shop.a: {latency: batch, work: cpu, idempotent: true, external: false, "
            "owner: team, description: A., runtime: {p50: 1s, p99: 10s}, rate: {mean: 6/m, "
            "peak: 2/s}, max_countdown: 1h}}"
        ),
        {
            "task:shop.a/latency": ("batch", "the workload declares it"),
            "task:shop.a/work": ("cpu", "the workload declares it"),
            "task:shop.a/idempotent": (True, "the workload declares it"),
            "task:shop.a/external": (False, "the workload declares it"),
            "task:shop.a/owner": ("team", "the workload declares it"),
            "task:shop.a/description": ("A.", "the workload declares it"),
            "task:shop.a/runtime_p50_seconds": (1, "the workload declares it"),
            "task:shop.a/runtime_p99_seconds": (10, "the workload declares it"),
            "task:shop.a/runtime_mean_seconds": (
                1.632051,
                "the log-normal distribution through p50 and p99 has this mean",
            ),
            "task:shop.a/rate_mean_per_second": (0.1, "the workload declares it"),
            "task:shop.a/rate_peak_per_second": (2, "the workload declares it"),
            "task:shop.a/max_countdown_seconds": (3600, "the workload declares it"),
        },
    ),
    "one duration, one rate": (
        "tasks: {shop.a: {runtime: 20s, rate: 1/s}}",
        {
            "task:shop.a/runtime_p99_seconds": (20, "the workload declares it"),
            "task:shop.a/runtime_mean_seconds": (
                10.0,
                "only the 99th percentile is declared, and most runs are much shorter",
            ),
            "task:shop.a/rate_mean_per_second": (1, "the workload declares it"),
        },
    ),
    "a constant run time": (
        "tasks: {shop.a: {runtime: {p50: 2s, p99: 2s}}}",
        {
            "task:shop.a/runtime_mean_seconds": (
                2.0,
                "the log-normal distribution through p50 and p99 has this mean",
            ),
        },
    ),
    "a tail beyond belief": (
        "tasks: {shop.a: {runtime: {p50: 1ms, p99: 365d}}}",
        {
            "task:shop.a/runtime_mean_seconds": (
                31536000,
                "the log-normal distribution through p50 and p99 has this mean",
            ),
        },
    ),
    "a glob": (
        "tasks: {shop.*: {latency: interactive}}",
        {
            "task:shop.*/latency": ("interactive", "the workload declares it"),
        },
    ),
}
STAYS_SILENT = {
    "nothing is declared": (
        "tasks: {shop.a: }",
        [
            "task:shop.a/owner",
            "task:shop.a/description",
            "task:shop.a/runtime_p99_seconds",
            "task:shop.a/runtime_mean_seconds",
            "task:shop.a/rate_mean_per_second",
            "task:shop.a/max_countdown_seconds",
        ],
    ),
    "one duration has no median": (
        "tasks: {shop.a: {runtime: 20s, rate: 1/s}}",
        ["task:shop.a/runtime_p50_seconds", "task:shop.a/rate_peak_per_second"],
    ),
}
LEADS_TO = {
    "the declaration": (
        "tasks: {shop.a: {runtime: {p50: 1s, p99: 10s}}}",
        "task:shop.a/runtime_p99_seconds",
        ["1:42"],
    ),
    "the one duration": ("tasks: {shop.a: {runtime: 20s}}", "task:shop.a/runtime_p99_seconds", ["1:27"]),
    "both percentiles": (
        "tasks: {shop.a: {runtime: {p50: 1s, p99: 10s}}}",
        "task:shop.a/runtime_mean_seconds",
        ["task:shop.a/runtime_p50_seconds", "task:shop.a/runtime_p99_seconds", "Z99"],
    ),
    "half of the longest": (
        "tasks: {shop.a: {runtime: 20s}}",
        "task:shop.a/runtime_mean_seconds",
        ["task:shop.a/runtime_p99_seconds", "MEAN_OF_P99"],
    ),
    "the owner of the file": ("owner: team\ntasks: {shop.a: }", "task:shop.a/owner", ["1:8"]),
    "the defaults of the file": ("defaults: {work: cpu}\ntasks: {shop.a: }", "task:shop.a/work", ["1:18"]),
    "the policy": ("tasks: {shop.a: {}}", "task:shop.a/idempotent", ["DEFAULT_IDEMPOTENT"]),
}
REFUSES = {
    "a misspelled class": (
        "tasks: {shop.a: {latency: interactiv}}",
        [
            Found(
                "unknown-latency-class",
                "1:27",
                "no latency class is called `interactiv`; known classes: interactive, standard, batch",
                "did you mean `interactive`?",
            ),
        ],
    ),
    "a class of another house": (
        "tasks: {shop.a: {latency: gold}}",
        [
            Found(
                "unknown-latency-class",
                "1:27",
                "no latency class is called `gold`; known classes: interactive, standard, batch",
                "",
            ),
        ],
    ),
    "half of the runs are longer than nearly all": (
        "tasks: {shop.a: {runtime: {p50: 3s, p99: 300ms}}}",
        [
            Found(
                "runtime-order",
                "1:33",
                "p50 is 3 s, longer than p99, 0.3 s",
                "swap `p50` and `p99`",
            ),
        ],
    ),
    "the mean is above the peak": (
        "tasks: {shop.a: {rate: {mean: 10/s, peak: 5/s}}}",
        [
            Found(
                "rate-order",
                "1:31",
                "the mean rate of 10/s is above the peak of 5/s",
                ("swap `mean` and `peak`"),
            ),
        ],
    ),
}
ACCEPTS = {
    "a class that there is": "tasks: {shop.a: {latency: interactive}}",
    "the percentiles are equal": "tasks: {shop.a: {runtime: {p50: 3s, p99: 3s}}}",
    "the rates are equal": "tasks: {shop.a: {rate: {mean: 5/s, peak: 300/m}}}",
}


@pytest.mark.parametrize(("fragment", "expected"), DECIDES.values(), ids=DECIDES)
def test_it_decides(fragment, expected):
    decided = after(declared_facts, fragment).decided
    assert {address: decided.get(address) for address in expected} == expected


@pytest.mark.parametrize(("fragment", "addresses"), STAYS_SILENT.values(), ids=STAYS_SILENT)
def test_it_stays_silent(fragment, addresses):
    assert after(declared_facts, fragment).decided.keys().isdisjoint(addresses)


@pytest.mark.parametrize(("fragment", "address", "places"), LEADS_TO.values(), ids=LEADS_TO)
def test_its_origins_lead_to(fragment, address, places):
    assert after(declared_facts, fragment).origins[address] == places


@pytest.mark.parametrize(("fragment", "findings"), REFUSES.values(), ids=REFUSES)
def test_it_refuses(fragment, findings):
    assert after(declared_facts, fragment).findings == findings


@pytest.mark.parametrize("fragment", ACCEPTS.values(), ids=ACCEPTS)
def test_it_accepts(fragment):
    assert after(declared_facts, fragment).findings == []
