"""The alerts on guards: where they exist, whom they page, and when they fire."""

from __future__ import annotations

from pathlib import Path

import pytest
from workloads import workload

from policycompiler.compiler import Compilation, compile_workload
from policycompiler.plan import APP, Constant, Derived, Plan, Scope

GUARDED = """
broker: {transport: redis, url: "${B}"}
store: {url: "${GUARD_URL}"}
dependencies:
  stripe: {rate: 100/s, breaker: {open_for: 5m}}
  mailer: {breaker: {open_for: 10s}}
  maps: {rate: 5/s}
tasks:
  shop.charge:
    {queue: payments, latency: interactive, idempotency_key: payment_id, calls: [stripe],
     retry: {on: [ConnectionError], max: 3}}
  shop.refund: {queue: refunds, latency: batch, idempotent: true, calls: [stripe]}
  shop.mail: {queue: mail, latency: batch, idempotent: true, calls: [mailer]}
  shop.route: {queue: maps, idempotent: true, calls: [maps]}
  shop.plain: {queue: plain, idempotent: true, retry: {on: [ConnectionError], max: 3}}
"""
OURS = ("CeleryBreakerOpen", "CeleryGuard")


def compiled(text: str, folder: Path, sources: str = "telemetry", alerts: str = "{}") -> Compilation:
    (folder / "workload.yaml").write_text(workload(text), "utf-8")
    parameters = f"{{metric-sources: {{sources: [{sources}]}}, alerts: {alerts}}}" if sources else "{}"
    (folder / "policy.yaml").write_text(f"version: 1\nparameters: {parameters}\n", "utf-8")
    made = compile_workload([folder / "workload.yaml"], policy=folder / "policy.yaml")
    assert made.plan is not None, [each.message for each in made.diagnostics]
    return made


def plan_of(text: str, folder: Path, sources: str = "telemetry", alerts: str = "{}") -> Plan:
    plan = compiled(text, folder, sources, alerts).plan
    assert plan is not None
    return plan


def names(plan: Plan) -> set[str]:
    return {scope.name for scope in plan.scopes("alert") if scope.name.startswith(OURS)}


def alert(name: str) -> Scope:
    return Scope("alert", name)


def test_each_guard_has_its_alerts_and_no_other(tmp_path):
    assert names(plan_of(GUARDED, tmp_path)) == {
        *("CeleryBreakerOpen:stripe", "CeleryBreakerOpen:mailer", "CeleryGuardStoreDown"),
        *("CeleryGuardClaimLost:shop.charge", "CeleryGuardPoisoned:shop.charge"),
        *("CeleryGuardParkRateHigh:payments", "CeleryGuardParkRateHigh:refunds"),
        "CeleryGuardParkRateHigh:maps",
    }


@pytest.mark.parametrize(
    "guard",
    ["queues: {q: {bound: 10}}", "dependencies: {stripe: {breaker: {}}}"],
    ids=["a bound", "a breaker without tasks"],
)
def test_without_a_guard_in_workers_there_is_no_alert(guard, tmp_path):
    text = f'broker: {{transport: redis, url: "${{B}}"}}\nstore: {{url: "${{S}}"}}\ntasks: {{shop.a: {{queue: q}}}}\n{guard}\n'
    assert names(plan_of(text, tmp_path)) == set()


def test_a_breaker_has_the_patience_of_its_rounds_and_pages_for_an_urgent_queue(tmp_path):
    plan = plan_of(GUARDED, tmp_path)
    stripe, mailer = alert("CeleryBreakerOpen:stripe"), alert("CeleryBreakerOpen:mailer")
    assert plan.number(stripe, "for_seconds") == 3 * 300 + 120
    assert plan.number(mailer, "for_seconds") == 300
    assert [plan.text(each, "severity") for each in (stripe, mailer)] == ["critical", "warning"]
    assert plan.text(stripe, "dependency") == "stripe"
    # Two queues call it; one calls the other.
    assert plan.get(stripe, "queue") is None
    assert plan.get(mailer, "queue") == "mail"
    origins = plan.setting(stripe, "for_seconds").origins
    assert Derived(Scope("dependency", "stripe"), "breaker") in origins
    assert Constant("ROUNDS", 3) in origins


