"""What exchanges and bindings that outlive a deployment do to the queues of the next one."""

from __future__ import annotations

import pytest
from review_of import RABBITMQ, at, plan_of, reviewed
from rollout_cases import tasks, workers

from policycompiler.review import Class
from policycompiler.review.facts.binding_clashes import clashes

CLASSIC = RABBITMQ.replace("}'}", "}', version: '3.10'}")
SQS = "broker: {transport: sqs, url: 'sqs://'}\n"
TWO = tasks(a="a", b="b") + workers(w="a, b")
brokers = pytest.mark.parametrize("broker", ["", CLASSIC, RABBITMQ], ids=["redis", "rabbitmq", "quorum"])


def queues(**declared: str) -> str:
    return f"queues: {{{', '.join(f'{name}: {{{how}}}' for name, how in declared.items())}}}\n"


def topic(key: str, exchange: str = "x") -> str:
    return f"exchange: {exchange}, exchange_type: topic, routing_key: '{key}'"


def direct(key: str) -> str:
    return f"exchange: x, exchange_type: direct, routing_key: {key}"


SWAPPED = (TWO + queues(a=topic("k"), b=""), TWO + queues(a="", b=topic("k")))
RENAMED = tuple(tasks(b=name) + queues(**{name: topic("k")}) for name in ("old", "new"))
SPLIT = (
    tasks(a="a", b="a") + queues(a=topic("shop.#")),
    TWO + queues(a=topic("shop.mail"), b=topic("shop.pay")),
)
TYPED = (TWO + queues(a=direct("ka"), b=direct("kb")), TWO + queues(a=topic("ka"), b=topic("kb")))


def crossed(old: str, new: str) -> dict[str, str]:
    """The queues that get what is meant for another one, and for which."""
    found = clashes(plan_of(old), plan_of(new)).crossed
    return {queue: each.meant_for for queue, each in found.items()}


@brokers
@pytest.mark.parametrize(
    ("pair", "expected"),
    [
        (SWAPPED, {"a": "b", "b": "a"}),
        (RENAMED, {"old": "new", "new": "old"}),
        (SPLIT, {"a": "b"}),
        ((SPLIT[1], SPLIT[0]), {"a": "b"}),
    ],
    ids=["swapped", "renamed", "split", "joined"],
)
def test_what_two_bindings_to_a_topic_exchange_match_comes_to_two_queues(broker, pair, expected):
    assert crossed(*(broker + text for text in pair)) == expected


@brokers
@pytest.mark.parametrize(
    "pair",
    [
        (TWO + queues(a=topic("k"), b=topic("j")), TWO + queues(a=topic("i"), b=topic("j"))),
        (TWO + queues(a=topic("k")), TWO + queues(a=topic("k"), b=topic("shop.mail"))),
        (TWO + queues(a=topic("#")), TWO + queues(a=topic("#"), b=topic("shop.mail"))),
        (
            TWO + queues(a=topic("k"), b=topic("k", "y")),
            TWO + queues(a=topic("k"), b=topic("k", "y") + ", consumer_arguments: {x-priority: 1}"),
        ),
        (TWO, TWO.replace("b: {queue: b}", "b: {queue: c}").replace("[a, b]", "[a, c]")),
        tuple(tasks(b=name) + queues(**{name: "broadcast: true, exchange: x"}) for name in ("old", "new")),
    ],
    ids=["other key", "one more", "as its own plan has it", "same", "default names", "broadcasts"],
)
def test_what_its_own_plan_brings_to_a_queue_crosses_nothing(broker, pair):
    assert crossed(*(broker + text for text in pair)) == {}


@pytest.mark.parametrize("broker", ["", CLASSIC])
def test_behind_direct_exchanges_nothing_crosses(broker):
    assert crossed(broker + TWO + queues(a=direct("k")), broker + TWO + queues(b=direct("k"))) == {}


def test_on_redis_the_binding_of_a_direct_exchange_matches_each_key_of_a_topic():
    assert crossed(*TYPED) == {"a": "b", "b": "a"}
    assert crossed(*(CLASSIC + text for text in TYPED)) == {}


@pytest.mark.parametrize(
    ("pattern", "key", "on_redis", "on_rabbitmq"),
    [
        ("shop.*", "shop.mail", True, True),
        ("shop.*", "shop.mail.send", False, False),
        ("*.mail", "shop.mail", True, True),
        ("shop.#", "shop.mail.send", True, True),
        ("#.send", "shop.mail.send", True, True),
        ("shop.#.send", "shop.mail.a.send", True, True),
        ("shop.#.send", "shop.mail.sent", False, False),
        ("shop.#", "shop", False, True),
        ("#", "shop.mail", True, True),
        ("shop", "shop.mail", False, False),
    ],
)
def test_patterns_match_as_the_broker_matches_them(pattern, key, on_redis, on_rabbitmq):
    old, new = (TWO + queues(a=topic(pattern)), TWO + queues(b=topic(key)))
    for broker, expected in (("", on_redis), (CLASSIC, on_rabbitmq)):
        assert (crossed(broker + old, broker + new).get("a") == "b") is expected


def test_many_wildcards_are_no_work():
    key = ".".join(["a"] * 100)
    old = TWO + queues(a=topic(".".join(["#", "a"] * 60) + ".b"))
    assert crossed(old, TWO + queues(b=topic(key))) == {}


