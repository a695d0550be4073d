"""The steps of a rollout: their order, what they deploy and wait for, and that nothing is lost."""

from __future__ import annotations

import re

import pytest
from review_of import RABBITMQ, TODAY, plan_of, reviewed
from rollout_cases import AT_ONCE, CASES, IN_ORDER, TICKS, of, pair, redis, tasks, workers
from simulated import broken

from policycompiler.plan import APP, Plan
from policycompiler.report.review_markdown import rollout_markdown
from policycompiler.report.step_commands import runs, waits
from policycompiler.review import OUTPUT, Class, Review, Step, review
from policycompiler.review.conditions import (
    Action,
    Condition,
    DeleteExchange,
    DeleteQueue,
    Drained,
    Taken,
    TaskGone,
    WorkersAnswer,
)
from policycompiler.review.order.processes import moves

LONGEST_COMMAND = 120

every_case = pytest.mark.parametrize(
    ("name", "broker"), CASES, ids=[f"{name}{' on rabbitmq' if broker else ''}" for name, broker in CASES]
)


@pytest.mark.parametrize("name", AT_ONCE)
def test_one_step_does_where_old_and_new_bear_with_each_other(name):
    found = of(name, "")
    (step,) = found.steps
    assert (step.phase, step.folder) == ("switch", OUTPUT)
    assert found.phases == {}
    assert all(change.risk is not Class.ORDERED for change in found.changes)


@pytest.mark.parametrize("name", IN_ORDER)
def test_phases_come_in_the_order_that_is_needed(name):
    found = of(name, "")
    assert " ".join(step.phase for step in found.steps) == IN_ORDER[name][2]
    assert any(change.risk is Class.ORDERED for change in found.changes)


@every_case
def test_nothing_is_lost_or_repeated_at_any_step(name, broker):
    old, new = (plan_of(broker + text) for text in pair(name))
    assert broken(old, new, review(old, new, TODAY)) == []


@every_case
def test_each_folder_is_the_output_or_one_in_between_and_the_output_comes_last(name, broker):
    found = of(name, broker)
    folders = [step.folder for step in found.steps if step.folder]
    assert {*folders} - {OUTPUT} == found.phases.keys()
    assert folders[-1] == OUTPUT
    assert [re.sub(r"rollout/(\d+)-[a-z-]+", r"\1", folder) for folder in found.phases] == [
        str(number) for number in range(1, len(found.phases) + 1)
    ]


@every_case
def test_only_a_step_that_deploys_starts_anything(name, broker):
    for step in of(name, broker).steps:
        assert bool(step.folder) or not (step.start or step.restart or step.reload)
        assert all(processes_are_named_once(step))
        assert step.action
        assert step.why
        assert step.undo


def processes_are_named_once(step: Step) -> list[bool]:
    named = [*step.start, *step.restart, *step.reload, *step.stop]
    return [named.count(each) == 1 for each in named]


@every_case
def test_a_drain_waits_and_each_deployment_of_workers_is_looked_at(name, broker):
    for step in of(name, broker).steps:
        if step.phase == "drain":
            assert step.wait_for
        deployed = {each for each in (*step.start, *step.restart, *step.reload) if each.startswith("worker:")}
        if deployed:
            (answering,) = step.wait_for
            assert isinstance(answering, WorkersAnswer)
            assert {f"worker:{each.name}" for each in answering.workers if each.fingerprint} == deployed
            assert answering.plan == step.folder


def parts(found: Review) -> list[Condition | Action]:
    return [each for step in found.steps for each in (*step.wait_for, *step.run)]


@every_case
def test_every_command_is_short(name, broker):
    found = of(name, broker)
    printed = re.findall(r"^```sh\n(.*)\n```$", rollout_markdown(found), re.MULTILINE)
    numbered = list(enumerate(found.steps, 1))
    assert len(printed) == sum(
        len(lines(number, step, undo=undo))
        for number, step in numbered
        for lines in (waits, runs)
        for undo in (False, True)
    )
    assert all(len(command) <= LONGEST_COMMAND for command in printed)


def test_a_queue_that_goes_is_waited_for_and_deleted_on_rabbitmq():
    found = of("a task moves to a queue of its own", RABBITMQ)
    (drain,) = (step for step in found.steps if step.phase == "drain")
    assert drain.wait_for == (Drained(plan="rollout/previous", queues=("p",)),)
    assert found.steps[-1].run == (
        DeleteQueue(plan="rollout/previous", queue="p"),
        DeleteExchange(plan="rollout/previous", exchange="p"),
    )


@pytest.mark.parametrize("broker", ["", RABBITMQ])
@pytest.mark.parametrize(
    "way",
    [
        "tasks: {shop.a: {queue: q%s}, shop.b: {queue: p}, shop.c: {queue: q}}\n",
        "tasks: {shop.a: {queue: q}, shop.b: {queue: p}, shop.c: {queue: q}}\n%s",
    ],
    ids=["a call", "a schedule"],
)
def test_a_task_that_goes_is_waited_for_wherever_it_may_lie(way, broker):
    schedule = "schedules: {s: {task: shop.a, every: 1m, options: {queue: p}}}\n"
    old = way % (schedule if way.endswith("%s") else ", call_time_queues: [p]")
    found = reviewed(broker + old, broker + tasks(b="p", c="q"))
    (drain,) = (step for step in found.steps if step.phase == "drain")
    assert {queue for each in drain.wait_for for queue in getattr(each, "queues", ())} == {"p", "q"}


