"""A dependency is down for a while: with a breaker few calls are made and no task fails, otherwise all do."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from itertools import accumulate

import pytest
from guarded import deploy
from places import SUPPORT
from processes import wait_until
from servers import redis_server

pytestmark = pytest.mark.server
APP = (SUPPORT / "shop_payments.py").read_text("utf-8")
SECONDS, TASKS = (20, 120) if os.environ.get("GUARDS") == "long" else (10, 40)
TRIP = {"failures": 5, "within": 10.0, "open_for": 2.0, "probes": 1}
CALLS = {"calls": ["stripe"], "failures": {"stripe": ["ConnectionError"]}}
WORKERS, SLOTS = 2, 4


@pytest.fixture
def redis_url(tmp_path):
    with redis_server(tmp_path) as url:
        yield url


def test_an_outage_costs_a_few_calls_and_no_task_and_by_hand_it_costs_many(redis_url, tmp_path):
    """Of the controls, one has no breaker, and one has a breaker in each process."""
    stripe = {"stripe": {"breaker": TRIP}}
    site = deploy(tmp_path / "shop", redis_url, APP, {"shop.pay": CALLS}, dependencies=stripe)
    names = ("shop.pay", "shop.pay_bare", "shop.pay_by_hand")
    site.effects.set("down", 1)
    with ExitStack() as stack:
        for number in range(WORKERS):
            stack.enter_context(site.worker("w" * (number + 1), slots=SLOTS))
        began = time.monotonic()
        results = {name: [site.send(name, number) for number in range(TASKS)] for name in names}
        wait_until(lambda: quiet(site), "nobody calls while it is open")
        site.effects.rpush("calls shop.pay", "quiet")
        wait_until(lambda: site.effects.lindex("calls shop.pay", -1) != "quiet", "a probe")
        bare = results["shop.pay_bare"]
        wait_until(lambda: {each.state for each in bare} == {"FAILURE"}, "all fail without a breaker")
        wait_until(lambda: time.monotonic() >= began + SECONDS, "the outage ends")
        site.effects.delete("down")
        lasted = time.monotonic() - began
        site.effects.rpush("calls shop.pay", "up")
        site.succeeded(results["shop.pay"])
        by_hand = results["shop.pay_by_hand"]
        wait_until(lambda: {x.state for x in by_hand} <= {"FAILURE", "SUCCESS"}, "they end")
    log = site.effects.lrange("calls shop.pay", 0, -1)
    log = log[: log.index("up")]
    calls = {name: site.effects.lrange(f"calls {name}", 0, -1).count("+") for name in names}
    calls["shop.pay"] = log.count("+")
    assert calls["shop.pay_bare"] == 4 * TASKS
    rounds = lasted / TRIP["open_for"] + 1
    assert calls["shop.pay"] <= TRIP["failures"] + WORKERS * SLOTS + rounds
    assert calls["shop.pay"] <= calls["shop.pay_bare"] / 4
    # Before it was quiet, a call could begin after the last failure had ended, but before it counted.
    assert max(running(log)[log.index("quiet") :]) == TRIP["probes"]
    # Only those that called it before it opened have used a retry.
    used = sum(map(int, site.effects.lrange("answers shop.pay", 0, -1)))
    assert used <= TRIP["failures"] + WORKERS * SLOTS
    assert calls["shop.pay_by_hand"] > calls["shop.pay"]
    assert "FAILURE" in {each.state for each in by_hand}


def quiet(site) -> bool:
    """No call for half of the time that the breaker stays open."""
    before = site.effects.lrange("calls shop.pay", 0, -1)
    time.sleep(TRIP["open_for"] / 2)
    enough = before.count("-") >= TRIP["failures"] and before.count("+") == before.count("-")
    return enough and site.effects.lrange("calls shop.pay", 0, -1) == before


def running(log: list[str]) -> list[int]:
    """How many calls run after each entry."""
    return list(accumulate({"+": 1, "-": -1}.get(what, 0) for what in log))


def test_probes_of_a_long_outage_do_not_use_up_the_retries_of_their_task(redis_url, tmp_path):
    """Whose retries are asked for, or automatic. A task that must never run twice fails."""
    names = ("shop.pay_soon", "shop.pay_auto")
    trip = {"failures": 1, "within": 10.0, "open_for": 0.2}
    dependencies = {name: {"breaker": trip} for name in (*names, "shop.pay_never")}
    tasks = {name: {"calls": [name], "failures": {name: ["ConnectionError"]}} for name in dependencies}
    site = deploy(tmp_path / "shop", redis_url, APP, tasks, dependencies=dependencies)
    site.effects.set("down", 1)
    with site.worker(slots=2):
        results = [site.send(name, 1) for name in names]
        wait_until(lambda: min(called(site, name) for name in names) > 5, "more probes than retries")
        never = site.send("shop.pay_never", 1)
        wait_until(lambda: never.state == "FAILURE", "it fails")
        never = site.send("shop.pay_never", 1)
        wait_until(lambda: never.state == "FAILURE", "its probe fails")
        site.effects.delete("down")
        site.succeeded(results)
    assert called(site, "shop.pay_never") == 2
    assert [site.effects.lrange(f"answers {name}", 0, -1) for name in names] == [["1"], ["1"]]


def called(site, name: str) -> int:
    return site.effects.lrange(f"calls {name}", 0, -1).count("-")
