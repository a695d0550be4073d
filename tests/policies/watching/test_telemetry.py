"""The policy `telemetry`: ports that do not meet, buckets that have every promise, and only if asked."""

from __future__ import annotations

import pytest
from workloads import compiled, workload

from policycompiler.plan import APP, Scope
from policycompiler.policies.watching.telemetry import MOST_BUCKETS, _thinned

ASKED = "version: 1\nparameters: {metric-sources: {sources: [celery-exporter, telemetry]}}\n"
THREE = """
    tasks: {shop.a: {queue: a, runtime: 7s}, shop.b: {queue: b, latency: batch}}
    workers: {b: {replicas: 3}, a: {}}
    schedules: {s: {task: shop.a, every: 1h}}
"""


def plan(fragment, platform):
    found = compiled(workload(fragment), platform)
    assert found.plan is not None, found.diagnostics
    return found.plan


@pytest.mark.parametrize("platform", ["", "version: 1\nparameters: {metric-sources: {sources: [flower]}}\n"])
def test_nothing_is_decided_unasked(platform):
    settings = plan(THREE, platform)
    assert [setting.address for setting in settings if setting.policy == "telemetry"] == []


def test_each_process_has_a_port_and_each_worker_one_more():
    settings = plan(THREE, ASKED)
    ports = {scope.name: settings.value(scope, "telemetry_ports") for scope in settings.scopes("worker")}
    assert {name: ports[name] for name in "ab"} == {"a": [9541, 9542], "b": [9543, 9546]}
    assert settings.value(Scope("beat"), "telemetry_port") == 9540


def test_the_buckets_have_each_promise_and_the_declared_run_times():
    settings = plan(THREE, ASKED)
    waits, runs = (settings.value(APP, f"telemetry_{name}_buckets") for name in ("wait", "run"))
    promises = {settings.value(Scope("queue", name), "queue_wait_seconds") for name in "ab"}
    assert promises <= set(waits)
    assert 7 in runs
    assert waits == sorted(waits)


def test_many_promises_all_stay_and_many_run_times_are_thinned():
    promises = {float(number) for number in range(1, 31)}
    assert set(_thinned(promises, set())) == promises
    found = _thinned({30.0}, {number / 10 for number in range(1, 500)})
    assert len(found) == MOST_BUCKETS
    assert 30 in found


def test_no_worker_has_the_port_of_an_exporter():
    sources = "metric-sources: {sources: [celery-exporter, telemetry]}"
    settings = plan(THREE, f"version: 1\nparameters: {{{sources}, telemetry: {{first_port: 9805}}}}\n")
    ports = {scope.name: settings.value(scope, "telemetry_ports") for scope in settings.scopes("worker")}
    assert {name: ports[name] for name in "ab"} == {"a": [9806, 9807], "b": [9809, 9812]}


@pytest.mark.parametrize(("bind", "codes"), [("999.1:1", ["PC104"]), ("10.0.0.256", ["PC104"]), ("::1", [])])
def test_an_address_is_one_of_ip(bind, codes):
    platform = f'version: 1\nparameters: {{metric-sources: {{sources: [telemetry]}}, telemetry: {{bind: "{bind}"}}}}\n'
    found = compiled(workload(THREE), platform).diagnostics
    assert [each.code for each in found if each.severity == "error"] == codes
