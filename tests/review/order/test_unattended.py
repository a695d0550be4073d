"""Queues that tasks go on being sent to while no worker takes from them any more, and the way back."""

from __future__ import annotations

import pytest
from review_of import RABBITMQ, TODAY, arguments_of, at
from simulated import broken
from workloads import compiled, workload

from policycompiler.plan import Plan, Scope, Setting
from policycompiler.review import Class, Review, review
from policycompiler.review.conditions import DeleteQueue

TASKS = "tasks: {shop.a: {queue: mail}, shop.b: {queue: pay}}\n"
IDLE = TASKS + "workers: {mail: {queues: [mail], replicas: 0}}\n"
WORKERS = TASKS + "workers: {w: {queues: [mail, pay]}}\n"
brokers = pytest.mark.parametrize("broker", ["", RABBITMQ], ids=["redis", "rabbitmq"])


def plan(text: str) -> Plan:
    """The plan also of what `check` calls an error, which is that nobody consumes a queue."""
    compilation = compiled(workload(text))
    assert compilation.plan is not None
    assert {each.finding.name for each in compilation.diagnostics if each.severity.name == "ERROR"} <= {
        "queue-unconsumed"
    }
    return compilation.plan


def of(old: str, new: str) -> Review:
    return review(plan(old), plan(new), TODAY)


def taken(text: str, **queues: list[str]) -> Plan:
    """A plan in which workers take from these queues, or are not there, as no workload says it by itself."""
    whole = plan(text)
    settings: dict[Scope, dict[str, Setting]] = {}
    for each in whole:
        if each.scope.kind != "worker" or each.scope.name in queues:
            changed = each._replace(value=queues[each.scope.name]) if each.key == "queues" else each
            settings.setdefault(each.scope, {})[each.key] = changed
    return Plan(settings)


FEWER = taken(WORKERS, w=["pay"], **{"shop.standard.io": ["shop.standard.io"]})
GONE = taken(TASKS, pay=["pay"], **{"shop.standard.io": ["shop.standard.io"]})


@brokers
def test_a_worker_that_is_not_run_any_more_is_settled_by_hand(broker):
    found = of(broker + TASKS, broker + IDLE)
    change = at(found, "worker:mail/replicas")
    assert change.risk is found.verdict is Class.MANUAL
    assert "sent to mail" in change.because
    assert "messages wait" in change.because


@brokers
def test_its_queue_is_neither_drained_nor_deleted(broker):
    found = of(broker + TASKS, broker + IDLE)
    assert [step.phase for step in found.steps] == ["expand", "switch"]
    assert found.steps[1].stop == ("worker:mail",)
    assert found.phases == {}
    assert not any(step.run for step in found.steps)


@brokers
def test_to_run_it_again_is_one_step(broker):
    found = of(broker + IDLE, broker + TASKS)
    assert found.verdict is Class.SAFE
    (step,) = found.steps
    assert step.start == ("worker:mail",)


@brokers
def test_a_task_that_is_new_in_the_queue_waits_for_the_worker(broker):
    new = TASKS.replace("shop.b: {queue: pay}", "shop.b: {queue: mail}")
    found = of(broker + IDLE, broker + new)
    assert at(found, "task:shop.b/queue").risk is Class.ORDERED
    assert "worker:mail" in found.steps[0].start
    assert broken(plan(broker + IDLE), plan(broker + new), found) == []


@pytest.mark.parametrize(
    ("old", "new", "address"), [(WORKERS, FEWER, "worker:w/queues"), (TASKS, GONE, "worker:mail")]
)
def test_a_queue_that_no_worker_takes_from_any_more_is_settled_by_hand(old, new, address):
    found = review(plan(old), new, TODAY)
    assert at(found, address).risk is Class.MANUAL
    assert [step.phase for step in found.steps] == ["expand", "switch"]
    assert broken(plan(old), new, found) == []
    (back,) = review(new, plan(old), TODAY).steps
    assert back.phase == "switch"


