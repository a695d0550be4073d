"""Retries that do harm, come too late, or are never made."""

from __future__ import annotations

import pytest
from workloads import Found, after

from policycompiler.policies.delivery import retry_checks

REFUSES = {
    "every error": (
        "tasks: {shop.a: {idempotent: true, retry: {on: [OSError, Exception]}}}",
        [
            Found(
                "autoretry-broad",
                "1:58",
                (
                    "shop.a is retried on every `Exception`, also after a bug or a wrong argument: the "
                    "failure is reported only after the last retry"
                ),
                ("name the temporary errors, such as `ConnectionError` or `TimeoutError`"),
            )
        ],
    ),
    "every error, pinned": (
        "tasks: {shop.a: {idempotent: true, options: {autoretry_for: [BaseException]}}}",
        [
            Found(
                "autoretry-broad",
                "1:62",
                (
                    "shop.a is retried on every `BaseException`, also after a bug or a wrong argument: the "
                    "failure is reported only after the last retry"
                ),
                ("name the temporary errors, such as `ConnectionError` or `TimeoutError`"),
            )
        ],
    ),
    "for ever": (
        ("tasks: {shop.a: {idempotent: true, retry: {on: [OSError]}, options: {max_retries: null}}}"),
        [
            Found(
                "retry-unbounded",
                "1:83",
                ("shop.a is retried without end: a permanent error never shows as a failure of the task"),
                "write a number of retries",
            )
        ],
    ),
    "a crowd": (
        (
            "tasks: {shop.a: {idempotent: true, rate: {mean: 1/m, peak: 5/s}, retry: {on: "
            "[OSError], jitter: false}}}"
        ),
        [
            Found(
                "retry-no-jitter",
                "1:97",
                (
                    "shop.a is sent 5 times a second: without jitter, tasks that fail together are retried "
                    "together"
                ),
                "remove `jitter: false`",
            )
        ],
    ),
    "a crowd, pinned": (
        (
            "tasks: {shop.a: {idempotent: true, rate: 5/s, retry: {on: [OSError]}, options:"
            " {retry_jitter: false}}}"
        ),
        [
            Found(
                "retry-no-jitter",
                "1:95",
                (
                    "shop.a is sent 5 times a second: without jitter, tasks that fail together are retried "
                    "together"
                ),
                "remove `retry_jitter: false`",
            )
        ],
    ),
    "later than it expires": (
        ("tasks: {shop.a: {idempotent: true, expires: 1m, retry: {on: [OSError], max: 9}}}"),
        [
            Found(
                "retry-span-exceeds-deadline",
                "1:77",
                (
                    "9 retries of shop.a wait up to 8 min 31 s, but it expires after 1 min: the last 4 may "
                    "never be made"
                ),
                "declare fewer retries, shorter waits, or a later expiry",
            )
        ],
    ),
    "later, all pinned": (
        (
            "tasks: {shop.a: {idempotent: true, options: {expires: 4, autoretry_for: "
            "[OSError], max_retries: 3, retry_backoff: 2, retry_backoff_max: 60}}}"
        ),
        [
            Found(
                "retry-span-exceeds-deadline",
                "1:97",
                (
                    "3 retries of shop.a wait up to 14 s, but it expires after 4 s: the last 2 may "
                    "never be made"
                ),
                "declare fewer retries, shorter waits, or a later expiry",
            )
        ],
    ),
    "no retry has a wait": (
        ("tasks: {shop.a: {retry: none, options: {retry_backoff: 2, retry_backoff_max: 60}}}"),
        [
            Found(
                "retry-knobs-inert",
                "1:41",
                "no error is retried, so `retry_backoff` has no effect",
                "remove `retry_backoff`",
            ),
            Found(
                "retry-knobs-inert",
                "1:59",
                "no error is retried, so `retry_backoff_max` has no effect",
                "remove `retry_backoff_max`",
            ),
        ],
    ),
    "a wait that does not grow": (
        (
            "tasks: {shop.a: {idempotent: true, options: {autoretry_for: [OSError], "
            "retry_backoff: 0, retry_jitter: true, retry_backoff_max: 60}}}"
        ),
        [
            Found(
                "retry-knobs-inert",
                "1:110",
                ("`retry_backoff: 0` turns the backoff off, so `retry_backoff_max` has no effect"),
                "remove `retry_backoff_max`",
            ),
            Found(
                "retry-knobs-inert",
                "1:90",
                ("`retry_backoff: 0` turns the backoff off, so `retry_jitter` has no effect"),
                "remove `retry_jitter`",
            ),
        ],
    ),
}
ACCEPTS = {
    "named errors": "tasks: {shop.a: {idempotent: true, retry: {on: [OSError]}}}",
    "the task's own retries without end": "tasks: {shop.a: {idempotent: true, options: {max_retries: null}}}",
    "few arrive": ("tasks: {shop.a: {idempotent: true, rate: 5/m, retry: {on: [OSError], jitter: false}}}"),
    "none says how many arrive": "tasks: {shop.a: {idempotent: true, retry: {on: [OSError], jitter: false}}}",
    "all in time": ("tasks: {shop.a: {idempotent: true, expires: 1h, retry: {on: [OSError], max: 9}}}"),
    "nobody says which errors": (
        "tasks: {shop.a: {idempotent: true, options: {retry_backoff: 2, "
        "retry_backoff_max: 60, retry_jitter: false}}}"
    ),
    "another app's": "tasks: {shop.a: {external: true, queue: q, retry: {on: [Exception]}}}",
    "restarts are retries too": (
        "tasks: {shop.a: {idempotent: true, retry: none, options: {autoretry_for: "
        "[OSError], retry_backoff: 2}}}"
    ),
}


@pytest.mark.parametrize(("fragment", "findings"), REFUSES.values(), ids=REFUSES)
def test_it_refuses(fragment, findings):
    assert after(retry_checks, fragment).findings == findings


@pytest.mark.parametrize("fragment", ACCEPTS.values(), ids=ACCEPTS)
def test_it_accepts(fragment):
    assert after(retry_checks, fragment).findings == []
