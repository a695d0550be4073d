"""What the Prometheus Operator scrapes, and who may connect to the pods.

The alert rules select series by the labels `app` and `job`, so each monitor sets both.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.emitters import containers, exporters
from policycompiler.emitters.exporters import Exporter
from policycompiler.emitters.kubernetes.objects import Object, labels, made, of_service, part_name, selector
from policycompiler.knowledge.kubernetes import BEAT as BEAT_PART
from policycompiler.knowledge.kubernetes import NETWORK, TELEMETRY, WORKER
from policycompiler.knowledge.metric_sources import TELEMETRY as TELEMETRY_SOURCE
from policycompiler.knowledge.metric_sources import Source
from policycompiler.plan import APP, BEAT, Plan

OPERATOR = "monitoring.coreos.com/v1"
PORT = "metrics"
"""The name of the port of an exporter. Workers and beat have another one, so no monitor finds both."""


def of_exporter(plan: Plan, found: Exporter) -> Object:
    """The monitor of the Service of an exporter."""
    part = found.source.name
    name = part_name(plan, part)
    spec: Object = {
        "selector": {"matchLabels": selector(name, part)},
        "endpoints": [_endpoint(plan, found.source, PORT)],
    }
    return made("ServiceMonitor", OPERATOR, name, labels(plan, name, part), spec=spec)


def of_processes(plan: Plan) -> Object:
    """The monitor of all workers and of beat, which have the port with the metrics themselves."""
    name = part_name(plan, TELEMETRY)
    spec: Object = {
        "selector": {"matchLabels": of_service(plan)},
        "podMetricsEndpoints": [_endpoint(plan, TELEMETRY_SOURCE, TELEMETRY)],
    }
    return made("PodMonitor", OPERATOR, name, labels(plan, name, TELEMETRY), spec=spec)


def _endpoint(plan: Plan, source: Source, port: str) -> Object:
    (scrape,) = source.scrapes
    return {
        "port": port,
        "interval": f"{scrape.interval_seconds}s",
        "scrapeTimeout": f"{scrape.timeout_seconds}s",
        "relabelings": [
            {"targetLabel": "app", "replacement": plan.text(APP, "service")},
            {"targetLabel": "job", "replacement": scrape.job},
        ],
    }


def network_policies(plan: Plan) -> list[Object]:
    """Nobody connects to the pods, besides Prometheus to the ports with metrics.

    Connections of pods to others stay as they are: tasks call systems that no workload names.
    """
    name = part_name(plan, NETWORK)
    every = _policy(plan, name, NETWORK, of_service(plan))
    return [every, *(_policy(plan, *pod, selector(*pod), port) for pod, port in _measured(plan))]


def _measured(plan: Plan) -> Iterator[tuple[tuple[str, str], int]]:
    """Name and component of the pods with metrics, and their port."""
    for each in exporters.in_containers(plan):
        yield (part_name(plan, each.source.name), each.source.name), each.port
    for scope in (*plan.scopes("worker"), *plan.scopes("beat")):
        ports = containers.telemetry_ports(plan, scope)
        if ports is not None and scope == BEAT:
            yield (part_name(plan, BEAT_PART), BEAT_PART), ports[0]
        elif ports is not None:
            yield (plan.text(scope, "kubernetes_name"), WORKER), ports[0]


def _policy(plan: Plan, name: str, component: str, chosen: dict[str, str], port: int | None = None) -> Object:
    """Who may connect to the chosen pods: everybody to the port, and nobody without one."""
    spec: Object = {"podSelector": {"matchLabels": chosen}, "policyTypes": ["Ingress"]}
    if port is not None:
        spec["ingress"] = [{"ports": [{"protocol": "TCP", "port": port}]}]
    return made("NetworkPolicy", "networking.k8s.io/v1", name, labels(plan, name, component), spec=spec)
