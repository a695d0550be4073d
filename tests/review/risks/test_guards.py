"""Changes of guards: how risky they are, and the steps that they need."""

from __future__ import annotations

import pytest
from review_of import RABBITMQ, at, reviewed

from policycompiler.review import Class
from policycompiler.review.conditions import Pause, Taken, TaskGone

PLAIN = "tasks: {shop.a: {queue: q, runtime: 1s, idempotent: true}}\n"
KEYED = "tasks: {shop.a: {queue: q, runtime: 1s, idempotency_key: %s}}\n"
STORE = 'store: {url: "${%s}"}\n'
CALLING = (
    "dependencies: {%s: {rate: %s, breaker: {open_for: %s}}}\n"
    "tasks: {shop.a: {queue: q, runtime: 1s, idempotent: true, calls: [%s]}}\n"
)
STRIPE = CALLING % ("stripe", "10/s", "1m", "stripe")
SERVICE = "service: other\n"


@pytest.mark.parametrize(
    ("old", "new", "address"),
    [
        (KEYED % "id", KEYED % "order.id", "task:shop.a/idempotency_key"),
        (KEYED % "id", PLAIN, "task:shop.a/idempotency_key"),
        (KEYED % "id", STORE % "MINE" + KEYED % "id", "app/guard_store_variable"),
        (KEYED % "id", SERVICE + KEYED % "id", "app/service"),
    ],
)
def test_publishers_stop_until_messages_with_forgotten_records_are_gone(old: str, new: str, address: str):
    found = reviewed(old, new)
    change, step = at(found, address), found.steps[0]
    assert change.risk is Class.MANUAL
    assert "new workers do not find the records of `shop.a`" in change.because
    assert (step.phase, step.by_hand, step.folder) == ("expand", True, "")
    assert step.action.startswith("stop what publishes `shop.a` until the switch; wait until no message")
    (gone,) = step.wait_for
    assert gone == TaskGone(plan="rollout/previous", queues=("q",), task="shop.a")
    assert found.steps[-1].folder == "."


def test_on_rabbitmq_nobody_reads_names_so_the_longest_way_is_waited_for():
    (step, *_) = reviewed(RABBITMQ + KEYED % "id", RABBITMQ + KEYED % "other").steps
    assert [type(each) for each in step.wait_for] == [Taken, Pause]


def test_a_change_of_a_key_is_not_told_a_second_time():
    found = reviewed(KEYED % "id", KEYED % "other")
    assert [step.by_hand for step in found.steps] == [True, False]


def test_a_key_is_added_in_any_order_once_messages_have_a_value():
    found = reviewed(PLAIN, KEYED % "id")
    change = at(found, "task:shop.a/idempotency_key")
    assert change.risk is Class.MANUAL
    assert "messages already sent have a value for `id`" in change.because
    store = at(found, "app/guard_store_variable")
    assert (store.risk, "CELERY_GUARD_STORE_URL" in store.because) == (Class.MANUAL, True)
    assert [(step.by_hand, step.wait_for == ()) for step in found.steps] == [(True, True), (False, False)]


def test_a_task_that_leaves_a_guarded_pattern_loses_its_key():
    pattern = KEYED.replace("shop.a", "shop.*") % "id"
    own = pattern.replace("}}\n", "}, shop.b: {queue: q, runtime: 1s}}\n")
    change = at(reviewed(pattern, own), "task:shop.b")
    assert "has its effect twice again" in change.because


RENAMED = "tasks: {shop.b: {queue: q, runtime: 1s, idempotency_key: id, renamed_from: [%s]}}\n"


def test_a_renamed_task_keeps_its_records_until_its_earlier_name_is_removed():
    kept = at(reviewed(KEYED % "id", RENAMED % "shop.a"), "task:shop.b")
    assert kept.risk is Class.ORDERED
    for now in ("", "shop.c"):
        gone = at(reviewed(RENAMED % "shop.a", RENAMED % now), "task:shop.b/renamed_from")
        assert gone.risk is Class.MANUAL
        assert "no longer find the records of `shop.a`" in gone.because
        assert "when 7 d have passed" in gone.because
    moved = RENAMED.replace("shop.b", "shop.c")
    both = at(reviewed(RENAMED % "shop.a", moved % "shop.b"), "task:shop.c")
    assert both.risk is Class.MANUAL
    assert "no longer find the records of `shop.a`" in both.because
    without = RENAMED.replace("idempotency_key: id", "idempotent: true")
    plain = at(reviewed(without % "shop.a", without % ""), "task:shop.b/renamed_from")
    assert plain.risk is Class.ORDERED


