"""A pinned priority is held against its broker as a declared one is."""

from __future__ import annotations

import pytest
from workloads import after

from policycompiler.policies.broker import priority_pins

REFUSES = {
    "a schedule on Redis": (
        "tasks: {shop.a: {}}\nschedules: {s: {task: shop.a, every: 1h, options: {priority: 9}}}",
        [("priority-broker-order", "2:62")],
    ),
    "a schedule against its task": (
        "tasks: {shop.a: {priority: 9}}\nschedules: {s: {task: shop.a, every: 1h, options: {priority: 9}}}",
        [("priority-broker-order", "2:62")],
    ),
    "a task on Redis": (
        "tasks: {shop.a: {options: {priority: 3}}}",
        [("priority-broker-order", "1:38")],
    ),
    "out of range on Redis": (
        "tasks: {shop.a: {options: {priority: 20}}}",
        [("priority-out-of-range", "1:38")],
    ),
    "the default out of range": (
        "celery: {settings: {task_default_priority: 10}}",
        [("priority-out-of-range", "1:44")],
    ),
    "above the levels of its queue": (
        (
            'broker: {transport: rabbitmq, url: "${B}", version: "3.13"}\n'
            "queues: {q: {priorities: 3}}\n"
            "tasks: {shop.a: {queue: q, options: {priority: 3}}}"
        ),
        [("priority-out-of-range", "3:48")],
    ),
    "a queue without levels": (
        (
            'broker: {transport: rabbitmq, url: "${B}", version: "3.13"}\n'
            "tasks: {shop.a: {queue: q, options: {priority: 3}}}"
        ),
        [("priority-without-levels", "2:48")],
    ),
    "a schedule to a queue without levels": (
        (
            'broker: {transport: rabbitmq, url: "${B}", version: "3.13"}\n'
            "tasks: {shop.a: {queue: q}}\n"
            "schedules: {s: {task: shop.a, every: 1h, options: {priority: 1}}}"
        ),
        [("priority-without-levels", "3:62")],
    ),
}
ACCEPTS = {
    "declared": "tasks: {shop.a: {priority: 9}}",
    "a schedule as its task": (
        "tasks: {shop.a: {priority: 9}}\nschedules: {s: {task: shop.a, every: 1h, options: {priority: 0}}}"
    ),
    "a level of its queue": (
        'broker: {transport: rabbitmq, url: "${B}", version: "3.13"}\n'
        "queues: {q: {priorities: 3}}\n"
        "tasks: {shop.a: {queue: q, options: {priority: 2}}}"
    ),
    "a default on Redis": "celery: {settings: {task_default_priority: 5}}",
    "another app's queue": (
        'broker: {transport: rabbitmq, url: "${B}", version: "3.13"}\n'
        "queues: {q: {external: true}}\n"
        "tasks: {shop.a: {queue: q, external: true, options: {priority: 2}}}"
    ),
}


@pytest.mark.parametrize(("fragment", "findings"), REFUSES.values(), ids=REFUSES)
def test_it_refuses(fragment, findings):
    assert [(each.name, each.at) for each in after(priority_pins, fragment).findings] == findings


@pytest.mark.parametrize("fragment", ACCEPTS.values(), ids=ACCEPTS)
def test_it_accepts(fragment):
    assert after(priority_pins, fragment).findings == []
