"""Breakers, rates and parking on real workers: while a dependency fails, almost nobody calls it."""

from __future__ import annotations

import multiprocessing
import time
from bisect import bisect_left

import pytest
import redis
from grants import BURST, RATE, reserve
from guarded import deploy
from places import SUPPORT
from processes import wait_until
from servers import start_redis

from policycompiler.runtime.guards.breakers import ADMIT, Breaker
from policycompiler.runtime.guards.errors import Later
from policycompiler.runtime.guards.rates import Rate
from policycompiler.runtime.guards.store import Store
from policycompiler.runtime.guards.told import Dependency, Trip

pytestmark = pytest.mark.server
APP = (SUPPORT / "shop_charges.py").read_text("utf-8")
TRIP = {"failures": 4, "within": 10.0, "open_for": 1.0, "probes": 1}
CALLS = {"shop.call": {"calls": ["stripe"], "failures": {"stripe": ["ConnectionError"]}}}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with start_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def store(server, monkeypatch):
    monkeypatch.setenv("STORE_URL", server.url)
    with redis.Redis.from_url(server.url) as client:
        client.flushall()
    found = Store("STORE_URL")
    yield found
    if found._client:
        found._client.close()


def over(store, breaker):
    """The time for which the breaker is open is over."""
    store._client.hset(breaker.keys[0], "until", 1)


def denied(breaker, call="x"):
    try:
        return breaker.admit(call, None) is None
    except Later:
        return True


@pytest.fixture
def breaker(store):
    return Breaker(store, "shop:", "stripe", Trip(failures=3, within=10, open_for=60, probes=2))


def test_a_breaker_opens_after_so_many_failures_within_the_time(store, breaker):
    for _ in range(2):
        breaker.admit("a", None).report("failed")
    store._client.zadd(breaker.keys[1], {"long ago": 1})
    assert not denied(breaker)
    breaker.admit("b", None).report("failed")
    with pytest.raises(Later) as later:
        breaker.admit("c", None)
    assert 59 < later.value.seconds <= 90
    assert breaker.state()[0] == "open"


def test_so_many_probes_try_and_one_answer_closes_it(store, breaker):
    passes = [breaker.admit(f"{number}", None) for number in range(5)]
    for each in passes[:3]:
        each.report("failed")
    assert denied(breaker)
    over(store, breaker)
    first, second = breaker.admit("p1", None), breaker.admit("p2", None)
    assert denied(breaker)
    second.report("none")
    third = breaker.admit("p3", None)
    assert denied(breaker)
    # A call that began before it opened says nothing about now.
    passes[3].report("answered")
    passes[4].report("failed")
    assert breaker.state()[0] == "half-open"
    third.report("answered")
    assert breaker.state()[0] == "closed"
    first.report("failed")
    assert breaker.state()[0] == "closed"


def test_a_probe_that_fails_opens_it_again_and_one_that_dies_gives_its_place_back(store, breaker):
    for number in range(3):
        breaker.admit(f"{number}", None).report("failed")
    over(store, breaker)
    breaker.admit("p1", None)
    breaker.admit("p2", None)
    store._client.zadd(breaker.keys[2], {"p1": 1})
    probe = breaker.admit("p3", None)
    probe.report("failed")
    assert breaker.state()[0] == "open"


def test_a_probe_that_the_store_sees_too_late_takes_no_place(store, breaker):
    """As if it had hung: the call was made without it."""
    for number in range(3):
        breaker.admit(f"{number}", None).report("failed")
    over(store, breaker)
    assert store._client.eval(ADMIT, 3, *breaker.keys, "late", 2, 60_000, store.latest() - 5000)[0] == b"late"
    assert breaker.state()[0] == "open"
    breaker.admit("p1", None)
    breaker.admit("p2", None)
    assert denied(breaker)


def test_the_main_process_knows_the_call_but_not_the_generation(store, breaker):
    for number in range(3):
        breaker.report(f"{number}", "", "failed")
    assert breaker.state()[0] == "open"
    over(store, breaker)
    breaker.admit("p1", None)
    breaker.report("some other", "", "failed")
    assert breaker.state()[0] == "half-open"
    breaker.report("p1", "", "failed")
    assert breaker.state()[0] == "open"


GRANTS, PROCESSES = 1000, 8


