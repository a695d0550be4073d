"""Whoever is called knows where to read on."""

from __future__ import annotations

import pytest
from workloads import after

from policycompiler.policies.watching import runbooks

A, B = "https://wiki.example.com/a", "https://wiki.example.com/b"
OF_QUEUE = "alert:CeleryQueueBacklog:q/runbook"
DECIDES = {
    "the only task": (
        f"tasks: {{shop.a: {{queue: q, runbook: '{A}'}}}}",
        {OF_QUEUE: (A, "the tasks of this queue declare no other runbook")},
    ),
    "the only runbook": (
        f"tasks: {{shop.a: {{queue: q, runbook: '{A}'}}, shop.b: {{queue: q}}}}",
        {OF_QUEUE: (A, "the tasks of this queue declare no other runbook")},
    ),
    "two of a queue, one of a task": (
        (
            f"tasks: {{shop.a: {{queue: q, runbook: '{A}', critical: true}}, "
            f"shop.b: {{queue: q, runbook: '{B}'}}}}"
        ),
        {
            OF_QUEUE: None,
            "alert:CeleryTaskNewFailure:shop.a/runbook": (A, ("the task declares this runbook")),
        },
    ),
    "none": ("tasks: {shop.a: {queue: q, critical: true}}", {OF_QUEUE: None}),
    "what is about no queue": (
        f"tasks: {{shop.a: {{queue: q, runbook: '{A}'}}}}",
        {"alert:CeleryBrokerDown/runbook": None},
    ),
}


@pytest.mark.parametrize(("fragment", "expected"), DECIDES.values(), ids=DECIDES)
def test_it_decides(fragment, expected):
    decided = after(runbooks, fragment).decided
    assert {address: decided.get(address) for address in expected} == expected


def test_its_origins_lead_to_every_task_that_says_so():
    fragment = f"tasks: {{shop.a: {{queue: q, runbook: '{A}'}}, shop.b: {{queue: q, runbook: '{A}'}}}}"
    assert after(runbooks, fragment).origins[OF_QUEUE] == ["task:shop.a/runbook", "task:shop.b/runbook"]