TOPIC = "queues: {q: {exchange: x, exchange_type: topic, routing_key: %s}}\n"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("", "celery: {settings: {timezone: Europe/Paris}}\n"),
        ("", "celery: {settings: {task_compression: gzip}}\n"),
        ("", "celery: {settings: {worker_proc_alive_timeout: 20}}\n"),
        ("", redis("options: {health_check_interval: 9}")),
        (TOPIC % "k", TOPIC % "'k.#'"),
        (TOPIC % "k", TOPIC.replace("x,", "y,") % "k"),
        ("", "queues: {q: {consumer_arguments: {x-priority: 5}}}\n"),
    ],
)
def test_a_worker_that_would_read_something_else_is_not_left_alone(old, new):
    found = moves(*(plan_of(each + tasks(a="q")) for each in (old, new)))
    assert "worker:q" in (*found.restart, *found.reload)


@pytest.mark.parametrize(
    "key",
    ["app", "executable", "user", "working_directory", "environment_file", "result_backend_variable"],
)
def test_what_stands_in_the_unit_needs_a_restart(key):
    old = plan_of("results: {backend: redis, url: '${RESULTS}'}\n" + tasks(a="q"))
    settings = {scope: dict(old.keys(scope)) for scope in {setting.scope for setting in old}}
    settings[APP][key] = settings[APP][key]._replace(value="other")
    found = moves(old, Plan(settings))
    assert ({*found.restart} >= {"worker:q"}, found.reload) == (True, ())


def test_under_another_name_of_the_service_each_process_is_one_that_starts_again():
    old, new = (plan_of(f"service: {name}\n" + tasks(a="q") + TICKS) for name in ("shop", "mart"))
    found = review(old, new, TODAY)
    assert found.verdict is Class.MANUAL
    assert all(each for step in found.steps for each in processes_are_named_once(step))
    assert {"worker:q", "beat"} <= {each for step in found.steps for each in step.restart}
    assert broken(old, new, found) == []


def test_an_exchange_goes_once_and_after_all_queues_behind_it():
    behind = "queues: {p: {exchange: x, routing_key: p}, r: {exchange: x, routing_key: r}}\n"
    found = reviewed(RABBITMQ + behind + tasks(a="p", b="r", c="q"), RABBITMQ + tasks(c="q"))
    assert [each for each in parts(found) if isinstance(each, DeleteQueue | DeleteExchange)] == [
        DeleteQueue(plan="rollout/previous", queue="p"),
        DeleteQueue(plan="rollout/previous", queue="r"),
        DeleteExchange(plan="rollout/previous", exchange="x"),
    ]


def test_a_queue_that_the_new_plan_declares_is_not_deleted():
    consumed = workers(w="q, shop.standard.io", v="p")
    idle = consumed.replace("[p]", "[p], replicas: 0") + (
        "queues: {p: {}}\nwaivers: [{finding: queue-unconsumed, at: '*', reason: paused, owner: shop, "
        "expires: 2099-01-01}]\n"
    )
    found = reviewed(RABBITMQ + tasks(a="q", b="p") + consumed, RABBITMQ + tasks(a="q") + idle)
    assert any(isinstance(each, Drained) and "p" in each.queues for each in parts(found))
    assert not any(isinstance(each, DeleteQueue) for each in parts(found))


def test_a_task_in_a_chain_is_waited_for_in_every_queue_and_another_by_its_name():
    kept = "results: {backend: redis, url: '${RESULTS}'}\n"
    alone = parts(reviewed(kept + tasks(a="q", b="q"), kept + tasks(b="q")))
    chained = tasks(a="q, canvas: [chain], result: keep", b="q")
    in_chains = parts(reviewed(kept + chained, kept + tasks(b="q")))
    assert [each.task for each in alone if isinstance(each, TaskGone)] == ["shop.a"]
    assert not any(isinstance(each, TaskGone) for each in in_chains)
    assert any(isinstance(each, Taken) and "shop.standard.io" in each.queues for each in in_chains)


def test_a_moved_task_expands_switches_drains_and_contracts():
    found = of("a task moves to a queue of its own", "")
    expand, switch, drain, contract = found.steps
    assert expand.folder == "rollout/1-overlap"
    assert expand.start == ("worker:r",)
    assert {"worker:p", "worker:q"} <= {*expand.restart, *expand.reload}
    assert (switch.folder, switch.restart) == (OUTPUT, ("producers",))
    assert drain.folder == ""
    assert contract.stop == ("worker:p",)


def test_senders_go_on_by_the_old_name_until_all_workers_know_the_new_one():
    expand, switch = of("a task is renamed", "").steps
    assert expand.folder == "rollout/1-accept"
    assert "producers" not in (*expand.restart, *expand.start)
    assert switch.folder == OUTPUT
    assert {"producers", "worker:q"} <= {*switch.restart, *switch.reload}


def test_one_beat_ends_before_the_other_begins():
    stop, start = of("beat moves", "").steps
    assert (stop.stop, stop.folder) == (("beat",), "")
    assert (start.start, start.folder) == (("beat",), OUTPUT)


@pytest.mark.parametrize(
    "change",
    ["broker: {transport: redis, url: '${OTHER}'}\n", redis("options: {global_keyprefix: x}"), RABBITMQ],
)
def test_on_another_broker_both_fleets_run_until_the_old_one_is_empty(change):
    found = reviewed(tasks(a="q"), change + tasks(a="q"))
    assert found.verdict is Class.MANUAL
    by_hand, expand, switch, drain, contract = found.steps
    assert by_hand.why
    assert expand.start == ("worker:q", "worker:shop.standard.io")
    assert (expand.restart, expand.reload, expand.stop) == ((), (), ())
    assert switch.restart == ("producers",)
    assert drain.wait_for
    assert contract.stop == expand.start
    assert found.phases == {}
