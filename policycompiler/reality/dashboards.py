"""Dashboards that Grafana loads, and that still show nothing, or may be edited and lost.

Grafana ignores an unknown type of panel, a unit that is missing, and two panels with one id. The rules are
those of Grafana's own dashboard-linter.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from policycompiler.reality.problem import Problem

TYPES = frozenset({"row", "timeseries", "stat", "table"})
"""The types of panels that the compiler writes."""
_WIDTH = 24
_RATE = re.compile(r"\b(?:rate|irate)\([^()\[]*\[(?!\$__rate_interval\])")
"""A rate over a fixed window: it is empty, or hides spikes, when people change the time range."""


def lint(program: str, folder: Path, files: Sequence[str], variables: Mapping[str, str]) -> Iterator[Problem]:
    """Dashboards of Grafana."""
    del program, variables
    for file in files:
        try:
            document = json.loads((folder / file).read_text("utf-8"))
        except ValueError as problem:
            yield Problem(file, 1, f"the file is not JSON: {problem}")
            continue
        if not isinstance(document, dict):
            yield Problem(file, 1, "the file is not a dashboard")
            continue
        yield from (Problem(file, 1, text) for text in _dashboard(document))


def _dashboard(document: Mapping[str, Any]) -> Iterator[str]:
    if document.get("editable") is not False:
        yield "`editable` is not false: changes of people are lost at the next compile"
    kinds = {each.get("name"): each.get("type") for each in document.get("templating", {}).get("list", ())}
    names = [f"${{{name}}}" for name, kind in kinds.items() if kind == "datasource"]
    if not names:
        yield "no variable of type `datasource`: the dashboard works in one Grafana only"
    panels = document.get("panels", ())
    ids = [panel.get("id") for panel in panels]
    if None in ids or len(set(ids)) < len(ids):
        yield "panels need ids that differ"
    for panel in panels:
        title = panel.get("title") or "without a title"
        yield from (f"panel `{title}`: {problem}" for problem in _panel(panel, names))
    for one, other in combinations(panels, 2):
        if _overlap(one.get("gridPos", {}), other.get("gridPos", {})):
            yield f"panels `{one.get('title')}` and `{other.get('title')}` overlap"


def _panel(panel: Mapping[str, Any], datasources: Sequence[str]) -> Iterator[str]:
    if not panel.get("title"):
        yield "it needs a title"
    if panel.get("type") not in TYPES:
        yield f"its type `{panel.get('type')}` is none of {', '.join(sorted(TYPES))}"
    place = panel.get("gridPos", {})
    if place.get("x", 0) + place.get("w", 0) > _WIDTH:
        yield f"it is wider than the {_WIDTH} columns of a dashboard"
    if panel.get("type") != "row":
        yield from _queries(panel, datasources)


def _queries(panel: Mapping[str, Any], datasources: Sequence[str]) -> Iterator[str]:
    """Faults of what a panel shows."""
    if not panel.get("fieldConfig", {}).get("defaults", {}).get("unit"):
        yield "it needs a unit"
    targets = panel.get("targets", ())
    if not targets:
        yield "it has no query"
    for each in (panel, *targets):
        if each.get("datasource", {}).get("uid") not in datasources:
            yield "its data source is not the variable"
            break
    for target in targets:
        if _RATE.search(str(target.get("expr", ""))):
            yield "a rate needs the window `$__rate_interval`"


def _overlap(one: Mapping[str, int], other: Mapping[str, int]) -> bool:
    return all(
        one.get(start, 0) < other.get(start, 0) + other.get(size, 0)
        and other.get(start, 0) < one.get(start, 0) + one.get(size, 0)
        for start, size in (("x", "w"), ("y", "h"))
    )
