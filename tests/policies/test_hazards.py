"""What a plan does to work: the findings of the policies that tell the book of hazards."""

from __future__ import annotations

import pytest
from workloads import after

from policycompiler.policies.broker import connection_values, external_tasks, sqs_queues
from policycompiler.policies.delivery import (
    broadcast_retries,
    critical_messages,
    lost_connections,
    result_expiry,
)
from policycompiler.policies.routing import queue_arguments, shared_exchanges
from policycompiler.policies.workers import remote_control
from policycompiler.policies.written import version_pairs

CANCEL = "worker_cancel_long_running_tasks_on_connection_loss"
RABBITMQ = "broker: {transport: rabbitmq, url: '${U}', version: '3.13'}\n"
SQS = "broker: {transport: sqs, url: '${U}'}\n"
TOPIC = "exchange: tasks, exchange_type: topic, routing_key"
RETRY = "idempotent: true, retry: {on: [ConnectionError], max: 3}"


def predefined(*names: str) -> str:
    table = ", ".join(f"{name}: {{url: 'https://sqs.test/1/{name}'}}" for name in names)
    return f"broker: {{transport: sqs, url: '${{U}}', options: {{predefined_queues: {{{table}}}}}}}\n"


FOUND = {
    "fanout on Redis": (shared_exchanges, "queues: {q: {exchange_type: fanout}}", ["fanout-unkept"]),
    "a broadcast on SQS": (shared_exchanges, f"{SQS}queues: {{q: {{broadcast: true}}}}", ["fanout-unkept"]),
    "fanout on RabbitMQ": (shared_exchanges, f"{RABBITMQ}queues: {{q: {{exchange_type: fanout}}}}", []),
    "two behind one fanout exchange": (
        shared_exchanges,
        (
            f"{RABBITMQ}queues: {{a: {{exchange: x, exchange_type: fanout}}, "
            "b: {exchange: x, exchange_type: fanout}}\ntasks: {t.a: {queue: a}}"
        ),
        ["binding-overlap"],
    ),
    "a pattern over a key": (
        shared_exchanges,
        f"queues: {{a: {{{TOPIC}: 'task.#'}}, b: {{{TOPIC}: task.b}}}}\ntasks: {{t.b: {{queue: b}}}}",
        ["binding-overlap"],
    ),
    "one key twice, told once": (
        shared_exchanges,
        f"queues: {{a: {{{TOPIC}: k}}, b: {{{TOPIC}: k}}}}\ntasks: {{t.a: {{queue: a}}, t.b: {{queue: b}}}}",
        ["binding-overlap"],
    ),
    "one word is not two": (
        shared_exchanges,
        f"queues: {{a: {{{TOPIC}: '*'}}, b: {{{TOPIC}: task.b}}}}\ntasks: {{t.b: {{queue: b}}}}",
        [],
    ),
    "no words on RabbitMQ": (
        shared_exchanges,
        f"{RABBITMQ}queues: {{a: {{{TOPIC}: 'b.#'}}, b: {{{TOPIC}: b}}}}\ntasks: {{t.b: {{queue: b}}}}",
        ["binding-overlap"],
    ),
    "no words on Redis": (
        shared_exchanges,
        f"queues: {{a: {{{TOPIC}: 'b.#'}}, b: {{{TOPIC}: b}}}}\ntasks: {{t.b: {{queue: b}}}}",
        [],
    ),
    "a copy for another app": (
        shared_exchanges,
        f"queues: {{a: {{external: true, {TOPIC}: '#'}}, b: {{{TOPIC}: b}}}}\ntasks: {{t.b: {{queue: b}}}}",
        [],
    ),
    "a direct exchange that two share": (
        shared_exchanges,
        "queues: {a: {exchange: x, routing_key: k}, b: {exchange: x, routing_key: k}}",
        [],
    ),
    "a broadcast that is retried": (
        broadcast_retries,
        f"queues: {{q: {{broadcast: true}}}}\ntasks: {{t.a: {{queue: q, {RETRY}}}}}",
        ["broadcast-retried"],
    ),
    "a broadcast whose process dies": (
        broadcast_retries,
        "queues: {q: {broadcast: true}}\ntasks: {t.a: {queue: q, idempotent: true}}",
        [],
    ),
    "a pinned retry of one": (
        broadcast_retries,
        "queues: {q: {broadcast: true}}\ntasks: {t.a: {queue: q, options: {retry_on_worker_lost: true}}}",
        ["broadcast-retried"],
    ),
    "quorum with an old Celery": (
        version_pairs,
        f"celery: {{version: '5.4'}}\n{RABBITMQ}queues: {{q: {{type: quorum}}}}",
        ["quorum-unsupported"],
    ),
    "quorum of another app with an old Celery": (
        version_pairs,
        f"celery: {{version: '5.4'}}\n{RABBITMQ}queues: {{q: {{type: quorum, external: true}}}}",
        [],
    ),
    "quorum that is not looked for": (
        version_pairs,
        (
            f"celery: {{settings: {{worker_detect_quorum_queues: false}}}}\n{RABBITMQ}"
            "queues: {q: {type: quorum}}"
        ),
        ["quorum-unsupported"],
    ),
    **{
        f"delayed retries with {celery} and {broker}": (
            version_pairs,
            (
                f"celery: {{version: '{celery}'}}\n"
                f"broker: {{transport: rabbitmq, url: '${{U}}'{broker and f', version: {broker!r}'}}}\n"
                f"queues: {{q: {{type: quorum}}}}\ntasks: {{t.a: {{queue: q, {RETRY}}}}}"
            ),
            names,
        )
        for celery, broker, names in (
            ("5.5", "3.13", ["delayed-retry-lost"]),
            ("5.5.3", "3.13.7", ["delayed-retry-lost"]),
            ("5.5.3", "", ["delayed-retry-lost"]),
            ("5.6", "4.0", ["delayed-retry-lost"]),
            ("5.6.3", "3.13", []),
            ("5.5.3", "4.0.1", []),
            ("5.7", "3.13", []),
        )
    },
    "levels for all": (
        queue_arguments,
        f"celery: {{settings: {{task_queue_max_priority: 3}}}}\n{RABBITMQ}queues: {{q: {{type: quorum}}}}",
        ["queue-argument-refused"],
    ),
    "a lazy quorum queue": (
        queue_arguments,
        f"{RABBITMQ}queues: {{q: {{type: quorum, arguments: {{x-queue-mode: lazy}}}}}}",
        ["queue-argument-refused"],
    ),
    "a delivery limit of a classic queue": (
        queue_arguments,
        f"{RABBITMQ}queues: {{q: {{arguments: {{x-delivery-limit: 3}}}}}}",
        ["queue-argument-refused"],
    ),
    "a queue that expires": (
        queue_arguments,
        "queues: {q: {arguments: {x-expires: 60000}}}\ntasks: {t.a: {queue: q}}",
        ["queue-expires"],
    ),
    "one of a critical task is told there": (
        queue_arguments,
        "queues: {q: {arguments: {x-expires: 60000}}}\ntasks: {t.a: {queue: q, critical: true}}",
        [],
    ),
    "a task of another app that a worker takes": (
        external_tasks,
        "tasks: {t.a: {queue: q}, p.e: {queue: q, external: true}}",
        ["external-task-consumed"],
    ),
    "a pattern of queues takes it": (
        external_tasks,
        "tasks: {p.e: {queue: mail, external: true}}\nworkers: {w: {queues: [mail]}}",
        ["external-task-consumed"],
    ),
    "a queue chosen at call time": (
        external_tasks,
        f"{RABBITMQ}queues: {{theirs: {{external: true}}}}\ntasks: {{t.a: {{call_time_queues: [theirs]}}}}",
        ["external-queue-unchecked"],
    ),
    **{
        f"critical with {what}": (
            critical_messages,
            f"{RABBITMQ}queues: {{q: {{{queue}}}}}\ntasks: {{t.a: {{queue: q, critical: true{task}}}}}",
            names,
        )
        for what, queue, task, names in (
            ("transient messages", "", ", options: {delivery_mode: 1}", ["critical-task-dropped"]),
            ("persistent ones in effect", "type: quorum", ", options: {delivery_mode: 1}", []),
            ("a TTL", "arguments: {x-message-ttl: 1000}", "", ["critical-task-dropped"]),
            ("a TTL and dead letters", "dead_letter: true, arguments: {x-message-ttl: 1000}", "", []),
            ("a length", "arguments: {x-max-length: 10}", "", ["critical-task-dropped"]),
            ("a length that refuses", "arguments: {x-max-length: 1, x-overflow: reject-publish}", "", []),
            ("an expiry", "dead_letter: true, arguments: {x-expires: 1000}", "", ["critical-task-dropped"]),
        )
    },
    "critical with transient messages of the app": (
        critical_messages,
        (
            f"celery: {{settings: {{task_default_delivery_mode: transient}}}}\n{RABBITMQ}"
            "tasks: {t.a: {critical: true}}"
        ),
        ["critical-task-dropped"],
    ),
    "critical in memory": (
        critical_messages,
        "broker: {transport: memory, url: 'memory://'}\ntasks: {t.a: {critical: true}}",
        ["critical-task-dropped"],
    ),
    "critical and held nowhere": (
        critical_messages,
        (
            "broker: {transport: redis, url: '${U}', options: {ack_emulation: false}}\n"
            "tasks: {t.a: {critical: true}}"
        ),
        ["critical-task-dropped"],
    ),
    "a pool that cannot cancel": (
        lost_connections,
        (
            f"celery: {{settings: {{{CANCEL}: true}}}}\n"
            "tasks: {t.a: {queue: q, idempotent: true}}\nworkers: {q: {pool: threads}}"
        ),
        ["cancel-impossible"],
    ),
    "a heartbeat that is off": (
        lost_connections,
        (
            f"celery: {{settings: {{broker_heartbeat: 0}}}}\n{RABBITMQ}"
            "tasks: {t.a: {queue: q, idempotent: true, runtime: 4m}}\nworkers: {q: {pool: solo}}"
        ),
        [],
    ),
    "a shorter heartbeat": (
        lost_connections,
        (
            f"celery: {{settings: {{broker_heartbeat: 10}}}}\n{RABBITMQ}"
            "tasks: {t.a: {queue: q, idempotent: true, runtime: 20s}}\nworkers: {q: {pool: solo}}"
        ),
        ["solo-heartbeat"],
    ),
    "solo on Redis": (
        lost_connections,
        "tasks: {t.a: {queue: q, idempotent: true, runtime: 4m}}\nworkers: {q: {pool: solo}}",
        [],
    ),
    "remote control": (
        remote_control,
        "celery: {settings: {worker_enable_remote_control: false}}",
        ["remote-control-off"],
    ),
    **{
        f"TLS of {key}: {value} on {transport}": (
            connection_values,
            f"celery: {{settings: {{{key}: {value}}}}}\nbroker: {{transport: {transport}, url: '${{U}}'}}",
            names,
        )
        for key, value, transport, names in (
            ("broker_use_ssl", "{ssl_cert_reqs: CERT_REQUIRED}", "redis", ["connection-value-refused"]),
            ("broker_use_ssl", "{ssl_cert_reqs: required}", "redis", []),
            ("broker_use_ssl", "{ssl_cert_reqs: 2}", "redis", []),
            ("broker_use_ssl", "{cert_reqs: 2}", "redis", ["connection-value-refused"]),
            ("broker_use_ssl", "true", "redis", ["connection-value-refused"]),
            ("broker_use_ssl", "true", "rabbitmq", []),
            ("broker_use_ssl", "{cert_reqs: required}", "rabbitmq", ["connection-value-refused"]),
            ("broker_use_ssl", "{cert_reqs: 2}", "rabbitmq", []),
            ("broker_use_ssl", "{ssl_cert_reqs: 2}", "rabbitmq", ["connection-value-refused"]),
        )
    },
    **{
        f"results at {url}": (connection_values, f"results: {{backend: redis, url: '{url}'}}", names)
        for url, names in (
            ("rediss://redis.test/1", ["connection-value-refused"]),
            ("rediss://redis.test/1?ssl_cert_reqs=yes", ["connection-value-refused"]),
            ("rediss://redis.test/1?ssl_cert_reqs=required", []),
            ("rediss://redis.test/1?ssl_cert_reqs=CERT_NONE", ["tls-unverified"]),
            ("redis://redis.test/1", []),
        )
    },
    "a master of one connection only": (
        connection_values,
        (
            "broker: {transport: redis, url: '${U}', options: {master_name: main}}\n"
            "results: {backend: redis, url: '${R}'}"
        ),
        ["connection-option-one-sided"],
    ),
    "a prefix on another server": (
        connection_values,
        (
            "broker: {transport: redis, url: 'redis://one.test/0', options: {global_keyprefix: a}}\n"
            "results: {backend: redis, url: 'redis://two.test/0'}"
        ),
        [],
    ),
    "TLS of results only": (
        connection_values,
        (
            "results: {backend: redis, url: '${R}'}\n"
            "celery: {settings: {redis_backend_use_ssl: {ssl_cert_reqs: required}}}"
        ),
        ["connection-option-one-sided"],
    ),
    "a name that is not in the table": (
        sqs_queues,
        f"{predefined('mail')}tasks: {{t.a: {{queue: mail}}, t.b: {{queue: post}}}}",
        ["predefined-queue-missing"],
    ),
    "a dot under both keys": (
        sqs_queues,
        f"{predefined('mail-in', 'mail.in')}tasks: {{t.a: {{queue: mail.in}}}}",
        [],
    ),
    "a dot under one key": (
        sqs_queues,
        f"{predefined('mail-in')}tasks: {{t.a: {{queue: mail.in}}}}",
        ["predefined-queue-missing"],
    ),
    "the compiler's own names": (sqs_queues, f"{predefined('shop-standard-io')}tasks: {{t.a: }}", []),
    "two names that are one": (
        sqs_queues,
        f"{SQS}tasks: {{t.a: {{queue: a.b}}, t.b: {{queue: a-b}}}}",
        ["queue-name-invalid"],
    ),
    "a name that is too long": (
        sqs_queues,
        f"{SQS}tasks: {{t.a: {{queue: {'a' * 81}}}}}",
        ["queue-name-invalid"],
    ),
    **{
        f"results with {key}: {value}": (
            result_expiry,
            f"results: {{backend: {backend}, url: '${{R}}'}}\ncelery: {{settings: {{{key}: {value}}}}}",
            names,
        )
        for key, value, backend, names in (
            ("result_expires", "0", "redis", ["result-expiry-off"]),
            ("result_chord_expires", "0", "redis", ["result-expiry-off"]),
            ("result_expires", "3600", "redis", []),
            ("result_expires", "0", "none", []),
        )
    },
}


