"""Deployments of workers and of beat, with what their pods share.

Kubernetes sends TERM to Celery's main process only, because it is the first process of its container. Pods
have no access to the API of Kubernetes, no privileges, and no writable folder besides `/tmp` and their
volumes: the profile `restricted` of Pod Security.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from policycompiler.emitters import containers
from policycompiler.emitters.base import OutputFile
from policycompiler.emitters.commands import variable as variable_name
from policycompiler.emitters.commands import whole_seconds
from policycompiler.emitters.kubernetes import scaling
from policycompiler.emitters.kubernetes.objects import (
    Object,
    cores,
    labels,
    made,
    part_name,
    selector,
    text,
    variable,
    variables,
)
from policycompiler.knowledge import pools
from policycompiler.knowledge.kubernetes import BEAT as BEAT_PART
from policycompiler.knowledge.kubernetes import CONFIGURATION, TELEMETRY, WORKER
from policycompiler.plan import APP, BEAT, Plan, Scope

TEMPORARY = "/tmp"  # noqa: S108 - in a container of its own
SHARED_MEMORY = "/dev/shm"  # noqa: S108 - in a container of its own
SCHEDULE_FOLDER = containers.SCHEDULE.rpartition("/")[0]
_START_SECONDS, _PROBE_SECONDS, _PROBE_TIMEOUT_SECONDS = 10, 60, 10
_STABLE_SECONDS = 30
"""Without a probe, a pod must run this long to be ready, so a broken version replaces no other pod."""


def configuration_volume(plan: Plan, modules: Iterable[OutputFile]) -> Object:
    """The volume with the files that processes load."""
    items: Object = {"items": found} if (found := containers.items(modules)) else {}
    # Kustomize replaces the name by one with a hash of the content.
    return {"name": "celeryconfig", "configMap": {"name": part_name(plan, CONFIGURATION), **items}}


def worker(plan: Plan, scope: Scope, configuration: Object) -> Object:
    """The Deployment of a worker. Without `replicas` an autoscaler owns their number."""
    name = plan.text(scope, "kubernetes_name")
    container = _container(plan, WORKER)
    container["command"] = containers.worker_words(
        plan, scope, text, lambda found: variable(variable_name(found))
    )
    container["env"] = variables(containers.worker_variables(plan, scope))
    container["resources"] = _resources(plan, scope)
    container |= _telemetry(plan, scope)
    container |= _probes(plan, scope)
    memory = _has_processes(plan, scope)
    volumes: list[Object] = [configuration, {"name": "tmp", "emptyDir": {}}]
    mounts: list[Object] = [_configuration_mount(plan), {"name": "tmp", "mountPath": TEMPORARY}]
    if memory:
        volumes.append({"name": "shm", "emptyDir": {"medium": "Memory"}})
        mounts.append({"name": "shm", "mountPath": SHARED_MEMORY})
    container["volumeMounts"] = mounts
    grace = whole_seconds(plan, scope, "stop_timeout_seconds")
    spec: Object = {"selector": {"matchLabels": selector(name, WORKER)}}
    if not scaling.is_scaled(plan, scope):
        spec = {"replicas": int(plan.number(scope, "replicas")), **spec}
    if not plan.value(scope, "alive_probe"):
        spec["minReadySeconds"] = _STABLE_SECONDS
    spec["strategy"] = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    spec["template"] = template(plan, labels(plan, name, WORKER), [container], volumes, grace)
    return made("Deployment", "apps/v1", name, labels(plan, name, WORKER), scope.name, spec=spec)


def _has_processes(plan: Plan, scope: Scope) -> bool:
    pool = str(plan.get(scope, "pool", "prefork"))
    return pool not in pools.POOLS or pools.pool(pool).processes


def disruption_budget(plan: Plan, scope: Scope) -> Object:
    """A node that is drained stops one pod of a worker at a time, and a broken pod does not prevent it."""
    name = plan.text(scope, "kubernetes_name")
    spec: Object = {
        "maxUnavailable": 1,
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
        "selector": {"matchLabels": selector(name, WORKER)},
    }
    return made("PodDisruptionBudget", "policy/v1", name, labels(plan, name, WORKER), spec=spec)


def beat(plan: Plan, configuration: Object) -> Object:
    """The Deployment of beat. The old pod ends before the new one starts, so there are never two."""
    name = part_name(plan, BEAT_PART)
    container = _container(plan, BEAT_PART)
    container["command"] = containers.beat_words(plan, text)
    container["env"] = variables(containers.beat_variables(plan))
    container["resources"] = _resources(plan, BEAT)
    container |= _telemetry(plan, BEAT)
    volumes: list[Object] = [configuration, {"name": "tmp", "emptyDir": {}}]
    mounts: list[Object] = [_configuration_mount(plan), {"name": "tmp", "mountPath": TEMPORARY}]
    if plan.find(BEAT, "schedule_volume_bytes") is not None:
        kept = plan.value(BEAT, "schedule_volume_bytes")
        volumes.append(
            {"name": "schedule", "persistentVolumeClaim": {"claimName": name}}
            if kept
            else {"name": "schedule", "emptyDir": {}}
        )
        mounts.append({"name": "schedule", "mountPath": SCHEDULE_FOLDER})
    container["volumeMounts"] = mounts
    grace = whole_seconds(plan, BEAT, "stop_timeout_seconds")
    spec: Object = {
        "replicas": 1,
        "selector": {"matchLabels": selector(name, BEAT_PART)},
        "strategy": {"type": "Recreate"},
        "template": template(plan, labels(plan, name, BEAT_PART), [container], volumes, grace),
    }
    return made("Deployment", "apps/v1", name, labels(plan, name, BEAT_PART), spec=spec)


def schedule_claim(plan: Plan) -> Object | None:
    """The volume with the schedule file of beat; None if it needs none."""
    if not plan.get(BEAT, "schedule_volume_bytes"):
        return None
    name = part_name(plan, BEAT_PART)
    spec: Object = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {
            "requests": {"storage": f"{containers.mebibytes(plan, BEAT, 'schedule_volume_bytes')}Mi"}
        },
    }
    return made("PersistentVolumeClaim", "v1", name, labels(plan, name, BEAT_PART), spec=spec)


def template(
    plan: Plan,
    labeled: dict[str, str],
    pod_containers: Sequence[Object],
    volumes: Sequence[Object],
    grace_seconds: int | None,
) -> Object:
    """The template of a pod without privileges and without access to the API of Kubernetes."""
    user = int(plan.number(APP, "image_user"))
    spec: Object = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": user,
            "runAsGroup": user,
            "fsGroup": user,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [*pod_containers],
        "volumes": [*volumes],
    }
    if grace_seconds is not None:
        spec = {"terminationGracePeriodSeconds": grace_seconds, **spec}
    return {"metadata": {"labels": labeled}, "spec": spec}


def privileges() -> Object:
    """The security context of a container without privileges."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def _container(plan: Plan, name: str) -> Object:
    return {
        "name": name,
        "image": plan.text(APP, "image"),
        "envFrom": [{"secretRef": {"name": plan.text(APP, "secret_name")}}],
        "securityContext": privileges(),
    }


