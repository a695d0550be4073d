"""Every run that may hang has a soft and a hard limit that agree; what nobody declared has none."""

from __future__ import annotations

import math
from random import Random

import pytest
from workloads import after

from policycompiler import runs
from policycompiler.policies.limits import time_limits

ABOVE_SOFT = "the task gets time to clean up after its soft time limit before its process is killed"
RARELY = "a run that takes this long hangs, and fewer than 1 in 10,000 healthy runs take longer"
OF_CLASS = "no run time is declared, so the longest run of class `standard` plus a margin applies"
UNLIMITED = "the task has no hard time limit, so timeouts assume the longest expected run plus a margin"
A_SOFT, A_HARD = "task:shop.a/options.soft_time_limit", "task:shop.a/options.time_limit"
A_RUN = "task:shop.a/longest_run_seconds"

DECIDES = {
    # p50 and p99 of a log-normal are 2.326 deviations apart, and p99 and the 1 in 10,000 another 1.393.
    "by the tail through p50 and p99": (
        "tasks: {shop.a: {latency: batch, runtime: {p50: 40m, p99: 2h}}}",
        {
            A_SOFT: (13899, RARELY),
            A_HARD: (16679, ABOVE_SOFT),
            A_RUN: (16679, ("the hard time limit ends a run")),
        },
    ),
    "by the tail of a mean of half the one duration": (
        "tasks: {shop.a: {runtime: 100s}}",
        {A_SOFT: (157, RARELY), A_HARD: (189, ABOVE_SOFT)},
    ),
    "runs that all take equally long may be slower by a fifth": (
        "tasks: {shop.a: {runtime: {p50: 100s, p99: 100s}}}",
        {A_SOFT: (120, RARELY), A_HARD: (144, ABOVE_SOFT)},
    ),
    "the class bounds the tail": (
        "tasks: {shop.a: {latency: interactive, runtime: {p50: 300ms, p99: 5s}}}",
        {
            A_SOFT: (
                10,
                (
                    "latency class `interactive` allows runs of 10 s, and about 1 in 540 healthy runs take "
                    "longer"
                ),
            )
        },
    ),
    "the class does not bring it near the 99th percentile": (
        "tasks: {shop.a: {latency: interactive, runtime: {p50: 300ms, p99: 9s}}}",
        {
            A_SOFT: (
                11,
                (
                    "latency class `interactive` allows runs of 10 s, and about 1 in 150 healthy runs take "
                    "longer"
                ),
            )
        },
    ),
    "the broker bounds the tail of what is acknowledged late": (
        (
            "broker: {transport: rabbitmq, url: '${B}'}\n"
            "tasks: {shop.a: {latency: batch, idempotent: true, runtime: {p50: 40s, p99: 10m}}}"
        ),
        {
            A_SOFT: (
                1499,
                (
                    "RabbitMQ lets a worker hold a message only slightly longer, and about 1 in 1,100 "
                    "healthy runs take longer"
                ),
            ),
            A_HARD: (1799, ABOVE_SOFT),
        },
    ),
    "a pinned visibility timeout bounds it too": (
        (
            "broker: {transport: redis, url: '${B}', visibility_timeout: 1h}\n"
            "tasks: {shop.a: {latency: batch, idempotent: true, runtime: 40m}}"
        ),
        {
            A_SOFT: (
                2999,
                (
                    "the pinned visibility timeout is only slightly longer, and about 1 in 800 healthy "
                    "runs take longer"
                ),
            ),
            A_HARD: (3599, ABOVE_SOFT),
        },
    ),
    "a short task has time to clean up": (
        "tasks: {shop.a: {runtime: 300ms}}",
        {A_SOFT: (1, RARELY), A_HARD: (6, ABOVE_SOFT)},
    ),
    "by the class, where it is declared": (
        "tasks: {shop.a: {latency: standard}}",
        {
            A_SOFT: (360, OF_CLASS),
            A_HARD: (432, ABOVE_SOFT),
            "task:shop.a/limits_assumed": (
                True,
                "the task declares no run time, so its limits follow from its latency class",
            ),
        },
    ),
    "nothing where nothing is declared": (
        "tasks: {shop.a: }",
        {
            A_SOFT: None,
            A_HARD: None,
            "task:shop.a/limits_assumed": None,
            A_RUN: (432, UNLIMITED),
            "app/task_soft_time_limit": None,
            "app/task_time_limit": None,
            "app/longest_run_seconds": (432, UNLIMITED),
        },
    ),
    "beside a pinned hard limit nothing where nothing is declared": (
        "tasks: {shop.a: {options: {time_limit: 120}}}",
        {A_SOFT: None, A_RUN: (120, "the hard time limit ends a run")},
    ),
    "beside a pinned soft limit nothing where nothing is declared": (
        "tasks: {shop.a: {options: {soft_time_limit: 1000}}}",
        {A_HARD: None, A_RUN: (1200, UNLIMITED)},
    ),
    "below a pinned hard limit of a task with a class": (
        "tasks: {shop.a: {latency: standard, options: {time_limit: 120}}}",
        {A_SOFT: (100, "this leaves time to clean up before the pinned hard time limit")},
    ),
    "the soft limit is as without a pinned hard limit that is above it": (
        "tasks: {shop.a: {runtime: 100s, options: {time_limit: 1000}}}",
        {A_SOFT: (157, RARELY)},
    ),
    "the hard limit is as without a pinned soft limit that is below it": (
        "tasks: {shop.a: {runtime: 100s, options: {soft_time_limit: 120}}}",
        {A_HARD: (189, ABOVE_SOFT)},
    ),
    "a hard limit little above the 99th percentile": (
        "tasks: {shop.a: {runtime: 100s, options: {time_limit: 110}}}",
        {
            A_SOFT: (
                100,
                ("a healthy run may take its 99th percentile, which is below the pinned hard time limit"),
            )
        },
    ),
    "null is no hard limit, and no soft one that rests on a default": (
        "tasks: {shop.a: {latency: standard, options: {time_limit: null}}}",
        {A_SOFT: None, A_HARD: None, A_RUN: (432, UNLIMITED)},
    ),
    "null is no hard limit, and the soft one stays": (
        "tasks: {shop.a: {runtime: 100s, options: {time_limit: null}}}",
        {A_SOFT: (157, RARELY), A_HARD: None, A_RUN: (189, UNLIMITED)},
    ),
    "null is no soft limit, and the hard one stays": (
        "tasks: {shop.a: {runtime: 100s, options: {soft_time_limit: null}}}",
        {A_SOFT: None, A_HARD: (189, ABOVE_SOFT)},
    ),
    "the pool of a worker has the app's hard limit where a task has none": (
        (
            "tasks: {shop.a: {runtime: 1s, options: {time_limit: null}}}\n"
            "celery: {settings: {task_time_limit: 900}}"
        ),
        {A_RUN: (900, "the pool applies the hard time limit of the app to a task without its own")},
    ),
    "the app's null is for each task without a run time": (
        "tasks: {shop.a: {latency: standard}}\ncelery: {settings: {task_time_limit: null}}",
        {A_SOFT: None, A_HARD: None, A_RUN: (432, UNLIMITED)},
    ),
    "the app's hard limit is pinned alone": (
        "tasks: {shop.a: {}}\ncelery: {settings: {task_time_limit: 60}}",
        {
            A_SOFT: None,
            "app/task_soft_time_limit": None,
            "app/longest_run_seconds": (60, "the hard time limit ends a run"),
        },
    ),
    "the app's soft limit is pinned alone": (
        "celery: {settings: {task_soft_time_limit: 1000}}",
        {"app/task_time_limit": None, "app/longest_run_seconds": (1200, UNLIMITED)},
    ),
    "a hard limit of less than a second": (
        "tasks: {shop.a: {latency: standard, options: {time_limit: 0.5}}}",
        {A_SOFT: (0.5, "the pinned hard time limit is too short to leave time to clean up")},
    ),
    "a glob": (
        "tasks: {shop.*: {runtime: 10s}}",
        {"task:shop.*/options.time_limit": (21, ABOVE_SOFT)},
    ),
    "another app's task does not get what is pinned for all": (
        (
            "tasks: {shop.a: {external: true, queue: q}}\n"
            "celery: {settings: {task_time_limit: 60, task_soft_time_limit: 50}}"
        ),
        {
            A_SOFT: (0, "another app runs the task and applies its own limits"),
            A_HARD: (0, "another app runs the task and applies its own limits"),
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
        [
            "task:shop.a/runtime_p99_seconds",
            "parameters.time-limits.killed_healthy_runs",
            "latency_classes.standard.runtime_p99_limit",
        ],
    ),
    "the class": (
        "tasks: {shop.a: {latency: standard}}",
        "task:shop.a/options.soft_time_limit",
        ["latency_classes.standard.runtime_p99_limit", "LEAST_SOFT_OVER_P99"],
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


@pytest.mark.parametrize(("p50", "p99"), [(None, 100), (1, 100), (50, 100), (99, 100), (0.3, 3)])
def test_the_tail_is_where_it_is_said_to_be(p50, p99):
    """By counting: runs drawn from the distribution, and the exact integral of its density."""
    found = runs.run_times(p50, p99)
    limit = found.exceeded_by(0.0001)
    assert found.share_over(limit) == pytest.approx(0.0001, rel=1e-3)
    assert found.share_over(p99) == pytest.approx(0.01, rel=1e-3)
    if p50 is not None:
        assert found.share_over(p50) == pytest.approx(0.5, rel=1e-3)
        drawn = Random(1)
        median, sigma = math.log(p50), math.log(p99 / p50) / 2.326348
        above = sum(drawn.lognormvariate(median, sigma) > limit for _ in range(200_000))
        assert above < 60
