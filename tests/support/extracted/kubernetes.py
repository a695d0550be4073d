"""The processes of manifests, read by PyYAML and by the rules of Kubernetes for texts and quantities."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from extracted import Process

_UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
_OF_THE_TARGET = frozenset({"PYTHONPATH", "CELERY_ALIVE_FILE"})
_WORKER = "policycompiler/worker"
"""The annotation with the name of a worker in the plan."""
_NODE, _QUEUES, _POOL = "--hostname", "--queues", "--pool"


def processes(folder: Path, variables: Mapping[str, str] = MappingProxyType({})) -> list[Process]:
    """The workers and beat of a folder `kubernetes/base`, sorted by kind and name.

    `variables` are those of the Secret.
    """
    objects = [
        each
        for path in sorted(folder.glob("*.yaml"))
        for each in yaml.safe_load_all(path.read_text("utf-8"))
        if isinstance(each, dict)
    ]
    return sorted(_processes(objects, variables), key=lambda process: (process.kind, process.worker))


def _processes(objects: list[dict[str, Any]], given: Mapping[str, str]) -> Iterator[Process]:
    bounds = {target: pair for each in objects for target, pair in _bounds(each)}
    for each in objects:
        if each["kind"] != "Deployment":
            continue
        kind = each["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/component"]
        if kind in ("worker", "beat"):
            yield _process(each, kind, given, bounds.get(each["metadata"]["name"]))


def _bounds(each: dict[str, Any]) -> Iterator[tuple[str, tuple[int, int]]]:
    """The Deployment that an autoscaler scales, with its bounds."""
    spec = each.get("spec") or {}
    if each["kind"] == "ScaledObject":
        yield spec["scaleTargetRef"]["name"], (spec["minReplicaCount"], spec["maxReplicaCount"])
    if each["kind"] == "HorizontalPodAutoscaler":
        yield spec["scaleTargetRef"]["name"], (spec["minReplicas"], spec["maxReplicas"])


def _process(
    deployment: dict[str, Any], kind: str, given: Mapping[str, str], bounds: tuple[int, int] | None
) -> Process:
    spec = deployment["spec"]
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    words = [_expanded(word, given) for word in container["command"]]
    node = _after(words, _NODE) or ""
    variables = {each["name"]: _expanded(each["value"], given) for each in container["env"]}
    return Process(
        kind=kind,
        worker=deployment["metadata"].get("annotations", {}).get(_WORKER, ""),
        queues=tuple((_after(words, _QUEUES) or "").split(",")) if kind == "worker" else (),
        node_name=node,
        pool=_after(words, _POOL) or "",
        concurrency=_after(words, "--concurrency"),
        replicas=spec["replicas"] if bounds is None else bounds,
        grace_seconds=pod["terminationGracePeriodSeconds"],
        memory_bytes=_bytes(container["resources"].get("limits", {}).get("memory")),
        environment={name: variables[name] for name in variables if name not in _OF_THE_TARGET},
    )


def _expanded(text: str, variables: Mapping[str, str]) -> str:
    """A text as the container gets it: `$$` is a `$`, and `$(NAME)` a variable that there is."""
    return re.sub(
        r"\$\$|\$\((\w+)\)",
        lambda match: variables.get(match[1], match[0]) if match[1] else "$",
        text,
    )


def _after(words: list[str], option: str) -> str | None:
    return words[words.index(option) + 1] if option in words else None


def _bytes(text: str | None) -> int | None:
    if text is None:
        return None
    return int(text[:-2]) * _UNITS[text[-2:]] if text[-2:] in _UNITS else int(text)
