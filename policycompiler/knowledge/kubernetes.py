"""Limits of Kubernetes, and the names of the objects that a service has besides its workers.

Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/ and
https://kubernetes.io/docs/concepts/configuration/configmap/.
"""

from __future__ import annotations

LONGEST_NAME = 52
"""In characters: a pod adds a hash to the name of its Deployment, and its host name has at most 63."""
LARGEST_CONFIG_MAP_BYTES = 1_048_576
LONGEST_STABILIZATION_SECONDS = 3600
"""Of a HorizontalPodAutoscaler: how long it looks back before it removes a pod."""

KEDA, HPA = "keda", "hpa"
"""The autoscalers: one counts messages, the other one sees only how busy cores are."""

WORKER = "worker"
BEAT = "beat"
FLOWER = "flower"
TELEMETRY = "telemetry"
"""Also the name of the port with the metrics of a worker or of beat."""
CONFIGURATION = "celeryconfig"
SCALING = "keda"
NETWORK = "network-policy"
RULES = "rules"


def object_name(*parts: str) -> str:
    """The name of an object: that of the service, and of the part or the worker."""
    return "-".join(parts)
