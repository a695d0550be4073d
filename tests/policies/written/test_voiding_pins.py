"""A pin that takes away what the plan promises is said so."""

from __future__ import annotations

import pytest
from workloads import after

from policycompiler.policies.written import voiding_pins

REFUSES = {
    "every task in its sender": (
        "celery: {settings: {task_always_eager: true}}",
        [("tasks-always-eager", "1:40")],
    ),
    "a rate of nothing": (
        "tasks: {shop.a: {options: {rate_limit: 0/m}}}",
        [("rate-limit-zero", "1:40")],
    ),
    "a default rate of nothing": (
        "celery: {settings: {task_default_rate_limit: 0}}",
        [("rate-limit-zero", "1:46")],
    ),
    "no rate limits": (
        "celery: {settings: {worker_disable_rate_limits: true, task_default_rate_limit: 5/m}}",
        [("rate-limits-disabled", "1:49")],
    ),
    "bytes for KiB": (
        "queues: {q: {}}\nworkers: {q: {memory: 2GiB, options: {max_memory_per_child: 536870912}}}",
        [("memory-per-child-unreachable", "2:61")],
    ),
    "bytes for KiB, for all workers": (
        "queues: {q: {}}\ncelery: {settings: {worker_max_memory_per_child: 536870912}}",
        [("memory-per-child-unreachable", "2:50")],
    ),
}
ACCEPTS = {
    "no rate limits, and none is set": (
        "celery: {settings: {worker_disable_rate_limits: true}}\n"
        "tasks: {shop.a: {options: {rate_limit: null}}}"
    ),
    "KiB": "queues: {q: {}}\nworkers: {q: {memory: 2GiB, options: {max_memory_per_child: 524288}}}",
    "a rate": "tasks: {shop.a: {options: {rate_limit: 0.5/m}}}",
}


@pytest.mark.parametrize(("fragment", "findings"), REFUSES.values(), ids=REFUSES)
def test_it_refuses(fragment, findings):
    assert [(each.name, each.at) for each in after(voiding_pins, fragment).findings] == findings


@pytest.mark.parametrize("fragment", ACCEPTS.values(), ids=ACCEPTS)
def test_it_accepts(fragment):
    assert after(voiding_pins, fragment).findings == []
