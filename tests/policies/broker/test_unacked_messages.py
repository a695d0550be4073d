"""RabbitMQ closes the channel of no worker for a message that it holds too long."""

from __future__ import annotations

import re

import pytest
from workloads import Found, after, for_its_rabbitmq

from policycompiler.policies.broker import unacked_messages

QUORUM = "broker: {transport: rabbitmq, url: '${U}'}\n"
CLASSIC = "broker: {transport: rabbitmq, url: '${U}', version: '3.13'}\n"
HIGHER = (
    "or raise the limit of the queue: `queues: {q: {arguments: {x-consumer-timeout: ENOUGH}}}` "
    "(RabbitMQ 3.12 and newer)"
)


def closes(what: str, limit: str = "30 min") -> str:
    """The message of a finding about queue `q`."""
    return f"{what}, but RabbitMQ closes the worker's channel after {limit} (queue q), and the worker exits"


SPLIT = f"split the task, or acknowledge it early, {HIGHER}"
DELAY = f"use a quorum queue, whose messages wait in the broker, {HIGHER}"
FEWER = f"lower the worker's concurrency or prefetch multiplier, {HIGHER}"
LOWER = f"lower the wait, or use a quorum queue, whose messages wait in the broker, {HIGHER}"

REFUSES = {
    "a run that is acknowledged late, on a quorum queue": (
        f"{QUORUM}tasks: {{shop.a: {{queue: q, idempotent: true, runtime: 21m}}}}",
        [
            Found(
                "unacked-over-consumer-timeout",
                "2:55",
                closes("shop.a is acknowledged late and may run 30 min 15 s"),
                SPLIT,
            ),
        ],
    ),
    "the same on a classic queue": (
        f"{CLASSIC}tasks: {{shop.a: {{queue: q, idempotent: true, options: {{time_limit: 1800}}}}}}",
        [
            Found(
                "unacked-over-consumer-timeout",
                "2:17",
                closes("shop.a is acknowledged late and may run 30 min"),
                SPLIT,
            ),
        ],
    ),
    "a countdown on a classic queue": (
        f"{CLASSIC}tasks: {{shop.a: {{queue: q, max_countdown: 30m}}}}",
        [
            Found(
                "unacked-over-consumer-timeout",
                "2:43",
                closes("shop.a may be sent with a countdown of 30 min"),
                DELAY,
            ),
        ],
    ),
    "a countdown behind a direct exchange": (
        (
            f"{QUORUM}queues: {{q: {{exchange_type: direct}}}}\n"
            "tasks: {shop.a: {queue: q, max_countdown: 1h}}"
        ),
        [
            Found(
                "unacked-over-consumer-timeout",
                "3:43",
                closes("shop.a may be sent with a countdown of 1 h"),
                DELAY,
            ),
        ],
    ),
    "waits before a retry on a classic queue": (
        (
            f"{CLASSIC}tasks: {{shop.a: {{queue: q, idempotent: true, "
            "options: {default_retry_delay: 1801}, retry: {on: [OSError], max: 20, max_delay: 40m}}}"
        ),
        [
            Found(
                "unacked-over-consumer-timeout", "2:91", closes("a retry of shop.a may wait 40 min"), LOWER
            ),
            Found(
                "unacked-over-consumer-timeout",
                "2:91",
                closes("a retry of shop.a may wait 30 min 1 s"),
                LOWER,
            ),
        ],
    ),
    "a wait for a rate limit, also where the broker delays": (
        (
            f"{QUORUM}tasks: {{shop.a: {{queue: q, options: {{rate_limit: 8/h}}}}}}\n"
            "workers: {q: {concurrency: 2, options: {prefetch_multiplier: 2}}}"
        ),
        [
            Found(
                "unacked-over-consumer-timeout",
                "2:50",
                closes("at 8/h and with 4 prefetched messages, a message of shop.a may wait 30 min"),
                FEWER,
            ),
        ],
    ),
    "a wait for the app's rate limit and a run that is acknowledged late": (
        (
            f"{CLASSIC}celery: {{settings: {{task_default_rate_limit: 2/h}}}}\n"
            "tasks: {shop.a: {queue: q, idempotent: true, runtime: 1s}}\n"
            "workers: {q: {concurrency: 1}}"
        ),
        [
            Found(
                "unacked-over-consumer-timeout",
                "2:46",
                closes(
                    "at 2/h and with 1 prefetched message, a message of shop.a may wait 30 min and then run 7 s, in total 30 min 7 s"
                ),
                FEWER,
            ),
        ],
    ),
    "a rate limit and no end of messages": (
        (
            f"{QUORUM}tasks: {{shop.a: {{queue: q, options: {{rate_limit: 10/s}}}}}}\n"
            "workers: {q: {options: {prefetch_multiplier: 0}}}"
        ),
        [
            Found(
                "unacked-over-consumer-timeout",
                "3:46",
                (
                    "worker q prefetches every message, but starts shop.a at 10/s: RabbitMQ closes the "
                    "channel of a worker that holds a message too long, and the worker exits"
                ),
                "set a prefetch multiplier above 0, such as 1",
            ),
        ],
    ),
    "a limit that is not raised enough": (
        (
            f"{CLASSIC}queues: {{q: {{arguments: {{x-consumer-timeout: 7200000}}}}}}\n"
            "tasks: {shop.a: {queue: q, max_countdown: 2h}}"
        ),
        [
            Found(
                "unacked-over-consumer-timeout",
                "3:43",
                closes("shop.a may be sent with a countdown of 2 h", "2 h"),
                DELAY,
            ),
        ],
    ),
    "a limit that this RabbitMQ does not know": (
        (
            "broker: {transport: rabbitmq, url: '${U}', version: '3.11'}\n"
            "queues: {q: {arguments: {x-consumer-timeout: 7200000}}}\n"
            "tasks: {shop.a: {queue: q, max_countdown: 1h}}"
        ),
        [
            Found(
                "unacked-over-consumer-timeout",
                "3:43",
                closes("shop.a may be sent with a countdown of 1 h"),
                DELAY,
            ),
        ],
    ),
    "a reserve behind a run that is acknowledged early": (
        f"{QUORUM}tasks: {{shop.a: {{queue: q, latency: batch, runtime: 2h}}}}",
        [
            Found(
                "reserve-over-consumer-timeout",
                "2:53",
                (
                    "a message that worker q prefetches behind shop.a may wait 3 h 44 min 52 s, but "
                    "RabbitMQ closes the worker's channel after 30 min (queue q), and the worker exits"
                ),
                f"acknowledge the task late if it is safe to run twice, {HIGHER}",
            ),
        ],
    ),
    "a reserve for each queue": (
        (
            f"{QUORUM}tasks: {{shop.a: {{queue: p, idempotent: true, runtime: 15m}}, shop.b: {{queue: q, "
            "idempotent: true, runtime: 15m}}\n"
            "workers: {w: {queues: [p, q]}}"
        ),
        [
            Found(
                "reserve-over-consumer-timeout",
                "2:107",
                (
                    "a message that worker w prefetches behind shop.b may wait 43 min 12 s, but RabbitMQ "
                    "closes the worker's channel after 30 min (queue p), and the worker exits"
                ),
                f"give the task its own queue and worker, {HIGHER.replace('{q:', '{p:')}",
            ),
        ],
    ),
}
ACCEPTS = {
    "a shorter run that is acknowledged early": (
        f"{QUORUM}tasks: {{shop.a: {{queue: q, latency: batch, runtime: 15m}}}}"
    ),
    "a run of undeclared length": f"{QUORUM}tasks: {{shop.a: {{queue: q, latency: batch}}}}",
    "a reserve of one late task a slot": (
        f"{QUORUM}tasks: {{shop.a: {{queue: q, latency: batch, idempotent: true, runtime: 15m}}}}"
    ),
    "a shorter run": f"{QUORUM}tasks: {{shop.a: {{idempotent: true, options: {{time_limit: 1799}}}}}}",
    "delays that the broker keeps": (
        f"{QUORUM}tasks: {{shop.a: {{idempotent: true, max_countdown: 1d, retry: {{on: [OSError], "
        "max_delay: 2h}}}"
    ),
    "a limit of the queue": (
        f"{CLASSIC}queues: {{q: {{arguments: {{x-consumer-timeout: 7200000}}}}}}\n"
        "tasks: {shop.a: {queue: q, max_countdown: 1h}}"
    ),
    "a limit of its consumers before that of the queue": (
        f"{QUORUM}queues: {{q: {{arguments: {{x-consumer-timeout: 1000}}, "
        "consumer_arguments: {x-consumer-timeout: 7200000}}}\n"
        "tasks: {shop.a: {queue: q, idempotent: true, latency: batch, runtime: 1h}}"
    ),
    "a shorter wait for a rate limit": (
        f"{QUORUM}tasks: {{shop.a: {{queue: q, options: {{rate_limit: 8/h}}}}}}\n"
        "workers: {q: {concurrency: 3}}"
    ),
    "a wait for a rate limit, under a limit of the queue": (
        f"{QUORUM}queues: {{q: {{arguments: {{x-consumer-timeout: 7200000}}}}}}\n"
        "tasks: {shop.a: {queue: q, options: {rate_limit: 8/h}}}\n"
        "workers: {q: {concurrency: 4}}"
    ),
    "another app's task": (f"{CLASSIC}tasks: {{shop.a: {{external: true, queue: q, max_countdown: 1h}}}}"),
    "another broker": "tasks: {shop.a: {idempotent: true, max_countdown: 1h, latency: batch, runtime: 2h}}",
}


@pytest.mark.parametrize(("fragment", "findings"), REFUSES.values(), ids=REFUSES)
def test_it_refuses(fragment, findings):
    found = after(unacked_messages, fragment, for_its_rabbitmq(fragment)).findings
    assert [each._replace(help=re.sub(r"\d{6,}", "ENOUGH", each.help)) for each in found] == findings


def test_the_limit_that_it_proposes_is_enough():
    told = (
        "tasks: {shop.a: {queue: q, idempotent: true, runtime: 25m}}\nqueues: {q: {type: quorum%s}}\n"
        + QUORUM
    )
    (found,) = after(unacked_messages, told % "").findings
    (milliseconds,) = re.findall(r"x-consumer-timeout: (\d+)", found.help)
    assert (
        after(unacked_messages, told % f", arguments: {{x-consumer-timeout: {milliseconds}}}").findings == []
    )


@pytest.mark.parametrize("fragment", ACCEPTS.values(), ids=ACCEPTS)
def test_it_accepts(fragment):
    assert after(unacked_messages, fragment, for_its_rabbitmq(fragment)).findings == []
