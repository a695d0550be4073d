"""The optional parts: exporters, Flower, and the alert rules for the Prometheus Operator."""

from __future__ import annotations

from policycompiler.emitters import prometheus
from policycompiler.emitters.commands import variable as variable_name
from policycompiler.emitters.exporters import Exporter
from policycompiler.emitters.kubernetes import monitors, pods
from policycompiler.emitters.kubernetes.objects import (
    Object,
    labels,
    made,
    part_name,
    selector,
    text,
)
from policycompiler.knowledge.kubernetes import FLOWER, RULES
from policycompiler.plan import APP, Plan

FLOWER_PORT = 5555
_PAGES = "http"
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
        _deployment(plan, name, container, monitors.PORT, found.port),
        _service(plan, name, monitors.PORT, found.port),
    ]
    return [*objects, monitors.of_exporter(plan, found)] if plan.get(APP, "monitors") else objects


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


def rules(plan: Plan) -> Object:
    """The alert rules of the target `prometheus`, for the Prometheus Operator."""
    name = part_name(plan, RULES)
    return made(
        "PrometheusRule",
        monitors.OPERATOR,
        name,
        labels(plan, name, RULES),
        spec=prometheus.rules(plan),
    )
