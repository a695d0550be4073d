"""Each guard while the store hangs, refuses connections, refuses to write, or is empty: bounded, as declared, and back by itself."""

from __future__ import annotations

import os
import signal
import threading

import pytest
import redis
from guarded import KEYED, PARKING, deploy
from mortal import mortal
from places import SUPPORT
from processes import wait_until
from servers import redis_server

from policycompiler.runtime.guards import counts
from policycompiler.runtime.guards.errors import StoreDownError
from policycompiler.runtime.guards.store import TIMEOUT_SECONDS, Store

pytestmark = pytest.mark.server
APP = (SUPPORT / "shop_charges.py").read_text("utf-8")
MORE = """

for name in ("closed", "share", "waits"):

    @app.task(name=f"shop.{name}")
    def calls(payment_id):
        effects.incr(f"effect:{payment_id}")
        return payment_id
"""
STATES = ("hung", "refused", "full", "emptied")
TRIP = {"failures": 4, "within": 10.0, "open_for": 1.0, "probes": 1}
RATE = {"rate": 1000.0, "burst": 100, "hold": 2.0}
DEPENDENCIES = {"breaker": {"breaker": TRIP}, "share": RATE, "waits": RATE | {"hard": True}}
TASKS = {
    "shop.charge": KEYED,
    "shop.parked": KEYED | {"on_store_error": "run"},
    "shop.closed": {"calls": ["breaker"], "failures": {"breaker": ["ConnectionError"]}},
    "shop.share": {"calls": ["share"]},
    "shop.waits": {"calls": ["waits"]},
}
OPEN, WAITING = ("shop.parked", "shop.closed", "shop.share"), ("shop.charge", "shop.waits")
"""Tasks that run without the store, and those that wait for it."""


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with mortal("redis", tmp_path_factory.mktemp("store")) as server:
        yield server


@pytest.fixture(scope="module")
def site(store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    with redis_server(folder) as url:
        found = deploy(
            folder / "shop",
            url,
            APP + MORE,
            TASKS,
            store=store.url.replace("/0", "/2"),
            dependencies=DEPENDENCIES,
            parking=PARKING | {"store_seconds": 1.0},
        )
        with found.worker("w", slots=4):
            yield found


def break_(store, site, state):
    if state == "hung":
        os.kill(store._pid, signal.SIGSTOP)
    elif state == "refused":
        store.kill()
    elif state == "full":
        site.store.config_set("maxmemory", 1)
    else:
        site.store.flushall()


def mend(store, site, state):
    if state == "hung":
        os.kill(store._pid, signal.SIGCONT)
    elif state == "refused":
        store.start()
    elif state == "full":
        site.store.config_set("maxmemory", 0)


@pytest.mark.parametrize("state", STATES)
def test_each_guard_does_what_it_declares_and_recovers_by_itself(state, store, site):
    site.succeeded([site.send(name, f"before {state} {name}") for name in TASKS])
    break_(store, site, state)
    try:
        running = {name: site.send(name, f"{state} {name}") for name in TASKS}
        if state == "emptied":
            site.succeeded(list(running.values()))
            return
        site.succeeded([running[name] for name in OPEN])
        wait_until(lambda: all(running[name].state == "RETRY" for name in WAITING), "they wait")
        assert [site.effect(f"{state} {name}") for name in WAITING] == [0, 0]
    finally:
        mend(store, site, state)
    site.succeeded(list(running.values()))
    assert [site.effect(f"{state} {name}") for name in WAITING] == [1, 1]
    # The guards are there again: a duplicate has the result of the first.
    assert site.succeeded([site.send("shop.charge", f"{state} shop.charge")]) == [
        running["shop.charge"].result
    ]
    assert "the store answers again" in (site.folder / "w.log").read_text()


def test_an_effect_whose_record_is_lost_while_it_runs_is_recorded_again(site):
    result = site.send("shop.charge", "lost record", 1)
    wait_until(lambda: site.runs("lost record") == 1, "it runs")
    site.store.flushall()
    site.succeeded([result, site.send("shop.charge", "lost record", 1)])
    record = f"{site.send('shop.charge', 'lost record', 1).id}"
    wait_until(lambda: site.sent(record).state == "SUCCESS", "a duplicate")
    assert site.sent(record).result["charged"] == "lost record"


def errors() -> float:
    """How often a store was asked in vain."""
    return sum(each.value for each in counts.read() if each.name == "store_errors_total")


def test_a_store_that_hangs_costs_one_timeout_and_the_default_client_waits_on(store, monkeypatch):
    """Within the time in which it does not ask again, a task does not wait at all."""
    monkeypatch.setenv("STORE_URL", store.url)
    ours, answered = Store("STORE_URL"), threading.Event()
    ours.run("rate", "return 1", [])
    before = errors()
    by_hand = redis.Redis.from_url(store.url)
    by_hand.ping()
    os.kill(store._pid, signal.SIGSTOP)
    try:
        thread = threading.Thread(target=lambda: by_hand.ping() and answered.set())
        thread.start()
        for _ in range(3):
            with pytest.raises(StoreDownError):
                ours.run("rate", "return 1", [])
        assert errors() == before + 1
        assert not answered.wait(2 * TIMEOUT_SECONDS)
    finally:
        os.kill(store._pid, signal.SIGCONT)
    assert answered.wait(90)
    thread.join()
    by_hand.close()
    ours._client.close()
