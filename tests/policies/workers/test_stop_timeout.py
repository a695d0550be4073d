"""A stop waits for what would be lost."""

from __future__ import annotations

import pytest
from workloads import Found, after, compiled, workload

from policycompiler.policies.workers import stop_timeout

DECIDES = {
    "the longest run": (
        "tasks: {shop.a: {queue: q, runtime: 100s}, shop.b: {queue: q, runtime: 200s}}",
        {
            "worker:q/stop_timeout_seconds": (
                400,
                ("the stop must wait for the longest run, plus time to exit"),
            ),
        },
    ),
    "undeclared tasks may come": (
        "tasks: {shop.a: {runtime: 1s}}",
        {
            "worker:shop.standard.io/stop_timeout_seconds": (
                472,
                "the stop must wait for the longest run, plus time to exit",
            ),
        },
    ),
    "no task": (
        "queues: {q: {}}",
        {
            "worker:q/stop_timeout_seconds": (
                472,
                ("the stop must wait for the longest run, plus time to exit"),
            ),
        },
    ),
}
STAYS_SILENT = {
    "pinned": (
        "tasks: {shop.a: {queue: q, runtime: 1s}}\nworkers: {q: {stop_timeout: 10m}}",
        ["worker:q/stop_timeout_seconds"],
    ),
}
LEADS_TO = {
    "the longest limit": (
        "tasks: {shop.a: {queue: q, runtime: 100s}, shop.b: {queue: q, runtime: 200s}}",
        "worker:q/stop_timeout_seconds",
        ["task:shop.b/longest_run_seconds", "parameters.stop-timeout.margin_seconds"],
    ),
    "the app's limit": (
        "queues: {q: {}}",
        "worker:q/stop_timeout_seconds",
        ["app/longest_run_seconds", "parameters.stop-timeout.margin_seconds"],
    ),
}
REFUSES = {
    "a run is lost": (
        "tasks: {shop.a: {queue: q, runtime: 100s}}\nworkers: {q: {stop_timeout: 198s}}",
        [
            Found(
                "stop-timeout-short",
                "2:29",
                ("a stop of q waits 3 min 18 s, but shop.a may run 3 min 9 s and is lost when it is killed"),
                "write `stop_timeout: 3m 19s` or more, or shorten the task's limit",
            ),
        ],
    ),
    "an undeclared run is lost": (
        "queues: {q: {}}\nworkers: {q: {stop_timeout: 1m}}",
        [
            Found(
                "stop-timeout-short",
                "2:29",
                (
                    "a stop of q waits 1 min, but an undeclared task may run 7 min 12 s and is lost when "
                    "it is killed"
                ),
                "write `stop_timeout: 7m 22s` or more, or shorten the task's limit",
            ),
        ],
    ),
}
ACCEPTS = {
    "just long enough": ("tasks: {shop.a: {queue: q, runtime: 100s}}\nworkers: {q: {stop_timeout: 199s}}"),
    "it would run again": (
        "tasks: {shop.a: {queue: q, runtime: 100s, idempotent: true}}\nworkers: {q: {stop_timeout: 1s}}"
    ),
}


@pytest.mark.parametrize(("fragment", "expected"), DECIDES.values(), ids=DECIDES)
def test_it_decides(fragment, expected):
    decided = after(stop_timeout, fragment).decided
    assert {address: decided.get(address) for address in expected} == expected


@pytest.mark.parametrize(("fragment", "addresses"), STAYS_SILENT.values(), ids=STAYS_SILENT)
def test_it_stays_silent(fragment, addresses):
    assert after(stop_timeout, fragment).decided.keys().isdisjoint(addresses)


@pytest.mark.parametrize(("fragment", "address", "places"), LEADS_TO.values(), ids=LEADS_TO)
def test_its_origins_lead_to(fragment, address, places):
    assert after(stop_timeout, fragment).origins[address] == places


@pytest.mark.parametrize(("fragment", "findings"), REFUSES.values(), ids=REFUSES)
def test_it_refuses(fragment, findings):
    assert after(stop_timeout, fragment).findings == findings


@pytest.mark.parametrize("fragment", ACCEPTS.values(), ids=ACCEPTS)
def test_it_accepts(fragment):
    assert after(stop_timeout, fragment).findings == []


@pytest.mark.parametrize(
    ("late", "name"), [("true", "soft-shutdown-missing"), ("false", "stop-timeout-short")]
)
def test_a_kill_loses_an_undeclared_task_only_where_it_is_acknowledged_early(late, name):
    fragment = f"""
        celery: {{settings: {{task_acks_late: {late}}}}}
        tasks: {{shop.a: {{idempotent: true, runtime: 1s}}}}
        workers: {{w: {{queues: [shop.standard.io], stop_timeout: 30s}}}}
    """
    found = {each.finding.name for each in compiled(workload(fragment)).diagnostics}
    assert found & {"soft-shutdown-missing", "stop-timeout-short"} == {name}
