"""No message is given to a second worker while the first holds it."""

from __future__ import annotations

import pytest
from workloads import Found, after

from policycompiler.policies.broker import visibility_timeout

DECIDES = {
    "Celery's own default": (
        "tasks: {shop.a: }",
        {
            "app/longest_hold_seconds": (
                432,
                "a message that worker shop.standard.io prefetches behind shop.a may wait 7 min 12 s",
            ),
            "app/visibility_timeout_seconds": (
                3600,
                "Celery's default is 1 h, and no declared task holds a message for longer",
            ),
        },
    ),
    "a late-acknowledged run": (
        "tasks: {shop.a: {latency: batch, idempotent: true, runtime: 2h}}",
        {
            "app/longest_hold_seconds": (13492, "shop.a may run 3 h 44 min 52 s"),
            "app/visibility_timeout_seconds": (
                20238,
                ("shop.a may run 3 h 44 min 52 s; the timeout is 1.5 times that"),
            ),
        },
    ),
    "a countdown": (
        "tasks: {shop.a: {max_countdown: 1d}}",
        {
            "app/visibility_timeout_seconds": (
                130248,
                (
                    "shop.a may be sent with a countdown of 1 d, then wait 7 min 12 s for a slot; in total "
                    "1 d 7 min 12 s; the timeout is 1.5 times that"
                ),
            ),
        },
    ),
    "a wait before a retry": (
        "tasks: {shop.a: {idempotent: true, retry: {on: [OSError], delay: 2h}}}",
        {
            "app/visibility_timeout_seconds": (
                12096,
                (
                    "a retry of shop.a may wait 2 h, then wait 7 min 12 s for a slot, then run 7 min 12 s; in total 2 h 14 min 24 s; the timeout is 1.5 times that"
                ),
            ),
        },
    ),
    "a pinned wait before a retry": (
        "tasks: {shop.a: {options: {default_retry_delay: 7200}}}",
        {
            "app/visibility_timeout_seconds": (
                11448,
                (
                    "a retry of shop.a may wait 2 h, then wait 7 min 12 s for a slot; in total 2 h 7 min "
                    "12 s; the timeout is 1.5 times that"
                ),
            ),
        },
    ),
    "a reserve": (
        (
            "tasks: {shop.a: {queue: q, latency: batch, runtime: 2h}}\n"
            "workers: {q: {options: {prefetch_multiplier: 3}}}"
        ),
        {
            "app/visibility_timeout_seconds": (
                41838,
                (
                    "a message that worker q prefetches behind shop.a may wait 7 h 44 min 52 s; the timeout is 1.5 times that"
                ),
            ),
        },
    ),
    "a rate limit": (
        (
            "tasks: {shop.a: {queue: q, idempotent: true, runtime: 1s, options: {rate_limit: 2/h}}}\n"
            "workers: {q: {concurrency: 2, options: {prefetch_multiplier: 4}}}"
        ),
        {
            "app/longest_hold_seconds": (
                14414,
                (
                    "at 2/h and with 8 prefetched messages, a message of shop.a may wait 4 h, "
                    "then wait 7 s for a slot, then run 7 s; in total 4 h 14 s"
                ),
            ),
            "app/visibility_timeout_seconds": (
                21621,
                (
                    "at 2/h and with 8 prefetched messages, a message of shop.a may wait 4 h, "
                    "then wait 7 s for a slot, then run 7 s; in total 4 h 14 s; the timeout is 1.5 "
                    "times that"
                ),
            ),
        },
    ),
    "a rate limit where nothing else is held, on as many slots as there may be": (
        (
            "tasks: {shop.a: {queue: q, runtime: 1s, options: {rate_limit: 30/m}}}\n"
            "workers: {q: {pool: prefork, concurrency: {min: 1, max: 9}, options: {disable_prefetch: true}}}"
        ),
        {
            "app/longest_hold_seconds": (
                25,
                (
                    "at 30/m and with 9 prefetched messages, a message of shop.a may wait 18 "
                    "s, then wait 7 s for a slot; in total 25 s"
                ),
            ),
        },
    ),
    "a countdown and then a rate limit": (
        (
            "tasks: {shop.a: {queue: q, runtime: 1s, max_countdown: 1h, options: {rate_limit: 1/m}}}\n"
            "workers: {q: {concurrency: 2}}"
        ),
        {
            "app/longest_hold_seconds": (
                3727,
                (
                    "shop.a may be sent with a countdown of 1 h, then wait 2 min for its rate limit, then "
                    "wait 7 s for a slot; in total 1 h 2 min 7 s"
                ),
            ),
        },
    ),
    "the rate limit of all tasks that have none": (
        (
            "tasks: {shop.a: {queue: q, runtime: 1s}, shop.b: {queue: r, options: {rate_limit: 0/s}}}\n"
            "workers: {q: {concurrency: 1}, r: {concurrency: 9}, "
            "d: {queues: [shop.standard.io], concurrency: 1}}\n"
            "celery: {settings: {task_default_rate_limit: 1/h}}"
        ),
        {
            "app/longest_hold_seconds": (
                3607,
                (
                    "at 1/h and with 1 prefetched message, a message of shop.a may wait 1 h, then wait 7 s for a slot; in total 1 h 7 s"
                ),
            ),
        },
    ),
    "the rate limit of a task that nobody declared": (
        (
            "celery: {settings: {task_default_rate_limit: 1/h}}\n"
            "workers: {d: {queues: [shop.standard.io], concurrency: 2}}"
        ),
        {
            "app/longest_hold_seconds": (
                7200,
                ("at 1/h and with 2 prefetched messages, a message of an undeclared task may wait 2 h"),
            ),
        },
    ),
    "less than Celery's own default": (
        "tasks: {shop.a: {runtime: 1s, max_countdown: 10m}}",
        {
            "app/longest_hold_seconds": (
                607,
                (
                    "shop.a may be sent with a countdown of 10 min, then wait 7 s for a slot; in total 10 "
                    "min 7 s"
                ),
            ),
        },
    ),
    "the twelve hours of SQS": (
        "broker: {transport: sqs, url: '${U}'}\ntasks: {shop.a: {max_countdown: 8h}}",
        {
            "app/visibility_timeout_seconds": (
                43200,
                (
                    "shop.a may be sent with a countdown of 8 h, then wait 7 min 12 s for a slot; in total "
                    "8 h 7 min 12 s, and SQS allows at most 12 h"
                ),
            ),
        },
    ),
    "more than SQS allows": (
        "broker: {transport: sqs, url: '${U}'}\ntasks: {shop.a: {max_countdown: 9h}}",
        {
            "app/visibility_timeout_seconds": (
                43200,
                (
                    "shop.a may be sent with a countdown of 9 h, then wait 7 min 12 s for a slot; in total "
                    "9 h 7 min 12 s, and SQS allows at most 12 h"
                ),
            ),
        },
    ),
    "pinned": (
        "broker: {transport: redis, url: '${U}', visibility_timeout: 2h}",
        {
            "app/longest_hold_seconds": (0, "no declared task holds a message"),
            "app/visibility_timeout_seconds": (7200, "the workload pins it"),
        },
    ),
    "pinned as an option": (
        "broker: {transport: redis, url: '${U}', options: {visibility_timeout: 7200}}",
        {
            "app/visibility_timeout_seconds": (7200, "the workload pins it"),
        },
    ),
}
STAYS_SILENT = {
    "rabbitmq has none": (
        "broker: {transport: rabbitmq, url: '${U}'}\ntasks: {shop.a: {max_countdown: 1d}}",
        ["app/longest_hold_seconds", "app/visibility_timeout_seconds"],
    ),
    "filesystem has none": (
        "broker: {transport: filesystem, url: '${U}'}\ntasks: {shop.a: {max_countdown: 1d}}",
        ["app/longest_hold_seconds", "app/visibility_timeout_seconds"],
    ),
    "memory has none": (
        "broker: {transport: memory, url: '${U}'}\ntasks: {shop.a: {max_countdown: 1d}}",
        ["app/longest_hold_seconds", "app/visibility_timeout_seconds"],
    ),
}
LEADS_TO = {
    "the longest hold": (
        "tasks: {shop.a: {max_countdown: 1d}, shop.b: {max_countdown: 2d}}",
        "app/visibility_timeout_seconds",
        ["task:shop.b/max_countdown_seconds", "parameters.visibility-timeout.margin"],
    ),
    "the pin": (
        "broker: {transport: redis, url: '${U}', visibility_timeout: 2h}",
        "app/visibility_timeout_seconds",
        ["1:61"],
    ),
    "what holds longest": (
        "tasks: {shop.a: {max_countdown: 1d}, shop.b: {max_countdown: 2d}}",
        "app/longest_hold_seconds",
        ["task:shop.b/max_countdown_seconds"],
    ),
    "a rate limit": (
        "tasks: {shop.a: {queue: q, options: {rate_limit: 1/h}}}\nworkers: {q: {concurrency: 2}}",
        "app/longest_hold_seconds",
        ["task:shop.a/options.rate_limit"],
    ),
    "the rate limit of all tasks": (
        (
            "celery: {settings: {task_default_rate_limit: 1/h}}\n"
            "tasks: {shop.a: {queue: q}}\nworkers: {q: {concurrency: 2}}"
        ),
        "app/longest_hold_seconds",
        ["app/task_default_rate_limit"],
    ),
    "nothing that holds": ("tasks: {}", "app/longest_hold_seconds", ["NOTHING_HELD_SECONDS"]),
    "the policy": ("tasks: {}", "app/visibility_timeout_seconds", ["LEAST_SECONDS"]),
}
REFUSES = {
    "a schedule sends with a countdown longer than the pin": (
        (
            "broker: {transport: redis, url: '${U}', visibility_timeout: 1h}\n"
            "tasks: {shop.*: {}}\n"
            "schedules: {s: {task: shop.a, every: 2d, options: {countdown: 86400}}}"
        ),
        [
            Found(
                "eta-over-visibility",
                "1:61",
                (
                    "the broker redelivers a message to another worker after 1 h, but shop.* may be sent "
                    "with a countdown of 1 d"
                ),
                ("remove the pin (the compiler then sets 1 d 12 h 10 min 48 s), or make the times shorter"),
            ),
        ],
    ),
    "a broker that has none": (
        "broker: {transport: rabbitmq, url: '${U}', visibility_timeout: 1h}\ntasks: {shop.a: }",
        [
            Found(
                "visibility-timeout-unused",
                "1:64",
                "rabbitmq has no visibility timeout, so this pin has no effect",
                "remove `visibility_timeout`",
            )
        ],
    ),
    "a pin that SQS refuses": (
        "broker: {transport: sqs, url: '${U}', visibility_timeout: 13h}\ntasks: {shop.a: }",
        [
            Found(
                "visibility-timeout-over-sqs",
                "1:59",
                "the visibility timeout is 13 h, but SQS allows at most 12 h",
                "lower it to 12 h, or remove it",
            )
        ],
    ),
    "a run is longer than the pin": (
        (
            "broker: {transport: redis, url: '${U}', visibility_timeout: 1h}\n"
            "tasks: {shop.a: {latency: batch, idempotent: true, runtime: 2h}}"
        ),
        [
            Found(
                "late-ack-run-over-visibility",
                "1:61",
                (
                    "the broker redelivers a message to another worker after 1 h, but shop.a may run 3 h "
                    "44 min 52 s"
                ),
                "remove the pin (the compiler then sets 5 h 37 min 18 s), or make the times shorter",
            ),
        ],
    ),
    "a countdown is longer than the pin": (
        (
            "broker: {transport: redis, url: '${U}', options: {visibility_timeout: 3600}}\n"
            "tasks: {shop.a: {max_countdown: 1d}}"
        ),
        [
            Found(
                "eta-over-visibility",
                "1:71",
                (
                    "the broker redelivers a message to another worker after 1 h, but shop.a may be sent "
                    "with a countdown of 1 d"
                ),
                ("remove the pin (the compiler then sets 1 d 12 h 10 min 48 s), or make the times shorter"),
            ),
        ],
    ),
    "a retry waits longer than the pin": (
        (
            "broker: {transport: redis, url: '${U}', visibility_timeout: 1h}\n"
            "tasks: {shop.a: {idempotent: true, runtime: 1s, retry: {on: [OSError], delay: "
            "2h}}}"
        ),
        [
            Found(
                "retry-delay-over-visibility",
                "1:61",
                (
                    "the broker redelivers a message to another worker after 1 h, but a retry of shop.a "
                    "may wait 2 h, then run 7 s; in total 2 h 7 s"
                ),
                "remove the pin (the compiler then sets 3 h 21 s), or make the times shorter",
            ),
        ],
    ),
    "a reserve waits longer than the pin": (
        ("broker: {transport: redis, url: '${U}', visibility_timeout: 10m}\ntasks: {shop.a: {runtime: 8m}}"),
        [
            Found(
                "reserve-over-visibility",
                "1:61",
                (
                    "the broker redelivers a message to another worker after 10 min, but a message that "
                    "worker shop.standard.io.long prefetches behind shop.a may wait 11 min 32 s"
                ),
                "remove the pin (the compiler then sets 1 h), or make the times shorter",
            ),
        ],
    ),
    "a rate limit holds for longer than the pin": (
        (
            "broker: {transport: redis, url: '${U}', visibility_timeout: 20s}\n"
            "tasks: {shop.a: {queue: q, options: {soft_time_limit: 1, time_limit: 2, rate_limit: 10/m}}}\n"
            "workers: {q: {concurrency: 2, options: {prefetch_multiplier: 4}}}"
        ),
        [
            Found(
                "rate-limit-over-visibility",
                "1:61",
                (
                    "the broker redelivers a message to another worker after 20 s, but at 10/m and with 8 prefetched messages, a message of shop.a may wait 48 s"
                ),
                (
                    "remove the pin (the compiler then sets 1 h), or lower the worker's concurrency or "
                    "prefetch multiplier"
                ),
            ),
        ],
    ),
    "a rate limit and no end of messages, said once": (
        (
            "celery: {settings: {worker_prefetch_multiplier: 0}}\n"
            "tasks: {shop.a: {queue: q, options: {rate_limit: 10/m}}, "
            "shop.b: {queue: r, options: {rate_limit: 10/m}}}\n"
            "workers: {q: , r: }"
        ),
        [
            Found(
                "rate-limit-over-visibility",
                "1:49",
                (
                    "worker q prefetches every message, but starts shop.a at 10/m: a message that waits "
                    "there longer than the visibility timeout runs twice"
                ),
                "set a prefetch multiplier above 0, such as 1",
            ),
        ],
    ),
    "so long a wait for a rate limit that a killed worker's messages are late": (
        (
            "tasks: {shop.a: {queue: q, runtime: 1s, options: {rate_limit: 1/h}}}\n"
            "workers: {q: {concurrency: 9}}"
        ),
        [
            Found(
                "visibility-too-long",
                "1:63",
                (
                    "the broker redelivers the messages of a killed worker only after 13 h 30 min 11 s: at 1/h and with 9 prefetched messages, a message of shop.a may wait 9 h, then wait 7 s for a slot; in total 9 h 7 s"
                ),
                "lower the worker's concurrency or prefetch multiplier",
            ),
        ],
    ),
    "a rate limit on SQS": (
        (
            "broker: {transport: sqs, url: '${U}'}\n"
            "tasks: {shop.a: {queue: q, options: {rate_limit: 1/h}}}\nworkers: {q: {concurrency: 13}}"
        ),
        [
            Found(
                "rate-limit-over-visibility",
                "1:21",
                (
                    "the broker redelivers a message to another worker after 12 h, but at 1/h and with 13 prefetched messages, a message of shop.a may wait 13 h"
                ),
                (
                    "stay below 12 h, the maximum of SQS: lower the worker's concurrency or prefetch "
                    "multiplier"
                ),
            ),
        ],
    ),
    "longer than SQS allows": (
        "broker: {transport: sqs, url: '${U}'}\ntasks: {shop.a: {max_countdown: 13h}}",
        [
            Found(
                "eta-over-visibility",
                "1:21",
                (
                    "the broker redelivers a message to another worker after 12 h, but shop.a may be sent "
                    "with a countdown of 13 h"
                ),
                "stay below 12 h, the maximum of SQS: make the times shorter",
            ),
        ],
    ),
    "a pin on SQS": (
        (
            "broker: {transport: sqs, url: '${U}', visibility_timeout: 1h}\n"
            "tasks: {shop.a: {max_countdown: 13h}}"
        ),
        [
            Found(
                "eta-over-visibility",
                "1:59",
                (
                    "the broker redelivers a message to another worker after 1 h, but shop.a may be sent "
                    "with a countdown of 13 h"
                ),
                "remove the pin (the compiler then sets 12 h), or make the times shorter",
            ),
        ],
    ),
    "undeclared tasks are acknowledged late": (
        (
            "broker: {transport: redis, url: '${U}', visibility_timeout: 10m}\n"
            "celery: {settings: {task_acks_late: true, task_time_limit: 600}}"
        ),
        [
            Found(
                "late-ack-run-over-visibility",
                "1:61",
                (
                    "the broker redelivers a message to another worker after 10 min, but an undeclared "
                    "task may run 10 min"
                ),
                "remove the pin (the compiler then sets 1 h), or make the times shorter",
            ),
        ],
    ),
    "so long that a killed worker's messages are late": (
        "tasks: {shop.a: {runtime: 1s, max_countdown: 9h}}",
        [
            Found(
                "visibility-too-long",
                "1:46",
                (
                    "the broker redelivers the messages of a killed worker only after 13 h 30 min 11 s: shop.a may be sent with a countdown of 9 h, then wait 7 s for a slot; in total 9 h 7 s"
                ),
                "keep due times in a database and poll it with a schedule",
            ),
        ],
    ),
    "pinned so long": (
        "broker: {transport: redis, url: '${U}', visibility_timeout: 1d}",
        [
            Found(
                "visibility-too-long",
                "1:61",
                ("the broker redelivers the messages of a killed worker only after 1 d"),
                "lower or remove the pin",
            ),
        ],
    ),
    "another app on the same Redis": (
        (
            "broker: {transport: redis, url: '${U}', visibility_timeout: 2h}\n"
            "queues: {theirs: {external: true}}"
        ),
        [
            Found(
                "visibility-not-uniform",
                "2:18",
                (
                    "another app consumes queue theirs: its workers also redeliver messages of this app, "
                    "after their own visibility timeout, which must be 2 h too"
                ),
                "set the same visibility timeout in the other app, or use different Redis databases",
            ),
        ],
    ),
}
ACCEPTS = {
    "runs so long": "tasks: {shop.a: {latency: batch, idempotent: true, runtime: 20h}}",
    "nothing is held in reserve": (
        "broker: {transport: redis, url: '${U}', visibility_timeout: 10m}\n"
        "tasks: {shop.a: {queue: q, runtime: 8m}}\n"
        "workers: {q: {options: {disable_prefetch: true}}}"
    ),
    "a rate limit that no worker keeps": (
        "celery: {settings: {worker_disable_rate_limits: true, worker_prefetch_multiplier: 0}}\n"
        "tasks: {shop.a: {queue: q, options: {rate_limit: 1/h}}}"
    ),
    "no end of messages that nothing limits": (
        "celery: {settings: {worker_prefetch_multiplier: 0}}\ntasks: {shop.a: {queue: q}}"
    ),
    "another app with Celery's own default": "queues: {theirs: {external: true}}",
    "the pin is long enough": (
        "broker: {transport: redis, url: '${U}', visibility_timeout: 4h}\n"
        "tasks: {shop.a: {latency: batch, idempotent: true, runtime: 2h}}"
    ),
    "SQS bears it": "broker: {transport: sqs, url: '${U}'}\ntasks: {shop.a: {max_countdown: 8h}}",
    "acknowledged early": (
        "tasks: {shop.a: {queue: q, latency: batch, runtime: 2h}}\n"
        "broker: {transport: redis, url: '${U}', visibility_timeout: 4h}"
    ),
    "another app's run": (
        "broker: {transport: redis, url: '${U}', visibility_timeout: 1h}\n"
        "tasks: {shop.a: {external: true, queue: q, runtime: 2h, idempotent: true, "
        "options: {acks_late: true}}}"
    ),
    "RabbitMQ gives nothing away": (
        "broker: {transport: rabbitmq, url: '${U}'}\ntasks: {shop.a: {max_countdown: 20d}}"
    ),
}


@pytest.mark.parametrize(("fragment", "expected"), DECIDES.values(), ids=DECIDES)
def test_it_decides(fragment, expected):
    decided = after(visibility_timeout, fragment).decided
    assert {address: decided.get(address) for address in expected} == expected


@pytest.mark.parametrize(("fragment", "addresses"), STAYS_SILENT.values(), ids=STAYS_SILENT)
def test_it_stays_silent(fragment, addresses):
    assert after(visibility_timeout, fragment).decided.keys().isdisjoint(addresses)


@pytest.mark.parametrize(("fragment", "address", "places"), LEADS_TO.values(), ids=LEADS_TO)
def test_its_origins_lead_to(fragment, address, places):
    assert after(visibility_timeout, fragment).origins[address] == places


@pytest.mark.parametrize(("fragment", "findings"), REFUSES.values(), ids=REFUSES)
def test_it_refuses(fragment, findings):
    assert after(visibility_timeout, fragment).findings == findings


@pytest.mark.parametrize("fragment", ACCEPTS.values(), ids=ACCEPTS)
def test_it_accepts(fragment):
    assert after(visibility_timeout, fragment).findings == []
