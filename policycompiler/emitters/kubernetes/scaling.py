"""What starts and stops pods: a ScaledObject of KEDA, or a HorizontalPodAutoscaler.

KEDA makes a HorizontalPodAutoscaler of a ScaledObject, so a worker never has both. If the broker does not
answer, KEDA removes no pod.
"""

from __future__ import annotations

from policycompiler.emitters.base import one_line
from policycompiler.emitters.commands import whole_seconds
from policycompiler.emitters.kubernetes.objects import Object, labels, made, part_name
from policycompiler.knowledge.brokers import Scaler, scaler
from policycompiler.knowledge.kubernetes import HPA, KEDA, SCALING, WORKER
from policycompiler.plan import APP, Plan, Scope

_POLL_SECONDS = 15
_REMOVE_SECONDS = 60
_FAILURES = 3
"""Failed looks at the broker before the fallback applies."""


def scaler_of(plan: Plan) -> Scaler:
    """How KEDA counts the messages."""
    return scaler(plan.text(APP, "scaler"))


def is_scaled(plan: Plan, worker: Scope) -> bool:
    """Whether an autoscaler owns the number of pods of a worker."""
    return bool(plan.find(worker, "scaling_messages") or plan.find(worker, "scaling_cpu_percent"))


def autoscaler(plan: Plan, worker: Scope) -> Object:
    """The autoscaler of a worker."""
    name = plan.text(worker, "kubernetes_name")
    bounds = plan.value(worker, "scaling")
    assert isinstance(bounds, dict)
    fewest, most = int(str(bounds["min"])), int(str(bounds["max"]))
    make = {KEDA: _by_messages, HPA: _by_load}[plan.text(APP, "autoscaler")]
    return make(plan, worker, name, fewest, most)


def _behavior(plan: Plan, worker: Scope) -> Object:
    """Pods leave one by one, and late: their runs finish, but the next message would start a pod again."""
    return {
        "scaleDown": {
            "stabilizationWindowSeconds": whole_seconds(plan, worker, "scaling_down_seconds"),
            "policies": [{"type": "Pods", "value": 1, "periodSeconds": _REMOVE_SECONDS}],
        }
    }


def _by_load(plan: Plan, worker: Scope, name: str, fewest: int, most: int) -> Object:
    share = int(plan.number(worker, "scaling_cpu_percent"))
    spec: Object = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
        # It cannot stop the last pod.
        "minReplicas": max(fewest, 1),
        "maxReplicas": most,
        "metrics": [
            {
                "type": "Resource",
                "resource": {
                    "name": "cpu",
                    "target": {"type": "Utilization", "averageUtilization": share},
                },
            }
        ],
        "behavior": _behavior(plan, worker),
    }
    return made("HorizontalPodAutoscaler", "autoscaling/v2", name, labels(plan, name, WORKER), spec=spec)


def _by_messages(plan: Plan, worker: Scope, name: str, fewest: int, most: int) -> Object:
    sources = plan.texts(worker, "scaling_sources")
    messages = str(int(plan.number(worker, "scaling_messages")))
    advanced: Object = {"horizontalPodAutoscalerConfig": {"behavior": _behavior(plan, worker)}}
    if len(sources) > 1:
        # Without a formula, only the longest of the queues would count.
        advanced["scalingModifiers"] = {
            "formula": " + ".join(_trigger_name(number) for number in range(len(sources))),
            "target": messages,
            "metricType": "AverageValue",
        }
    spec: Object = {
        "scaleTargetRef": {"name": name},
        "minReplicaCount": fewest,
        "maxReplicaCount": most,
        "pollingInterval": _POLL_SECONDS,
        "cooldownPeriod": whole_seconds(plan, worker, "scaling_down_seconds"),
        "fallback": {
            "failureThreshold": _FAILURES,
            "replicas": max(fewest, 1),
            "behavior": "currentReplicasIfHigher",
        },
        "advanced": advanced,
        "triggers": [_trigger(plan, number, source, messages) for number, source in enumerate(sources)],
    }
    return made("ScaledObject", "keda.sh/v1alpha1", name, labels(plan, name, WORKER), spec=spec)


def _trigger_name(number: int) -> str:
    return f"messages_{number}"


def _trigger(plan: Plan, number: int, source: str, messages: str) -> Object:
    counted = scaler_of(plan)
    fields = plan.value(APP, "scaler_fields")
    assert isinstance(fields, dict)
    metadata = {key: one_line(str(value)) for key, value in sorted(fields.items())}
    found: Object = {
        "type": counted.kind,
        "name": _trigger_name(number),
        "metadata": {**metadata, counted.source: source, counted.target: messages},
    }
    if "scaler_secrets" in plan.keys(APP):
        found["authenticationRef"] = {"name": part_name(plan, SCALING)}
    return found


def authentication(plan: Plan) -> Object:
    """How KEDA reads the address and the password of the broker from the Secret."""
    name = part_name(plan, SCALING)
    keys = plan.value(APP, "scaler_secrets")
    assert isinstance(keys, dict)
    secret = plan.text(APP, "secret_name")
    references = [
        {"parameter": field, "name": secret, "key": one_line(str(key))} for field, key in sorted(keys.items())
    ]
    return made(
        "TriggerAuthentication",
        "keda.sh/v1alpha1",
        name,
        labels(plan, name, SCALING),
        spec={"secretTargetRef": references},
    )