def test_a_schedule_may_send_by_a_key_of_its_own():
    every = "schedules: {tick: {task: shop.b, every: 1m, options: {routing_key: old.k}}}\n"
    old = TWO + queues(a=topic("old.*"))
    assert crossed(old, TWO + queues(b=topic("k"))) == {}
    assert crossed(old, TWO + queues(b=topic("k")) + every) == {"a": "b"}


def test_what_rabbitmq_delays_comes_by_the_end_of_its_key():
    later = ", max_countdown: 1m"
    old, new = (RABBITMQ + tasks(a=name + later) for name in ("mail", "shop.mail"))
    assert crossed(old, new) == {"mail": "shop.mail"}
    change = at(reviewed(old, new), "queue:mail")
    assert change.risk is Class.MANUAL
    for told in ("delayed messages for shop.mail", "another routing key", "celery_delayed_delivery"):
        assert told in change.because
    assert crossed(*(text.replace(later, "") for text in (old, new))) == {}


def test_the_bits_of_a_delay_are_words_that_a_pattern_may_ask_for():
    old = RABBITMQ + TWO + queues(a=topic("*.shop.mail"))
    later = tasks(b="shop.mail, max_countdown: 1m") + workers(w="shop.mail")
    assert crossed(old, RABBITMQ + later) == {"a": "shop.mail"}


@pytest.mark.parametrize(
    ("broker", "told"),
    [
        ("", "`_kombu.binding.x`"),
        (
            "broker: {transport: redis, url: '${B}', options: {global_keyprefix: p.}}\n",
            "`p._kombu.binding.x`",
        ),
        (CLASSIC, "deleted from exchange x"),
        (SQS, "if a process knows both bindings to exchange x"),
    ],
)
def test_a_queue_that_is_crossed_is_settled_by_hand(broker, told):
    for pair, addresses in (
        (SWAPPED, ("queue:a/exchange", "queue:a/routing_key", "queue:a/exchange_type", "queue:b/exchange")),
        (RENAMED, ("queue:old", "queue:new")),
        (SPLIT, ("queue:a/routing_key",)),
    ):
        found = reviewed(*(broker + text for text in pair))
        assert found.steps[0].by_hand
        for address in addresses:
            change = at(found, address)
            assert change.risk is Class.MANUAL, address
            assert "also reach" in change.because
            assert told in change.because


def test_a_type_that_changes_on_redis_asks_for_another_exchange():
    found = reviewed(*TYPED)
    for address, other in (("queue:a/exchange_type", "b"), ("queue:b/exchange_type", "a")):
        change = at(found, address)
        assert change.risk is Class.MANUAL
        assert f"messages for {other} also reach" in change.because
        assert f"choose another exchange for {other}, or" in change.because


def test_the_type_of_one_queue_is_nobody_elses():
    found = reviewed(TWO + queues(a="exchange_type: direct"), TWO + queues(a="exchange_type: topic"))
    assert at(found, "queue:a/exchange_type").risk is Class.SAFE


@pytest.mark.parametrize("broker", ["", CLASSIC])
def test_a_binding_to_an_exchange_that_others_use_goes_on_bringing_what_they_send(broker):
    found = reviewed(broker + TWO + queues(a=topic("k")), broker + TWO + queues(a=topic("j")))
    change = at(found, "queue:a/routing_key")
    assert change.risk is Class.MANUAL
    assert "the old binding stays" in change.because


def test_on_another_broker_nothing_is_bound_yet():
    old, new = RENAMED
    found = reviewed("broker: {transport: redis, url: '${ONE}'}\n" + old, new)
    assert at(found, "queue:old").risk is not Class.MANUAL
    assert at(found, "queue:new").risk is Class.SAFE


@pytest.mark.parametrize("kind", ["exchange_type: topic, routing_key: k", "broadcast: true"])
def test_rabbitmq_refuses_an_exchange_that_another_queue_made_with_another_type(kind):
    old = CLASSIC + TWO + queues(a="exchange: x")
    for new, address in (
        (TWO + queues(b=f"exchange: x, {kind}"), "queue:b/exchange"),
        (tasks(a="a", b="b", c="c") + queues(c=f"exchange: x, {kind}"), "queue:c"),
    ):
        change = at(reviewed(old, CLASSIC + new), address)
        assert change.risk is Class.MANUAL
        assert "refuses another type while exchange x exists" in change.because


def test_an_exchange_whose_queues_are_all_made_anew_is_made_anew_with_them():
    found = reviewed(CLASSIC + TYPED[0], CLASSIC + TYPED[1])
    assert found.verdict is Class.ORDERED


def test_an_exchange_that_a_queue_stays_bound_to_is_not():
    """It is deleted with the last queue behind it, and what was bound to it stays so."""
    new = CLASSIC + TWO + queues(a=topic("ka"))
    change = at(reviewed(CLASSIC + TYPED[0], new), "queue:a/exchange_type")
    assert change.risk is Class.MANUAL


def test_a_thousand_queues_are_compared_at_once():
    """Every queue moves: each is held against the few whose keys end alike."""
    names = [f"q{number}" for number in range(300)]
    for broker in ("", RABBITMQ):
        old, new = (
            broker
            + tasks(**{f"t{name}": f"{name}{end}" for name in names})
            + queues(**{f"{name}{end}": topic(f"k.{name}") for name in names})
            for end in ("", "z")
        )
        assert len(crossed(old, new)) == 600