def test_one_round_never_fires_the_alert_of_a_breaker(tmp_path):
    for seconds in (1, 30, 90, 100, 600, 3600):
        text = GUARDED.replace("open_for: 5m", f"open_for: {seconds}s")
        for patience in ("1s", "5m", "30m"):
            plan = plan_of(text, tmp_path, alerts=f"{{patience: {patience}}}")
            stripe = alert("CeleryBreakerOpen:stripe")
            seen = seconds + plan.number(stripe, "window_seconds")
            assert plan.number(stripe, "for_seconds") > seen


def test_the_store_pages_only_if_work_waits_for_it(tmp_path):
    assert plan_of(GUARDED, tmp_path).text(alert("CeleryGuardStoreDown"), "severity") == "critical"
    text = GUARDED.replace("idempotency_key: payment_id,", "idempotent: true,")
    assert plan_of(text, tmp_path).text(alert("CeleryGuardStoreDown"), "severity") == "warning"
    text = text.replace("{rate: 5/s}", "{rate: 5/s, on_store_error: wait}")
    plan = plan_of(text, tmp_path)
    assert plan.text(alert("CeleryGuardStoreDown"), "severity") == "critical"
    assert 'redis-cli -u "$GUARD_URL"' in plan.text(alert("CeleryGuardStoreDown"), "description")


def test_retries_without_parks_need_a_source_that_tells_them_apart(tmp_path):
    plan = plan_of(GUARDED, tmp_path, "telemetry")
    payments, plain = (alert(f"CeleryTaskRetryStorm:{queue}") for queue in ("payments", "plain"))
    assert plan.get(payments, "parks") is True
    assert plan.find(plain, "parks") is None
    both = plan_of(GUARDED, tmp_path, "celery-exporter, redis-exporter, telemetry")
    assert both.texts(payments, "sources") == ["celery-exporter", "telemetry"]
    assert both.texts(plain, "sources") == ["celery-exporter"]
    events = plan_of(GUARDED, tmp_path, "celery-exporter, redis-exporter")
    assert events.find(payments, "alert") is None
    assert events.find(plain, "alert") is not None
    assert events.value(APP, "alerts_without_source")["CeleryTaskRetryStorm"] == "runs that are parked"


def test_a_queue_that_guards_pause_has_workers_as_its_processes_say(tmp_path):
    plan = plan_of(GUARDED, tmp_path, "celery-exporter, redis-exporter, telemetry")
    assert plan.texts(Scope("dependency", "mailer"), "pauses") == ["mail"]
    for name in ("CeleryQueueNoConsumer", "CeleryWorkersBelowMinimum"):
        assert plan.texts(alert(f"{name}:mail"), "sources") == ["telemetry"]
        assert plan.texts(alert(f"{name}:plain"), "sources") == ["celery-exporter"]
    events = plan_of(GUARDED, tmp_path, "celery-exporter, redis-exporter")
    assert events.texts(alert("CeleryQueueNoConsumer:mail"), "sources") == ["celery-exporter"]


@pytest.mark.parametrize("sources", ["", "celery-exporter, redis-exporter"])
def test_guards_that_nobody_sees_are_told(sources, tmp_path):
    [found] = [each for each in compiled(GUARDED, tmp_path, sources).diagnostics if each.code == "PC980"]
    assert "CeleryGuardStoreDown" in found.message
    # What is missing by default was not asked for.
    assert ("CeleryQueueWaitHigh" in found.message) is bool(sources)
    assert "telemetry" in str(found.help)
    without_retries = GUARDED.replace("retry: {on: [ConnectionError], max: 3}", "retry: none")
    told = {each.code for each in compiled(without_retries, tmp_path, sources).diagnostics}
    assert ("PC980" in told) is bool(sources)
    every = compiled(GUARDED, tmp_path, "telemetry, celery-exporter, redis-exporter")
    assert not [each for each in every.diagnostics if each.code == "PC980"]


def test_minutes_that_are_shorter_shorten_the_patience_of_a_breaker(tmp_path):
    plan = plan_of(GUARDED, tmp_path, alerts="{minute: 1}")
    stripe = alert("CeleryBreakerOpen:stripe")
    assert (plan.number(stripe, "for_seconds"), plan.number(stripe, "window_seconds")) == (17, 2)
