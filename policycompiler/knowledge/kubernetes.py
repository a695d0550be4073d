"""Limits of Kubernetes, and the names of the objects that a service has besides its workers.

Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/ and
https://kubernetes.io/docs/concepts/configuration/configmap/.
"""

from __future__ import annotations

LONGEST_NAME = 46
"""In characters: a pod adds 17 to the name of its Deployment, and a host name has at most 63."""
LARGEST_CONFIG_MAP_BYTES = 1_048_576
LONGEST_STABILIZATION_SECONDS = 3600
"""Of a HorizontalPodAutoscaler: how long it looks back before it removes a pod."""

KEDA, HPA = "keda", "hpa"
"""The autoscalers: one counts messages, the other one sees only how busy cores are."""

BEAT = "beat"
EXPORTER = "celery-exporter"
FLOWER = "flower"
CONFIGURATION = "celeryconfig"
SCALING = "keda"
NETWORK = "network-policy"
RULES = "rules"

PARTS = (BEAT, EXPORTER, FLOWER, CONFIGURATION, SCALING, NETWORK, RULES)
"""After the name of the service: no worker has one of these names."""


def object_name(prefix: str, part: str) -> str:
    """The name of an object of a service."""
    return f"{prefix}-{part}"
