"""No message waits behind a run while a worker is idle."""

from __future__ import annotations

import pytest
from workloads import after

from policycompiler.policies import prefetch

DECIDES = {
    "by default": (
        "tasks: {shop.a: }",
        {
            "worker:shop.standard.io/prefetch_multiplier": (
                1,
                ("a message held in reserve waits behind running tasks while another worker may be idle"),
            ),
        },
    ),
    "all are short": (
        "tasks: {shop.a: {runtime: 300ms}, shop.b: {runtime: 500ms}}",
        {
            "worker:shop.standard.io/prefetch_multiplier": (
                4,
                (
                    "all its tasks are short: the trip to the broker costs more than a reserve, "
                    "which is done within the promised 30 s"
                ),
            ),
        },
    ),
    "a reserve that is just done within the promise": (
        "tasks: {shop.a: {latency: interactive, runtime: 250ms}}",
        {
            "worker:shop.interactive.io/prefetch_multiplier": (
                4,
                (
                    "all its tasks are short: the trip to the broker costs more than a reserve, "
                    "which is done within the promised 1 s"
                ),
            ),
        },
    ),
    "a reserve that breaks the promise": (
        "tasks: {shop.a: {latency: interactive, runtime: 251ms}}",
        {
            "worker:shop.interactive.io/prefetch_multiplier": (
                1,
                "a message held in reserve waits behind running tasks while another worker may be idle",
            ),
        },
    ),
    "a reserve that breaks the most urgent promise of several": (
        (
            "tasks: {shop.a: {latency: interactive, queue: a, runtime: 300ms}, shop.b: {queue: b, "
            "runtime: 300ms}}\nworkers: {both: {queues: [a, b]}}"
        ),
        {
            "worker:both/prefetch_multiplier": (
                1,
                "a message held in reserve waits behind running tasks while another worker may be idle",
            ),
        },
    ),
    "one is not short": (
        "tasks: {shop.a: {runtime: 300ms}, shop.b: {runtime: 501ms}}",
        {
            "worker:shop.standard.io/prefetch_multiplier": (
                1,
                ("a message held in reserve waits behind running tasks while another worker may be idle"),
            ),
        },
    ),
    "one is not known": (
        "tasks: {shop.a: {runtime: 300ms}, shop.b: }",
        {
            "worker:shop.standard.io/prefetch_multiplier": (
                1,
                ("a message held in reserve waits behind running tasks while another worker may be idle"),
            ),
        },
    ),
    "no task": (
        "queues: {q: {}}",
        {
            "worker:q/prefetch_multiplier": (
                1,
                ("a message held in reserve waits behind running tasks while another worker may be idle"),
            ),
        },
    ),
}
STAYS_SILENT = {
    "pinned": (
        ("tasks: {shop.a: {queue: q, runtime: 300ms}}\nworkers: {q: {options: {prefetch_multiplier: 0}}}"),
        ["worker:q/prefetch_multiplier"],
    ),
}
LEADS_TO = {
    "the longest": (
        "tasks: {shop.a: {runtime: 300ms}, shop.b: {runtime: 500ms}}",
        "worker:shop.standard.io/prefetch_multiplier",
        [
            "task:shop.b/runtime_p99_seconds",
            "queue:shop.standard.io/queue_wait_seconds",
            "SHORT_RUN_SECONDS",
            "SHORT_TASKS_A_SLOT",
        ],
    ),
    "the policy": ("tasks: {shop.a: }", "worker:shop.standard.io/prefetch_multiplier", ["ONE_A_SLOT"]),
}


@pytest.mark.parametrize(("fragment", "expected"), DECIDES.values(), ids=DECIDES)
def test_it_decides(fragment, expected):
    decided = after(prefetch, fragment).decided
    assert {address: decided.get(address) for address in expected} == expected


@pytest.mark.parametrize(("fragment", "addresses"), STAYS_SILENT.values(), ids=STAYS_SILENT)
def test_it_stays_silent(fragment, addresses):
    assert after(prefetch, fragment).decided.keys().isdisjoint(addresses)


@pytest.mark.parametrize(("fragment", "address", "places"), LEADS_TO.values(), ids=LEADS_TO)
def test_its_origins_lead_to(fragment, address, places):
    assert after(prefetch, fragment).origins[address] == places
