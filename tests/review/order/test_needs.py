"""What two plans ask of the order of a rollout."""

from __future__ import annotations

import pytest
from review_of import RABBITMQ, plan_of, reviewed

from policycompiler.review import Class, with_an_order
from policycompiler.review.order.needs import Needs, needs

YAML = "celery: {settings: {accept_content: [json, yaml]%s}}\n"
A = "tasks: {shop.a: {queue: q}}\n"


def redis(more: str) -> str:
    return f"broker: {{transport: redis, url: '${{CELERY_BROKER_URL}}', {more}}}\n"


def asked(old: str, new: str) -> dict[str, object]:
    """What is asked for, without what is empty; sets as lists."""
    found = needs(plan_of(old), plan_of(new))
    others = {"before", "after", "clashes"}
    told = {name: getattr(found, name) for name in Needs._fields if name not in others}
    return {
        name: sorted(value) if isinstance(value, frozenset) else value
        for name, value in told.items()
        if value
    }


PAUSED = (
    "tasks: {shop.a: {queue: q, runtime: %s}}\n"
    "workers: {w: {queues: [q], replicas: 0}, v: {queues: [shop.standard.io]}}\n"
    "waivers: [{finding: queue-unconsumed, at: '*', reason: paused, owner: shop, expires: 2099-01-01}]\n"
)
CASES = {
    "nothing": (A, A, {}),
    "another queue": (A, A.replace("q}", "p}"), {"leaving": ["q"], "arriving": ["p"], "deserted": ["q"]}),
    "a task more": (A, "tasks: {shop.a: {queue: q}, shop.b: {queue: q}}\n", {"added": ["shop.b"]}),
    "a task less": ("tasks: {shop.a: {queue: q}, shop.b: {queue: q}}\n", A, {"gone": ["shop.b"]}),
    "a task that a pattern declares": (A, "tasks: {shop.*: {queue: q}}\n", {"added": ["shop.*"]}),
    "a pattern's task by itself": (
        "tasks: {shop.*: {queue: q}}\n",
        "tasks: {shop.*: {queue: q}, shop.a: {queue: q}}\n",
        {},
    ),
    "a new name": (
        A,
        "tasks: {shop.z: {queue: q, renamed_from: [shop.a]}}\n",
        {"renamed": {"shop.z": ["shop.a"]}},
    ),
    "an earlier name that nobody had": (A, "tasks: {shop.a: {queue: q, renamed_from: [shop.x]}}\n", {}),
    "an earlier name less": (
        "tasks: {shop.a: {queue: q, renamed_from: [shop.x]}}\n",
        A,
        {"gone": ["shop.x"]},
    ),
    "an earlier name that a pattern still knows": (
        "tasks: {shop.a: {queue: q, renamed_from: [shop.x]}, shop.*: {queue: q}}\n",
        "tasks: {shop.a: {queue: q}, shop.*: {queue: q}}\n",
        {},
    ),
    "yaml": (A, YAML % ", task_serializer: yaml" + A, {"new_content": ["application/x-yaml"]}),
    "no yaml": (YAML % ", task_serializer: yaml" + A, A, {"old_content": ["application/x-yaml"]}),
    "yaml that is read and not written": (A, YAML % "" + A, {}),
    "a content type by its other name": (
        "celery: {settings: {accept_content: [json]}}\n" + A,
        "celery: {settings: {accept_content: [application/json]}}\n" + A,
        {},
    ),
    "results in yaml": (A, YAML % ", result_serializer: yaml" + A, {"new_results": True}),
    "a timeout raised before it is needed": (
        redis("visibility_timeout: 2h") + A,
        redis("visibility_timeout: 3h") + A,
        {},
    ),
    "a timeout raised for a countdown": (
        redis("visibility_timeout: 2h") + A,
        redis("visibility_timeout: 5h") + A.replace("q}", "q, max_countdown: 3h}"),
        {"raised": True},
    ),
    "a timeout lowered after a countdown": (
        redis("visibility_timeout: 5h") + A.replace("q}", "q, max_countdown: 3h}"),
        redis("visibility_timeout: 2h") + A,
        {"lowered": True},
    ),
    "levels": (A, redis("options: {priority_steps: [0, 5]}") + A, {"levels": True}),
    "the usual levels spelt out": (A, redis("options: {priority_steps: [0, 3, 6, 9]}") + A, {}),
    "another place": (A, redis("options: {global_keyprefix: x}") + A, {"elsewhere": True}),
    "arguments that RabbitMQ refuses": (
        RABBITMQ + A + "queues: {q: {type: classic}}\n",
        RABBITMQ + A + "queues: {q: {type: quorum}}\n",
        {"replaced": {"q": "q.v2"}},
    ),
    "an exchange of another type": (
        RABBITMQ + A + "queues: {q: {exchange: x, exchange_type: direct}}\n",
        RABBITMQ + A + "queues: {q: {exchange: x, exchange_type: topic}}\n",
        {"replaced": {"q": "q.v2"}},
    ),
    "another exchange, of another type": (
        RABBITMQ + A + "queues: {q: {exchange: x, exchange_type: direct}}\n",
        RABBITMQ + A + "queues: {q: {exchange: y, exchange_type: topic}}\n",
        {},
    ),
    "a task that another app runs from now on": (
        "tasks: {shop.a: {queue: q}, shop.b: {queue: q}}\n",
        "tasks: {shop.a: {queue: x, external: true}, shop.b: {queue: q}}\nqueues: {x: {external: true}}\n",
        {"gone": ["shop.a"], "handed": ["shop.a"]},
    ),
    "another app's queue that is taken over, and more is sent to it": (
        "queues: {p: {external: true}}\ntasks: {shop.a: {queue: p, external: true}, shop.b: {queue: q}}\n",
        "tasks: {shop.a: {queue: p}, shop.b: {queue: p}}\n",
        {"deserted": ["q"], "handed": ["shop.a"], "leaving": ["q"]},
    ),
    "arguments that Redis does not keep": (A, A + "queues: {q: {arguments: {x-max-length: 9}}}\n", {}),
    "other arguments of a schedule": (
        A + "schedules: {s: {task: shop.a, every: 1m, kwargs: {a: 1}}}\n",
        A + "schedules: {s: {task: shop.a, every: 1m, kwargs: {a: 2}}}\n",
        {"called": ["s"]},
    ),
    "longer runs of a worker that does not run": (
        PAUSED % "1s",
        PAUSED % "4m",
        {},
    ),
    "a new schedule": (A, A + "schedules: {s: {task: shop.a, every: 1m, args: [1]}}\n", {}),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_asked_for(case):
    old, new, expected = CASES[case]
    assert asked(old, new) == expected


def test_no_change_is_ordered_where_there_is_no_order_of_steps():
    found = reviewed("tasks: {shop.a: {queue: q}}", "tasks: {shop.a: {queue: r}}")
    assert found.verdict is Class.ORDERED
    assert with_an_order(found.changes, found.steps) == found.changes
    assert {each.risk for each in with_an_order(found.changes, found.steps[:1])} == {Class.SAFE, Class.MANUAL}