@brokers
@pytest.mark.parametrize(
    "pair",
    [
        (TASKS, IDLE),
        (IDLE, TASKS),
        (TASKS.replace("}}", "}, shop.c: {queue: mail}}"), IDLE),
        (TASKS, IDLE.replace("shop.b", "shop.z")),
        (TASKS + "queues: {old: {}}\nworkers: {w: {queues: [old]}}\n", TASKS),
    ],
)
def test_no_step_is_for_nobody_and_no_wait_is_in_vain(broker, pair):
    old, new = (plan(broker + text) for text in pair)
    found = review(old, new, TODAY)
    for step in found.steps:
        assert not step.action.endswith("to "), step.action
        did = step.start or step.restart or step.reload or step.stop or step.run or step.wait_for
        assert did or step.folder or step.by_hand
    assert broken(old, new, found) == []


@brokers
def test_what_is_left_of_a_task_that_goes_is_run_before_its_worker_stops(broker):
    old = TASKS.replace("}}", "}, shop.c: {queue: mail}}")
    new = IDLE.replace("}}\nworkers", "}, shop.d: {queue: pay}}\nworkers")
    found = of(broker + old, broker + new)
    (both,) = found.phases.values()
    assert both.get(Scope("worker", "mail"), "replicas") == 1
    drain = next(number for number, step in enumerate(found.steps) if step.phase == "drain")
    stops = [number for number, step in enumerate(found.steps) if "worker:mail" in step.stop]
    assert min(stops) > drain
    assert broken(plan(broker + old), plan(broker + new), found) == []


@brokers
def test_what_the_new_plan_declares_is_not_deleted(broker):
    """A queue that nobody sends to any more may be there for calls that choose it."""
    new = (
        TASKS.replace("mail", "pay") + "queues: {mail: {}}\nworkers: {w: {queues: [pay, shop.standard.io]}}\n"
    )
    found = of(broker + TASKS, broker + new)
    assert not any(isinstance(each, DeleteQueue) for step in found.steps for each in step.run)


PAUSED = RABBITMQ + IDLE
REFUSED = {"arguments": "type: quorum, exchange_type: direct", "exchange_type": "exchange_type: topic"}


@pytest.mark.parametrize(
    ("old", "new"),
    [(PAUSED, PAUSED), (PAUSED, RABBITMQ + TASKS), (RABBITMQ + TASKS, PAUSED)],
    ids=["paused", "resumed", "to be paused"],
)
@pytest.mark.parametrize("key", REFUSED)
def test_what_rabbitmq_refuses_of_a_queue_without_a_worker_is_settled_by_hand(old, new, key):
    found = of(old, f"{new}queues: {{mail: {{{REFUSED[key]}}}}}\n")
    change = arguments_of(found, "queue:mail") if key == "arguments" else at(found, f"queue:mail/{key}")
    assert change.risk is Class.MANUAL
    for told in ("RabbitMQ refuses", "mail exists", "delete "):
        assert told in change.because
    assert found.steps[0].by_hand


def test_a_queue_that_only_producers_declare_is_refused_as_well():
    old = RABBITMQ + WORKERS + "queues: {spare: {type: classic}}\n"
    before, after = (taken(text, w=["mail", "pay"]) for text in (old, old.replace("classic", "quorum")))
    found = review(before, after, TODAY)
    assert arguments_of(found, "queue:spare").risk is Class.MANUAL


def test_where_no_declaration_is_kept_yet_nothing_is_refused():
    elsewhere = PAUSED.replace("CELERY_BROKER_URL", "OTHER") + "queues: {mail: {type: quorum}}\n"
    assert arguments_of(of(PAUSED, elsewhere), "queue:mail").risk is Class.SAFE
    levels = "queues: {mail: {arguments: {x-max-priority: 5}}}\n"
    assert arguments_of(of(IDLE, IDLE + levels), "queue:mail").risk is Class.SAFE
