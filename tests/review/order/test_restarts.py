"""What goes over to a new plan is what reads a file that differs, and nothing else."""

from __future__ import annotations

import pytest
from review_of import reviewed
from workloads import compiled, workload

from policycompiler import review
from policycompiler.emitters import emit
from policycompiler.plan import APP, Constant, Plan, Setting, Value, vocabulary
from policycompiler.plan.vocabulary import ChangeKind, Key, Reader, Type

TASKS = "tasks: {shop.a: {queue: a, runtime: 1s}, shop.b: {queue: b, runtime: 1s}}\n"
DAILY = 'schedules: {daily: {task: shop.a, cron: "0 3 * * *", expires: 1h}}\n'
STORED = f"{TASKS}beat: {{scheduler: 'django_celery_beat.schedulers:DatabaseScheduler'}}\n"
DISABLED = 'schedules: {x: {task: shop.a, every: 1h}, d: {task: shop.a, cron: "0 3 * * *", enabled: false}}\n'


def processes(old: str, new: str) -> set[str]:
    """Everything that any step starts, restarts, reloads or stops."""
    return gone_over(reviewed(old, new))


def gone_over(found: review.Review) -> set[str]:
    steps = found.steps
    return {each for step in steps for each in (*step.start, *step.restart, *step.reload, *step.stop)}


@pytest.mark.parametrize(
    ("old", "new", "over"),
    [
        (TASKS, TASKS + DAILY, {"beat"}),
        (TASKS + DAILY, TASKS, {"beat"}),
        (TASKS + DAILY, TASKS + DAILY.replace("0 3", "0 4"), {"beat"}),
        (
            TASKS + DAILY,
            TASKS + DAILY + "celery: {settings: {beat_max_loop_interval: 10}}",
            {"beat"},
        ),
        (STORED + DISABLED, STORED + DISABLED.replace("0 3", "0 4"), {"beat"}),
    ],
    ids=["a first schedule", "no schedule any more", "another time", "a setting of beat", "a disabled one"],
)
def test_only_beat_goes_over(old, new, over):
    assert processes(old, new) == over


def test_what_no_process_reads_restarts_none():
    assert processes(TASKS, TASKS + "owner: shop") == set()


def having(plan: Plan, key: str, value: Value) -> Plan:
    """The plan with one setting more of the app."""
    settings = {scope: dict(keys) for scope, keys in plan._settings.items()}
    settings[APP][key] = Setting(APP, key, value, "a test says so", (Constant("VALUE", value),), "test")
    return Plan(settings)


def told(plan: Plan) -> dict[str, str]:
    return {file.path: file.text for file in emit(plan) if file.path != "plan.json"}


def test_a_fact_of_the_app_that_only_people_read_changes_no_file(monkeypatch):
    fact = Key(
        "app", "pod_namespace", Type.TEXT, ChangeKind.INSTALLATION, frozenset({Reader.PEOPLE}), "a fact"
    )
    monkeypatch.setitem(vocabulary._NAMED[fact.scope], fact.name, fact)
    plan = compiled(workload(TASKS + DAILY)).plan
    more = having(plan, fact.name, "shop")
    assert told(more) == told(plan)
    assert gone_over(review.review(plan, more)) == set()


def test_a_key_that_nobody_knows_may_be_read_by_any_process_and_is_not_safe():
    plan = compiled(workload(TASKS + DAILY)).plan
    more = having(plan, "pod_namespace", "shop")
    assert told(more) == told(plan)
    found = review.review(plan, more)
    assert [(change.address, change.risk) for change in found.changes] == [
        ("app/pod_namespace", review.Class.MANUAL)
    ]
    assert gone_over(found) == {"beat", "producers", "worker:a", "worker:b", "worker:shop.standard.io"}
