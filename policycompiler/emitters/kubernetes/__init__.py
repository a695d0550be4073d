"""Manifests for Kubernetes 1.27 and later, ready for Kustomize: `kubectl apply --kustomize kubernetes/base`.

`base` has a file with the objects of each worker, of beat, and of each optional part. Kustomize makes a
ConfigMap of `celeryconfig.py`, and its name has a hash of the content. So a change replaces all pods, and a
pod of the old version keeps the old settings. The URLs are in a Secret that the team creates.

`overlays/NAME` has the difference of an environment of the workload.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from policycompiler.emitters import containers
from policycompiler.emitters.base import OutputFile
from policycompiler.emitters.commands import name as plain_name
from policycompiler.emitters.kubernetes.files import base
from policycompiler.emitters.kubernetes.overlay import overlay
from policycompiler.plan import Plan

ID = "kubernetes"
BASE, OVERLAYS = "kubernetes/base", "kubernetes/overlays"


def emit(plan: Plan) -> Iterator[OutputFile]:
    """The files of the base, if there is an image."""
    if containers.has_containers(plan):
        yield from base(plan, BASE)


def missing(plan: Plan) -> str:
    """What the target needs and the plan lacks."""
    return containers.missing(plan)


def overlays(plan: Plan, environments: Mapping[str, Plan]) -> Iterator[OutputFile]:
    """The overlay of each environment, which has a plan of its own."""
    if containers.has_containers(plan):
        for name, environment in environments.items():
            if containers.has_containers(environment):
                yield from overlay(plan, environment, f"{OVERLAYS}/{plain_name(name)}")
