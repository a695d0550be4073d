"""Only what may run twice is retried, and not all at once."""

from __future__ import annotations

import pytest
from workloads import Found, after

from policycompiler.policies.delivery import retries

DECIDES = {
    "all of it": (
        (
            "tasks: {shop.a: {idempotent: true, retry: {on: [ConnectionError, "
            "smtplib.SMTPServerDisconnected], max: 5, delay: 2s, max_delay: 5m, jitter: "
            "false}}}"
        ),
        {
            "task:shop.a/options.autoretry_for": (
                ["ConnectionError", "smtplib.SMTPServerDisconnected"],
                "the workload declares it",
            ),
            "task:shop.a/options.max_retries": (5, "the workload declares it"),
            "task:shop.a/options.retry_backoff": (
                2,
                ("the first retry waits this long, and each later one twice as long as the one before"),
            ),
            "task:shop.a/options.retry_backoff_max": (300, "no retry waits longer than this"),
            "task:shop.a/options.retry_jitter": (False, "the workload declares it"),
        },
    ),
    "only the errors": (
        "tasks: {shop.a: {idempotent: true, retry: {on: [OSError]}}}",
        {
            "task:shop.a/options.autoretry_for": (["OSError"], "the workload declares it"),
            "task:shop.a/options.max_retries": (
                3,
                "three retries outlast the restart of a dependency and still show a real failure soon",
            ),
            "task:shop.a/options.retry_backoff": (
                1,
                ("the first retry waits this long, and each later one twice as long as the one before"),
            ),
            "task:shop.a/options.retry_backoff_max": (600, "no retry waits longer than this"),
            "task:shop.a/options.retry_jitter": (
                True,
                "tasks that failed together must not be retried together",
            ),
        },
    ),
    "less than a second": (
        "tasks: {shop.a: {idempotent: true, retry: {on: [OSError], delay: 300ms}}}",
        {
            "task:shop.a/options.retry_backoff": (
                1,
                ("the first retry waits this long, and each later one twice as long as the one before"),
            ),
        },
    ),
    "the task's own retry calls": (
        "tasks: {shop.a: {idempotent: true, retry: {max: 4}}}",
        {
            "task:shop.a/options.max_retries": (4, "the workload declares it"),
        },
    ),
    "a wait before the task's own retry calls": (
        "tasks: {shop.a: {idempotent: true, retry: {delay: 500ms}}}",
        {
            "task:shop.a/options.default_retry_delay": (
                0.5,
                ("the workload declares this wait for the task's own retry calls"),
            ),
        },
    ),
    "a pinned backoff without an end": (
        "tasks: {shop.a: {idempotent: true, options: {autoretry_for: [OSError], retry_backoff: 5}}}",
        {
            "task:shop.a/options.retry_backoff_max": (
                600,
                "the pinned backoff has no longest wait, so Celery's default applies",
            ),
        },
    ),
    "errors that are pinned are retried as declared": (
        (
            "tasks: {shop.a: {idempotent: true, retry: {delay: 2s, max_delay: 5m, jitter: false}, options: "
            "{autoretry_for: [OSError]}}}"
        ),
        {
            "task:shop.a/options.retry_backoff": (
                2,
                ("the first retry waits this long, and each later one twice as long as the one before"),
            ),
            "task:shop.a/options.retry_backoff_max": (300, "no retry waits longer than this"),
            "task:shop.a/options.retry_jitter": (False, "the workload declares it"),
        },
    ),
    "none": (
        "tasks: {shop.a: {retry: none}}",
        {
            "task:shop.a/options.max_retries": (0, "the workload declares no retries"),
        },
    ),
}
STAYS_SILENT = {
    "nothing is declared": (
        "tasks: {shop.a: }",
        ["task:shop.a/options.max_retries", "task:shop.a/options.autoretry_for"],
    ),
    "none has no waits": (
        "tasks: {shop.a: {retry: none}}",
        ["task:shop.a/options.autoretry_for", "task:shop.a/options.retry_backoff"],
    ),
    "no error is named": (
        "tasks: {shop.a: {idempotent: true, retry: {max: 4}}}",
        ["task:shop.a/options.autoretry_for", "task:shop.a/options.retry_backoff"],
    ),
    "an error is named": (
        "tasks: {shop.a: {idempotent: true, retry: {on: [OSError], delay: 2s}}}",
        ["task:shop.a/options.default_retry_delay"],
    ),
    "the wait before the task's own retry calls is pinned": (
        "tasks: {shop.a: {idempotent: true, retry: {delay: 2s}, options: {default_retry_delay: 9}}}",
        ["task:shop.a/options.default_retry_delay"],
    ),
    "all is pinned": (
        (
            "tasks: {shop.a: {idempotent: true, retry: {on: [OSError]}, options: "
            "{autoretry_for: [KeyError], max_retries: 1, retry_backoff: 3, retry_backoff_max: "
            "9, retry_jitter: false}}}"
        ),
        [
            "task:shop.a/options.autoretry_for",
            "task:shop.a/options.max_retries",
            "task:shop.a/options.retry_backoff",
            "task:shop.a/options.retry_backoff_max",
            "task:shop.a/options.retry_jitter",
        ],
    ),
    "another app retries it": (
        "tasks: {shop.a: {external: true, queue: q, retry: {on: [OSError]}}}",
        ["task:shop.a/options.autoretry_for"],
    ),
}
LEADS_TO = {
    "the declaration": (
        "tasks: {shop.a: {idempotent: true, retry: {on: [OSError], max: 5}}}",
        "task:shop.a/options.max_retries",
        ["1:64"],
    ),
    "the declared wait": (
        "tasks: {shop.a: {idempotent: true, retry: {delay: 2s}}}",
        "task:shop.a/options.default_retry_delay",
        ["1:51"],
    ),
    "the policy and the declaration": (
        "tasks: {shop.a: {idempotent: true, retry: {on: [OSError]}}}",
        "task:shop.a/options.retry_backoff_max",
        ["1:43", "LONGEST_DELAY_SECONDS"],
    ),
    "the pinned backoff": (
        "tasks: {shop.a: {idempotent: true, options: {autoretry_for: [OSError], retry_backoff: 5}}}",
        "task:shop.a/options.retry_backoff_max",
        ["1:87", "LONGEST_DELAY_SECONDS"],
    ),
}
REFUSES = {
    "a first wait above the longest": (
        "tasks: {shop.a: {idempotent: true, retry: {on: [OSError], delay: 2m, max_delay: 1m}}}",
        [
            Found(
                "retry-delay-order",
                "1:66",
                ("the first retry waits 2 min, longer than the longest wait, 1 min"),
                ("swap the two values"),
            )
        ],
    ),
    "what only automatic retries have": (
        "tasks: {shop.a: {idempotent: true, retry: {delay: 1s, max_delay: 1m, jitter: false}}}",
        [
            Found(
                "retry-without-errors",
                "1:55",
                "`max_delay` affects only automatic retries, but `on` names no error to retry",
                "add errors, such as `on: [ConnectionError]`, or remove `max_delay`",
            ),
            Found(
                "retry-without-errors",
                "1:70",
                "`jitter` affects only automatic retries, but `on` names no error to retry",
                "add errors, such as `on: [ConnectionError]`, or remove `jitter`",
            ),
        ],
    ),
    "declared not safe": (
        "tasks: {shop.a: {idempotent: false, retry: {on: [ConnectionError], max: 3}}}",
        [
            Found(
                "retry-non-idempotent",
                "1:73",
                "shop.a retries 3 times, but it is not safe to run twice",
                (
                    "write `retry: none`, or make the task idempotent (for instance with a key stored with "
                    "its effect) and declare it"
                ),
            ),
        ],
    ),
    "nothing declared": (
        "tasks: {shop.a: {retry: {}}}",
        [
            Found(
                "retry-undeclared",
                "1:25",
                "shop.a retries 3 times, but it does not declare whether it is safe to run twice",
                "declare `idempotent: true` or `idempotent: false`",
            ),
        ],
    ),
    "once": (
        "tasks: {shop.a: {retry: {max: 1}}}",
        [
            Found(
                "retry-undeclared",
                "1:31",
                "shop.a retries 1 time, but it does not declare whether it is safe to run twice",
                "declare `idempotent: true` or `idempotent: false`",
            ),
        ],
    ),
    "pinned by option": (
        "tasks: {shop.a: {options: {autoretry_for: [KeyError, Exception]}}}",
        [
            Found(
                "retry-undeclared",
                "1:43",
                "shop.a retries on errors, but it does not declare whether it is safe to run twice",
                "declare `idempotent: true` or `idempotent: false`",
            ),
        ],
    ),
    "pinned number": (
        "tasks: {shop.a: {options: {max_retries: 2}}}",
        [
            Found(
                "retry-undeclared",
                "1:41",
                "shop.a retries 2 times, but it does not declare whether it is safe to run twice",
                "declare `idempotent: true` or `idempotent: false`",
            ),
        ],
    ),
    "a name without its module": (
        "tasks: {shop.a: {idempotent: true, retry: {on: [Timeout, OSError]}}}",
        [
            Found(
                "unknown-exception",
                "1:49",
                "`Timeout` is not a built-in exception",
                "write the exception with its module, such as `smtplib.SMTPServerDisconnected`",
            ),
        ],
    ),
    "a misspelled name": (
        "tasks: {shop.a: {idempotent: true, retry: {on: [ConectionError]}}}",
        [
            Found(
                "unknown-exception",
                "1:49",
                "`ConectionError` is not a built-in exception",
                (
                    "did you mean `ConnectionError`? write the exception with its module, such as "
                    "`smtplib.SMTPServerDisconnected`"
                ),
            ),
        ],
    ),
    "names that no process can find": (
        "tasks: {shop.a: {options: {throws: [builtins.Oserror, __main__.Busy, OSError.Busy]}}}",
        [
            Found(
                "unknown-exception",
                "1:37",
                "`builtins.Oserror` is not a built-in exception",
                "did you mean `OSError`? write the exception with its module, such as `smtplib.SMTPServerDisconnected`",
            ),
            Found(
                "unknown-exception",
                "1:55",
                "`__main__.Busy` is in the main script, which differs between workers and producers",
                "write the exception with its module, such as `smtplib.SMTPServerDisconnected`",
            ),
            Found(
                "unknown-exception",
                "1:70",
                "`OSError` is a built-in exception, not a module",
                "write the exception with its module, such as `smtplib.SMTPServerDisconnected`",
            ),
        ],
    ),
    "a built-in that is no exception": (
        "tasks: {shop.a: {options: {throws: [print]}}}",
        [
            Found(
                "unknown-exception",
                "1:37",
                "`print` is not a built-in exception",
                "write the exception with its module, such as `smtplib.SMTPServerDisconnected`",
            ),
        ],
    ),
    "in every option": (
        (
            "tasks: {shop.a: {idempotent: true, options: {autoretry_for: [A], "
            "dont_autoretry_for: [B], throws: [C]}}}"
        ),
        [
            Found(
                "unknown-exception",
                "1:62",
                "`A` is not a built-in exception",
                "write the exception with its module, such as `smtplib.SMTPServerDisconnected`",
            ),
            Found(
                "unknown-exception",
                "1:87",
                "`B` is not a built-in exception",
                "write the exception with its module, such as `smtplib.SMTPServerDisconnected`",
            ),
            Found(
                "unknown-exception",
                "1:100",
                "`C` is not a built-in exception",
                "write the exception with its module, such as `smtplib.SMTPServerDisconnected`",
            ),
        ],
    ),
    "of another app's task": (
        "tasks: {shop.a: {external: true, queue: q, options: {throws: [Timeout]}}}",
        [
            Found(
                "unknown-exception",
                "1:63",
                "`Timeout` is not a built-in exception",
                "write the exception with its module, such as `smtplib.SMTPServerDisconnected`",
            ),
        ],
    ),
}
ACCEPTS = {
    "declared safe": "tasks: {shop.a: {idempotent: true, retry: {on: [ConnectionError], max: 3}}}",
    "none": "tasks: {shop.a: {idempotent: false, retry: none}}",
    "pinned to none": "tasks: {shop.a: {options: {max_retries: 0, autoretry_for: [KeyError]}}}",
    "errors that are pinned": (
        "tasks: {shop.a: {idempotent: true, retry: {jitter: false}, options: {autoretry_for: [OSError]}}}"
    ),
    "another app's": "tasks: {shop.a: {external: true, queue: q, retry: {max: 3}}}",
    "a name with its module": (
        "tasks: {shop.a: {idempotent: true, retry: {on: [requests.Timeout, OSError]}}}"
    ),
}


@pytest.mark.parametrize(("fragment", "expected"), DECIDES.values(), ids=DECIDES)
def test_it_decides(fragment, expected):
    decided = after(retries, fragment).decided
    assert {address: decided.get(address) for address in expected} == expected


@pytest.mark.parametrize(("fragment", "addresses"), STAYS_SILENT.values(), ids=STAYS_SILENT)
def test_it_stays_silent(fragment, addresses):
    assert after(retries, fragment).decided.keys().isdisjoint(addresses)


@pytest.mark.parametrize(("fragment", "address", "places"), LEADS_TO.values(), ids=LEADS_TO)
def test_its_origins_lead_to(fragment, address, places):
    assert after(retries, fragment).origins[address] == places


@pytest.mark.parametrize(("fragment", "findings"), REFUSES.values(), ids=REFUSES)
def test_it_refuses(fragment, findings):
    assert after(retries, fragment).findings == findings


@pytest.mark.parametrize("fragment", ACCEPTS.values(), ids=ACCEPTS)
def test_it_accepts(fragment):
    assert after(retries, fragment).findings == []
