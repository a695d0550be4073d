"""The optional parts: celery-exporter, Flower, a NetworkPolicy, and objects of the Prometheus Operator."""

from __future__ import annotations

from policycompiler.emitters import exporters, prometheus
from policycompiler.emitters.commands import variable as variable_name
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
from policycompiler.knowledge.kubernetes import EXPORTER, FLOWER, NETWORK, RULES
from policycompiler.plan import APP, Plan

METRICS_PORT, FLOWER_PORT = 9808, 5555
_BROKER_FOR = {EXPORTER: exporters.URL, FLOWER: "CELERY_BROKER_URL"}
"""The variable with the URL of the broker."""
_LOGIN = "FLOWER_BASIC_AUTH"
_SCRAPE = {"interval": "30s", "scrapeTimeout": "15s"}
"""An answer of celery-exporter takes at least 2 s."""


def exporter(plan: Plan) -> list[Object]:
    """celery-exporter, its Service, and with the Prometheus Operator the monitor of the Service."""
    arguments = [text(word) for word in exporters.options(plan)]
    found = [
        _deployment(plan, EXPORTER, plan.text(APP, "exporter_image"), arguments, METRICS_PORT, []),
        _service(plan, EXPORTER, METRICS_PORT),
    ]
    if plan.get(APP, "monitors"):
        found.append(_monitor(plan))
    return found


def flower(plan: Plan) -> list[Object]:
    """Flower and its Service; `kubectl port-forward` reaches it. It does not start without a password."""
    login: list[Object] = [{"name": _LOGIN, "valueFrom": _key(plan, _LOGIN)}]
    command = ["celery", "flower", f"--port={FLOWER_PORT}"]
    return [
        _deployment(plan, FLOWER, plan.text(APP, "flower_image"), command, FLOWER_PORT, login),
        _service(plan, FLOWER, FLOWER_PORT),
    ]


def _deployment(
    plan: Plan, part: str, image: str, arguments: list[str], port: int, environment: list[Object]
) -> Object:
    name = part_name(plan, part)
    container: Object = {
        "name": part,
        "image": image,
        "args": arguments,
        "env": [_broker(plan, _BROKER_FOR[part]), *environment],
        "ports": [{"name": _port_name(part), "containerPort": port}],
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


def _port_name(part: str) -> str:
    return "metrics" if part == EXPORTER else "http"


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


def _service(plan: Plan, part: str, port: int) -> Object:
    name = part_name(plan, part)
    spec: Object = {
        "selector": selector(name, part),
        "ports": [{"name": _port_name(part), "port": port, "targetPort": _port_name(part)}],
    }
    return made("Service", "v1", name, labels(plan, name, part), spec=spec)


def _monitor(plan: Plan) -> Object:
    name = part_name(plan, EXPORTER)
    spec: Object = {
        # The alert rules expect the job `celery-exporter`, which is the component.
        "jobLabel": "app.kubernetes.io/component",
        "selector": {"matchLabels": selector(name, EXPORTER)},
        "endpoints": [
            {
                "port": _port_name(EXPORTER),
                **_SCRAPE,
                "relabelings": [{"targetLabel": "app", "replacement": plan.text(APP, "service")}],
            }
        ],
    }
    return made("ServiceMonitor", "monitoring.coreos.com/v1", name, labels(plan, name, EXPORTER), spec=spec)


def network_policies(plan: Plan) -> list[Object]:
    """Nobody connects to the pods, besides Prometheus to the exporter.

    Connections of pods to others stay as they are: tasks call systems that no workload names.
    """
    name = part_name(plan, NETWORK)
    every: Object = {"podSelector": {"matchLabels": of_service(plan)}, "policyTypes": ["Ingress"]}
    found = [made("NetworkPolicy", "networking.k8s.io/v1", name, labels(plan, name, NETWORK), spec=every)]
    if "exporter_image" in plan.keys(APP):
        exporter_name = part_name(plan, EXPORTER)
        metrics: Object = {
            "podSelector": {"matchLabels": selector(exporter_name, EXPORTER)},
            "policyTypes": ["Ingress"],
            "ingress": [{"ports": [{"protocol": "TCP", "port": METRICS_PORT}]}],
        }
        labeled = labels(plan, exporter_name, EXPORTER)
        found.append(made("NetworkPolicy", "networking.k8s.io/v1", exporter_name, labeled, spec=metrics))
    return found


def rules(plan: Plan) -> Object:
    """The alert rules of the target `prometheus`, for the Prometheus Operator."""
    name = part_name(plan, RULES)
    return made(
        "PrometheusRule",
        "monitoring.coreos.com/v1",
        name,
        labels(plan, name, RULES),
        spec=prometheus.rules(plan),
    )
