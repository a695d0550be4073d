"""Finds the commands in the files of Compose and of Kubernetes. Fields of a wrong type count as empty."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from policycompiler.reality.commands.invocation import Environment, Invocation, Unread
from policycompiler.reality.commands.process import process
from policycompiler.reality.commands.shell import commands_in

_WORKLOADS = frozenset(
    {"CronJob", "DaemonSet", "Deployment", "Job", "Pod", "ReplicaSet", "StatefulSet", "DeploymentConfig"}
)


def in_yaml(name: str, text: str, variables: Environment) -> Iterator[Invocation | Unread]:
    """The commands in a file of Compose, or in manifests of Kubernetes."""
    try:
        documents = [each for each in yaml.safe_load_all(text) if isinstance(each, dict)]
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, LookupError, RecursionError) as problem:
        if isinstance(problem, RecursionError):
            yield Unread(name, "its YAML is nested too deeply")
        elif re.search(r"\bcelery\b", text):
            line = getattr(getattr(problem, "problem_mark", None), "line", 0) + 1
            yield Unread(
                f"{name}:{line}", "not YAML; render a template first (`helm template`, `kustomize build`)"
            )
        return
    for document in documents:
        for service, fields in _map(document.get("services")).items():
            yield from _compose(name, _text(service), _map(fields), variables)
        for item in _list(document.get("items")) or [document]:
            kind = _map(item).get("kind")
            if isinstance(kind, str) and kind in _WORKLOADS:
                yield from _kubernetes(name, kind, item, variables)


def _map(value: object) -> dict[Any, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _inner(value: object, *keys: str) -> dict[Any, Any]:
    """The mapping below keys, empty without one."""
    for key in keys:
        value = _map(value).get(key)
    return _map(value)


def _compose(
    name: str, service: str, fields: dict[Any, Any], variables: Environment
) -> Iterator[Invocation | Unread]:
    own = _compose_environment(fields.get("environment"))
    place = f"{name} services.{service}"
    replicas = _map(fields.get("deploy")).get("replicas", fields.get("scale"))
    about = process(
        own,
        replicas=("replicas", replicas),
        stop=("stop_grace_period", fields.get("stop_grace_period") or "10s"),
    )
    try:
        parts = [line_of(fields.get(key)) for key in ("entrypoint", "command")]
    except ValueError:
        yield Unread(place, "its `command` or `entrypoint` is not a list of texts")
        return
    line = " ".join(filter(None, parts)).replace("$$", "$")
    yield from about.start(commands_in(line, {**variables, **own}, place, service), place)


def _compose_environment(given: object) -> dict[str, str]:
    if isinstance(given, dict):
        return {_text(key): _text(value) for key, value in given.items()}
    pairs = [_text(each).partition("=") for each in _list(given)]
    return {key: value for key, sign, value in pairs if sign}


def _kubernetes(
    name: str, kind: str, item: dict[Any, Any], variables: Environment
) -> Iterator[Invocation | Unread]:
    spec = _map(item.get("spec"))
    ways = {"Pod": (), "CronJob": ("jobTemplate", "spec", "template", "spec")}
    pod = _inner(spec, *ways.get(kind, ("template", "spec")))
    title = _text(_map(item.get("metadata")).get("name")) or kind.lower()
    place = f"{name} {kind}/{title}"
    if not _list(pod.get("containers")):
        yield Unread(place, "it has no list of containers")
    for container in map(_map, _list(pod.get("containers"))):
        own = {
            _text(each.get("name")): _text(each["value"])
            for each in map(_map, _list(container.get("env")))
            if each.get("value") is not None
        }
        about = process(
            own,
            replicas=("replicas", spec.get("replicas", 1)),
            stop=("terminationGracePeriodSeconds", pod.get("terminationGracePeriodSeconds", 30)),
        )
        try:
            parts = [line_of(container.get(key)) for key in ("command", "args")]
        except ValueError:
            yield Unread(place, "its `command` or `args` is not a list of texts")
            continue
        # `$(NAME)` is how Kubernetes writes a variable.
        line = re.sub(r"\$\((\w+)\)", r"${\1}", " ".join(filter(None, parts)))
        yield from about.start(commands_in(line, {**variables, **own}, place, title), place)


def _text(value: object) -> str:
    """A plain value as text, empty for others, which may be very large."""
    try:
        return str(value) if isinstance(value, str | int | float) else ""
    except ValueError:  # Python does not print a number of thousands of digits
        return ""


def line_of(command: object) -> str:
    """A command as one line, from a text or from a list of words. Raises `ValueError` for another type."""
    if command is None:
        return ""
    words = command if isinstance(command, list) else [command]
    if not all(isinstance(each, str | int | float) for each in words):
        message = "not texts"
        raise ValueError(message)
    # Words with variables stay as they are: quotes would hide the variables.
    return " ".join(_word(str(each)) for each in words) if isinstance(command, list) else str(command)


def _word(text: str) -> str:
    return text if re.fullmatch(r"[\w@%+=:,./${}-]+", text) else "'" + text.replace("'", "'\"'\"'") + "'"
