"""Results that are read are kept, and errors."""

from __future__ import annotations

import pytest
from workloads import Found, after

from policycompiler.policies.delivery import results

DECIDES = {
    "no place for results": (
        "tasks: {shop.a: }",
        {
            "task:shop.a/options.ignore_result": (True, "the workload declares no result backend"),
            "app/task_ignore_result": (True, "the workload declares no result backend"),
        },
    ),
    "nobody said that it is ignored": (
        'results: {backend: redis, url: "${R}"}\ntasks: {shop.a: }',
        {
            "task:shop.a/options.ignore_result": (
                False,
                "the workload declares a result backend, and the task does not declare `result: ignore`",
            ),
            "task:shop.a/options.store_errors_even_if_ignored": None,
            "app/task_ignore_result": (
                False,
                "a client may wait for the result of an undeclared task",
            ),
            "app/result_expires": (3600, "this is long enough for a client that waits for a result"),
        },
    ),
    "somebody reads it": (
        'results: {backend: redis, url: "${R}"}\ntasks: {shop.a: {result: keep}}',
        {
            "task:shop.a/options.ignore_result": (False, "the workload declares it"),
        },
    ),
    "declared ignored": (
        ('results: {backend: redis, url: "${R}"}\ntasks: {shop.a: {result: ignore, canvas: [chord]}}'),
        {
            "task:shop.a/options.ignore_result": (True, "the workload declares it"),
            "task:shop.a/options.store_errors_even_if_ignored": (
                True,
                "errors are few, and people need them",
            ),
        },
    ),
    "another app's, whatever there is here": (
        "tasks: {shop.a: {external: true, queue: q}}",
        {
            "task:shop.a/options.ignore_result": (
                False,
                ("another app runs the task and decides whether to store its result"),
            )
        },
    ),
    "a pin of one does not change the other": (
        'results: {backend: redis, url: "${R}"}\ntasks: {shop.a: {options: {ignore_result: true}}}',
        {"task:shop.a/options.store_errors_even_if_ignored": None},
    ),
    "kept as long as declared": (
        "results: {backend: redis, url: '${R}', keep: 5m}",
        {
            "app/result_expires": (300, "the workload declares it"),
        },
    ),
    "over the broker": (
        "results: {backend: rpc}",
        {
            "app/result_backend": ("rpc://", "the backend `rpc` sends results through the broker"),
            "app/result_expires": (3600, "this is long enough for a client that waits for a result"),
        },
    ),
    "as long as a part of a chord may run": (
        (
            "results: {backend: redis, url: '${R}'}\n"
            "tasks: {shop.a: {canvas: [chord], options: {time_limit: 9000}}}"
        ),
        {
            "app/result_expires": (
                9000,
                "a chord needs the results of its parts, and the part shop.a may run this long",
            ),
        },
    ),
    "none": (
        "results: {backend: none}\ntasks: {shop.a: {canvas: [chord]}}",
        {
            "task:shop.a/options.ignore_result": (True, "the workload declares no result backend"),
            "app/task_ignore_result": (True, "the workload declares no result backend"),
        },
    ),
}
STAYS_SILENT = {
    "none is kept": (
        "results: {backend: none, keep: 1h}\ntasks: {shop.a: }",
        ["app/result_expires", "app/result_backend", "task:shop.a/options.store_errors_even_if_ignored"],
    ),
    "errors come with the result": (
        'results: {backend: redis, url: "${R}"}\ntasks: {shop.a: {result: keep}}',
        ["task:shop.a/options.store_errors_even_if_ignored"],
    ),
    "pinned": (
        (
            'results: {backend: redis, url: "${R}"}\n'
            "celery: {settings: {task_ignore_result: true, result_expires: 5}}\n"
            "tasks: {shop.a: {options: {ignore_result: false, store_errors_even_if_ignored: "
            "false}}}"
        ),
        [
            "task:shop.a/options.ignore_result",
            "task:shop.a/options.store_errors_even_if_ignored",
            "app/task_ignore_result",
            "app/result_expires",
        ],
    ),
    "rpc at an address": ("results: {backend: rpc, url: '${R}'}", ["app/result_backend"]),
}
LEADS_TO = {
    "a place for results that is none": (
        "results: {backend: none}\ntasks: {shop.a: }",
        "app/task_ignore_result",
        ["1:20"],
    ),
    "no word about results": ("tasks: {shop.a: }", "app/task_ignore_result", ["IGNORE_WITHOUT_BACKEND"]),
    "the declaration": (
        'results: {backend: redis, url: "${R}"}\ntasks: {shop.a: {result: keep}}',
        "task:shop.a/options.ignore_result",
        ["2:26"],
    ),
    "the section": (
        'results: {backend: redis, url: "${R}"}\ntasks: {shop.a: {canvas: [chord]}}',
        "task:shop.a/options.ignore_result",
        ["1:10"],
    ),
    "the policy and the section": (
        'results: {backend: redis, url: "${R}"}\ntasks: {shop.a: {result: ignore}}',
        "task:shop.a/options.store_errors_even_if_ignored",
        ["STORE_ERRORS", "1:10"],
    ),
    "how long": ("results: {backend: redis, url: '${R}', keep: 5m}", "app/result_expires", ["1:46"]),
}
READ = (
    "remove `results:`, or write `result: keep` in the tasks whose results are read; if only "
    "errors are read, pin `task_store_errors_even_if_ignored: true`"
)
REFUSES = {
    "kept nowhere": (
        "tasks: {shop.a: {result: keep}}",
        [
            Found(
                "result-without-backend",
                "1:26",
                "shop.a keeps its result, but the workload declares no result backend",
                "add `results:`, or write `result: ignore`",
            ),
        ],
    ),
    "kept in none": (
        "results: {backend: none}\ntasks: {shop.a: {result: keep}}",
        [
            Found(
                "result-without-backend",
                "2:26",
                "shop.a keeps its result, but the workload declares no result backend",
                "add `results:`, or write `result: ignore`",
            ),
        ],
    ),
    "no URL": (
        "results: {backend: redis}",
        [
            Found(
                "result-backend-without-url",
                "1:20",
                "results are stored in redis, but the workload declares no URL for it",
                "add `url: ${CELERY_RESULT_BACKEND}`",
            ),
        ],
    ),
    "stored and never read": (
        (
            "results: {backend: redis, url: '${R}'}\n"
            "tasks: {shop.a: {result: ignore}, shop.b: {external: true, queue: q}}"
        ),
        [
            Found(
                "result-unneeded",
                "1:20",
                "results are stored in redis, but every task ignores its result",
                READ,
            ),
        ],
    ),
    "ignored by a pin": (
        "celery: {settings: {task_ignore_result: true}}\nresults: {backend: rpc}\ntasks: {shop.a: {}}",
        [
            Found(
                "result-unneeded",
                "1:41",
                "results are stored in rpc, but every task ignores its result",
                READ,
            ),
        ],
    ),
    "in S3": (
        "results: {backend: s3, url: '${R}'}\ntasks: {shop.a: {result: keep}}",
        [
            Found(
                "results-never-expire",
                "1:20",
                "Celery deletes nothing from s3: results stay forever, even if `keep` is set",
                "give the bucket a lifecycle rule that deletes old objects",
            ),
        ],
    ),
}
ACCEPTS = {
    "only errors are looked at": (
        "results: {backend: redis, url: '${R}'}\n"
        "celery: {settings: {task_store_errors_even_if_ignored: true}}\ntasks: {shop.a: {result: ignore}}"
    ),
    "read because it is pinned": (
        "results: {backend: redis, url: '${R}'}\ntasks: {shop.a: {options: {ignore_result: false}}}"
    ),
    "nothing is said of a result": "results: {backend: redis, url: '${R}'}\ntasks: {shop.a: {}}",
    "kept in Redis": 'results: {backend: redis, url: "${R}"}\ntasks: {shop.a: {result: keep}}',
    "ignored": "tasks: {shop.a: {result: ignore}}",
    "rpc needs no URL": "results: {backend: rpc}\ntasks: {shop.a: {result: keep}}",
    "none needs no URL": "results: {backend: none}",
}


@pytest.mark.parametrize(("fragment", "expected"), DECIDES.values(), ids=DECIDES)
def test_it_decides(fragment, expected):
    decided = after(results, fragment).decided
    assert {address: decided.get(address) for address in expected} == expected


@pytest.mark.parametrize(("fragment", "addresses"), STAYS_SILENT.values(), ids=STAYS_SILENT)
def test_it_stays_silent(fragment, addresses):
    assert after(results, fragment).decided.keys().isdisjoint(addresses)


@pytest.mark.parametrize(("fragment", "address", "places"), LEADS_TO.values(), ids=LEADS_TO)
def test_its_origins_lead_to(fragment, address, places):
    assert after(results, fragment).origins[address] == places


@pytest.mark.parametrize(("fragment", "findings"), REFUSES.values(), ids=REFUSES)
def test_it_refuses(fragment, findings):
    assert after(results, fragment).findings == findings


@pytest.mark.parametrize("fragment", ACCEPTS.values(), ids=ACCEPTS)
def test_it_accepts(fragment):
    assert after(results, fragment).findings == []
