"""Every queue is declared, as this broker needs it."""

from __future__ import annotations

import pytest
from workloads import Found, after

from policycompiler.policies.routing import queue_declarations

UNASKED = "no other type is declared, and RabbitMQ cannot change the type of an existing queue"
DECIDES = {
    "Redis has one kind": (
        "tasks: {shop.a: }",
        {
            "queue:shop.standard.io/exchange": (
                "shop.standard.io",
                ("the exchange has the name of the queue"),
            ),
            "queue:shop.standard.io/exchange_type": ("direct", "this broker has only one type of queue"),
            "queue:shop.standard.io/routing_key": (
                "shop.standard.io",
                ("the routing key is the name of the queue"),
            ),
            "queue:shop.standard.io/arguments.x-queue-type": None,
            "queue:shop.standard.io/consumer_arguments": (
                {},
                ("the consumers of the queue need no arguments"),
            ),
            "app/task_create_missing_queues": (
                True,
                "an undeclared task may name its own queue, and its sends must not fail",
            ),
            "app/task_default_exchange": (
                "shop.standard.io",
                "the declaration of the default queue has this exchange",
            ),
            "app/task_default_exchange_type": (
                "direct",
                "the declaration of the default queue has this exchange type",
            ),
            "app/task_default_routing_key": (
                "shop.standard.io",
                "the declaration of the default queue has this routing key",
            ),
        },
    ),
    "a type that nobody declares stays what Celery makes of it": (
        "broker: {transport: rabbitmq, url: '${U}', version: '4.1'}\ntasks: {shop.a: }",
        {
            "queue:shop.standard.io/exchange_type": ("direct", UNASKED),
            "queue:shop.standard.io/exchange": (
                "shop.standard.io",
                ("the exchange has the name of the queue"),
            ),
            "queue:shop.standard.io/routing_key": (
                "shop.standard.io",
                ("the routing key is the name of the queue"),
            ),
            "queue:shop.standard.io/arguments.x-queue-type": None,
            "app/task_default_exchange_type": (
                "direct",
                "the declaration of the default queue has this exchange type",
            ),
        },
    ),
    "Celery's own setting for the default queue": (
        (
            "broker: {transport: rabbitmq, url: '${U}'}\n"
            "celery: {settings: {task_default_queue_type: quorum, task_default_exchange: all, "
            "task_default_exchange_type: topic, task_default_routing_key: all.it}}\n"
            "tasks: {shop.a: }"
        ),
        {
            "queue:shop.standard.io/exchange": (
                "all",
                "`task_default_exchange` sets it for the default queue",
            ),
            "queue:shop.standard.io/exchange_type": ("topic", "`task_default_exchange_type` sets it"),
            "queue:shop.standard.io/routing_key": (
                "all.it",
                "`task_default_routing_key` sets it for the default queue",
            ),
            "queue:shop.standard.io/type": ("quorum", "`task_default_queue_type` sets it"),
            "queue:shop.standard.io/arguments.x-queue-type": (
                "quorum",
                ("`task_default_queue_type` sets it"),
            ),
            "queue:shop.standard.io/arguments.x-delivery-limit": None,
        },
    ),
    "Celery's own setting for the others": (
        (
            "broker: {transport: rabbitmq, url: '${U}'}\n"
            "celery: {settings: {task_create_missing_queue_type: quorum, "
            "task_create_missing_queue_exchange_type: topic}}\n"
            "tasks: {shop.a: {queue: q}}"
        ),
        {
            "queue:q/exchange_type": ("topic", "`task_create_missing_queue_exchange_type` sets it"),
            "queue:q/arguments.x-queue-type": ("quorum", "`task_create_missing_queue_type` sets it"),
            "queue:shop.standard.io/arguments.x-queue-type": None,
        },
    ),
    "a key alone leaves the exchange as Celery makes it": (
        "broker: {transport: rabbitmq, url: '${U}'}\nqueues: {default: {routing_key: 'default.#'}}",
        {
            "queue:default/exchange": ("default", "the exchange has the name of the queue"),
            "queue:default/exchange_type": ("direct", UNASKED),
            "queue:default/arguments.x-queue-type": None,
        },
    ),
    "pinned to classic": (
        (
            "broker: {transport: rabbitmq, url: '${U}', version: '4.1'}\n"
            "queues: {q: {type: classic}, r: {type: quorum}}"
        ),
        {
            "queue:q/exchange_type": ("direct", "the workload pins the queue type"),
            "queue:q/arguments.x-queue-type": None,
        },
    ),
    "a classic queue among classic ones": (
        ("broker: {transport: rabbitmq, url: '${U}', version: '3.13'}\nqueues: {q: {type: classic}}"),
        {
            "queue:q/exchange_type": ("direct", "the workload pins the queue type"),
        },
    ),
    "a type among the arguments": (
        (
            "broker: {transport: rabbitmq, url: '${U}', version: '3.13'}\n"
            "queues: {q: {arguments: {x-queue-type: quorum}}}"
        ),
        {
            "queue:q/exchange_type": ("topic", "the workload pins the queue type"),
            "queue:q/type": ("quorum", "the workload pins the queue type"),
            "queue:q/arguments.x-queue-type": ("quorum", "the workload pins it"),
            "queue:q/arguments.x-delivery-limit": (
                3,
                "a message that kills its worker must not return without end",
            ),
        },
    ),
    "pinned to quorum": (
        ("broker: {transport: rabbitmq, url: '${U}', version: '3.13'}\nqueues: {q: {type: quorum}}"),
        {
            "queue:q/exchange_type": ("topic", "the workload pins the queue type"),
            "queue:q/type": ("quorum", "the workload pins the queue type"),
            "queue:q/arguments.x-queue-type": ("quorum", "the workload pins the queue type"),
            "queue:q/arguments.x-delivery-limit": (
                3,
                "a message that kills its worker must not return without end",
            ),
        },
    ),
    "arguments are added": (
        (
            "broker: {transport: rabbitmq, url: '${U}'}\n"
            "queues: {q: {type: quorum, arguments: {x-message-ttl: 60000}}}"
        ),
        {
            "queue:q/arguments.x-queue-type": ("quorum", "the workload pins the queue type"),
            "queue:q/arguments.x-message-ttl": (60000, "the workload pins it"),
            "queue:q/arguments.x-delivery-limit": (
                3,
                "a message that kills its worker must not return without end",
            ),
        },
    ),
    "arguments that are pinned win": (
        (
            "broker: {transport: rabbitmq, url: '${U}'}\n"
            "queues: {q: {type: quorum, arguments: {x-delivery-limit: 9}}}"
        ),
        {
            "queue:q/arguments.x-queue-type": ("quorum", "the workload pins the queue type"),
            "queue:q/arguments.x-delivery-limit": (9, "the workload pins it"),
        },
    ),
    "levels of priority are of classic queues": (
        "broker: {transport: rabbitmq, url: '${U}'}\nqueues: {q: {arguments: {x-max-priority: 10}}}",
        {
            "queue:q/exchange_type": ("direct", "RabbitMQ refuses a quorum queue with priority levels"),
            "queue:q/type": ("classic", "RabbitMQ refuses a quorum queue with priority levels"),
            "queue:q/arguments.x-max-priority": (10, "the workload pins it"),
        },
    ),
    "a broadcast is no quorum queue": (
        "broker: {transport: rabbitmq, url: '${U}'}\nqueues: {q: {broadcast: true}}",
        {
            "queue:q/arguments.x-queue-type": None,
            "queue:q/exchange_type": (
                "fanout",
                ("a fanout exchange copies each message to every bound queue"),
            ),
        },
    ),
    "a pattern for a key": (
        "queues: {q: {exchange: tasks, routing_key: task.#}}",
        {
            "queue:q/exchange_type": (
                "topic",
                ("the routing key is a pattern, which needs a topic exchange"),
            ),
        },
    ),
    "another app declares its own": (
        "broker: {transport: rabbitmq, url: '${U}'}\nqueues: {q: {external: true}}",
        {
            "queue:q/arguments.x-queue-type": None,
            "queue:q/exchange_type": (
                "direct",
                ("another app consumes and declares the queue, and this app only publishes to it"),
            ),
        },
    ),
    "a pinned type is RabbitMQ's": (
        "queues: {q: {type: quorum}}",
        {
            "queue:q/exchange_type": ("direct", "this broker has only one type of queue"),
            "queue:q/arguments.x-queue-type": None,
        },
    ),
    "the rest of one that is spelt out": (
        "queues: {q: {exchange: tasks}}",
        {
            "queue:q/exchange_type": ("direct", "this broker has only one type of queue"),
            "queue:q/routing_key": ("q", "the routing key is the name of the queue"),
        },
    ),
}
STAYS_SILENT = {
    "it is spelt out": (
        (
            "queues: {q: {exchange: tasks, exchange_type: topic, routing_key: task.#, "
            "consumer_arguments: {x-priority: 5}}}"
        ),
        ["queue:q/exchange", "queue:q/exchange_type", "queue:q/routing_key", "queue:q/consumer_arguments"],
    ),
    "settings are pinned": (
        (
            "celery: {settings: {task_create_missing_queues: true, task_default_exchange: x, "
            "task_default_exchange_type: topic, task_default_routing_key: y}}"
        ),
        [
            "app/task_create_missing_queues",
            "app/task_default_exchange",
            "app/task_default_exchange_type",
            "app/task_default_routing_key",
        ],
    ),
}
LEADS_TO = {
    "the broker": ("tasks: {shop.a: }", "queue:shop.standard.io/exchange_type", ["app/broker_transport"]),
    "the policy file": (
        "broker: {transport: rabbitmq, url: '${U}', version: '3.13'}\ntasks: {shop.a: }",
        "queue:shop.standard.io/exchange_type",
        ["parameters.queue-declarations.queue_type"],
    ),
    "the type": (
        "broker: {transport: rabbitmq, url: '${U}'}\nqueues: {q: {type: quorum}}",
        "queue:q/type",
        ["2:20"],
    ),
    "the type and the parameter": (
        "broker: {transport: rabbitmq, url: '${U}'}\nqueues: {q: {type: quorum}}",
        "queue:q/arguments.x-delivery-limit",
        ["queue:q/type", "parameters.queue-declarations.redeliveries"],
    ),
    "what is pinned": (
        "broker: {transport: rabbitmq, url: '${U}'}\nqueues: {q: {arguments: {x-message-ttl: 1}}}",
        "queue:q/arguments.x-message-ttl",
        ["2:41"],
    ),
    "the default queue": (
        "tasks: {shop.a: }",
        "app/task_default_exchange",
        ["queue:shop.standard.io/exchange"],
    ),
}
REFUSES = {
    "what only RabbitMQ knows": (
        (
            "broker: {transport: filesystem, url: '${U}'}\n"
            "queues: {q: {type: classic, arguments: {x-expires: 1}, consumer_arguments: {x-priority: 1}}}"
        ),
        [
            Found(
                "queue-type-unused",
                f"2:{column}",
                f"`{field}` of queue q has no effect on filesystem",
                f"remove `{field}`, or use RabbitMQ",
            )
            for field, column in (("type", 14), ("arguments", 29), ("consumer_arguments", 56))
        ],
    ),
    "arguments that Redis does not know": (
        "queues: {q: {arguments: {x-expires: 60000, x-message-ttl: 60000}}}",
        [
            Found(
                "queue-type-unused",
                "1:14",
                "on redis only these queue arguments have an effect: x-expires",
                "remove the other arguments, or use RabbitMQ",
            ),
        ],
    ),
    "a broadcast that is none": (
        "queues: {q: {broadcast: true, exchange_type: topic}}",
        [
            Found(
                "broadcast-not-fanout",
                "1:46",
                (
                    "queue q is a broadcast, but only a fanout exchange copies each message to every "
                    "worker: a topic exchange does not"
                ),
                "remove `exchange_type`",
            ),
        ],
    ),
    "a pattern that is none": (
        "queues: {q: {exchange: tasks, exchange_type: direct, routing_key: task.*}}",
        [
            Found(
                "topic-on-direct",
                "1:67",
                (
                    "a direct exchange does not read `task.*` as a pattern: other publishers' messages to "
                    "exchange tasks with a matching key do not reach queue q"
                ),
                "remove `exchange_type`, or write a key without `*` and `#`",
            ),
        ],
    ),
    "two types": (
        (
            "broker: {transport: rabbitmq, url: '${U}'}\n"
            "queues: {q: {type: classic, arguments: {x-queue-type: quorum}}}"
        ),
        [
            Found(
                "queue-type-twice",
                "2:55",
                "queue q has `type: classic`, but `arguments` set `x-queue-type: quorum`",
                "remove `x-queue-type`, and write the `type` that the queue has on the broker",
            ),
        ],
    ),
}
ACCEPTS = {
    "a direct exchange that only Celery sends past": (
        "queues: {default: {exchange_type: direct, routing_key: 'default.#'}}"
    ),
    "no limit where nothing comes back": (
        "broker: {transport: rabbitmq, url: '${U}'}\n"
        "queues: {q: {type: quorum, arguments: {x-delivery-limit: -1}}}\n"
        "tasks: {shop.a: {queue: q}}"
    ),
    "an argument that Redis knows": "queues: {q: {arguments: {x-expires: 60000}}}",
    "all of it on RabbitMQ": (
        "broker: {transport: rabbitmq, url: '${U}'}\n"
        "queues: {q: {type: classic, arguments: {x-expires: 1}, consumer_arguments: {x-priority: 1}}}"
    ),
}


