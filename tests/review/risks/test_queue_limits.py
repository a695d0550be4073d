"""Arguments by which a queue throws messages away, and what a rollout says of them."""

from __future__ import annotations

import pytest
from review_of import RABBITMQ, arguments_of, at, reviewed
from rollout_cases import tasks

from policycompiler.review import Class

UNCONFIRMED = RABBITMQ.replace("}'}", "}', options: {confirm_publish: false}}")
REFUSES = "x-max-length: 5, x-overflow: reject-publish"
DROPS = "x-max-length: 5, x-overflow: drop-head"


def queue(arguments: str, broker: str = RABBITMQ) -> str:
    return broker + tasks(a="q") + f"queues: {{q: {{type: classic, arguments: {{{arguments}}}}}}}\n"


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("", "x-max-length: 5", "`x-max-length`: a full queue drops its oldest"),
        ("", "x-max-length-bytes: 500", "`x-max-length-bytes`: a full queue drops its oldest"),
        ("", "x-message-ttl: 500", "`x-message-ttl`: messages that wait longer"),
        ("", "x-expires: 500", "`x-expires`: a queue without a worker"),
        ("x-max-length: 6", "x-max-length: 5", "drops its oldest"),
        ("x-expires: 501", "x-expires: 500", "without a worker"),
        (REFUSES, DROPS, "drops its oldest"),
        (DROPS, REFUSES, "the call raises an error"),
        ("", REFUSES, "such as a retry or a schedule"),
    ],
)
def test_a_limit_that_is_new_or_lower_or_acts_otherwise_is_lossy(before, after, told):
    change = arguments_of(reviewed(queue(before), queue(after)), "queue:q")
    assert change.risk is Class.LOSSY
    assert told in change.because
    assert "stands in" in change.because


def test_each_argument_says_what_it_does():
    change = arguments_of(reviewed(queue(""), queue("x-max-length: 5, x-message-ttl: 9")), "queue:q")
    assert all(f"`{name}`: " in change.because for name in ("x-max-length", "x-message-ttl"))


def test_what_is_dropped_to_dead_letters_is_said_to_be_there():
    dead = "x-dead-letter-exchange: '', x-dead-letter-routing-key: q.dead"
    new = queue(f"x-max-length: 5, x-message-ttl: 9, x-expires: 9, {dead}")
    found = reviewed(queue(dead), new)
    for name, kept in (("x-max-length", True), ("x-message-ttl", True), ("x-expires", False)):
        assert ("dead letters" in at(found, f"queue:q/arguments.{name}").because) is kept


def test_what_a_full_queue_refuses_vanishes_where_publishes_are_not_confirmed():
    found = reviewed(queue("", UNCONFIRMED), queue(REFUSES, UNCONFIRMED))
    change = arguments_of(found, "queue:q")
    assert change.risk is Class.LOSSY
    assert "lost silently" in change.because


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("x-max-length: 5", ""),
        ("x-max-length: 5", "x-max-length: 6"),
        (DROPS, "x-max-length: 5"),
        ("x-message-ttl: 500", "x-message-ttl: 501"),
        ("", "x-overflow: drop-head"),
        ("", "x-single-active-consumer: true"),
    ],
)
def test_what_keeps_more_or_as_much_only_has_its_order(before, after):
    assert arguments_of(reviewed(queue(before), queue(after)), "queue:q").risk is Class.ORDERED


def test_on_redis_only_a_queue_that_expires_loses_anything():
    plain, shorter, expiring = (queue(each, "") for each in ("", "x-max-length: 5", "x-expires: 500"))
    assert arguments_of(reviewed(plain, shorter), "queue:q").risk is Class.SAFE
    change = arguments_of(reviewed(plain, expiring), "queue:q")
    assert change.risk is Class.LOSSY
    assert "x-expires" in change.because


def test_a_new_queue_with_a_limit_is_lossy_for_tasks_that_had_none():
    new = RABBITMQ + "queues: {p: {type: classic, arguments: {x-max-length: 5}}}\n"
    for task, old, expected in (
        ("a", queue(""), Class.LOSSY),
        ("a", queue("x-max-length: 4"), Class.SAFE),
        ("b", RABBITMQ + tasks(a="p").replace("p", "q"), Class.SAFE),
    ):
        assert at(reviewed(old, new + tasks(**{task: "p"})), "queue:p").risk is expected


def test_what_a_queue_of_another_app_throws_away_is_that_apps_word():
    theirs = RABBITMQ + tasks(a="q, external: true") + "queues: {q: {external: true, arguments: {%s}}}\n"
    change = arguments_of(reviewed(theirs % "", theirs % "x-max-length: 5"), "queue:q")
    assert change.risk is Class.MANUAL
