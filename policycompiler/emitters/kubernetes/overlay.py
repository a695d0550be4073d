"""The difference of an environment from the base, as an overlay of Kustomize.

`kubectl kustomize` of the overlay gives the same objects as a compile with `--env` gives as its base.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from policycompiler.emitters import containers
from policycompiler.emitters.base import OutputFile, Reading, yaml_text
from policycompiler.emitters.kubernetes import files
from policycompiler.emitters.kubernetes.files import HEADING, Component, components
from policycompiler.emitters.kubernetes.objects import Object, prefix
from policycompiler.plan import Plan

_TO_BASE = "../../base"


class _Identity(NamedTuple):
    """What distinguishes objects of one namespace."""

    version: str
    kind: str
    name: str

    @property
    def target(self) -> Object:
        """How a patch names it."""
        group, _, version = self.version.rpartition("/")
        return {
            **({"group": group} if group else {}),
            "version": version,
            "kind": self.kind,
            "name": self.name,
        }

    @property
    def file(self) -> str:
        """The file with its patch."""
        return f"{self.name}.{self.kind.lower()}.patch.yaml"


def overlay(plan: Plan, environment: Plan, folder: str) -> Iterator[OutputFile]:
    """The files of the overlay of an environment, which has a plan of its own.

    An environment with other names has nothing in common with the base, and gets a base of its own.
    """
    if prefix(plan) != prefix(environment):
        yield from files.base(environment, folder)
        return
    base = {identity: each for one in components(plan) for identity, each in _by_identity(one.objects)}
    listing = Reading(environment)
    resources, patches, kept = [_TO_BASE], list[Object](), set[_Identity]()
    for one in components(environment):
        kept.update(identity for identity, _ in _by_identity(one.objects))
        added = [each for identity, each in _by_identity(one.objects) if identity not in base]
        if added:
            resources.append(f"{one.name}.yaml")
            yield one.reading.file(f"{folder}/{one.name}.yaml", files.written(one.says, added))
        for identity, operations in _changes(base, one):
            patches.append({"path": identity.file, "target": identity.target})
            yield one.reading.file(f"{folder}/{identity.file}", HEADING + yaml_text(operations))
    for identity in sorted(set(base) - kept):
        patches.append({"path": identity.file})
        yield listing.file(f"{folder}/{identity.file}", HEADING + yaml_text(_deletion(identity)))
    generators: list[Object] = []
    modules = containers.modules(environment)
    texts, before = (
        [(each.path, each.text) for each in found] for found in (modules, containers.modules(plan))
    )
    if texts != before:
        generators.append(files.generator(listing, modules, behavior="replace"))
        for module in modules:
            yield module._replace(path=f"{folder}/{module.path}")
    document = files.kustomization(
        listing, resources, generators, **({"patches": patches} if patches else {})
    )
    yield listing.file(f"{folder}/{files.KUSTOMIZATION}", HEADING + yaml_text(document))


def _by_identity(objects: Sequence[Object]) -> Iterator[tuple[_Identity, Object]]:
    for each in objects:
        metadata = each["metadata"]
        assert isinstance(metadata, Mapping)
        yield _Identity(str(each["apiVersion"]), str(each["kind"]), str(metadata["name"])), each


def _changes(base: Mapping[_Identity, Object], one: Component) -> Iterator[tuple[_Identity, list[object]]]:
    for identity, each in _by_identity(one.objects):
        operations: list[object] = [*_operations("", base[identity], each)] if identity in base else []
        if operations:
            yield identity, operations


def _operations(path: str, old: object, new: object) -> Iterator[Object]:
    """The operations of RFC 6902 that make the new value of the old one."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({*old, *new}):
            below = f"{path}/{str(key).replace('~', '~0').replace('/', '~1')}"
            if key not in new:
                yield {"op": "remove", "path": below}
            elif key not in old:
                yield {"op": "add", "path": below, "value": new[key]}
            else:
                yield from _operations(below, old[key], new[key])
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for number, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from _operations(f"{path}/{number}", before, after)
    elif old != new:
        yield {"op": "replace", "path": path, "value": new}


def _deletion(identity: _Identity) -> Object:
    return {
        "apiVersion": identity.version,
        "kind": identity.kind,
        "metadata": {"name": identity.name},
        "$patch": "delete",
    }