@pytest.mark.parametrize(("fragment", "expected"), DECIDES.values(), ids=DECIDES)
def test_it_decides(fragment, expected):
    decided = after(queue_declarations, fragment).decided
    assert {address: decided.get(address) for address in expected} == expected


@pytest.mark.parametrize(("fragment", "addresses"), STAYS_SILENT.values(), ids=STAYS_SILENT)
def test_it_stays_silent(fragment, addresses):
    assert after(queue_declarations, fragment).decided.keys().isdisjoint(addresses)


@pytest.mark.parametrize(("fragment", "address", "places"), LEADS_TO.values(), ids=LEADS_TO)
def test_its_origins_lead_to(fragment, address, places):
    assert after(queue_declarations, fragment).origins[address] == places


@pytest.mark.parametrize(("fragment", "findings"), REFUSES.values(), ids=REFUSES)
def test_it_refuses(fragment, findings):
    assert after(queue_declarations, fragment).findings == findings


@pytest.mark.parametrize("fragment", ACCEPTS.values(), ids=ACCEPTS)
def test_it_accepts(fragment):
    assert after(queue_declarations, fragment).findings == []


ASKED = "the policy file sets quorum queues"


@pytest.mark.parametrize(
    ("versions", "type_"),
    [
        (("5.7", "4.1"), "quorum"),
        (("5.7", "3.13"), "quorum"),
        (("5.7", None), "quorum"),
        (("5.4", None), "classic"),
        (("5.5.3", "3.13"), "classic"),
        (("5.6", "3.13"), "classic"),
        (("5.6.3", "3.13"), "quorum"),
        (("5.5.3", "4.0.1"), "quorum"),
        (("5.5.3", "4.0"), "classic"),
    ],
)
def test_a_policy_file_asks_for_quorum_queues_where_the_versions_can_have_them(versions, type_):
    celery, broker = versions
    version = f", version: '{broker}'" if broker else ""
    fragment = f"celery: {{version: '{celery}'}}\nbroker: {{transport: rabbitmq, url: '${{U}}'{version}}}\n"
    tuned = queue_declarations.Parameters(queue_type="quorum")
    decided = after(queue_declarations, fragment, {queue_declarations.NAME: tuned}).decided
    queue = "queue:shop.standard.io"
    assert decided[f"{queue}/type"][0] == type_
    declared = {key: value for key, value in decided.items() if key.startswith(f"{queue}/arguments.")}
    limit = (3, "a message that kills its worker must not return without end")
    quorum = {
        f"{queue}/arguments.x-queue-type": ("quorum", ASKED),
        f"{queue}/arguments.x-delivery-limit": limit,
    }
    assert declared == (quorum if type_ == "quorum" else {})
