"""What two plans ask of the order of a rollout."""

from __future__ import annotations

import re

import pytest
from places import PACKAGE
from review_of import RABBITMQ, plan_of, reviewed

from policycompiler.review.order import need
from policycompiler.review.order.need import Kind, Need
from policycompiler.review.order.needs import _FINDERS, needs

KINDS = [each for each in vars(need).values() if isinstance(each, Kind)]

YAML = "celery: {settings: {accept_content: [json, yaml]%s}}\n"
A = "tasks: {shop.a: {queue: q}}\n"
DEFAULT = "celery: {settings: {task_default_queue: q}}\n"
KEYED = "tasks:\n  shop.a: {queue: q, idempotency_key: %s}\n"


def redis(more: str) -> str:
    return f"broker: {{transport: redis, url: '${{CELERY_BROKER_URL}}', {more}}}\n"


def asked(old: str, new: str) -> dict[str, list[str]]:
    """What each need covers."""
    return {each.kind.name: sorted(each.names) for each in needs(plan_of(old), plan_of(new)).each}


PAUSED = (
    "tasks: {shop.a: {queue: q, runtime: %s}}\n"
    "workers: {w: {queues: [q], replicas: 0}, v: {queues: [shop.standard.io]}}\n"
    "waivers: [{finding: queue-unconsumed, at: '*', reason: paused, owner: shop, expires: 2099-01-01}]\n"
)
CASES = {
    "nothing": (A, A, {}),
    "another queue": (A, A.replace("q}", "p}"), {"leaving": ["q"], "new-queue": ["p"], "deserted": ["q"]}),
    "a task more": (A, "tasks: {shop.a: {queue: q}, shop.b: {queue: q}}\n", {"new-task": ["shop.b"]}),
    "a task less": ("tasks: {shop.a: {queue: q}, shop.b: {queue: q}}\n", A, {"gone": ["shop.b"]}),
    "a task that a pattern declares": (A, "tasks: {shop.*: {queue: q}}\n", {"new-task": ["shop.*"]}),
    "a pattern's task by itself": (
        "tasks: {shop.*: {queue: q}}\n",
        "tasks: {shop.*: {queue: q}, shop.a: {queue: q}}\n",
        {},
    ),
    "a new name": (
        A,
        "tasks: {shop.z: {queue: q, renamed_from: [shop.a]}}\n",
        {"new-name": ["shop.z"]},
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
    "yaml": (A, YAML % ", task_serializer: yaml" + A, {"new-form": ["application/x-yaml"]}),
    "no yaml": (YAML % ", task_serializer: yaml" + A, A, {"old-form": ["application/x-yaml"]}),
    "yaml that is read and not written": (A, YAML % "" + A, {}),
    "a content type by its other name": (
        "celery: {settings: {accept_content: [json]}}\n" + A,
        "celery: {settings: {accept_content: [application/json]}}\n" + A,
        {},
    ),
    "results in yaml": (A, YAML % ", result_serializer: yaml" + A, {"new-results": ["application/x-yaml"]}),
    "a timeout raised before it is needed": (
        redis("visibility_timeout: 2h") + A,
        redis("visibility_timeout: 3h") + A,
        {},
    ),
    "a timeout raised for a countdown": (
        redis("visibility_timeout: 2h") + A,
        redis("visibility_timeout: 5h") + A.replace("q}", "q, max_countdown: 3h}"),
        {"longer-hold": ["visibility_timeout_seconds"]},
    ),
    "a timeout lowered after a countdown": (
        redis("visibility_timeout: 5h") + A.replace("q}", "q, max_countdown: 3h}"),
        redis("visibility_timeout: 2h") + A,
        {"shorter-hold": ["visibility_timeout_seconds"]},
    ),
    "levels": (A, redis("options: {priority_steps: [0, 5]}") + A, {"new-levels": ["priority_steps"]}),
    "the usual levels spelt out": (A, redis("options: {priority_steps: [0, 3, 6, 9]}") + A, {}),
    "another place": (A, redis("options: {global_keyprefix: x}") + A, {}),
    "arguments that RabbitMQ refuses": (
        RABBITMQ + A + "queues: {q: {type: classic}}\n",
        RABBITMQ + A + "queues: {q: {type: quorum}}\n",
        {"replaced": ["q"]},
    ),
    "an exchange of another type": (
        RABBITMQ + A + "queues: {q: {exchange: x, exchange_type: direct}}\n",
        RABBITMQ + A + "queues: {q: {exchange: x, exchange_type: topic}}\n",
        {"replaced": ["q"]},
    ),
    "another exchange, of another type": (
        RABBITMQ + A + "queues: {q: {exchange: x, exchange_type: direct}}\n",
        RABBITMQ + A + "queues: {q: {exchange: y, exchange_type: topic}}\n",
        {},
    ),
    "a task that another app runs from now on": (
        "tasks: {shop.a: {queue: q}, shop.b: {queue: q}}\n",
        "tasks: {shop.a: {queue: x, external: true}, shop.b: {queue: q}}\nqueues: {x: {external: true}}\n",
        {"handed-on": ["shop.a"]},
    ),
    "another app's queue that is taken over, and more is sent to it": (
        "queues: {p: {external: true}}\ntasks: {shop.a: {queue: p, external: true}, shop.b: {queue: q}}\n",
        "tasks: {shop.a: {queue: p}, shop.b: {queue: p}}\n",
        {"deserted": ["q"], "leaving": ["q"]},
    ),
    "arguments that Redis does not keep": (A, A + "queues: {q: {arguments: {x-max-length: 9}}}\n", {}),
    "other arguments of a schedule": (
        A + "schedules: {s: {task: shop.a, every: 1m, kwargs: {a: 1}}}\n",
        A + "schedules: {s: {task: shop.a, every: 1m, kwargs: {a: 2}}}\n",
        {"new-arguments": ["s"]},
    ),
    "longer runs of a worker that does not run": (
        PAUSED % "1s",
        PAUSED % "4m",
        {},
    ),
    "another key": (KEYED % "id", KEYED % "order.id", {"forgotten": ["shop.a"]}),
    "a key less": (KEYED % "id", A, {"forgotten": ["shop.a"]}),
    "a key more": (A, KEYED % "id", {}),
    "a key that is kept for longer": (KEYED % "id", KEYED % "{key: id, keep: 30d}", {}),
    "another store": (
        KEYED % "id",
        'store: {url: "${MINE}"}\n' + KEYED % "id",
        {"forgotten": ["shop.a"]},
    ),
    "another service": (
        KEYED % "id" + DEFAULT,
        "service: other\n" + KEYED % "id" + DEFAULT,
        {"forgotten": ["shop.a"]},
    ),
    "another service without a key": (A + DEFAULT, "service: other\n" + A + DEFAULT, {}),
    "a task with a key less": (
        KEYED % "id" + "  shop.b: {queue: q}\n",
        "tasks: {shop.b: {queue: q}}\n",
        {"gone": ["shop.a"]},
    ),
    "a new schedule": (A, A + "schedules: {s: {task: shop.a, every: 1m, args: [1]}}\n", {}),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_asked_for(case):
    old, new, expected = CASES[case]
    assert asked(old, new) == expected


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_each_kind_of_need_asks_for_something_and_says_why(kind):
    assert kind.asks
    assert Need(kind, frozenset({"shop.a"})).sentence
    assert "{" not in Need(kind, frozenset({"shop.a"})).sentence


def test_what_covers_two_is_told_of_the_one_that_changed():
    found = reviewed(A, "tasks: {shop.a: {queue: q}, shop.b: {queue: q}, shop.c: {queue: q}}\n")
    (step, *_) = found.steps
    told = {str(change.scope): change.because for change in found.changes if change.kind == "task-added"}
    assert "`shop.b`, `shop.c`" in step.why
    assert "`shop.c`" not in told["task:shop.b"]
    assert told["task:shop.c"] == step.why.replace("`shop.b`, `shop.c`", "`shop.c`")


def test_each_kind_is_looked_for_and_answered_by_a_rule():
    """One that no rule answers asks for a step of a change that is called safe."""
    assert [kind for kind, _ in _FINDERS] == KINDS
    risks = (PACKAGE / "review" / "risks").glob("*.py")
    answered = {name for path in risks for name in re.findall(r"need\.([A-Z_]+)", path.read_text("utf-8"))}
    kinds = {name for name, kind in vars(need).items() if isinstance(kind, Kind)}
    # The tasks that desert a queue go to another one, which NEW_QUEUE and LEAVING answer.
    assert kinds - answered == {"DESERTED"}
