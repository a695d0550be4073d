"""What all objects share: names, labels, quantities, and text that Kubernetes does not expand."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TypeAlias

from policycompiler.emitters.base import one_line
from policycompiler.knowledge.kubernetes import object_name
from policycompiler.plan import APP, Plan, Scope

Object: TypeAlias = dict[str, object]

_LABEL = "app.kubernetes.io"
MANAGER = "policycompiler"
APPLICATION = "celery"
"""The value of the label `name`. A Service of the team that selects by the name of its own application must
not find pods of workers."""


def prefix(plan: Plan) -> str:
    """The first part of all names."""
    return plan.text(APP, "kubernetes_name")


def part_name(plan: Plan, part: str) -> str:
    """The name of an object of the service that belongs to no worker."""
    return object_name(prefix(plan), part)


def labels(plan: Plan, instance: str, component: str) -> dict[str, str]:
    """The labels of an object."""
    found = {
        "name": APPLICATION,
        "instance": instance,
        "component": component,
        "part-of": prefix(plan),
        "managed-by": MANAGER,
    }
    return {f"{_LABEL}/{key}": value for key, value in found.items()}


def selector(instance: str, component: str) -> dict[str, str]:
    """The labels that find the pods of an object: it cannot change later, so it has those that never do."""
    found = {"name": APPLICATION, "instance": instance, "component": component}
    return {f"{_LABEL}/{key}": value for key, value in found.items()}


def of_service(plan: Plan) -> dict[str, str]:
    """The labels that find all pods of these manifests, and no other pods of the service."""
    return {f"{_LABEL}/name": APPLICATION, f"{_LABEL}/part-of": prefix(plan)}


def made(
    kind: str, version: str, name: str, labeled: Mapping[str, str], worker: str = "", **parts: object
) -> Object:
    """An object: `version` is its `apiVersion`, and `parts` are its other top-level parts.

    `worker` is the name of the worker in the plan, which may have other letters than the object's name.
    """
    annotations = {"annotations": {f"{MANAGER}/worker": one_line(worker)}} if worker else {}
    return {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": name, "labels": {**labeled}, **annotations},
        **parts,
    }


def text(value: object) -> str:
    """Text of a command or a variable; Kubernetes would expand `$(NAME)`, and reads `$$` as `$`."""
    return one_line(value).replace("$", "$$")


def variable(found: str) -> str:
    """The value of a variable of the container, in a word of its command."""
    return f"$({found})"


def cores(plan: Plan, scope: Scope, key: str) -> str:
    """A number of cores, rounded up to thousandths."""
    return f"{math.ceil(round(plan.number(scope, key) * 1000, 6))}m"


def variables(values: Mapping[str, str]) -> list[Object]:
    """Environment variables without secrets."""
    return [{"name": name, "value": text(value)} for name, value in values.items()]
