"""One beat, where anything is scheduled."""

from __future__ import annotations

import pytest
from workloads import Found, after

from policycompiler.policies import beat

DECIDES = {
    "anything is scheduled": (
        "tasks: {shop.a: }\nschedules: {s: {task: shop.a, every: 1m}}",
        {
            "beat/scheduler": (
                "celery.beat:PersistentScheduler",
                "keeps its state in one file, needs nothing else",
            ),
            "beat/max_interval_seconds": (30, "a monitor can tell a slow beat from a dead one"),
            "beat/stop_timeout_seconds": (10, "it has nothing to finish but its state file"),
            "beat/log_level": ("INFO", "one line a task that it sends"),
        },
    ),
    "pinned": (
        (
            "tasks: {shop.a: }\n"
            "schedules: {s: {task: shop.a, every: 1m}}\n"
            "beat: {scheduler: 'shop.beat:Scheduler', host: worker-1}"
        ),
        {
            "beat/scheduler": ("shop.beat:Scheduler", "pinned in the workload"),
            "beat/host": ("worker-1", "declared"),
        },
    ),
}
STAYS_SILENT = {
    "nothing is scheduled": ("tasks: {shop.a: }", ["beat/scheduler", "beat/host"]),
    "nothing is enabled": (
        "tasks: {shop.a: }\nschedules: {s: {task: shop.a, every: 1m, enabled: false}}",
        ["beat/scheduler"],
    ),
    "no host is declared": ("tasks: {shop.a: }\nschedules: {s: {task: shop.a, every: 1m}}", ["beat/host"]),
}
LEADS_TO = {
    "the pin": (
        ("tasks: {shop.a: }\nschedules: {s: {task: shop.a, every: 1m}}\nbeat: {host: worker-1}"),
        "beat/host",
        ["3:14"],
    ),
    "the policy": (
        "tasks: {shop.a: }\nschedules: {s: {task: shop.a, every: 1m}}",
        "beat/max_interval_seconds",
        ["MAX_INTERVAL_SECONDS"],
    ),
}
REFUSES = {
    "a worker with a beat": (
        "queues: {q: {}}\nworkers: {q: {options: {beat: true}}}",
        [
            Found(
                "beat-multiple",
                "2:31",
                (
                    "worker q runs a beat of its own: beside the one beat, or with a second process, "
                    "every schedule is sent twice"
                ),
                "remove `beat: true`; the compiler emits one beat process",
            ),
        ],
    ),
}
ACCEPTS = {
    "a worker without": "queues: {q: {}}\nworkers: {q: {options: {beat: false}}}",
}


@pytest.mark.parametrize(("fragment", "expected"), DECIDES.values(), ids=DECIDES)
def test_it_decides(fragment, expected):
    decided = after(beat, fragment).decided
    assert {address: decided.get(address) for address in expected} == expected


@pytest.mark.parametrize(("fragment", "addresses"), STAYS_SILENT.values(), ids=STAYS_SILENT)
def test_it_stays_silent(fragment, addresses):
    assert after(beat, fragment).decided.keys().isdisjoint(addresses)


@pytest.mark.parametrize(("fragment", "address", "places"), LEADS_TO.values(), ids=LEADS_TO)
def test_its_origins_lead_to(fragment, address, places):
    assert after(beat, fragment).origins[address] == places


@pytest.mark.parametrize(("fragment", "findings"), REFUSES.values(), ids=REFUSES)
def test_it_refuses(fragment, findings):
    assert after(beat, fragment).findings == findings


@pytest.mark.parametrize("fragment", ACCEPTS.values(), ids=ACCEPTS)
def test_it_accepts(fragment):
    assert after(beat, fragment).findings == []
