"""Limits that contradict each other, and what it costs to have none."""

from __future__ import annotations

import pytest
from workloads import Found, after

from policycompiler.policies.limits import limit_checks

REFUSES = {
    "soft over hard": (
        "tasks: {shop.a: {options: {soft_time_limit: 100, time_limit: 60}}}",
        [
            Found(
                "soft-over-hard",
                "1:45",
                (
                    "the soft time limit of 1 min 40 s is above the hard time limit of 1 min: Celery "
                    "refuses to send the task"
                ),
                "lower the soft time limit below the hard time limit, or pin only one of them",
            ),
        ],
    ),
    "the app's soft over hard": (
        "celery: {settings: {task_soft_time_limit: 100, task_time_limit: 60}}",
        [
            Found(
                "soft-over-hard",
                "1:43",
                (
                    "the soft time limit of 1 min 40 s is above the hard time limit of 1 min: Celery "
                    "refuses to send the task"
                ),
                "lower the soft time limit below the hard time limit, or pin only one of them",
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
                    "without a hard time limit a stuck run of a task without its own limits keeps its slot "
                    "until its worker stops: a stop kills it after about 7 min 12 s"
                ),
                "write a number of seconds if you know how long the task may run",
            ),
        ],
    ),
    "a limit of nothing": (
        "celery: {settings: {task_soft_time_limit: 0}}",
        [
            Found(
                "limit-not-a-number",
                "1:43",
                "`task_soft_time_limit` must be a number of seconds above 0",
                "write a number of seconds, or `null` for no limit",
            ),
        ],
    ),
    "a task's null": (
        "tasks: {shop.a: {options: {time_limit: null, soft_time_limit: null}}}",
        [
            Found(
                "hard-limit-missing",
                "1:40",
                (
                    "without a hard time limit a stuck run of shop.a keeps its slot until its worker "
                    "stops: a stop kills it after about 7 min 12 s"
                ),
                "write a number of seconds if you know how long the task may run",
            ),
        ],
    ),
    "the app's soft null": (
        "celery: {settings: {task_soft_time_limit: null, task_time_limit: 90}}",
        [
            Found(
                "soft-missing",
                "1:43",
                (
                    "a task without its own limits has no soft time limit: it is killed after 1 min 30 s, "
                    "without time to clean up"
                ),
                "write a number of seconds, less than the hard time limit",
            ),
        ],
    ),
    "a task's null under a limit of the app": (
        (
            "tasks: {shop.a: {runtime: 1s, options: {time_limit: null}}}\n"
            "celery: {settings: {task_time_limit: 900}}"
        ),
        [
            Found(
                "hard-limit-missing",
                "1:53",
                "the worker's pool kills shop.a anyway: the hard time limit of the app is 15 min",
                "write a number of seconds if you know how long the task may run",
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
                    "the hard time limit of shop.a is 1 min, but its p99 is 1 min 40 s: more than one run "
                    "of a hundred fails"
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
                    "the soft time limit of shop.a is 1 min, but its p99 is 1 min 40 s: more than one run "
                    "of a hundred fails"
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
                ("soft and hard time limit are both 1 min: the task has no time to clean up before SIGKILL"),
                "lower the soft time limit by the time to clean up, or pin only the hard time limit",
            ),
        ],
    ),
    "the app's are equal, said once": (
        "celery: {settings: {task_soft_time_limit: 60, task_time_limit: 60}}\ntasks: {shop.a: {}}",
        [
            Found(
                "soft-equals-hard",
                "1:43",
                ("soft and hard time limit are both 1 min: the task has no time to clean up before SIGKILL"),
                "lower the soft time limit by the time to clean up, or pin only the hard time limit",
            ),
        ],
    ),
}
ACCEPTS = {
    "equal as the hard limit leaves no room": "tasks: {shop.a: {options: {time_limit: 1}}}",
    "a hard limit of less than a second": "tasks: {shop.a: {options: {time_limit: 0.5}}}",
    "only one is pinned": "tasks: {shop.a: {options: {soft_time_limit: 100}}}",
    "the app's limits agree": "celery: {settings: {task_soft_time_limit: 50, task_time_limit: 60}}",
    "just at p99": "tasks: {shop.a: {runtime: 60s, options: {soft_time_limit: 60, time_limit: 65}}}",
    "limits of a task without a run time": "tasks: {shop.a: {options: {soft_time_limit: 1, time_limit: 2}}}",
}


@pytest.mark.parametrize(("fragment", "findings"), REFUSES.values(), ids=REFUSES)
def test_it_refuses(fragment, findings):
    assert after(limit_checks, fragment).findings == findings


@pytest.mark.parametrize("fragment", ACCEPTS.values(), ids=ACCEPTS)
def test_it_accepts(fragment):
    assert after(limit_checks, fragment).findings == []
