"""Manifests for Kubernetes 1.27 and later, ready for Kustomize: `kubectl apply --kustomize kubernetes/base`.

`base` has a file with the objects of each worker, of beat, and of each optional part. Kustomize makes a
ConfigMap of `celeryconfig.py`, and its name has a hash of the content: a change replaces all pods, and a pod
of the old version keeps the old settings. The URLs are in a Secret that somebody else creates.

`overlays/NAME` has the difference of an environment of the workload.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from policycompiler.emitters.base import OutputFile
from policycompiler.emitters.containers import has_containers
from policycompiler.emitters.kubernetes import files
from policycompiler.plan import Plan

ID = "kubernetes"
BASE, OVERLAYS = "kubernetes/base", "kubernetes/overlays"


def emit(plan: Plan) -> Iterator[OutputFile]:
    """The files of the base, if there is an image."""
    if has_containers(plan):
        yield from files.base(plan, BASE)


def overlays(plan: Plan, environments: Mapping[str, Plan]) -> Iterator[OutputFile]:
    """The files of the overlays of environments, each with its plan."""
    del plan, environments
    yield from ()
