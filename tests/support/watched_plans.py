"""Plans with the alerts of some sources of metrics, their rules, and promtool."""

from __future__ import annotations

import subprocess
from pathlib import Path

import yaml
from tools import needs

from policycompiler.compiler import compile_workload
from policycompiler.emitters import prometheus
from policycompiler.emitters.base import OutputFile
from policycompiler.plan import Plan

SOURCES = {
    "redis": ("celery-exporter", "redis-exporter"),
    "telemetry on redis": ("telemetry", "redis-exporter", "celery-exporter"),
    "flower on rabbitmq": ("flower", "rabbitmq"),
    "telemetry on rabbitmq": ("telemetry", "rabbitmq"),
}
WORKLOAD = """
version: 1
service: shop
app: shop.app:app
broker: {{transport: {transport}, url: "${{B}}"{version}}}
owner: storefront
tasks:
  shop.a:
    {{queue: q, runtime: {{p50: 1s, p99: 3s}}, rate: 5/s, retry: {{on: [ValueError], max: 1, max_delay: 1m}},
     critical: true, payload: 10KiB, renamed_from: [shop.old]}}
  shop.b.*: {{queue: q, runtime: 5s}}
  shop.c: {{latency: standard, idempotent: true, queue: z}}
  shop.g: {{queue: g, rate: 1/s, idempotency_key: name, calls: [stripe], retry: {{on: [ValueError], max: 1, max_delay: 1m}}}}
store: {{url: "${{S}}"}}
dependencies: {{stripe: {{rate: 5/s, breaker: {{open_for: 5m}}}}}}
queues: {{q: {{dead_letter: true}}}}
schedules: {{often: {{task: shop.a, every: 1m}}, weekly: {{task: shop.c, cron: "0 3 * * 1"}}}}
"""


def with_sources(folder: Path, names: tuple[str, ...], alerts: str = "{}") -> Plan:
    """A plan that the policies made, with the alerts of these sources and with parameters of alerts."""
    transport = "rabbitmq" if "rabbitmq" in names else "redis"
    version = ', version: "3.13"' if transport == "rabbitmq" else ""
    (folder / "workload.yaml").write_text(WORKLOAD.format(transport=transport, version=version), "utf-8")
    sources = f"{{metric-sources: {{sources: [{', '.join(names)}]}}, alerts: {alerts}}}"
    (folder / "policy.yaml").write_text(f"version: 1\nparameters: {sources}\n", "utf-8")
    made = compile_workload([folder / "workload.yaml"], policy=folder / "policy.yaml")
    assert made.plan is not None, [each.message for each in made.diagnostics]
    return made.plan


def files(plan: Plan) -> tuple[list[OutputFile], list[OutputFile]]:
    """The files of rules, and those of tests."""
    made = [file for file in prometheus.emit(plan) if not file.path.endswith(".scrape.yaml")]
    assert all(file.path.endswith((".rules.yaml", ".tests.yaml")) for file in made)
    return [each for each in made if each.path.endswith(".rules.yaml")], [
        each for each in made if each.path.endswith(".tests.yaml")
    ]


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """What promtool says."""
    command = [needs("promtool"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def rules_of(plan: Plan) -> list[dict[str, object]]:
    """The alert rules of a plan."""
    documents = [yaml.safe_load(file.text) for file in files(plan)[0]]
    return [rule for document in documents for group in document["groups"] for rule in group["rules"]]