@pytest.mark.parametrize(("policy", "fragment", "names"), FOUND.values(), ids=FOUND)
def test_it_finds(policy, fragment, names):
    assert [found.name for found in after(policy, fragment).findings] == names


def test_a_send_to_a_queue_that_another_app_makes_is_mandatory():
    fragment = f"{RABBITMQ}queues: {{theirs: {{external: true}}}}\ntasks: {{t.a: {{queue: theirs}}, t.b: }}"
    decided = after(external_tasks, fragment).decided
    assert {address: value for address, (value, _) in decided.items()} == {"task:t.a/mandatory": True}


ADDRESS = "broker: {transport: %s, url: '%s'%s}\ntasks: {t.a: }\n"


@pytest.mark.parametrize(
    ("fragment", "expected"),
    [
        (ADDRESS % ("redis", "redis://h/abc", ""), 1),
        (ADDRESS % ("redis", "redis://h:99999/0", ""), 1),
        (ADDRESS % ("redis", "http://h", ""), 1),
        (ADDRESS % ("redis", "amqp://h//", ""), 1),
        (ADDRESS % ("rabbitmq", "redis://h/0", ""), 1),
        (ADDRESS % ("redis", "sentinel://h:26379", ""), 1),
        (ADDRESS % ("redis", "redis://h/0", ", options: {queue_order_strategy: foo}"), 1),
        (ADDRESS % ("redis", "redis://h/0", ", options: {socket_timeout: 0}"), 1),
        ("celery: {settings: {redis_socket_timeout: -1}}\n" + ADDRESS % ("redis", "redis://h/0", ""), 1),
        (ADDRESS % ("redis", "redis://h:6379/3", ""), 0),
        (ADDRESS % ("redis", "redis://h", ""), 0),
        (ADDRESS % ("redis", "redis+socket:///run/redis.sock", ""), 0),
        (ADDRESS % ("redis", "sentinel://h:26379;sentinel://i:26379", ", options: {master_name: m}"), 0),
        (ADDRESS % ("redis", "redis://h/0", ", options: {queue_order_strategy: priority}"), 0),
        (ADDRESS % ("rabbitmq", "amqps://h:5671/shop", ""), 0),
        (ADDRESS % ("rabbitmq", "pyamqp://h//", ""), 0),
        (ADDRESS % ("sqs", "sqs://", ""), 0),
    ],
)
def test_an_address_that_no_client_takes_is_refused(fragment, expected):
    found = [each.name for each in after(connection_values, fragment).findings]
    assert found.count("connection-value-refused") == expected
