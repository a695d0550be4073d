"""The collector of guards: it has each count, does not fail a scrape, and waits for no store."""

from __future__ import annotations

import ast
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from celery import Celery, signals
from celery.exceptions import Retry
from prometheus_client import CollectorRegistry, generate_latest

from policycompiler.runtime import guards, telemetry
from policycompiler.runtime.guards import counts, metrics

PACKAGE = Path(guards.__file__).parent
TRIP = {"failures": 1, "within": 1.0, "open_for": 1.0}


@pytest.fixture(autouse=True)
def nothing_left(monkeypatch):
    monkeypatch.setattr(counts, "_values", {})
    monkeypatch.setattr(counts, "_pipe", {"owner": None, "rest": b""})
    yield
    for signal in (signals.worker_init, signals.before_task_publish):
        for uid in ("prepare", "payloads"):
            signal.disconnect(dispatch_uid=f"celeryconfig-guards-{uid}-shop")


def charge(payment_id):
    """A task that does nothing."""


@pytest.fixture
def app(monkeypatch):
    """That of a worker whose store refuses every connection."""
    monkeypatch.setenv("STORE_URL", "redis://127.0.0.1:1/0")
    made = Celery("shop", broker="memory://", set_as_current=False)
    made.task(charge, name="shop.charge", shared=False)
    made.task(charge, name="shop.other", shared=False)
    yield made
    made.close()


def guarded(**declared):
    return guards.guard({"service": "shop", "store": "STORE_URL", **declared})


def shown(found, app=None):
    registry = CollectorRegistry()
    registry.register(metrics.Metrics(found, app))
    return registry


def lines(registry):
    text = generate_latest(registry).decode().splitlines()
    return {line.replace("policycompiler_guard_", "") for line in text if not line.startswith("#")}


def test_each_count_in_the_package_has_a_family_with_its_labels():
    found = {}
    for file in PACKAGE.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "counts.add":
                labels = {each.arg for each in node.keywords}
                found.setdefault(node.args[0].value, set()).update(labels)
    assert found == {name: set(labels) for name, (_, labels) in metrics.COUNTERS.items()}


def test_what_is_declared_begins_at_zero(app):
    found = guarded(
        tasks={"shop.charge": {"key": "payment_id", "calls": ["stripe"]}},
        dependencies={"stripe": {"rate": 5.0, "hard": True, "breaker": TRIP}},
        bounds={"mail": 10},
    )
    shop, parked = 'service="shop"', 'task="shop.charge"'
    assert lines(shown(found, app)) == {
        *(f'parked_total{{reason="{each}",{shop},{parked}}} 0.0' for each in ("breaker", "busy", "rate")),
        f'parked_total{{reason="store",{shop},{parked}}} 0.0',
        *(
            f'duplicates_total{{outcome="{each}",{shop},{parked}}} 0.0'
            for each in ("result", "busy", "other_arguments")
        ),
        *(f"{each}_total{{{shop},{parked}}} 0.0" for each in ("takeovers", "poisoned", "lost_claims")),
        *(
            f'{each}_total{{dependency="stripe",{shop}}} 0.0'
            for each in ("breaker_opened", "rate_waited_seconds")
        ),
        f'refused_total{{queue="mail",reason="full",{shop},task=""}} 0.0',
        f"store_up{{{shop}}} 0.0",
        *(
            f'breaker_state{{dependency="stripe",{shop},state="{each}"}} {float(each == "unknown")}'
            for each in ("closed", "open", "half-open", "unknown")
        ),
    }


def test_beat_has_only_what_publishers_count_and_asks_no_store(monkeypatch):
    monkeypatch.delenv("STORE_URL", raising=False)
    found = guarded(
        tasks={"shop.charge": {"key": "payment_id"}},
        dependencies={"stripe": {"breaker": TRIP}},
        payloads={"shop.large": 10},
    )
    line = 'refused_total{queue="",reason="payload",service="shop",task="shop.large"}'
    assert lines(shown(found)) == {f"{line} 0.0"}
    counts.add("refused_total", task="shop.large", reason="payload")
    assert lines(shown(found)) == {f"{line} 1.0"}


def test_a_store_that_refuses_is_left_alone_for_a_while(app, monkeypatch):
    found = guarded(tasks={"shop.charge": {"key": "payment_id"}})
    asked = []
    monkeypatch.setattr(found.store, "_note", lambda *told: asked.append(told) or note(*told))
    note = type(found.store)._note.__get__(found.store)
    registry = shown(found, app)
    for _ in range(3):
        assert 'store_up{service="shop"} 0.0' in lines(registry)
    assert [guard for guard, _ in asked] == ["scrape"]
    assert 'store_errors_total{guard="scrape",service="shop"} 1.0' in lines(registry)


def test_an_error_in_the_collector_leaves_the_other_metrics(app, monkeypatch, caplog):
    found = guarded(tasks={"shop.charge": {"key": "payment_id"}})
    told = {
        "service": "shop",
        "fingerprint": "f",
        "bind": "",
        "wait_bounds": (1,),
        "run_bounds": (1,),
        "payload_bounds": {},
        "dead_letters": (),
    }
    monkeypatch.setattr(telemetry, "_state", {"told": telemetry.Told(**told), "guarded": found})
    whole = telemetry._Metrics(telemetry._client(), app, "w")
    telemetry._state["metrics"] = whole
    telemetry._show_guards(app)
    names = {family.name for family in whole.collect()}
    assert {"policycompiler_plan_info", "policycompiler_guard_store_up"} <= names
    monkeypatch.setattr(counts, "read", lambda: iter([counts.Count("no_such_total", (), 1)]))
    for _ in range(2):
        assert "policycompiler_plan_info" in {family.name for family in whole.collect()}
    assert [each.message for each in caplog.records if "metrics of guards" in each.message] == [
        "the metrics of guards fail; later errors are not logged"
    ]
    some = whole.restricted_registry(["policycompiler_plan_info"])
    assert {family.name for family in some.collect()} == {"policycompiler_plan_info"}


def test_without_guards_no_run_ends_parked(monkeypatch):
    parked = Retry("later", guards.Parked("later"), 1)
    found = guarded(tasks={"shop.charge": {"key": "payment_id"}})
    assert found.parked(parked)
    assert not found.parked(Retry("again", ConnectionError("refused"), 1))
    assert not found.parked(ConnectionError())
    monkeypatch.setattr(telemetry, "_state", {})
    assert telemetry._parks() == ()


def test_a_timer_reads_the_pipe_while_nobody_scrapes():
    counts.share()
    calls = []
    timer = SimpleNamespace(
        call_repeatedly=lambda seconds, call: calls.append((seconds, call)) or "entry",
        cancel=calls.remove,
    )
    step = metrics.draining()(SimpleNamespace(timer=timer))
    step.start(SimpleNamespace(timer=timer))
    [(_, drain)] = calls
    # More than the pipe holds, as from another process.
    for _ in range(40):
        counts._pipe["owner"] = -1
        for _ in range(1000):
            counts.add("parked_total", task="shop.charge" * 5, reason="rate")
        counts._pipe["owner"] = os.getpid()
        drain()
    assert [each.value for each in counts.read()] == [40_000]
    os.close(counts._pipe["reads"])
    os.close(counts._pipe["writes"])
