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
                "declared",
            ),
            "task:shop.a/options.max_retries": (5, "declared"),
            "task:shop.a/options.retry_backoff": (2, "the first wait; it doubles each time"),
            "task:shop.a/options.retry_backoff_max": (300, "the longest wait between two runs"),
            "task:shop.a/options.retry_jitter": (False, "declared"),
        },
    ),
    "only the errors": (
        "tasks: {shop.a: {idempotent: true, retry: {on: [OSError]}}}",
        {
            "task:shop.a/options.autoretry_for": (["OSError"], "declared"),
            "task:shop.a/options.max_retries": (
                3,
                "enough for a dependency that restarts, few enough to notice a real failure",
            ),
            "task:shop.a/options.retry_backoff": (1, "the first wait; it doubles each time"),
            "task:shop.a/options.retry_backoff_max": (600, "the longest wait between two runs"),
            "task:shop.a/options.retry_jitter": (
                True,
                "tasks that failed together must not come back together",
            ),
        },
    ),
    "less than a second": (
        "tasks: {shop.a: {idempotent: true, retry: {on: [OSError], delay: 300ms}}}",
        {
            "task:shop.a/options.retry_backoff": (1, "the first wait; it doubles each time"),
        },
    ),
    "the task's own retry calls": (
        "tasks: {shop.a: {idempotent: true, retry: {max: 4}}}",
        {
            "task:shop.a/options.max_retries": (4, "declared"),
        },
    ),
    "a wait before the task's own retry calls": (
        "tasks: {shop.a: {idempotent: true, retry: {delay: 500ms}}}",
        {
            "task:shop.a/options.default_retry_delay": (0.5, "declared, for the task's own retry calls"),
        },
    ),
    "a pinned backoff without an end": (
        "tasks: {shop.a: {idempotent: true, options: {autoretry_for: [OSError], retry_backoff: 5}}}",
        {
            "task:shop.a/options.retry_backoff_max": (
                600,
                "Celery's own longest wait, where a backoff is pinned and no end of it",
            ),
        },
    ),
    "errors that are pinned are retried as declared": (
        (
            "tasks: {shop.a: {idempotent: true, retry: {delay: 2s, max_delay: 5m, jitter: false}, options: "
            "{autoretry_for: [OSError]}}}"
        ),
        {
            "task:shop.a/options.retry_backoff": (2, "the first wait; it doubles each time"),
            "task:shop.a/options.retry_backoff_max": (300, "the longest wait between two runs"),
            "task:shop.a/options.retry_jitter": (False, "declared"),
        },
    ),
    "none": (
        "tasks: {shop.a: {retry: none}}",
        {
            "task:shop.a/options.max_retries": (0, "declared: no retries"),
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
        [Found("retry-delay-order", "1:66", "the first wait is 120 s, the longest 60 s", "swap them")],
    ),
    "what only automatic retries have": (
        "tasks: {shop.a: {idempotent: true, retry: {delay: 1s, max_delay: 1m, jitter: false}}}",
        [
            Found(
                "retry-without-errors",
                "1:55",
                "`max_delay` is of automatic retries only, and no error is named that is retried",
                "add `on: [ConnectionError]` or the like, or remove it",
            ),
            Found(
                "retry-without-errors",
                "1:70",
                "`jitter` is of automatic retries only, and no error is named that is retried",
                "add `on: [ConnectionError]` or the like, or remove it",
            ),
        ],
    ),
    "declared not safe": (
        "tasks: {shop.a: {idempotent: false, retry: {on: [ConnectionError], max: 3}}}",
        [
            Found(
                "retry-non-idempotent",
                "1:73",
                "shop.a would retry 3 times, but it is not safe to run twice",
                (
                    "write `retry: none`, or make the task idempotent (for instance by a key stored "
                    "with its effect) and declare it"
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
                "shop.a would retry 3 times, and nobody declared whether it may run twice",
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
                "shop.a would retry 1 time, and nobody declared whether it may run twice",
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
                "shop.a would retry on errors, and nobody declared whether it may run twice",
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
                "shop.a would retry 2 times, and nobody declared whether it may run twice",
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
                "write its module too, such as `smtplib.SMTPServerDisconnected`",
            ),
        ],
    ),
    "a misspelt name": (
        "tasks: {shop.a: {idempotent: true, retry: {on: [ConectionError]}}}",
        [
            Found(
                "unknown-exception",
                "1:49",
                "`ConectionError` is not a built-in exception",
                (
                    "did you mean `ConnectionError`? write its module too, such as "
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
                "did you mean `OSError`? write its module too, such as `smtplib.SMTPServerDisconnected`",
            ),
            Found(
                "unknown-exception",
                "1:55",
                "`__main__.Busy` is in the main script, which differs between workers and producers",
                "write its module too, such as `smtplib.SMTPServerDisconnected`",
            ),
            Found(
                "unknown-exception",
                "1:70",
                "`OSError` is a built-in exception, not a module",
                "write its module too, such as `smtplib.SMTPServerDisconnected`",
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
                "write its module too, such as `smtplib.SMTPServerDisconnected`",
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
                "write its module too, such as `smtplib.SMTPServerDisconnected`",
            ),
            Found(
                "unknown-exception",
                "1:87",
                "`B` is not a built-in exception",
                "write its module too, such as `smtplib.SMTPServerDisconnected`",
            ),
            Found(
                "unknown-exception",
                "1:100",
                "`C` is not a built-in exception",
                "write its module too, such as `smtplib.SMTPServerDisconnected`",
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
                "write its module too, such as `smtplib.SMTPServerDisconnected`",
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
