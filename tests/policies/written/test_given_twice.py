"""What is said in two places is said alike."""

from __future__ import annotations

import pytest
from workloads import Found, after

from policycompiler.policies.written import given_twice

KEEP_ONE = "remove one of the two"
REFUSES = {
    "an expiry": (
        "tasks: {shop.a: {expires: 1h, options: {expires: 60}}}",
        Found(
            "given-twice",
            "1:50",
            "`expires: 3600` (seconds) and `expires: 60` contradict each other; Celery uses the pin",
            KEEP_ONE,
        ),
    ),
    "what becomes of the result": (
        "tasks: {shop.a: {result: keep, options: {ignore_result: true}}}",
        Found(
            "given-twice",
            "1:57",
            "`result: keep` and `ignore_result: true` contradict each other; Celery uses the pin",
            KEEP_ONE,
        ),
    ),
    "how long results are kept": (
        "results: {backend: rpc, keep: 1h}\ncelery: {settings: {result_expires: 60}}",
        Found(
            "given-twice",
            "2:37",
            "`keep: 3600` (seconds) and `result_expires: 60` contradict each other; Celery uses the pin",
            KEEP_ONE,
        ),
    ),
    "a retry elsewhere": (
        "tasks: {shop.a: {external: true, queue: theirs, retry: {on: [OSError]}}}",
        Found(
            "external-retry",
            "1:49",
            "another app runs shop.a and decides its retries, so this `retry` has no effect",
            "declare the retry in the app that runs the task",
        ),
    ),
}
ACCEPTS = {
    "the same expiry": "tasks: {shop.a: {expires: 1h, options: {expires: 3600}}}",
    "the same result": "tasks: {shop.a: {result: keep, options: {ignore_result: false}}}",
    "only the pin": "tasks: {shop.a: {options: {expires: 60, ignore_result: true}}}",
    "only the declaration": "results: {backend: rpc, keep: 1h}",
    "no limit pinned": "results: {backend: rpc}\ncelery: {settings: {result_expires: null}}",
    "no retry elsewhere": "tasks: {shop.a: {external: true, queue: theirs, retry: none}}",
}


@pytest.mark.parametrize(("fragment", "finding"), REFUSES.values(), ids=REFUSES)
def test_it_refuses(fragment, finding):
    assert after(given_twice, fragment).findings == [finding]


@pytest.mark.parametrize("fragment", ACCEPTS.values(), ids=ACCEPTS)
def test_it_accepts(fragment):
    assert after(given_twice, fragment).findings == []
