"""A rate limit holds for each process."""

from __future__ import annotations

import pytest
from workloads import Found, after

from policycompiler.policies.limits import rate_limits

APP_WIDE = "celery: {settings: {task_default_rate_limit: %s}}\n"
REFUSES = {
    "several processes": (
        "tasks: {shop.a: {queue: q, options: {rate_limit: 10/m}}}\nworkers: {q: {replicas: 3}}",
        [
            Found(
                "rate-limit-scope",
                "1:50",
                (
                    "each process applies 10/m separately: 3 worker processes together start at most 30/m "
                    "of shop.a"
                ),
                "divide the limit by 3 if it is a quota, or limit the calls in the task",
            ),
        ],
    ),
    "more arrive": (
        "tasks: {shop.a: {queue: q, rate: 20/m, options: {rate_limit: 10/m}}}",
        [
            Found(
                "rate-limit-below-rate",
                "1:62",
                (
                    "shop.a arrives at 20/m, but its one worker process starts at most 10/m: its queue "
                    "grows without end"
                ),
                "raise the limit, run more processes, or send less",
            ),
        ],
    ),
    "more arrive than all processes start": (
        "tasks: {shop.a: {queue: q, rate: 1/s, options: {rate_limit: 10/m}}}\nworkers: {q: {replicas: 3}}",
        [
            Found(
                "rate-limit-below-rate",
                "1:61",
                (
                    "shop.a arrives at 60/m, but 3 worker processes together start at most 30/m: its queue "
                    "grows without end"
                ),
                "raise the limit, run more processes, or send less",
            ),
        ],
    ),
    "the app's holds for each process and task": (
        APP_WIDE % "10/m" + "tasks: {shop.a: {queue: q}, shop.b: {queue: q}}\nworkers: {q: {replicas: 3}}",
        [
            Found(
                "rate-limit-starves",
                "1:46",
                (
                    "a burst of shop.a fills the 2 prefetched messages of worker q: at 10/m, shop.b waits "
                    "as long as the backlog lasts (latency target 30 s)"
                ),
                "give shop.a its own queue: `queue: NAME`",
            ),
            Found(
                "rate-limit-scope",
                "1:46",
                (
                    "each process applies 10/m separately: 3 worker processes together start at most 30/m "
                    "of shop.a"
                ),
                "divide the limit by 3 if it is a quota, or limit the calls in the task",
            ),
        ],
    ),
    "more arrive than the app's lets start": (
        APP_WIDE % "2" + "tasks: {shop.a: {queue: q, rate: 3/s}}",
        [
            Found(
                "rate-limit-below-rate",
                "1:46",
                (
                    "shop.a arrives at 3/s, but its one worker process starts at most 2/s: its queue grows "
                    "without end"
                ),
                "raise the limit, run more processes, or send less",
            ),
        ],
    ),
    "a unit that Celery does not know": (
        APP_WIDE % "10/d",
        [
            Found(
                "rate-limit-unit",
                "1:46",
                "Celery cannot read the rate limit `10/d`: no worker can start",
                "write it like `10/s`, `100/m` or `5/h`",
            ),
        ],
    ),
}
ACCEPTS = {
    "the task's own beats the app's": (
        APP_WIDE % "1/h" + "tasks: {shop.a: {queue: q, rate: 5/m, options: {rate_limit: 10/m}}}"
    ),
    "the app's is nought": APP_WIDE % "'0/s'" + "tasks: {shop.a: {rate: 5/m}}",
    "the app's is none": APP_WIDE % "null" + "tasks: {shop.a: {rate: 5/m}}",
    "one process": "tasks: {shop.a: {queue: q, rate: 5/m, options: {rate_limit: 10/m}}}",
    "no process": "tasks: {shop.a: {queue: q, external: true, options: {rate_limit: 10/m}}}",
}


@pytest.mark.parametrize(("fragment", "findings"), REFUSES.values(), ids=REFUSES)
def test_it_refuses(fragment, findings):
    assert after(rate_limits, fragment).findings == findings


@pytest.mark.parametrize("fragment", ACCEPTS.values(), ids=ACCEPTS)
def test_it_accepts(fragment):
    assert after(rate_limits, fragment).findings == []


BESIDE = "tasks:\n  shop.a: {latency: standard, %soptions: {rate_limit: %s}}\n  shop.b: {latency: %s}\n"


@pytest.mark.parametrize(
    ("fragment", "expected"),
    [
        (BESIDE % ("", "1/m", "standard"), True),
        (BESIDE % ("rate: 1/s, ", "1/m", "standard"), True),
        (BESIDE % ("rate: 1/m, burst: 50, ", "1/m", "standard"), True),
        # No more arrive than may start.
        (BESIDE % ("rate: 1/m, ", "1/m", "standard"), False),
        # A task that waits behind all of a burst waits less than promised.
        (BESIDE % ("burst: 50, ", "10/s", "standard"), False),
        (BESIDE % ("burst: 30, ", "10/m", "standard"), True),
        (BESIDE % ("", "10/m", "standard"), True),
        (
            "celery: {settings: {task_default_rate_limit: 10/m}}\n"
            + BESIDE.replace("options: {rate_limit: %s}", "work: %s") % ("", "io", "standard"),
            True,
        ),
        # On another worker.
        (BESIDE % ("queue: slow, ", "1/m", "standard"), False),
        (BESIDE % ("", "1/m", "batch"), False),
        (
            "celery: {settings: {worker_disable_rate_limits: true}}\n" + BESIDE % ("", "1/m", "standard"),
            False,
        ),
        ("tasks: {shop.a: {latency: standard, options: {rate_limit: 1/m}}}\n", False),
        # It takes all there is, others too.
        (
            BESIDE % ("queue: q, ", "1/m", "standard, queue: q")
            + "workers: {q: {options: {prefetch_multiplier: 0}}}\n",
            False,
        ),
        (
            BESIDE % ("queue: q, ", "1/m", "standard, queue: r") + "workers: {w: {queues: [q, r]}}\n",
            True,
        ),
    ],
)
def test_a_limited_task_may_starve_others_of_its_worker(fragment, expected):
    assert (
        ("rate-limit-starves") in {each.name for each in after(rate_limits, fragment).findings}
    ) is expected