@pytest.mark.parametrize(
    ("new", "address", "risk", "words"),
    [
        (CALLING % ("stripe", "5/s", "1m", "stripe"), "rate_per_second", Class.SAFE, "follow the old value"),
        (CALLING % ("stripe", "10/s", "2m", "stripe"), "breaker", Class.SAFE, "follow the old value"),
        (STRIPE.replace("rate: 10/s, ", ""), "rate_per_second", Class.MANUAL, "nothing limits"),
        (STRIPE.replace(", breaker: {open_for: 1m}", ""), "breaker", Class.MANUAL, "no breaker stops"),
    ],
)
def test_a_rate_and_a_breaker_hold_for_each_worker_from_its_start(
    new: str, address: str, risk: Class, words: str
):
    change = at(reviewed(STRIPE, new), f"dependency:stripe/{address}")
    assert change.risk is risk
    assert words in change.because


@pytest.mark.parametrize(
    ("old", "new", "risk", "words"),
    [
        (STRIPE, STRIPE.replace("stripe", "bank"), Class.MANUAL, "`stripe` and `bank` are counted apart"),
        (STRIPE, PLAIN, Class.MANUAL, "`stripe` are no longer limited"),
        (PLAIN, STRIPE, Class.SAFE, "follow the old value"),
    ],
)
def test_a_dependency_has_its_state_under_its_name(old: str, new: str, risk: Class, words: str):
    change = at(reviewed(old, new), "task:shop.a/calls")
    assert change.risk is risk
    assert words in change.because


def test_a_breaker_that_stays_open_longer_raises_the_visibility_timeout_first():
    found = reviewed(STRIPE, CALLING % ("stripe", "10/s", "3h", "stripe"))
    assert at(found, "app/visibility_timeout_seconds").risk is Class.ORDERED
    assert found.steps[0].phase == "expand"


def test_a_lease_may_shrink_in_any_order():
    limit = KEYED % "id" + "celery: {settings: {task_time_limit: %s}}\n"
    old, new = (limit.replace("runtime: 1s, ", "") % seconds for seconds in (300, 60))
    found = reviewed(old, new)
    change = at(found, "task:shop.a/idempotency_lease_seconds")
    assert (change.old, change.new, change.risk) == (310, 70, Class.SAFE)


def test_a_key_that_is_forgotten_sooner_than_its_message_repeats_its_effect():
    found = reviewed(KEYED % "{key: id, keep: 1d}", KEYED % "{key: id, keep: 10m}")
    change = at(found, "task:shop.a/idempotency_keep_seconds")
    assert change.risk is Class.LOSSY
    assert "can happen again after 2 h" in change.because
    longer = reviewed(KEYED % "{key: id, keep: 10m}", KEYED % "{key: id, keep: 1d}")
    assert at(longer, "task:shop.a/idempotency_keep_seconds").risk is Class.SAFE


@pytest.mark.parametrize(
    ("old", "new", "risk"),
    [("", "9", Class.MANUAL), ("9", "5", Class.MANUAL), ("9", "10", Class.SAFE), ("9", "", Class.SAFE)],
)
def test_a_bound_that_refuses_more_needs_publishers_that_bear_it(old: str, new: str, risk: Class):
    one, other = (PLAIN + f"queues: {{q: {{{f'bound: {each}' if each else ''}}}}}" for each in (old, new))
    change = at(reviewed(one, other), "queue:q/bound_messages")
    assert change.risk is risk
    assert ("policycompiler status" in change.because) is (risk is Class.MANUAL)


def test_a_bound_on_rabbitmq_declares_no_queue_again():
    queues = "queues: {q: {type: quorum%s}}"
    found = reviewed(RABBITMQ + PLAIN + queues % "", RABBITMQ + PLAIN + queues % ", bound: 9")
    assert at(found, "queue:q/bound_messages").risk is Class.MANUAL
    assert not [each for each in found.changes if each.scope.kind == "queue" and "arguments" in each.key]


@pytest.mark.parametrize(
    ("old", "new", "risk"),
    [("", "1KiB", Class.MANUAL), ("2KiB", "1KiB", Class.MANUAL), ("1KiB", "2KiB", Class.SAFE)],
)
def test_a_size_that_refuses_more_needs_publishers_that_bear_it(old: str, new: str, risk: Class):
    def sized(most: str) -> str:
        payload = f", payload: {{max: {most}, enforce: true}}" if most else ""
        return PLAIN.replace("runtime: 1s", f"runtime: 1s{payload}")

    change = at(reviewed(sized(old), sized(new)), "task:shop.a/payload_enforced_bytes")
    assert change.risk is risk


def test_consumers_need_nothing_new_to_read_messages_that_a_guard_has_measured():
    found = reviewed(PLAIN, PLAIN.replace("runtime: 1s", "runtime: 1s, payload: {max: 1KiB, enforce: true}"))
    assert {change.risk for change in found.changes} == {Class.SAFE, Class.MANUAL}
    assert [step.phase for step in found.steps] == ["expand", "switch"]


def test_on_store_error_run_is_a_decision():
    found = reviewed(KEYED % "id", KEYED % "{key: id, on_store_error: run}")
    assert at(found, "task:shop.a/idempotency_on_store_error").risk is Class.MANUAL
