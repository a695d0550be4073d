"""A few words for whoever reads a unit."""

from __future__ import annotations

import pytest
from workloads import after

from policycompiler.policies.workers import worker_descriptions

DECIDES = {
    "one task": (
        "tasks: {shop.a: {latency: batch, work: cpu}}",
        {
            "worker:shop.batch.cpu/description": (
                "batch tasks that compute (1 task)",
                ("readers of a unit or a launch script see which tasks the worker runs"),
            ),
        },
    ),
    "a mixture": (
        "tasks: {shop.a: {queue: q, work: cpu, latency: batch}, shop.b: {queue: q}}",
        {
            "worker:q/description": (
                "batch and standard tasks that compute or wait for other systems (2 tasks)",
                "readers of a unit or a launch script see which tasks the worker runs",
            ),
        },
    ),
    "tasks that wait": (
        "tasks: {shop.a: , shop.b: }",
        {
            "worker:shop.standard.io/description": (
                "standard tasks that wait for other systems (2 tasks)",
                "readers of a unit or a launch script see which tasks the worker runs",
            ),
        },
    ),
    "no task": (
        "queues: {q: {}}",
        {
            "worker:q/description": (
                "no declared task",
                ("readers of a unit or a launch script see which tasks the worker runs"),
            ),
        },
    ),
}
LEADS_TO = {
    "its tasks": (
        "tasks: {shop.a: {}}",
        "worker:shop.standard.io/description",
        ["worker:shop.standard.io/tasks"],
    ),
}


@pytest.mark.parametrize(("fragment", "expected"), DECIDES.values(), ids=DECIDES)
def test_it_decides(fragment, expected):
    decided = after(worker_descriptions, fragment).decided
    assert {address: decided.get(address) for address in expected} == expected


@pytest.mark.parametrize(("fragment", "address", "places"), LEADS_TO.values(), ids=LEADS_TO)
def test_its_origins_lead_to(fragment, address, places):
    assert after(worker_descriptions, fragment).origins[address] == places
