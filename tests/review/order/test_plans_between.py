"""The plans in between: each is a plan like any other, and does the old and the new as far as it has to."""

from __future__ import annotations

import pytest
from meanings import configuration
from review_of import RABBITMQ, plan_of, reviewed
from rollout_cases import CASES, of, pair, tasks

from policycompiler import emitters
from policycompiler.plan import APP, Constant, Derived, Plan, Scope, Written
from policycompiler.plan.file import from_json
from policycompiler.review import Review
from policycompiler.review.facts.binding_clashes import clashes

YAML = "celery: {settings: {accept_content: [json, yaml], task_serializer: yaml}}\n"


def phase(found: Review, word: str) -> Plan:
    """The one plan in between of this name."""
    (plan,) = (plan for folder, plan in found.phases.items() if folder.endswith(f"-{word}"))
    return plan


@pytest.mark.parametrize(("name", "broker"), CASES)
def test_each_plan_in_between_is_emitted_and_reads_back(name, broker):
    for plan in of(name, broker).phases.values():
        files = {file.path: file.text for file in emitters.emit(plan, emitters.TARGETS)}
        assert configuration(files["celeryconfig.py"])["task_routes"]
        assert from_json(files["plan.json"]) == plan


@pytest.mark.parametrize(("name", "broker"), CASES)
def test_what_is_decided_in_between_comes_from_the_two_plans_or_is_a_name_for_a_while(name, broker):
    said = {
        str(origin) for side in pair(name) for setting in plan_of(broker + side) for origin in setting.origins
    }
    for plan in of(name, broker).phases.values():
        for setting in plan:
            for origin in setting.origins if setting.policy == "rollout" else ():
                if isinstance(origin, Derived) and str(origin) not in said:
                    assert plan.find(*origin) not in (None, setting), setting
                elif isinstance(origin, Constant) and str(origin) not in said:
                    assert (origin.name, setting.scope.name) == ("stand-in", origin.value), setting
                else:
                    assert str(origin) in said, setting


def test_what_is_read_in_between_comes_from_what_both_plans_wrote():
    old = "celery: {settings: {accept_content: [json, msgpack], task_serializer: msgpack}}\n"
    one = "tasks: {shop.a: {queue: p}}"
    plan = phase(reviewed(old + one, YAML + one), "accept")
    found = plan.setting(APP, "accept_content")
    assert found.policy == "rollout"
    assert found.origins == (Written(("celery", "settings", "accept_content")),)
    worker = Scope("worker", "p")
    overlap = phase(reviewed(one, one.replace("p}", "r}")), "overlap")
    assert overlap.setting(worker, "queues").origins == plan_of(one).setting(worker, "queues").origins


@pytest.mark.parametrize(("name", "broker"), CASES)
def test_each_queue_that_a_plan_in_between_names_is_declared_in_it(name, broker):
    for plan in of(name, broker).phases.values():
        declared = {scope.name for scope in plan.scopes("queue")}
        assert {plan.text(task, "queue") for task in plan.scopes("task")} <= declared
        assert {
            queue for worker in plan.scopes("worker") for queue in plan.texts(worker, "queues")
        } <= declared


def test_in_the_overlap_the_old_worker_goes_on_with_its_queue_and_tasks_go_the_new_way():
    plan = phase(reviewed("tasks: {shop.a: {queue: p}}", "tasks: {shop.a: {queue: r}}"), "overlap")
    assert plan.texts(Scope("worker", "p"), "queues") == ["p"]
    assert plan.texts(Scope("worker", "r"), "queues") == ["r"]
    assert plan.text(Scope("task", "shop.a"), "queue") == "r"


def test_whoever_accepts_first_reads_both_and_still_writes_the_old():
    found = reviewed("tasks: {shop.a: {queue: p}}", YAML + "tasks: {shop.a: {queue: p}}")
    plan = phase(found, "accept")
    assert {*plan.texts(APP, "accept_content")} == {"json", "yaml"}
    assert plan.text(APP, "task_serializer") == "json"


def test_a_renamed_task_is_sent_by_its_earlier_name_while_workers_go_over():
    found = reviewed("tasks: {shop.a: {queue: p}}", "tasks: {shop.z: {queue: p, renamed_from: [shop.a]}}")
    plan = phase(found, "accept")
    assert plan.text(Scope("task", "shop.z"), "sent_as") == "shop.a"
    assert plan.texts(Scope("task", "shop.z"), "renamed_from") == ["shop.a"]


def test_the_longer_visibility_timeout_comes_first_and_goes_last():
    short = "broker: {transport: redis, url: '${B}', visibility_timeout: 2h}\ntasks: {a: {max_countdown: 1h}}"
    long = short.replace("2h", "5h").replace("1h", "3h")
    for found, word in ((reviewed(short, long), "raise"), (reviewed(long, short), "overlap")):
        plan = phase(found, word)
        options = plan.value(APP, "broker_transport_options")
        assert (plan.number(APP, "visibility_timeout_seconds"), options["visibility_timeout"]) == (
            18000,
            18000,
        )


def test_the_overlap_has_the_levels_of_both():
    found = reviewed(
        "broker: {transport: redis, url: '${B}'}\ntasks: {shop.a: {}}",
        "broker: {transport: redis, url: '${B}', options: {priority_steps: [0, 5]}}\ntasks: {shop.a: {}}",
    )
    options = phase(found, "overlap").value(APP, "broker_transport_options")
    assert options["priority_steps"] == [0, 3, 5, 6, 9]


def test_a_queue_stands_in_under_a_name_that_is_free():
    old = RABBITMQ + "tasks: {shop.a: {queue: q}, shop.b: {queue: q.v2}}\nqueues: {q: {type: classic}}\n"
    found = reviewed(old, old.replace("classic", "quorum"))
    plan = phase(found, "stand-in")
    assert plan.text(Scope("task", "shop.a"), "queue") == "q.v3"
    assert plan.text(Scope("queue", "q.v3"), "exchange") == "q.v3"
    assert not plan.keys(Scope("queue", "q"))


def test_a_stand_in_has_a_routing_key_of_its_own_which_schedules_take():
    queue = "queues: {q: {exchange: x, exchange_type: topic, routing_key: k, type: %s}}\n"
    ticks = "schedules: {s: {task: shop.a, every: 1m, options: {routing_key: k}}}\n"
    old, new = (
        RABBITMQ + queue % kind + "tasks: {shop.a: {queue: q, max_countdown: 1m}}\n" + ticks
        for kind in ("classic", "quorum")
    )
    between = phase(reviewed(old, new), "stand-in")
    assert between.text(Scope("queue", "q.v2"), "routing_key") == "q.v2"
    assert "routing_key" not in between.value(Scope("schedule", "s"), "options")
    for side in (old, new):
        assert clashes(plan_of(side), between).crossed == {}


def test_whoever_accepts_first_compresses_as_before():
    gzip = YAML.replace("task_serializer: yaml", "task_serializer: yaml, task_compression: gzip")
    found = reviewed(tasks(a="q"), gzip + tasks(a="q"))
    assert phase(found, "accept").get(APP, "task_compression") is None


def test_the_overlap_watches_the_queue_that_leaves():
    overlap = phase(of("a task moves to a queue of its own", ""), "overlap")
    assert {"p", "r"} <= {overlap.get(scope, "queue") for scope in overlap.scopes("alert")}
