"""A task that another app runs from now on, or ran until now: one change matters, and no wait is in vain."""

from __future__ import annotations

import pytest
from review_of import RABBITMQ, TODAY, arguments_of, at, plan_of, reviewed
from simulated import broken

from policycompiler.plan import Scope
from policycompiler.review import Class, review

FACTS = "idempotent: true, runtime: {p50: 1s, p99: 5s}, rate: 1/s, retry: {on: [OSError], max: 5}"
PAY = "shop.pay: {queue: pay, idempotent: false}"


def tasks(more: str) -> str:
    return f"tasks: {{shop.mail: {{{more}}}, {PAY}}}\nschedules: {{s: {{task: shop.mail, every: 1h}}}}\n"


OURS = tasks(f"queue: mail, {FACTS}")
THEIRS = tasks("queue: mail, external: true")
FURTHER = tasks("queue: theirs, external: true")
brokers = pytest.mark.parametrize("broker", ["", RABBITMQ], ids=["redis", "rabbitmq"])


@brokers
@pytest.mark.parametrize(("old", "new"), [(OURS, THEIRS), (OURS, THEIRS.replace("true", f"true, {FACTS}"))])
def test_who_runs_it_is_the_one_change_that_matters(broker, old, new):
    found = reviewed(broker + old, broker + new)
    (change,) = (change for change in found.changes if change.risk is not Class.SAFE)
    assert (change.risk, change.kind) == (Class.MANUAL, "task-external")
    assert change.address == "task:shop.mail/external"
    assert "consume mail before the workers of this app stop" in change.because
    assert [each.address for each in found.changes if not each.follows] == [change.address]


@brokers
@pytest.mark.parametrize(("old", "new"), [(OURS, THEIRS), (THEIRS, OURS)])
def test_in_a_queue_that_stays_nothing_is_waited_for(broker, old, new):
    plans = plan_of(broker + old), plan_of(broker + new)
    found = review(*plans, TODAY)
    assert [step.phase for step in found.steps] == ["expand", "switch"]
    assert (
        found.steps[0].action == "decide or act by hand, as each change says: `task:shop.mail/external`"
        or broker
    )
    assert broken(*plans, found) == []


@brokers
def test_the_way_back_asks_the_other_app_to_go_on(broker):
    change = at(reviewed(broker + THEIRS, broker + OURS), "task:shop.mail/external")
    assert change.risk is Class.MANUAL
    assert "still runs it until the workers of this app answer" in change.because


def test_what_this_app_declares_from_now_on_may_be_refused():
    found = reviewed(RABBITMQ + THEIRS, RABBITMQ + OURS)
    assert arguments_of(found, "queue:mail").risk is Class.MANUAL


@brokers
def test_in_another_queue_what_is_left_is_run_here_first(broker):
    plans = plan_of(broker + OURS), plan_of(broker + FURTHER)
    found = review(*plans, TODAY)
    assert at(found, "task:shop.mail/external").risk is Class.MANUAL
    assert at(found, "task:shop.mail/queue").risk is Class.ORDERED
    (both,) = found.phases.values()
    # The workers send the new way too, so that the wait has an end.
    assert [both.text(scope, "queue") for scope in both.scopes("task") if scope.name == "shop.mail"] == [
        "theirs"
    ]
    assert "drain" in [step.phase for step in found.steps]
    assert broken(*plans, found) == []


@brokers
def test_the_way_back_from_another_queue(broker):
    plans = plan_of(broker + FURTHER), plan_of(broker + OURS)
    found = review(*plans, TODAY)
    assert "until no message is left in theirs" in at(found, "task:shop.mail/external").because
    assert at(found, "task:shop.mail/queue").risk is Class.ORDERED
    assert broken(*plans, found) == []


def test_workers_that_go_on_taking_what_they_do_not_run_lose_it():
    old = OURS.replace("pay, ", "mail, ")
    found = reviewed(old, THEIRS.replace("pay, ", "mail, "))
    assert at(found, "task:shop.mail/external").risk is Class.LOSSY
    assert not any(step.phase == "drain" for step in found.steps)


def test_what_a_message_says_is_judged_whoever_runs_it():
    found = reviewed(OURS, THEIRS.replace("external: true", "external: true, expires: 5m"))
    assert at(found, "task:shop.mail/options.expires").risk is Class.LOSSY


def test_a_task_that_a_pattern_had_is_handed_over_by_an_entry_of_its_own():
    old = "tasks: {shop.*: {queue: mail}}\n"
    found = reviewed(old, "tasks: {shop.*: {queue: mail}, shop.mail: {queue: theirs, external: true}}\n")
    change = at(found, "task:shop.mail")
    assert (change.kind, change.risk) == ("task-added", Class.MANUAL)
    back = at(
        reviewed("tasks: {shop.*: {queue: mail}, shop.mail: {queue: theirs, external: true}}\n", old),
        "task:shop.mail",
    )
    assert (back.kind, back.risk) == ("task-removed", Class.MANUAL)


def test_what_a_pattern_that_goes_stood_for_is_run_here_until_none_is_left():
    old = plan_of("tasks: {shop.*: {queue: mail}}\n")
    new = plan_of("tasks: {shop.pay: {queue: theirs, external: true}}\n")
    found = review(old, new, TODAY)
    assert "check that none is left" not in at(found, "task:shop.pay").because
    (both,) = found.phases.values()
    # The workers send it the new way meanwhile, so that the wait has an end.
    task = Scope("task", "shop.pay")
    assert (both.get(task, "queue"), both.get(task, "external")) == ("theirs", False)
    assert "drain" in [step.phase for step in found.steps]
    assert broken(old, new, found) == []


def test_an_earlier_name_that_another_app_has_now_is_settled_with_that():
    old = plan_of("tasks: {shop.pay: {queue: mail, renamed_from: [shop.old]}}\n")
    new = plan_of("tasks: {shop.pay: {queue: mail}, shop.old: {queue: theirs, external: true}}\n")
    found = review(old, new, TODAY)
    assert "none is left in mail" in at(found, "task:shop.old").because
    # No plan in between may declare a name twice.
    assert found.phases == {}
    assert [step.phase for step in found.steps] == ["expand", "switch"]
    assert broken(old, new, found) == []


def test_what_goes_with_a_queue_that_another_app_takes_over_is_lost():
    found = reviewed(
        "tasks: {shop.mail: {queue: q}, shop.pay: {queue: mail}}\n",
        "tasks: {shop.pay: {queue: q, external: true}}\n",
    )
    change = at(found, "task:shop.pay/external")
    assert change.risk is Class.LOSSY
    assert "discards the remaining messages of shop.mail in q" in change.because
