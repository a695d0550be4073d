"""A queue keeps the promise of its most urgent task."""

from __future__ import annotations

import pytest
from workloads import after

from policycompiler.policies.routing import queue_promises

DECIDES = {
    "the most urgent task counts": (
        ("tasks: {shop.a: {latency: batch, queue: q}, shop.b: {latency: interactive, queue: q}}"),
        {
            "queue:q/latency": ("interactive", ("the most urgent task of the queue has this latency class")),
            "queue:q/queue_wait_seconds": (
                1,
                ("the latency target of class `interactive` is that 99 of 100 tasks start within this time"),
            ),
        },
    ),
    "nothing is sent to it": (
        "queues: {q: {}}",
        {
            "queue:q/latency": (
                "standard",
                ("no declared task is sent to the queue, so the middle class applies"),
            ),
            "queue:q/queue_wait_seconds": (
                30,
                "the latency target of class `standard` is that 99 of 100 tasks start within this time",
            ),
        },
    ),
    "one owner": (
        "tasks: {shop.a: {queue: q, owner: team}, shop.b: {queue: q, owner: team}}",
        {
            "queue:q/owner": ("team", "this team owns all tasks of the queue"),
        },
    ),
    "another app's queue": (
        "tasks: {shop.a: {external: true, queue: q, latency: batch}}",
        {
            "queue:q/queue_wait_seconds": (
                900,
                "the latency target of class `batch` is that 99 of 100 tasks start within this time",
            ),
        },
    ),
}
STAYS_SILENT = {
    "two owners": (
        "tasks: {shop.a: {queue: q, owner: team}, shop.b: {queue: q, owner: others}}",
        ["queue:q/owner"],
    ),
    "one task has no owner": (
        "tasks: {shop.a: {queue: q, owner: team}, shop.b: {queue: q}}",
        ["queue:q/owner"],
    ),
    "no task": ("queues: {q: {}}", ["queue:q/owner"]),
}
LEADS_TO = {
    "the urgent task": (
        ("tasks: {shop.a: {latency: batch, queue: q}, shop.b: {latency: interactive, queue: q}}"),
        "queue:q/latency",
        ["task:shop.b/latency"],
    ),
    "the class": (
        "tasks: {shop.a: {queue: q}}",
        "queue:q/queue_wait_seconds",
        ["queue:q/latency", "latency_classes.standard.queue_wait_p99"],
    ),
}


@pytest.mark.parametrize(("fragment", "expected"), DECIDES.values(), ids=DECIDES)
def test_it_decides(fragment, expected):
    decided = after(queue_promises, fragment).decided
    assert {address: decided.get(address) for address in expected} == expected


@pytest.mark.parametrize(("fragment", "addresses"), STAYS_SILENT.values(), ids=STAYS_SILENT)
def test_it_stays_silent(fragment, addresses):
    assert after(queue_promises, fragment).decided.keys().isdisjoint(addresses)


@pytest.mark.parametrize(("fragment", "address", "places"), LEADS_TO.values(), ids=LEADS_TO)
def test_its_origins_lead_to(fragment, address, places):
    assert after(queue_promises, fragment).origins[address] == places
