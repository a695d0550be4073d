"""Every run has a soft and a hard limit that agree."""

from __future__ import annotations

import pytest
from workloads import Found, after

from policycompiler.policies import time_limits

DECIDES = {
    "from the longest run": (
        "tasks: {shop.a: {runtime: {p50: 40m, p99: 2h}}}",
        {
            "task:shop.a/options.soft_time_limit": (
                8640,
                "a run well past its 99th percentile is stuck, not slow",
            ),
            "task:shop.a/options.time_limit": (
                10368,
                "time to clean up after the soft limit, then its process is killed",
            ),
        },
    ),
    "from the class": (
        "tasks: {shop.a: }",
        {
            "task:shop.a/options.soft_time_limit": (
                360,
                "no run time is declared: the longest of class `standard`, and a margin",
            ),
            "task:shop.a/options.time_limit": (
                432,
                "time to clean up after the soft limit, then its process is killed",
            ),
            "app/task_soft_time_limit": (
                360,
                "no run time is declared: the longest of class `standard`, and a margin",
            ),
            "app/task_time_limit": (432, "time to clean up after the soft limit, then its process is killed"),
        },
    ),
    "a short task has time to clean up": (
        "tasks: {shop.a: {runtime: 300ms}}",
        {
            "task:shop.a/options.soft_time_limit": (
                1,
                "a run well past its 99th percentile is stuck, not slow",
            ),
            "task:shop.a/options.time_limit": (
                6,
                "time to clean up after the soft limit, then its process is killed",
            ),
        },
    ),
    "the hard limit is pinned": (
        "tasks: {shop.a: {options: {time_limit: 120}}}",
        {
            "task:shop.a/options.soft_time_limit": (
                100,
                "leaves time to clean up before the pinned hard limit",
            ),
        },
    ),
    "a hard limit little above the 99th percentile": (
        "tasks: {shop.a: {runtime: 100s, options: {time_limit: 110}}}",
        {
            "task:shop.a/options.soft_time_limit": (
                100,
                "no shorter than the 99th percentile, and below the pinned hard limit",
            ),
        },
    ),
    "null stands for nothing": (
        "tasks: {shop.a: {options: {time_limit: null}}}",
        {
            "task:shop.a/options.time_limit": (
                432,
                "time to clean up after the soft limit, then its process is killed",
            ),
        },
    ),
    "the app's null": (
        "celery: {settings: {task_time_limit: null, task_soft_time_limit: 100}}",
        {
            "app/task_time_limit": (120, "time to clean up after the soft limit, then its process is killed"),
        },
    ),
    "a hard limit of one second": (
        "tasks: {shop.a: {options: {time_limit: 1}}}",
        {
            "task:shop.a/options.soft_time_limit": (
                1,
                "the pinned hard limit is too short to leave time to clean up",
            ),
        },
    ),
    "a hard limit of less than a second": (
        "tasks: {shop.a: {options: {time_limit: 0.5}}}",
        {
            "task:shop.a/options.soft_time_limit": (
                0.5,
                "the pinned hard limit is too short to leave time to clean up",
            ),
        },
    ),
    "the soft limit is pinned": (
        "tasks: {shop.a: {options: {soft_time_limit: 100}}}",
        {
            "task:shop.a/options.time_limit": (
                120,
                "time to clean up after the soft limit, then its process is killed",
            ),
        },
    ),
    "the app's hard limit is pinned": (
        "celery: {settings: {task_time_limit: 60}}",
        {
            "app/task_soft_time_limit": (50, "leaves time to clean up before the pinned hard limit"),
        },
    ),
    "a glob": (
        "tasks: {shop.*: {runtime: 10s}}",
        {
            "task:shop.*/options.time_limit": (
                17,
                "time to clean up after the soft limit, then its process is killed",
            ),
        },
    ),
}
STAYS_SILENT = {
    "another app's task": (
        "tasks: {shop.a: {external: true, queue: q}}",
        ["task:shop.a/options.time_limit", "task:shop.a/options.soft_time_limit"],
    ),
    "both are pinned": (
        "tasks: {shop.a: {options: {soft_time_limit: 5, time_limit: 9}}}",
        ["task:shop.a/options.time_limit", "task:shop.a/options.soft_time_limit"],
    ),
}
LEADS_TO = {
    "the run time": (
        "tasks: {shop.a: {runtime: 10s}}",
        "task:shop.a/options.soft_time_limit",
        ["task:shop.a/runtime_p99_seconds", "parameters.time-limits.soft_over_p99"],
    ),
    "the class": (
        "tasks: {shop.a: {}}",
        "task:shop.a/options.soft_time_limit",
        ["latency_classes.standard.runtime_p99_limit", "parameters.time-limits.soft_over_p99"],
    ),
    "the soft limit": (
        "tasks: {shop.a: {runtime: 100s}}",
        "task:shop.a/options.time_limit",
        ["task:shop.a/options.soft_time_limit", "parameters.time-limits.hard_over_soft"],
    ),
    "the least clean-up": (
        "tasks: {shop.a: {runtime: 1s}}",
        "task:shop.a/options.time_limit",
        ["task:shop.a/options.soft_time_limit", "SHORTEST_CLEANUP_SECONDS"],
    ),
}
REFUSES = {
    "soft over hard": (
        "tasks: {shop.a: {options: {soft_time_limit: 100, time_limit: 60}}}",
        [
            Found(
                "soft-over-hard",
                "1:45",
                "the soft limit of 100 s is above the hard limit of 60 s: Celery refuses such a send",
                "the soft limit comes first; swap them, or pin only one",
            ),
        ],
    ),
    "the app's soft over hard": (
        "celery: {settings: {task_soft_time_limit: 100, task_time_limit: 60}}",
        [
            Found(
                "soft-over-hard",
                "1:43",
                "the soft limit of 100 s is above the hard limit of 60 s: Celery refuses such a send",
                "the soft limit comes first; swap them, or pin only one",
            ),
        ],
    ),
    "no limit": (
        "celery: {settings: {task_time_limit: null}}",
        [
            Found(
                "hard-limit-missing",
                "1:38",
                (
                    "without a hard limit a stuck run of an undeclared task holds its slot for ever, and no "
                    "stop can wait for it"
                ),
                "write seconds, or remove it; the compiler sets 432 s",
            ),
        ],
    ),
    "a limit of nothing": (
        "celery: {settings: {task_soft_time_limit: 0}}",
        [
            Found(
                "limit-not-a-number", "1:43", "a time limit is a number of seconds above 0", "write seconds"
            ),
        ],
    ),
    "a task's null": (
        "tasks: {shop.a: {options: {time_limit: null, soft_time_limit: null}}}",
        [
            Found(
                "soft-missing",
                "1:63",
                "without a soft limit shop.a is killed at the hard one, with no time to clean up",
                "write seconds, or remove it; the compiler sets 360 s",
            ),
            Found(
                "hard-limit-missing",
                "1:40",
                (
                    "without a hard limit a stuck run of shop.a holds its slot for ever, and no stop can "
                    "wait for it"
                ),
                "write seconds, or remove it; the compiler sets 432 s",
            ),
        ],
    ),
    "the app's soft null": (
        "celery: {settings: {task_soft_time_limit: null, task_time_limit: 90}}",
        [
            Found(
                "soft-missing",
                "1:43",
                "without a soft limit an undeclared task is killed at the hard one, with no time to clean up",
                "write seconds, or remove it; the compiler sets 75 s",
            ),
        ],
    ),
    "killed below its p99": (
        "tasks: {shop.a: {runtime: 100s, options: {time_limit: 60}}}",
        [
            Found(
                "limit-below-p99",
                "1:55",
                (
                    "shop.a is killed after 60 s, but may run 100 s: more than one run of a hundred fails "
                    "by this limit"
                ),
                "raise the limit, or correct the declared run time",
            ),
        ],
    ),
    "told to stop below its p99": (
        "tasks: {shop.a: {runtime: 100s, options: {soft_time_limit: 60}}}",
        [
            Found(
                "limit-below-p99",
                "1:60",
                (
                    "shop.a is told to stop after 60 s, but may run 100 s: more than one run of a hundred "
                    "fails by this limit"
                ),
                "raise the limit, or correct the declared run time",
            ),
        ],
    ),
    "soft and hard are equal": (
        "tasks: {shop.a: {options: {soft_time_limit: 60, time_limit: 60}}}",
        [
            Found(
                "soft-equals-hard",
                "1:45",
                "both limits are 60 s: after the soft one no time is left to clean up before SIGKILL",
                "lower the soft limit by what cleaning up takes, or pin only the hard one",
            ),
        ],
    ),
    "the app's are equal, said once": (
        "celery: {settings: {task_soft_time_limit: 60, task_time_limit: 60}}\ntasks: {shop.a: {}}",
        [
            Found(
                "soft-equals-hard",
                "1:43",
                "both limits are 60 s: after the soft one no time is left to clean up before SIGKILL",
                "lower the soft limit by what cleaning up takes, or pin only the hard one",
            ),
        ],
    ),
}
ACCEPTS = {
    "equal where dead letters are kept, which says so": (
        'broker: {transport: rabbitmq, url: "${B}"}\nqueues: {q: {dead_letter: true}}\n'
        "tasks: {shop.a: {queue: q, options: {soft_time_limit: 60, time_limit: 60}}}"
    ),
    "equal as the hard limit leaves no room": "tasks: {shop.a: {options: {time_limit: 1}}}",
    "a hard limit of less than a second": "tasks: {shop.a: {options: {time_limit: 0.5}}}",
    "only one is pinned": "tasks: {shop.a: {options: {soft_time_limit: 100}}}",
    "the app's limits agree": "celery: {settings: {task_soft_time_limit: 50, task_time_limit: 60}}",
    "just at p99": "tasks: {shop.a: {runtime: 60s, options: {soft_time_limit: 60, time_limit: 65}}}",
    "limits of a task without a run time": "tasks: {shop.a: {options: {soft_time_limit: 1, time_limit: 2}}}",
}


@pytest.mark.parametrize(("fragment", "expected"), DECIDES.values(), ids=DECIDES)
def test_it_decides(fragment, expected):
    decided = after(time_limits, fragment).decided
    assert {address: decided.get(address) for address in expected} == expected


@pytest.mark.parametrize(("fragment", "addresses"), STAYS_SILENT.values(), ids=STAYS_SILENT)
def test_it_stays_silent(fragment, addresses):
    assert after(time_limits, fragment).decided.keys().isdisjoint(addresses)


@pytest.mark.parametrize(("fragment", "address", "places"), LEADS_TO.values(), ids=LEADS_TO)
def test_its_origins_lead_to(fragment, address, places):
    assert after(time_limits, fragment).origins[address] == places


@pytest.mark.parametrize(("fragment", "findings"), REFUSES.values(), ids=REFUSES)
def test_it_refuses(fragment, findings):
    assert after(time_limits, fragment).findings == findings


@pytest.mark.parametrize("fragment", ACCEPTS.values(), ids=ACCEPTS)
def test_it_accepts(fragment):
    assert after(time_limits, fragment).findings == []
