"""Telemetry in containers: its port is open to Prometheus, and series have the labels of the alert rules."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml
from manifests import by_kind, container, judge, of_text, rendered
from tools import needs

from policycompiler.compiler import compile_workload
from policycompiler.output import manifest_file, write
from policycompiler.reality.checkers import check
from policycompiler.reality.manifests import lint
from policycompiler.reality.manifests.objects import parse

WORKLOAD = """
deploy:
  image: registry.example/shop:1
  include: [exporter, redis-exporter, monitors, network-policy, rules]
tasks: {shop.a: {queue: q}, shop.b: {queue: r}}
workers: {v: {queues: [q, shop.standard.io], replicas: 2}, w: {queues: [r]}}
schedules: {s: {task: shop.a, every: 1d}}
environments: {big: {workers: {v: {queues: [q, shop.standard.io], replicas: 5}, w: {queues: [r]}}}}
"""
PORTS = {"shop-beat": 9540, "shop-worker-v": 9541, "shop-worker-w": 9544}
"""Beat has the first one, and each worker a range of one port more than processes."""
EXPORTERS = {"shop-celery-exporter": 9808, "shop-redis-exporter": 9121}


@pytest.fixture
def policy(tmp_path) -> Path:
    path = tmp_path / "policy.yaml"
    sources = "metric-sources: {sources: [telemetry, celery-exporter, redis-exporter]}"
    path.write_text(f"version: 1\nparameters: {{{sources}}}\n", "utf-8")
    return path


def test_each_process_has_its_port_with_a_name_and_prometheus_may_connect(tmp_path, policy):
    objects = rendered(of_text(WORKLOAD, tmp_path, policy=policy) / "base")
    for each in objects:
        judge(each)
    named, told = {}, {}
    for name, deployment in by_kind(objects, "Deployment").items():
        process = container(deployment)
        variables = {each["name"]: each.get("value") for each in process.get("env", ())}
        named[name] = [(port["name"], port["containerPort"]) for port in process["ports"]]
        told[name] = variables.get("CELERY_TELEMETRY_PORTS")
    assert named == {
        **{name: [("telemetry", port)] for name, port in PORTS.items()},
        **{name: [("metrics", port)] for name, port in EXPORTERS.items()},
    }
    assert told == {
        **dict.fromkeys(EXPORTERS),
        "shop-beat": "9540",
        "shop-worker-v": "9541-9543",
        "shop-worker-w": "9544-9545",
    }
    policies = by_kind(objects, "NetworkPolicy")
    opened = {
        name: [port["port"] for rule in each["spec"].get("ingress", ()) for port in rule["ports"]]
        for name, each in policies.items()
    }
    every = {name: [port] for name, port in {**PORTS, **EXPORTERS}.items()}
    assert opened == {**every, "shop-network-policy": []}
    for name in every:
        chosen = policies[name]["spec"]["podSelector"]["matchLabels"].items()
        pods = by_kind(objects, "Deployment")
        assert [
            pod for pod in pods if chosen <= pods[pod]["spec"]["template"]["metadata"]["labels"].items()
        ] == [name]


def test_monitors_give_series_the_labels_of_the_rules(tmp_path, policy):
    objects = rendered(of_text(WORKLOAD, tmp_path, policy=policy) / "base")
    found = {}
    for kind, field in (("ServiceMonitor", "endpoints"), ("PodMonitor", "podMetricsEndpoints")):
        for name, each in by_kind(objects, kind).items():
            (endpoint,) = each["spec"][field]
            labels = {rule["targetLabel"]: rule["replacement"] for rule in endpoint["relabelings"]}
            found[name] = (endpoint["port"], labels)
    assert found == {
        "shop-celery-exporter": ("metrics", {"app": "shop", "job": "celery-exporter"}),
        "shop-redis-exporter": ("metrics", {"app": "shop", "job": "redis"}),
        "shop-telemetry": ("telemetry", {"app": "shop", "job": "celery-telemetry"}),
    }


def test_the_readers_accept_the_folders_and_an_overlay_moves_ports(tmp_path, policy):
    folder = of_text(WORKLOAD, tmp_path, policy=policy)
    files = [path.relative_to(folder.parent).as_posix() for path in folder.rglob("*.yaml")]
    assert check(folder.parent, files, {}).problems == ()
    alone = of_text(WORKLOAD, tmp_path, policy=policy, environment="big") / "base"
    assert rendered(folder / "overlays" / "big") == rendered(alone)
    (port,) = container(by_kind(rendered(alone), "Deployment")["shop-worker-w"])["ports"]
    assert port["containerPort"] == 9547


def test_a_monitor_of_a_port_that_no_pod_has_is_a_problem(tmp_path, policy):
    base = of_text(WORKLOAD, tmp_path, policy=policy) / "base"
    texts = [path.read_text() for path in base.glob("*.yaml") if path.name != "kustomization.yaml"]
    (problem,) = lint(
        [
            each
            for text in texts
            for each in parse("a.yaml", text.replace('- port: "telemetry"', '- port: "telemetri"'))[0]
        ]
    )
    assert "no pod that it selects has a port `telemetri`" in problem.text


def test_without_telemetry_or_monitors_there_is_no_pod_monitor(tmp_path, policy):
    assert by_kind(rendered(of_text(WORKLOAD, tmp_path) / "base"), "PodMonitor") == {}
    bare = WORKLOAD.replace(", monitors", "")
    assert by_kind(rendered(of_text(bare, tmp_path, policy=policy) / "base"), "PodMonitor") == {}


def test_compose_opens_the_ports_of_the_scrape_jobs_on_this_host_alone(tmp_path, policy):
    of_text(WORKLOAD, tmp_path)
    made = compile_workload([tmp_path / "workload.yaml"], policy=policy)
    write(tmp_path / "build", [*made.files, manifest_file(made.files, made.sources, "0")])
    for file in ("shop-celery", "shop-celery-exporter", "shop-celery-redis-exporter"):
        (tmp_path / "build" / f"{file}.env").touch()
    command = [needs("docker-compose"), "--file", tmp_path / "build" / "compose.yaml", "config"]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    opened = {
        name: [(port["host_ip"], port["published"], port["target"]) for port in each.get("ports", ())]
        for name, each in yaml.safe_load(shown)["services"].items()
    }
    assert opened == {
        "beat": [("127.0.0.1", "9540", 9540)],
        "exporter": [("127.0.0.1", "9808", 9808)],
        "redis-exporter": [("127.0.0.1", "9121", 9121)],
        "worker-v": [("127.0.0.1", "9541-9543", 9541)],
        "worker-w": [("127.0.0.1", "9544-9545", 9544)],
    }
    jobs = yaml.safe_load((tmp_path / "build" / "prometheus" / "shop.scrape.yaml").read_text())
    (telemetry,) = (job for job in jobs["scrape_configs"] if job["job_name"] == "shop-celery-telemetry")
    (targets,) = telemetry["static_configs"]
    assert targets["targets"] == [f"127.0.0.1:{port}" for port in range(9540, 9546)]