@pytest.mark.usefixtures("store")
def test_a_rate_holds_for_a_fleet_and_is_used_up(server):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["grants"])
    found, ready = context.Queue(), context.Barrier(PROCESSES)
    each = GRANTS // PROCESSES
    fleet = [context.Process(target=reserve, args=(server.url, each, found, ready)) for _ in range(PROCESSES)]
    for process in fleet:
        process.start()
    grants = sorted(found.get(timeout=60) for _ in range(GRANTS))
    for process in fleet:
        process.join()
    most = max(bisect_left(grants, moment + 1) - number for number, moment in enumerate(grants))
    assert most <= RATE + BURST + PROCESSES
    used = (GRANTS - BURST) / (grants[-1] - grants[0])
    assert used >= 0.97 * RATE


def test_by_hand_a_counter_for_each_second_lets_twice_the_rate_through(server):
    client, grants = redis.Redis.from_url(server.url), []
    while not 0.7 < time.time() % 1 < 0.8:
        time.sleep(0.01)
    until = time.time() + 0.6
    while time.time() < until:
        if client.incr(f"by hand {int(time.time())}") <= RATE:
            grants.append(time.time())
    assert grants[-1] - grants[0] < 1
    assert len(grants) > RATE + BURST + PROCESSES


def test_a_wait_beyond_the_hold_reserves_nothing(store):
    rate = Rate(store, "shop:", Dependency("stripe", rate=1, burst=2, hold=1.5), 1)
    assert [rate.reserve(), rate.reserve()] == [0, 0]
    assert 0.5 < rate.reserve() <= 1
    for _ in range(3):
        with pytest.raises(Later) as later:
            rate.reserve()
        assert 1.5 < later.value.seconds <= 2 + 1.5


def test_without_the_store_each_process_has_its_share_or_waits(monkeypatch):
    monkeypatch.setenv("STORE_URL", "redis://127.0.0.1:1/0")
    soft = Rate(Store("STORE_URL"), "shop:", Dependency("stripe", rate=10, hold=1, processes=5), 1)
    assert [round(soft.reserve(), 1) for _ in range(3)] == [0, 0.5, 1.0]
    with pytest.raises(Later):
        soft.reserve()
    hard = Rate(Store("STORE_URL"), "shop:", Dependency("stripe", rate=10, hard=True), 30)
    with pytest.raises(Later) as later:
        hard.reserve()
    assert later.value.reason == "store"
    assert 30 <= later.value.seconds <= 36


@pytest.mark.parametrize("pauses", [[], ["celery"]])
def test_an_outage_costs_few_calls_and_no_task(pauses, server, tmp_path):
    stripe = {"breaker": TRIP, "pauses": pauses}
    site = deploy(tmp_path / "shop", server.url, APP, CALLS, dependencies={"stripe": stripe})
    slots, tasks = 4, 40
    site.effects.set("down", 1)
    with site.worker("w", slots=slots):
        results = [site.send("shop.call", number) for number in range(tasks)]
        wait_until(lambda: site.effects.llen("calls") >= TRIP["failures"] + 1, "a probe has failed")
        rounds = site.effects.llen("calls") - TRIP["failures"]
        if pauses:
            wait_until(lambda: "pause queue celery" in (site.folder / "w.log").read_text(), "it pauses")
        site.effects.delete("down")
        site.succeeded(results)
    answers = site.effects.lrange("answers", 0, -1)
    calls = site.effects.llen("calls") - len(answers)
    assert len(answers) == tasks
    assert calls <= TRIP["failures"] + slots + rounds + 1
    log = (site.folder / "w.log").read_text()
    assert log.count("consume queue celery") >= bool(pauses)
    # Only those that called it have used a retry.
    retried = [answer for answer in answers if not answer.endswith(" 0")]
    assert len(retried) <= calls


def test_without_a_breaker_the_same_outage_costs_a_call_for_each_try(server, tmp_path):
    site = deploy(tmp_path / "shop", server.url, APP, {})
    site.effects.set("down", 1)
    with site.worker("w", slots=4):
        results = [site.send("shop.call", number) for number in range(4)]
        wait_until(lambda: {each.state for each in results} == {"FAILURE"}, "all have failed")
    assert site.effects.llen("calls") == 4 * 7