def _telemetry(plan: Plan, scope: Scope) -> Object:
    """The port of the metrics, by whose name Prometheus finds it."""
    ports = containers.telemetry_ports(plan, scope)
    return {} if ports is None else {"ports": [{"name": TELEMETRY, "containerPort": ports[0]}]}


def _configuration_mount(plan: Plan) -> Object:
    folder = plan.text(APP, "configuration_directory")
    return {"name": "celeryconfig", "mountPath": folder, "readOnly": True}


def _resources(plan: Plan, scope: Scope) -> Object:
    requests: Object = {
        "cpu": cores(plan, scope, "cpu_request_cores"),
        "memory": f"{containers.mebibytes(plan, scope, 'memory_request_bytes')}Mi",
    }
    limits: Object = {}
    if plan.find(scope, "cpu_limit_cores") is not None:
        limits["cpu"] = cores(plan, scope, "cpu_limit_cores")
    if plan.find(scope, "memory_limit_bytes") is not None:
        limits["memory"] = f"{containers.mebibytes(plan, scope, 'memory_limit_bytes')}Mi"
    return {"requests": requests, **({"limits": limits} if limits else {})}


def _probes(plan: Plan, scope: Scope) -> Object:
    """A new pod is ready when its worker is connected; a worker that is stuck for long is replaced."""
    if not plan.value(scope, "alive_probe"):
        return {}
    command = [text(word) for word in containers.alive_command(plan)]
    patience = whole_seconds(plan, APP, "alive_seconds")
    return {
        "startupProbe": {
            "exec": {"command": command},
            "periodSeconds": _START_SECONDS,
            "timeoutSeconds": _PROBE_TIMEOUT_SECONDS,
            # A broker that is away at the start is waited for as long as later.
            "failureThreshold": max(1, patience // _START_SECONDS),
        },
        "livenessProbe": {
            "exec": {"command": command},
            "periodSeconds": _PROBE_SECONDS,
            "timeoutSeconds": _PROBE_TIMEOUT_SECONDS,
            "failureThreshold": 3,
        },
    }
