"""Objects beside Deployments: autoscalers, budgets, network policies, monitors and rules."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from policycompiler.reality.manifests.objects import Fields, entries, mapping, texts, whole

_TRIGGERS: Mapping[str, frozenset[str]] = {
    "redis": frozenset({"listName", "listLength", "databaseIndex", "address", "enableTLS"}),
    "redis-sentinel": frozenset({"listName", "listLength", "databaseIndex", "enableTLS", "sentinelMaster"}),
    "rabbitmq": frozenset({"queueName", "value", "mode", "protocol"}),
}
"""The types of triggers that we write, with their fields."""
_NUMBERS = frozenset({"listLength", "value", "databaseIndex"})
_TARGETS = frozenset({"Utilization", "Value", "AverageValue"})
_LONGEST_STABILIZATION_SECONDS = 3600
_DURATION = re.compile(r"(\d+(ms|s|m|h|d|w|y))+")
_MOST_PORT = 65535


def problems(fields: Fields) -> Iterator[str]:
    """What is wrong with an object that is no Deployment."""
    check = _CHECKS.get(str(fields.get("kind")))
    if check is not None:
        yield from check(mapping(fields.get("spec")))


def _budget(spec: Fields) -> Iterator[str]:
    if "minAvailable" in spec:
        yield "`minAvailable` may block the drain of a node; write `maxUnavailable: 1`"
    elif (whole(spec.get("maxUnavailable")) or 0) < 1:
        yield "`maxUnavailable` must be 1 or more, or no node can be drained"


def _bounds(spec: Fields, fewest: str, most: str, least: int) -> Iterator[str]:
    low, high = whole(spec.get(fewest)), whole(spec.get(most))
    if low is None or high is None or not least <= low <= high or high < 1:
        yield f"`{fewest}` is {spec.get(fewest)} and `{most}` is {spec.get(most)}"


def _behavior(value: object) -> Iterator[str]:
    down = mapping(mapping(value).get("scaleDown"))
    seconds = whole(down.get("stabilizationWindowSeconds"))
    if seconds is None or not 0 <= seconds <= _LONGEST_STABILIZATION_SECONDS:
        yield f"`stabilizationWindowSeconds` must be from 0 to {_LONGEST_STABILIZATION_SECONDS}"
    if not entries(down.get("policies")):
        yield "without a policy of `scaleDown`, all pods above the minimum end at once"


def _by_load(spec: Fields) -> Iterator[str]:
    yield from _bounds(spec, "minReplicas", "maxReplicas", 1)
    yield from _behavior(spec.get("behavior"))
    for metric in entries(spec.get("metrics")):
        target = mapping(mapping(metric.get("resource")).get("target"))
        if str(target.get("type")) not in _TARGETS:
            yield f"the type of the target is `{target.get('type')}`; write `Utilization`"


def _by_messages(spec: Fields) -> Iterator[str]:
    yield from _bounds(spec, "minReplicaCount", "maxReplicaCount", 0)
    advanced = mapping(spec.get("advanced"))
    yield from _behavior(mapping(advanced.get("horizontalPodAutoscalerConfig")).get("behavior"))
    if "fallback" not in spec:
        yield "without `fallback`, pods end while the broker does not answer"
    triggers = entries(spec.get("triggers"))
    names = {str(trigger.get("name")) for trigger in triggers}
    if not triggers:
        yield "it has no trigger"
    for trigger in triggers:
        yield from _trigger(trigger)
    formula = mapping(advanced.get("scalingModifiers")).get("formula")
    if len(triggers) > 1 and {*re.findall(r"\w+", str(formula))} != names:
        yield "`formula` does not add up all triggers, so messages of some queues do not count"


def _trigger(trigger: Fields) -> Iterator[str]:
    kind = str(trigger.get("type"))
    known = _TRIGGERS.get(kind)
    if known is None:
        yield f"a trigger of the type `{kind}` is not known"
        return
    metadata = mapping(trigger.get("metadata"))
    for key in sorted(set(map(str, metadata)) - known):
        yield f"KEDA ignores the field `{key}` of a trigger `{kind}`"
    for key, value in metadata.items():
        if not isinstance(value, str):
            yield f"the field `{key}` of a trigger must be text"
        elif key in _NUMBERS and not value.isdecimal():
            yield f"the field `{key}` of a trigger is `{value}`; it must be a number"
    source = {"listName", "queueName"} & known
    if not source <= set(metadata) or not any(metadata.get(key) for key in source):
        yield "a trigger names no queue"
    if not {"listLength", "value"} & set(metadata):
        yield "a trigger has no target"


def _network(spec: Fields) -> Iterator[str]:
    if not mapping(mapping(spec.get("podSelector")).get("matchLabels")):
        yield "it selects all pods of the namespace"
    for kind in texts(spec.get("policyTypes")):
        if kind not in ("Ingress", "Egress"):
            yield f"policy type `{kind}` is not known"
    for rule in (*entries(spec.get("ingress")), *entries(spec.get("egress"))):
        for port in entries(rule.get("ports")):
            number = whole(port.get("port"))
            if number is None or not 1 <= number <= _MOST_PORT:
                yield f"port `{port.get('port')}` is not between 1 and {_MOST_PORT}"
            if port.get("protocol") not in ("TCP", "UDP", "SCTP"):
                yield f"protocol `{port.get('protocol')}` is not known"


def _monitor(spec: Fields) -> Iterator[str]:
    for endpoint in (*entries(spec.get("endpoints")), *entries(spec.get("podMetricsEndpoints"))):
        for key in ("interval", "scrapeTimeout"):
            if not _DURATION.fullmatch(str(endpoint.get(key))):
                yield f"`{key}` is `{endpoint.get(key)}`; write a duration such as `30s`"


def _rules(spec: Fields) -> Iterator[str]:
    for group in entries(spec.get("groups")):
        for rule in entries(group.get("rules")):
            name = rule.get("alert", rule.get("record"))
            if ("alert" in rule) == ("record" in rule):
                yield f"rule `{name}` must be either an alert or a record"
            if not isinstance(rule.get("expr"), str) or not rule.get("expr"):
                yield f"rule `{name}` has no expression"
            if "for" in rule and not _DURATION.fullmatch(str(rule["for"])):
                yield f"rule `{name}`: `for` is `{rule['for']}`; write a duration such as `5m`"


_CHECKS: Mapping[str, Callable[[Fields], Iterator[str]]] = {
    "PodDisruptionBudget": _budget,
    "HorizontalPodAutoscaler": _by_load,
    "ScaledObject": _by_messages,
    "NetworkPolicy": _network,
    "ServiceMonitor": _monitor,
    "PodMonitor": _monitor,
    "PrometheusRule": _rules,
}
