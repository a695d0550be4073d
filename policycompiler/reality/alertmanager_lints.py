"""Configurations of Alertmanager that amtool accepts, and that tell nobody, or tell everybody a secret."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from policycompiler.reality.problem import Problem

LABELS = frozenset(
    {
        "alertname",
        "app",
        "inhibited_by",
        "inhibits",
        "queue",
        "schedule",
        "severity",
        "source",
        "task",
        "team",
        "worker",
    }
)
"""The labels that alerts have."""
_MATCHER = re.compile(r'([A-Za-z_][A-Za-z0-9_]*)(=~|!~|!=|=)"([^"]*)"')
_SECRETS = frozenset(
    {"api_key", "api_url", "auth_password", "credentials", "password", "routing_key", "service_key"}
)
_ROW = re.compile(r"(?m)^reaches (.+)$")
_PATIENCE_SECONDS = 60


def lint(program: str, folder: Path, files: Sequence[str], variables: Mapping[str, str]) -> Iterator[Problem]:
    """Matchers that match nothing, routes that nothing reaches, receivers that no route has, secrets."""
    del program, variables
    for file in files:
        text = (folder / file).read_text("utf-8", errors="replace")
        try:
            data = _map(yaml.safe_load(text))
        except yaml.YAMLError:
            continue
        told = {str(each.get("receiver")) for each in _routes(_map(data.get("route")))}
        for problem in (
            *_of_routes(_map(data.get("route"))),
            *(each for rule in _maps(data.get("inhibit_rules")) for each in _of_inhibition(rule)),
            *(
                f"no route has the receiver `{each.get('name')}`"
                for each in _maps(data.get("receivers"))
                if each.get("name") not in told
            ),
            *(
                f"the receiver `{each.get('name')}` tells nobody"
                for each in _maps(data.get("receivers"))
                if not any(each.get(key) for key in each if key != "name")
            ),
            *(f"`{key}` is a secret in this file; use `{key}_file`" for key in sorted(_secrets(data))),
        ):
            yield Problem(file, 1, problem)


def reached(
    program: str, folder: Path, files: Sequence[str], variables: Mapping[str, str]
) -> Iterator[Problem]:
    """Lets amtool route the alerts of the rows of a script; the script itself is not started."""
    del variables
    for file in files:
        service = Path(file).name.removesuffix(".routes.sh")
        configuration = (folder / file).with_name(f"{service}.yaml")
        text = (folder / file).read_text("utf-8", errors="replace")
        for row in _ROW.finditer(text):
            receiver, *labels = shlex.split(row[1])
            command = [program, "config", "routes", "test", f"--config.file={configuration}"]
            ended = subprocess.run(  # noqa: S603 - amtool with labels as arguments
                [*command, f"--verify.receivers={receiver}", "--", f"app={service}", *labels],
                capture_output=True,
                text=True,
                timeout=_PATIENCE_SECONDS,
                check=False,
            )
            if ended.returncode:
                line = text.count("\n", 0, row.start()) + 1
                yield Problem(file, line, f"{' '.join(labels)} does not reach `{receiver}`")


def _routes(route: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield route
    for each in _maps(route.get("routes")):
        yield from _routes(each)


def _of_routes(route: Mapping[str, Any]) -> Iterator[str]:
    """Problems of the routes below one: a sibling before it takes all of its alerts."""
    earlier: list[frozenset[str]] = []
    for each in _maps(route.get("routes")):
        matchers = [str(matcher) for matcher in each.get("matchers") or ()]
        yield from _of_matchers(matchers)
        if any(before <= frozenset(matchers) for before in earlier):
            yield f"the route {', '.join(matchers)} is never reached: one before it takes its alerts"
        if each.get("continue") is not True:
            earlier.append(frozenset(matchers))
        yield from _of_routes(each)


def _of_inhibition(rule: Mapping[str, Any]) -> Iterator[str]:
    yield from _of_matchers([*(rule.get("source_matchers") or ()), *(rule.get("target_matchers") or ())])
    equal = [str(each) for each in rule.get("equal") or ()]
    yield from (f"no alert has the label `{each}`" for each in equal if each not in LABELS)
    if "app" not in equal:
        yield "an inhibition without `app` in `equal` silences alerts of other services"


def _of_matchers(matchers: Sequence[object]) -> Iterator[str]:
    for each in matchers:
        found = _MATCHER.fullmatch(str(each))
        if found is None:
            yield f'`{each}` is no matcher such as `team="storefront"`'
        elif found[1] not in LABELS:
            yield f"no alert has the label `{found[1]}`"
        elif found[2] == "=" and not re.fullmatch(r"[^\s]+", found[3]):
            yield f"`{each}` matches no team, severity or service: these have no blanks"


def _secrets(data: object) -> set[str]:
    """The keys with a secret, at any depth."""
    if isinstance(data, dict):
        own = {str(key) for key, value in data.items() if key in _SECRETS and isinstance(value, str)}
        return own.union(*(_secrets(each) for each in data.values()))
    return set().union(*map(_secrets, data)) if isinstance(data, list) else set()


def _map(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _maps(value: object) -> list[Mapping[str, Any]]:
    return [_map(each) for each in value] if isinstance(value, list) else []
