"""Objects of manifests, and what every object must have: a known kind, a name, labels."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from policycompiler.reality.problem import Problem

Fields = Mapping[str, Any]

LIST = "Kustomization"
VERSIONS: Mapping[str, str] = {
    "Deployment": "apps/v1",
    "PersistentVolumeClaim": "v1",
    "PodDisruptionBudget": "policy/v1",
    "HorizontalPodAutoscaler": "autoscaling/v2",
    "ScaledObject": "keda.sh/v1alpha1",
    "TriggerAuthentication": "keda.sh/v1alpha1",
    "Service": "v1",
    "NetworkPolicy": "networking.k8s.io/v1",
    "ServiceMonitor": "monitoring.coreos.com/v1",
    "PodMonitor": "monitoring.coreos.com/v1",
    "PrometheusRule": "monitoring.coreos.com/v1",
    LIST: "kustomize.config.k8s.io/v1beta1",
}
_LONGEST_LABEL = 63
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_LABEL = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?")
_LABEL_KEY = re.compile(r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)(m|k|Ki|M|Mi|G|Gi|T|Ti)?")
_UNCLEAR = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+|0o[0-7]+|[yYnN]")
_FACTORS = {
    "": 1.0,
    "m": 0.001,
    "k": 1e3,
    "Ki": 2.0**10,
    "M": 1e6,
    "Mi": 2.0**20,
    "G": 1e9,
    "Gi": 2.0**30,
    "T": 1e12,
    "Ti": 2.0**40,
}


class Document(NamedTuple):
    """An object with its file and line."""

    file: str
    line: int
    fields: Fields

    @property
    def is_list(self) -> bool:
        """Whether it is a list for Kustomize, or a patch, and no object."""
        return self.fields.get("kind") == LIST or "$patch" in self.fields

    @property
    def kind(self) -> str:
        """Its kind."""
        return str(self.fields.get("kind"))

    @property
    def name(self) -> str:
        """Its name."""
        return str(mapping(self.fields.get("metadata")).get("name"))

    def problem(self, text: str) -> Problem:
        """A problem of it."""
        return Problem(self.file, self.line, f"{self.kind} `{self.name}`: {text}")


def read(folder: Path, file: str) -> tuple[list[Document], list[Problem]]:
    """The documents of a file, each at its first line."""
    text = (folder / file).read_text("utf-8", errors="replace")
    return parse(file, text)


def parse(file: str, text: str) -> tuple[list[Document], list[Problem]]:
    """The documents of a text; patches are lists of operations, and no documents."""
    found: list[Document] = []
    line = 1
    for part in re.split(r"(?m)^---\n", text):
        try:
            fields = yaml.load(part, _Loader)  # noqa: S506 - a safe loader
        except (yaml.YAMLError, ValueError, RecursionError) as problem:
            mark = getattr(problem, "problem_mark", None)
            at = line + (mark.line if mark is not None else 0)
            return found, [Problem(file, at, " ".join(str(problem).split()))]
        if isinstance(fields, dict):
            found.append(Document(file, line, fields))
        unclear = [*_unclear(part)]
        if unclear:
            return found, [
                Problem(file, line + at, f"`{word}` is no text for Kubernetes; write quotes")
                for at, word in unclear
            ]
        line += part.count("\n") + 1
    return found, []


def _unclear(text: str) -> Iterator[tuple[int, str]]:
    """Words without quotes that are text here, and numbers or flags for the YAML reader of Kubernetes."""
    for token in yaml.scan(text, Loader=yaml.CSafeLoader):
        if isinstance(token, yaml.ScalarToken) and token.plain and _UNCLEAR.fullmatch(token.value):
            yield token.start_mark.line, token.value


class _Loader(yaml.CSafeLoader):
    """Refuses a key that is there twice, as Kubernetes does."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[object, object]:
    keys = [loader.construct_object(key, deep=True) for key, _ in node.value]
    for key in keys:
        if not isinstance(key, Hashable):
            raise yaml.constructor.ConstructorError(None, None, "a key is no text", node.start_mark)
        if keys.count(key) > 1:
            raise yaml.constructor.ConstructorError(
                None, None, f"key {key!r} is there twice", node.start_mark
            )
    return {
        key: loader.construct_object(value, deep=True)
        for key, (_, value) in zip(keys, node.value, strict=True)
    }


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def mapping(value: object) -> Fields:
    """A mapping, or an empty one."""
    return value if isinstance(value, dict) else {}


def entries(value: object) -> list[Fields]:
    """The mappings of a list."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def texts(value: object) -> list[str]:
    """The items of a list as texts."""
    return [str(each) for each in value] if isinstance(value, list) else []


def whole(value: object) -> int | None:
    """A whole number; text is none, as for Kubernetes."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def quantity(value: object) -> float | None:
    """An amount of cores or bytes; None if Kubernetes refuses it."""
    found = _QUANTITY.fullmatch(str(value))
    return float(found[1]) * _FACTORS[found[2] or ""] if found else None


def is_name(value: object) -> bool:
    """Whether it can be the name of an object, a container or a volume."""
    return isinstance(value, str) and len(value) <= _LONGEST_LABEL and bool(_NAME.fullmatch(value))


def problems(fields: Fields) -> Iterator[str]:
    """What is wrong with the kind, the name, the labels and the data of an object."""
    kind = fields.get("kind")
    wanted = VERSIONS.get(str(kind))
    if wanted is None:
        yield f"kind `{kind}` is not known"
    elif fields.get("apiVersion") != wanted:
        yield f"`apiVersion` is `{fields.get('apiVersion')}`; this kind needs `{wanted}`"
    metadata = mapping(fields.get("metadata"))
    if not is_name(metadata.get("name")):
        yield "the name needs lower-case letters, digits and `-`, and has at most 63 characters"
    template = mapping(mapping(fields.get("spec")).get("template"))
    yield from _labels(mapping(metadata.get("labels")))
    yield from _labels(mapping(mapping(template.get("metadata")).get("labels")))


def _labels(labels: Fields) -> Iterator[str]:
    for key, value in labels.items():
        if not isinstance(value, str) or len(value) > _LONGEST_LABEL or not _LABEL.fullmatch(value):
            yield f"label `{key}` has the value `{value}`, which Kubernetes refuses"
        if not _LABEL_KEY.fullmatch(str(key)):
            yield f"`{key}` cannot be the key of a label"
