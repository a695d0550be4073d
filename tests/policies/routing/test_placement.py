"""Tasks of one promise share a queue; long ones have their own."""

from __future__ import annotations

import pytest
from workloads import Found, after

from policycompiler.policies.routing import placement

DECIDES = {
    "nothing but a name": (
        "tasks: {shop.a: }",
        {
            "task:shop.a/queue": (
                "shop.standard.io",
                "tasks of the same latency class and kind of work share a queue",
            ),
            "app/task_default_queue": (
                "shop.standard.io",
                "undeclared tasks share the queue of class `standard`",
            ),
        },
    ),
    "class and work": (
        "tasks: {shop.a: {latency: batch, work: cpu}}",
        {
            "task:shop.a/queue": (
                "shop.batch.cpu",
                ("tasks of the same latency class and kind of work share a queue"),
            ),
            "app/task_default_queue": (
                "shop.batch.cpu",
                "undeclared tasks share the queue of class `batch`",
            ),
        },
    ),
    "as long as its class bears": (
        "tasks: {shop.a: {latency: interactive, runtime: 10s}}",
        {
            "task:shop.a/queue": (
                "shop.interactive.io",
                "tasks of the same latency class and kind of work share a queue",
            ),
        },
    ),
    "longer than its class bears": (
        "tasks: {shop.a: {latency: interactive, runtime: 11s}}",
        {
            "task:shop.a/queue": (
                "shop.interactive.io.long",
                (
                    "its runs may take 11 s, and runs longer than 10 s would delay the other tasks of "
                    "class `interactive`"
                ),
            ),
            "app/task_default_queue": (
                "shop.interactive.io.long",
                "undeclared tasks share the queue of class `interactive`, the only one of the app",
            ),
        },
    ),
    "undeclared tasks join the patient ones": (
        "tasks: {shop.a: {latency: interactive}, shop.b: {latency: batch, work: cpu}}",
        {
            "app/task_default_queue": (
                "shop.batch.cpu",
                "undeclared tasks share the queue of class `batch`",
            ),
        },
    ),
    "undeclared tasks join the middle class rather than the most patient": (
        "tasks: {shop.a: {latency: batch}, shop.b: {latency: standard}, shop.c: {latency: interactive}}",
        {
            "app/task_default_queue": (
                "shop.standard.io",
                "undeclared tasks share the queue of class `standard`",
            ),
        },
    ),
    "only pinned queues": (
        "tasks: {shop.a: {queue: search}}",
        {
            "app/task_default_queue": (
                "shop.standard.io",
                "undeclared tasks get a queue of the middle class",
            ),
        },
    ),
    "no task at all": (
        "tasks: {}",
        {
            "app/task_default_queue": (
                "shop.standard.io",
                "undeclared tasks get a queue of the middle class",
            ),
        },
    ),
    "only another app's tasks": (
        "tasks: {shop.a: {external: true, queue: partner}}",
        {
            "app/task_default_queue": (
                "shop.standard.io",
                "undeclared tasks get a queue of the middle class",
            ),
        },
    ),
    "a glob": (
        "tasks: {shop.*: {latency: batch}}",
        {
            "task:shop.*/queue": (
                "shop.batch.io",
                ("tasks of the same latency class and kind of work share a queue"),
            ),
        },
    ),
}
STAYS_SILENT = {
    "the queue is pinned": ("tasks: {shop.a: {queue: search}}", ["task:shop.a/queue"]),
    "the default queue is pinned": (
        "celery: {settings: {task_default_queue: other}}",
        ["app/task_default_queue"],
    ),
}
LEADS_TO = {
    "what the name is made of": (
        "tasks: {shop.a: {latency: batch}}",
        "task:shop.a/queue",
        ["app/service", "task:shop.a/latency", "task:shop.a/work"],
    ),
    "what makes it long": (
        "tasks: {shop.a: {latency: interactive, runtime: 11s}}",
        "task:shop.a/queue",
        [
            "app/service",
            "task:shop.a/latency",
            "task:shop.a/work",
            "task:shop.a/runtime_p99_seconds",
            "latency_classes.interactive.runtime_p99_limit",
        ],
    ),
    "the task that it joins": (
        "tasks: {shop.a: {latency: batch}}",
        "app/task_default_queue",
        ["task:shop.a/queue"],
    ),
    "the service": ("tasks: {}", "app/task_default_queue", ["app/service", "DEFAULT_CLASS"]),
}
REFUSES = {
    "another app's task without a queue": (
        "tasks: {shop.a: {external: true}}",
        [
            Found(
                "external-without-queue",
                "1:28",
                "another app runs shop.a, but the workload does not name the queue that it consumes",
                "add `queue: NAME`",
            ),
        ],
    ),
}
ACCEPTS = {
    "another app's task with a queue": "tasks: {shop.a: {external: true, queue: partner}}",
    "a task of this app": "tasks: {shop.a: {external: false}}",
}


@pytest.mark.parametrize(("fragment", "expected"), DECIDES.values(), ids=DECIDES)
def test_it_decides(fragment, expected):
    decided = after(placement, fragment).decided
    assert {address: decided.get(address) for address in expected} == expected


@pytest.mark.parametrize(("fragment", "addresses"), STAYS_SILENT.values(), ids=STAYS_SILENT)
def test_it_stays_silent(fragment, addresses):
    assert after(placement, fragment).decided.keys().isdisjoint(addresses)


@pytest.mark.parametrize(("fragment", "address", "places"), LEADS_TO.values(), ids=LEADS_TO)
def test_its_origins_lead_to(fragment, address, places):
    assert after(placement, fragment).origins[address] == places


@pytest.mark.parametrize(("fragment", "findings"), REFUSES.values(), ids=REFUSES)
def test_it_refuses(fragment, findings):
    assert after(placement, fragment).findings == findings


@pytest.mark.parametrize("fragment", ACCEPTS.values(), ids=ACCEPTS)
def test_it_accepts(fragment):
    assert after(placement, fragment).findings == []
