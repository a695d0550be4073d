"""What expires before it can start is said so."""

from __future__ import annotations

import pytest
from workloads import after

from policycompiler.policies.delivery import expiry_checks

REFUSES = {
    "a task with a countdown": (
        "tasks: {shop.a: {expires: 1m, max_countdown: 10m}}",
        [("expires-before-countdown", "1:27")],
    ),
    "a pinned expiry": (
        "tasks: {shop.a: {max_countdown: 60s, options: {expires: 60}}}",
        [("expires-before-countdown", "1:57")],
    ),
    "a countdown of a schedule": (
        (
            "tasks: {shop.a: {}}\n"
            "schedules: {s: {task: shop.a, every: 1h, expires: 5m, options: {countdown: 600}}}"
        ),
        [("expires-before-countdown", "2:51")],
    ),
    "a countdown of a schedule, and its task expires": (
        (
            "tasks: {shop.a: {expires: 5m}}\n"
            "schedules: {s: {task: shop.a, every: 1h, options: {countdown: 600}}}"
        ),
        [("expires-before-countdown", "1:27")],
    ),
    "a class that lets it wait": (
        "tasks: {shop.a: {latency: batch, expires: 10s}}",
        [("expires-within-promise", "1:43")],
    ),
    "a class that lets a run wait": (
        (
            "tasks: {shop.*: {latency: batch}}\n"
            "schedules: {s: {task: shop.a, every: 1h, options: {expires: 10}}}"
        ),
        [("expires-within-promise", "2:61")],
    ),
    "too little is left after the countdown": (
        (
            "tasks: {shop.a: {latency: standard}}\n"
            "schedules: {s: {task: shop.a, every: 1h, options: {countdown: 600, expires: 620}}}"
        ),
        [("expires-within-promise", "2:77")],
    ),
}
ACCEPTS = {
    "after the countdown": "tasks: {shop.a: {expires: 11m, max_countdown: 10m}}",
    "nobody declared how long it may wait": "tasks: {shop.a: {expires: 10s}}",
    "what the compiler decides": (
        "tasks: {shop.a: {latency: batch}}\n"
        "schedules: {s: {task: shop.a, every: 10m, options: {countdown: 600}}}"
    ),
    "a short wait": "tasks: {shop.a: {latency: interactive, expires: 10s}}",
    "another app's": "tasks: {shop.a: {external: true, queue: q, expires: 1m, max_countdown: 10m}}",
}


@pytest.mark.parametrize(("fragment", "findings"), REFUSES.values(), ids=REFUSES)
def test_it_refuses(fragment, findings):
    assert [(each.name, each.at) for each in after(expiry_checks, fragment).findings] == findings


@pytest.mark.parametrize("fragment", ACCEPTS.values(), ids=ACCEPTS)
def test_it_accepts(fragment):
    assert after(expiry_checks, fragment).findings == []
