"""Names and labels by which objects find each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from policycompiler.reality.manifests.objects import Document, Fields, entries, mapping
from policycompiler.reality.problem import Problem

_AUTOSCALERS = ("HorizontalPodAutoscaler", "ScaledObject")


def problems(documents: Sequence[Document]) -> Iterator[Problem]:
    """Objects that are there twice, or refer to others that are not there."""
    count = Counter((each.kind, each.name) for each in documents)
    for each in documents:
        if count[each.kind, each.name] > 1:
            yield each.problem("an object of this kind and name is there twice")
    deployments = {each.name: each for each in documents if each.kind == "Deployment"}
    yield from _scaled(documents, deployments)
    pods = [_template(each.fields) for each in deployments.values()]
    for each in documents:
        spec = mapping(each.fields.get("spec"))
        if each.kind == "PodDisruptionBudget":
            chosen = mapping(mapping(spec.get("selector")).get("matchLabels"))
            if sum(_selects(chosen, pod) for pod in pods) != 1:
                yield each.problem("its selector does not match the pods of exactly one Deployment")
        elif each.kind == "Service":
            yield from _service(each, spec, pods)
        elif each.kind == "ServiceMonitor":
            yield from _monitor(each, spec, documents)
        elif each.kind == "PodMonitor":
            yield from _pod_monitor(each, spec, pods)
        elif each.kind == "Deployment":
            yield from _claims(each, documents)


def _template(fields: Fields) -> Fields:
    return mapping(mapping(fields.get("spec")).get("template"))


def _selects(chosen: Fields, template: Fields) -> bool:
    labels = mapping(mapping(template.get("metadata")).get("labels"))
    return bool(chosen) and all(labels.get(key) == value for key, value in chosen.items())


def _scaled(documents: Sequence[Document], deployments: dict[str, Document]) -> Iterator[Problem]:
    targets: Counter[str] = Counter()
    secrets = {each.name for each in documents if each.kind == "TriggerAuthentication"}
    for each in documents:
        if each.kind not in _AUTOSCALERS:
            continue
        spec = mapping(each.fields.get("spec"))
        target = str(mapping(spec.get("scaleTargetRef")).get("name"))
        targets[target] += 1
        if target not in deployments:
            yield each.problem(f"it scales `{target}`, which is no Deployment here")
        elif "replicas" in mapping(deployments[target].fields.get("spec")):
            yield each.problem(
                f"Deployment `{target}` has `replicas`, which undoes the scaling at each apply"
            )
        if targets[target] > 1:
            yield each.problem(f"`{target}` has several autoscalers, which work against each other")
        for trigger in entries(spec.get("triggers")):
            name = mapping(trigger.get("authenticationRef")).get("name")
            if name is not None and str(name) not in secrets:
                yield each.problem(f"TriggerAuthentication `{name}` is not there")
    for name, deployment in deployments.items():
        if "replicas" not in mapping(deployment.fields.get("spec")) and not targets[name]:
            yield deployment.problem("it has neither `replicas` nor an autoscaler, so one pod runs")


def _service(each: Document, spec: Fields, pods: Sequence[Fields]) -> Iterator[Problem]:
    chosen = [pod for pod in pods if _selects(mapping(spec.get("selector")), pod)]
    if not chosen:
        yield each.problem("its selector matches no pods")
        return
    names = _port_names(chosen[0])
    for port in entries(spec.get("ports")):
        if str(port.get("targetPort")) not in names:
            yield each.problem(f"its pods have no port `{port.get('targetPort')}`")


def _monitor(each: Document, spec: Fields, documents: Sequence[Document]) -> Iterator[Problem]:
    chosen = mapping(mapping(spec.get("selector")).get("matchLabels"))
    services = [other for other in documents if other.kind == "Service" and _selects(chosen, other.fields)]
    if not services:
        yield each.problem("its selector matches no Service")
        return
    names = {str(port.get("name")) for port in entries(mapping(services[0].fields.get("spec")).get("ports"))}
    for endpoint in entries(spec.get("endpoints")):
        if str(endpoint.get("port")) not in names:
            yield each.problem(f"the Service has no port `{endpoint.get('port')}`")


def _pod_monitor(each: Document, spec: Fields, pods: Sequence[Fields]) -> Iterator[Problem]:
    chosen = mapping(mapping(spec.get("selector")).get("matchLabels"))
    names = {name for pod in pods if _selects(chosen, pod) for name in _port_names(pod)}
    for endpoint in entries(spec.get("podMetricsEndpoints")):
        if str(endpoint.get("port")) not in names:
            yield each.problem(f"no pod that it selects has a port `{endpoint.get('port')}`")


def _port_names(pod: Fields) -> set[str]:
    return {
        str(port.get("name"))
        for container in entries(mapping(pod.get("spec")).get("containers"))
        for port in entries(container.get("ports"))
    }


def _claims(each: Document, documents: Sequence[Document]) -> Iterator[Problem]:
    claims = {other.name for other in documents if other.kind == "PersistentVolumeClaim"}
    for volume in entries(mapping(_template(each.fields).get("spec")).get("volumes")):
        claim = mapping(volume.get("persistentVolumeClaim")).get("claimName")
        if claim is not None and str(claim) not in claims:
            yield each.problem(f"claim `{claim}` is not there")
