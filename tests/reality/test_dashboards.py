"""Mistakes in a dashboard that the schemas of Grafana do not find."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from places import EXAMPLES

from policycompiler.compiler import compile_workload
from policycompiler.reality import dashboards

Change = Callable[[dict[str, Any]], object]


def first(document: dict[str, Any]) -> dict[str, Any]:
    """The first panel that is not a row."""
    return next(panel for panel in document["panels"] if panel["type"] != "row")


def over_a_fixed_window(document: dict[str, Any]) -> None:
    for panel in document["panels"]:
        for target in panel.get("targets", ()):
            target["expr"] = target["expr"].replace("[$__rate_interval]", "[5m]")


MISTAKES: dict[str, tuple[Change, str]] = {
    "editable": (lambda each: each.update(editable=True), "`editable` is not false"),
    "no variable": (lambda each: each["templating"]["list"].clear(), "no variable of type `datasource`"),
    "one id twice": (lambda each: first(each).update(id=1), "ids that differ"),
    "no id": (lambda each: first(each).pop("id"), "ids that differ"),
    "no title": (lambda each: first(each).update(title=""), "it needs a title"),
    "an unknown type": (lambda each: first(each).update(type="tabel"), "its type `tabel`"),
    "too wide": (lambda each: first(each)["gridPos"].update(w=40), "wider than the 24 columns"),
    "no unit": (lambda each: first(each)["fieldConfig"]["defaults"].pop("unit"), "it needs a unit"),
    "no query": (lambda each: first(each)["targets"].clear(), "it has no query"),
    "another source": (lambda each: first(each).update(datasource={"uid": "P1"}), "not the variable"),
    "a fixed window": (over_a_fixed_window, "`$__rate_interval`"),
    "one place twice": (lambda each: first(each).update(gridPos={"h": 1, "w": 1, "x": 0, "y": 0}), "overlap"),
}


def compiled() -> dict[str, Any]:
    files = compile_workload([EXAMPLES / "shop"], targets=["grafana"]).files
    return json.loads(next(file.text for file in files if file.path.endswith(".dashboard.json")))


@pytest.mark.parametrize(("change", "text"), MISTAKES.values(), ids=MISTAKES)
def test_the_lint_finds(change, text, tmp_path):
    document = compiled()
    change(document)
    (tmp_path / "shop.json").write_text(json.dumps(document), "utf-8")
    found = [each.text for each in dashboards.lint("", tmp_path, ["shop.json"], {})]
    assert any(text in each for each in found), found


@pytest.mark.parametrize(("text", "problem"), [("{", "not JSON"), ("[]", "not a dashboard")])
def test_a_file_that_is_no_dashboard_is_a_problem(text, problem, tmp_path):
    (tmp_path / "shop.json").write_text(text, "utf-8")
    (found,) = dashboards.lint("", tmp_path, ["shop.json"], {})
    assert problem in found.text
