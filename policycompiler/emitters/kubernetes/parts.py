"""The optional parts: exporters, Flower, a NetworkPolicy, and objects of the Prometheus Operator."""

from __future__ import annotations

from policycompiler.emitters import exporters, prometheus
from policycompiler.emitters.commands import variable as variable_name
from policycompiler.emitters.exporters import Exporter
from policycompiler.emitters.kubernetes import pods
from policycompiler.emitters.kubernetes.objects import (
    Object,
    labels,
    made,
    of_service,
    part_name,
    selector,
    text,
)
from policycompiler.knowledge.kubernetes import FLOWER, NETWORK, RULES
from policycompiler.knowledge.metric_sources import Source
from policycompiler.plan import APP, Plan

FLOWER_PORT = 5555
_NETWORKING, _OPERATOR = "networking.k8s.io/v1", "monitoring.coreos.com/v1"
_METRICS, _PAGES = "metrics", "http"
_LOGIN = "FLOWER_BASIC_AUTH"


def exporter(plan: Plan, found: Exporter) -> list[Object]:
    """An exporter, its Service, and with the Prometheus Operator the monitor of the Service."""
    container: Object = {
        "image": plan.text(APP, found.image),
        "args": [text(word) for word in found.options(plan)],
        "env": [_broker(plan, found.url)],
    }
    name = found.source.name
    objects = [
        _deployment(plan, name, container, _METRICS, found.port),
        _service(plan, name, _METRICS, found.port),
    ]
    return [*objects, _monitor(plan, found)] if plan.get(APP, "monitors") else objects


def flower(plan: Plan) -> list[Object]:
    """Flower and its Service; `kubectl port-forward` reaches it. It does not start without a password."""
    container: Object = {
        "image": plan.text(APP, "flower_image"),
        "args": ["celery", "flower", f"--port={FLOWER_PORT}"],
        "env": [
            _broker(plan, "CELERY_BROKER_URL"),
            {"name": _LOGIN, "valueFrom": _key(plan, _LOGIN)},
        ],
    }
    return [
        _deployment(plan, FLOWER, container, _PAGES, FLOWER_PORT),
        _service(plan, FLOWER, _PAGES, FLOWER_PORT),
    ]


def _deployment(plan: Plan, part: str, program: Object, port_name: str, port: int) -> Object:
    """One pod: `program` is the image with its arguments and its environment."""
    name = part_name(plan, part)
    container: Object = {
        "name": part,
        **program,
        "ports": [{"name": port_name, "containerPort": port}],
        "readinessProbe": {"tcpSocket": {"port": port}, "periodSeconds": 10},
        "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}},
        "securityContext": pods.privileges(),
        "volumeMounts": [{"name": "tmp", "mountPath": pods.TEMPORARY}],
    }
    volumes: list[Object] = [{"name": "tmp", "emptyDir": {}}]
    spec: Object = {
        "replicas": 1,
        "selector": {"matchLabels": selector(name, part)},
        # Two exporters at once would count each task twice.
        "strategy": {"type": "Recreate"},
        "template": pods.template(plan, labels(plan, name, part), [container], volumes, None),
    }
    return made("Deployment", "apps/v1", name, labels(plan, name, part), spec=spec)


def _broker(plan: Plan, variable: str) -> Object:
    """The URL of the broker in the variable that the program reads."""
    url = plan.get(APP, "broker_url")
    if url is not None:
        return {"name": variable, "value": text(str(url))}
    found = plan.get(APP, "broker_url_variable")
    return {
        "name": variable,
        "valueFrom": _key(plan, variable if found is None else variable_name(str(found))),
    }


def _key(plan: Plan, key: str) -> Object:
    return {"secretKeyRef": {"name": plan.text(APP, "secret_name"), "key": str(key)}}


def _service(plan: Plan, part: str, port_name: str, port: int) -> Object:
    name = part_name(plan, part)
    spec: Object = {
        "selector": selector(name, part),
        "ports": [{"name": port_name, "port": port, "targetPort": port_name}],
    }
    return made("Service", "v1", name, labels(plan, name, part), spec=spec)


def _monitor(plan: Plan, found: Exporter) -> Object:
    part = found.source.name
    name = part_name(plan, part)
    spec: Object = {
        "selector": {"matchLabels": selector(name, part)},
        "endpoints": [_endpoint(plan, found.source)],
    }
    return made("ServiceMonitor", _OPERATOR, name, labels(plan, name, part), spec=spec)


def _endpoint(plan: Plan, source: Source) -> Object:
    """How Prometheus scrapes a source, with the labels that the alert rules select."""
    (scrape,) = source.scrapes
    return {
        "port": _METRICS,
        "interval": f"{scrape.interval_seconds}s",
        "scrapeTimeout": f"{scrape.timeout_seconds}s",
        "relabelings": [
            {"targetLabel": "app", "replacement": plan.text(APP, "service")},
            {"targetLabel": "job", "replacement": scrape.job},
        ],
    }


def network_policies(plan: Plan) -> list[Object]:
    """Nobody connects to the pods, besides Prometheus to the exporters.

    Connections of pods to others stay as they are: tasks call systems that no workload names.
    """
    name = part_name(plan, NETWORK)
    every: Object = {"podSelector": {"matchLabels": of_service(plan)}, "policyTypes": ["Ingress"]}
    found = [made("NetworkPolicy", _NETWORKING, name, labels(plan, name, NETWORK), spec=every)]
    for each in exporters.in_containers(plan):
        part = each.source.name
        own = part_name(plan, part)
        metrics: Object = {
            "podSelector": {"matchLabels": selector(own, part)},
            "policyTypes": ["Ingress"],
            "ingress": [{"ports": [{"protocol": "TCP", "port": each.port}]}],
        }
        found.append(made("NetworkPolicy", _NETWORKING, own, labels(plan, own, part), spec=metrics))
    return found


def rules(plan: Plan) -> Object:
    """The alert rules of the target `prometheus`, for the Prometheus Operator."""
    name = part_name(plan, RULES)
    return made(
        "PrometheusRule",
        _OPERATOR,
        name,
        labels(plan, name, RULES),
        spec=prometheus.rules(plan),
    )
