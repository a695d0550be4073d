"""Answers of workers, merged: what is merged is what real workers answered, here with other values."""

from __future__ import annotations

import pytest
from plans import plan_of

from policycompiler.plan import Scope
from policycompiler.plan.node_names import worker_of
from policycompiler.reality.mailbox import Event, Reply
from policycompiler.reality.nodes import Workers, settings_of
from policycompiler.reality.workers import merged

NODE = "worker@main.1.host"
STATS = {
    "pool": {
        "implementation": "celery.concurrency.prefork:TaskPool",
        "max-concurrency": 4,
        "max-tasks-per-child": "N/A",
    },
    "prefetch_count": 9,
    "total": {"a.done": 3},
}
REQUEST = {"name": "a.late", "delivery_info": {"exchange": "", "routing_key": "main"}}
REPLIES = [
    Reply(NODE, "stats", STATS),
    Reply(
        NODE, "registered", ["a.plain", "a.full [acks_late=True time_limit=12.5 queue=main rate_limit=10/m]"]
    ),
    Reply(
        NODE,
        "conf",
        {"task_acks_late": True, "environ": {"PASSWORD": "sekret"}, "broker_url": "redis://:***@h"},
    ),
    Reply(NODE, "scheduled", [{"eta": "2030-01-01", "priority": 6, "request": REQUEST}]),
    Reply(NODE, "active", {"error": "RuntimeError()"}),
    Reply(NODE, "ping", {"ok": "pong"}),
    Reply("celerybeat@host", "ping", {"ok": "pong"}),
    Reply("celerybeat@host", "ping", {"ok": "pong"}),
]


def test_several_answers_make_one_node():
    found = merged(REPLIES, [Event(100.0, {"hostname": NODE, "timestamp": 107.0, "sw_ver": "5.7.0"})])
    node = found.nodes[NODE]
    assert (node.pool, node.slots, node.recycles_after, node.answers) == ("prefork", 4, None, 1)
    assert (node.busy, node.scheduled, node.version, node.ahead_seconds) == (0, 1, "5.7.0", 7.0)
    assert node.tasks["a.full"] == {
        "acks_late": "True",
        "time_limit": "12.5",
        "queue": "main",
        "rate_limit": "10/m",
    }
    assert node.handles == {"a.late", "a.done"}
    assert found.beats == {"celerybeat@host": 2}


def test_what_is_no_setting_of_celery_is_not_kept():
    settings = merged(REPLIES, []).nodes[NODE].settings
    assert settings.keys() == {"task_acks_late", "broker_url"}
    assert "sekret" not in str(merged(REPLIES, []))


@pytest.mark.parametrize("answer", [None, [], "text", {"pool": 7}, {"pool": {"max-concurrency": "x"}}, 3])
def test_an_answer_in_another_form_leaves_fields_empty(answer):
    commands = ("stats", "registered", "active_queues", "conf", "active", "reserved", "scheduled")
    node = merged([Reply(NODE, command, answer) for command in commands], []).nodes[NODE]
    assert (node.slots, node.queues, node.settings) == (None, (), {})


@pytest.mark.parametrize(
    ("node", "worker"),
    [
        ("worker@main.1.host", "main"),
        ("worker@main.io.1.host", "main.io"),
        ("worker@main", "main"),
        ("worker@mainly.1.host", ""),
        ("celery@host", ""),
    ],
)
def test_a_node_belongs_to_the_worker_with_the_longest_name(node, worker):
    plan = plan_of({f"worker:{name}": {"node_name": f"worker@{name}"} for name in ("main", "main.io")})
    assert worker_of(plan, node) == worker


def test_the_plan_of_today_has_what_nodes_show():
    plan = plan_of({"worker:main": {"node_name": "worker@main"}})
    found = {each.address: each.value for each in settings_of(plan, merged(REPLIES, []))}
    assert found == {
        "worker:main/pool": "prefork",
        "worker:main/queues": [],
        "worker:main/concurrency": 4,
        "worker:main/prefetch_multiplier": 2.0,
        "task:a.full/options.acks_late": True,
        "task:a.full/options.time_limit": 12.5,
        "task:a.full/options.rate_limit": "10/m",
        "task:a.full/queue": "main",
    }
    (origin,) = next(each for each in settings_of(plan, merged(REPLIES, []))).origins
    assert (origin.source, origin.place) == ("worker", NODE)
    assert Workers({}, {}).of(plan) == {Scope("worker", "main").name: []}
