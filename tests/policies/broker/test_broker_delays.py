"""No delayed message keeps a worker from its work."""

from __future__ import annotations

import pytest
from workloads import Found, after, for_its_rabbitmq

from policycompiler.policies.broker import broker_delays

RABBIT = "broker: {transport: rabbitmq, url: '${U}'}\n"
RABBIT4 = "broker: {transport: rabbitmq, url: '${U}', version: '4.1'}\n"
RABBIT3 = "broker: {transport: rabbitmq, url: '${U}', version: '3.13'}\n"
CLASSIC = "queues: {shop.standard.io: {type: classic}}\n"
DIRECT = "queues: {q: {exchange_type: direct}}\n"


def holds(what: str, queue: str) -> str:
    """How a stall begins."""
    return (
        f"{what} min, and a worker of queue {queue} holds its message: a worker that holds only such "
        "messages runs nothing"
    )


def overlap(what: str, key: str = "mail") -> str:
    """That what is delayed for queue shop.mail comes to queue mail."""
    return (
        f"{what} 10 min; RabbitMQ then delivers it to queues shop.mail and mail, so it runs twice: routing "
        f"key `{key}` matches the end of `shop.mail`"
    )


TOPIC = "remove `exchange_type: direct`; with a topic exchange the broker holds delayed messages"
KEYS = "write a `routing_key` for queue shop.mail that does not end with the other queue's key"
WHOLE = "write 0, or 1 s or more"
REFUSES = {
    "a countdown behind a direct exchange": (
        f"{RABBIT}{DIRECT}tasks: {{shop.a: {{queue: q, max_countdown: 10m}}}}",
        [
            Found(
                "quorum-direct",
                "3:43",
                holds("shop.a may be sent with a countdown of 10", "q")
                + " (direct exchange, and q is a quorum queue)",
                TOPIC,
            ),
        ],
    ),
    "a retry behind a direct exchange": (
        (
            f"{RABBIT}queues: {{q: {{arguments: {{x-max-priority: 9}}, exchange_type: direct}}}}\n"
            "tasks: {shop.a: {queue: q, idempotent: true, retry: {on: [OSError], max_delay: 1m}}}"
        ),
        [
            Found(
                "quorum-direct",
                "3:80",
                holds("a retry of shop.a may wait 1", "q")
                + " (direct exchange, and shop.standard.io is a quorum queue)",
                TOPIC,
            ),
        ],
    ),
    "a countdown on classic queues of RabbitMQ 4": (
        f"{RABBIT4}{CLASSIC}tasks: {{shop.a: {{max_countdown: 10m}}}}",
        [
            Found(
                "eta-classic-rabbit4",
                "3:33",
                holds("shop.a may be sent with a countdown of 10", "shop.standard.io")
                + " (RabbitMQ 4.1 has no global prefetch for classic queues)",
                (
                    "write `queues: {shop.standard.io: {type: quorum}}` (from Celery 5.5; `policycompiler "
                    "diff` prints the steps), or send shop.a without a delay and store its due time in a "
                    "database"
                ),
            ),
        ],
    ),
    "a fraction of a second": (
        f"{RABBIT}tasks: {{shop.a: {{max_countdown: 500ms}}}}",
        [
            Found(
                "quorum-subsecond",
                "2:33",
                (
                    "shop.a may be sent with a countdown of 0.5 s, but the broker delays in whole seconds: "
                    "Celery refuses to send it"
                ),
                WHOLE,
            ),
        ],
    ),
    "a fraction of a second before a retry": (
        f"{RABBIT}tasks: {{shop.a: {{options: {{default_retry_delay: 0.3}}}}}}",
        [
            Found(
                "quorum-subsecond",
                "2:49",
                (
                    "a retry of shop.a may wait 0.3 s, but the broker delays in whole seconds: Celery "
                    "refuses to send it"
                ),
                WHOLE,
            ),
        ],
    ),
    "a fraction of a second that a longer countdown hides": (
        (
            f"{RABBIT}tasks: {{shop.a: {{max_countdown: 1m}}}}\n"
            "schedules: {s: {task: shop.a, every: 1m, options: {countdown: 0.5}}}"
        ),
        [
            Found(
                "quorum-subsecond",
                "3:63",
                (
                    "schedule s sends shop.a with a countdown of 0.5 s, but the broker delays in whole "
                    "seconds: Celery refuses to send it"
                ),
                WHOLE,
            ),
        ],
    ),
    "more than a process should hold": (
        "tasks: {shop.a: {rate: 10/s, max_countdown: 30m}}",
        [
            Found(
                "eta-hoard",
                "1:45",
                (
                    "a worker process may hold 18,000 messages of shop.a in memory: 10 a second, delayed "
                    "up to 30 min, for 1 process"
                ),
                (
                    "keep due times in a database and poll it with a schedule, or use quorum queues of "
                    "RabbitMQ"
                ),
            ),
        ],
    ),
    "two kinds of queue": (
        f"{RABBIT}queues: {{q: {{type: classic}}}}",
        [
            Found(
                "quorum-partial",
                "2:20",
                (
                    "queue q is classic, but shop.standard.io is a quorum queue: it gives all workers of "
                    "the app a fixed prefetch and delays in the broker"
                ),
                "declare one type for all queues of the app",
            ),
        ],
    ),
    "a pool that grows": (
        f"{RABBIT}queues: {{q: {{}}}}\nworkers: {{q: {{concurrency: {{min: 2, max: 10}}}}}}",
        [
            Found(
                "autoscale-quorum",
                "3:28",
                (
                    "worker q prefetches 10 messages for 2 to 10 slots; with quorum queue q this limit is "
                    "fixed, and `celery control autoscale` changes only the slots"
                ),
                "write a fixed number of slots",
            ),
        ],
    ),
    "a key that ends another one": (
        f"{RABBIT}queues: {{mail: {{}}}}\ntasks: {{shop.a: {{queue: shop.mail, max_countdown: 10m}}}}",
        [
            Found("quorum-key-overlap", "3:51", overlap("shop.a may be sent with a countdown of"), KEYS),
        ],
    ),
    "a key that ends another one, of a retry to a queue that a call chooses": (
        (
            f"{RABBIT}queues: {{mail: {{}}}}\n"
            "tasks: {shop.a: {call_time_queues: [shop.mail], idempotent: true, retry: {on: [OSError]}}}"
        ),
        [
            Found("quorum-key-overlap", "3:74", overlap("a retry of shop.a may wait"), KEYS),
        ],
    ),
    "a key that ends that of another app's queue": (
        (
            f"{RABBIT}queues: {{mail: {{}}, shop.mail: {{exchange_type: topic}}}}\n"
            "tasks: {shop.a: {queue: shop.mail, external: true, max_countdown: 10m}}"
        ),
        [
            Found("quorum-key-overlap", "3:67", overlap("shop.a may be sent with a countdown of"), KEYS),
        ],
    ),
    "the same key on another exchange, and a broadcast of it": (
        (
            f"{RABBIT}queues: {{mail: {{routing_key: shop.mail, broadcast: true}}}}\n"
            "tasks: {shop.a: {queue: shop.mail, max_countdown: 10m}}"
        ),
        [
            Found(
                "quorum-key-overlap",
                "3:51",
                overlap("shop.a may be sent with a countdown of", "shop.mail"),
                KEYS,
            ),
        ],
    ),
    "a pattern that takes a bit of the delay for a word": (
        (
            f"{RABBIT}queues: {{mail: {{routing_key: '*.shop.#'}}}}\n"
            "tasks: {shop.a: {queue: shop.mail, max_countdown: 10m}}"
        ),
        [
            Found(
                "quorum-key-overlap",
                "3:51",
                overlap("shop.a may be sent with a countdown of", "*.shop.#"),
                KEYS,
            ),
        ],
    ),
    "a key that ends another one of its exchange, without a delay": (
        (
            f"{RABBIT}queues: {{mail: {{exchange: e}}, shop.mail: {{exchange: e}}}}\n"
            "tasks: {shop.a: {queue: shop.mail}}"
        ),
        [
            Found(
                "quorum-key-overlap",
                "2:53",
                (
                    "messages for queue shop.mail also reach queue mail and run twice: Celery binds mail "
                    "to exchange e by `#.mail`, which matches `shop.mail` (with a quorum queue)"
                ),
                KEYS,
            ),
        ],
    ),
}
ACCEPTS = {
    "delays in the broker": f"{RABBIT4}tasks: {{shop.a: {{max_countdown: 10m, rate: 100/s}}}}",
    "delays of RabbitMQ 3": f"{RABBIT3}tasks: {{shop.a: {{max_countdown: 10m}}}}",
    "a classic queue beside a quorum queue": (
        f"{RABBIT}queues: {{q: {{exchange_type: topic, arguments: {{x-max-priority: 9}}}}}}\n"
        "tasks: {shop.a: {queue: q, max_countdown: 10m}}"
    ),
    "a key that ends another one, without delays": (
        f"{RABBIT}queues: {{mail: {{}}}}\n"
        "tasks: {shop.a: {queue: shop.mail}, shop.b: {max_countdown: 1m}}"
    ),
    "a key that ends another one by letters": (
        f"{RABBIT}queues: {{mail: {{}}}}\ntasks: {{shop.a: {{queue: xmail, max_countdown: 10m}}}}"
    ),
    "a key that begins another one": (
        f"{RABBIT}queues: {{shop: {{}}}}\ntasks: {{shop.a: {{queue: shop.mail, max_countdown: 10m}}}}"
    ),
    "a key that ends another one behind a direct exchange": (
        f"{RABBIT}queues: {{mail: {{exchange_type: direct}}}}\n"
        "tasks: {shop.a: {queue: shop.mail, max_countdown: 10m}}"
    ),
    "a key that ends another one, and no quorum queue": (
        f"{RABBIT3}queues: {{mail: {{exchange_type: topic}}, shop.mail: {{exchange_type: topic}}}}\n"
        "tasks: {shop.a: {queue: shop.mail, max_countdown: 10m}}"
    ),
    "a queue that is to get what goes through its exchange": (
        f"{RABBIT}queues: {{mail: {{exchange: shop.mail, routing_key: '*.mail'}}, "
        "all: {exchange: shop.mail, routing_key: '#'}}\n"
        "tasks: {shop.a: {queue: shop.mail, max_countdown: 10m}}"
    ),
    "queues of one fanout exchange": (
        f"{RABBIT}queues: {{mail: {{exchange: e, exchange_type: fanout}}, shop.mail: {{exchange: e, "
        "exchange_type: fanout}}\ntasks: {shop.a: {queue: shop.mail, max_countdown: 10m}}"
    ),
    "what is a quorum queue by name alone": (
        "queues: {mail: {exchange_type: topic, arguments: {x-queue-type: quorum}}, shop.mail: "
        "{exchange_type: topic}}\ntasks: {shop.a: {queue: shop.mail, max_countdown: 500ms}}"
    ),
    "a direct exchange without delays": f"{RABBIT}{DIRECT}tasks: {{shop.a: {{queue: q}}}}",
    "another app's task": (
        f"{RABBIT}{DIRECT}tasks: {{shop.a: {{queue: q, external: true, max_countdown: 10m}}}}"
    ),
    "a fraction of a second on Redis": "tasks: {shop.a: {max_countdown: 500ms}}",
    "a wait of none": f"{RABBIT}tasks: {{shop.a: {{max_countdown: 0}}}}",
    "few delayed messages": "tasks: {shop.a: {rate: 1/s, max_countdown: 30m}}",
    "many in many processes": (
        "tasks: {shop.a: {queue: q, rate: 10/s, max_countdown: 30m}}\nworkers: {q: {replicas: 2}}"
    ),
}


@pytest.mark.parametrize(("fragment", "findings"), REFUSES.values(), ids=REFUSES)
def test_it_refuses(fragment, findings):
    assert after(broker_delays, fragment, for_its_rabbitmq(fragment)).findings == findings


@pytest.mark.parametrize("fragment", ACCEPTS.values(), ids=ACCEPTS)
def test_it_accepts(fragment):
    assert after(broker_delays, fragment, for_its_rabbitmq(fragment)).findings == []
