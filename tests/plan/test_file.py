"""The file of a plan: what is in it, told from its JSON alone, and the parts that it is read in."""

from __future__ import annotations

import json
from typing import Any

import pytest
from places import EVERYTHING, ROOT
from plan_data import told
from plans import plan_of

from policycompiler.compiler import compile_workload
from policycompiler.plan import APP, Constant, Derived, Parameter, Plan, Scope, Setting, Written
from policycompiler.plan.file import from_json, lines, to_json

SECTIONS = {"task": "tasks", "queue": "queues", "worker": "workers", "schedule": "schedules", "host": "hosts"}
TASK = Scope("task", "shop.a")


def compiled() -> list[Plan]:
    sources = [ROOT / "examples" / "shop", *sorted(EVERYTHING.glob("*.yaml"))]
    plans = [compile_workload([source], targets=()).plan for source in sources]
    assert all(plan is not None for plan in plans)
    return [plan for plan in plans if plan is not None]


def expanded(document: Any) -> dict[str, dict[str, Any]]:
    """What a file of format 2 says of each setting, as docs/plan.md explains it."""

    def absolute(scope: str, origin: dict[str, Any]) -> dict[str, Any]:
        kind, _, name = scope.partition(":")
        if "own" in origin:
            return {"setting": f"{scope}/{origin['own']}"}
        if "field" in origin:
            return {"spec": [SECTIONS[kind.removeprefix("disabled_")], name, *origin["field"]]}
        return origin

    def setting(scope: str, entry: dict[str, Any]) -> dict[str, Any]:
        reason = document["reasons"][entry["why"]]
        origins = [absolute(scope, origin) for origin in reason["origins"]]
        return {"value": entry["value"], **reason, "origins": origins}

    return {
        scope: {key: setting(scope, entry) for key, entry in entries.items()}
        for scope, entries in document["settings"].items()
    }


def of_settings(*settings: Setting) -> Plan:
    found: dict[Scope, dict[str, Setting]] = {}
    for setting in settings:
        found.setdefault(setting.scope, {})[setting.key] = setting
    return Plan(found)


def test_the_file_says_of_each_setting_what_the_plan_has() -> None:
    for plan in compiled():
        assert expanded(json.loads(to_json(plan))) == told(plan)


def test_a_plan_reads_back_equal_in_every_layout() -> None:
    for plan in compiled():
        text = to_json(plan)
        document = json.loads(text)
        backwards = {key: document[key] for key in ("settings", "reasons", "format")}
        for layout in (text, json.dumps(document), json.dumps(document, indent=4), json.dumps(backwards)):
            assert to_json(from_json(layout)) == text


def test_what_repeats_is_said_once() -> None:
    plan = compile_workload([ROOT / "examples" / "shop"], targets=()).plan
    assert plan is not None
    document = json.loads(to_json(plan))
    reasons = [json.dumps(reason) for reason in document["reasons"].values()]
    assert len(set(reasons)) == len(reasons) < len(plan) / 2
    assert {entry["why"] for entries in document["settings"].values() for entry in entries.values()} == set(
        document["reasons"]
    )


def test_a_task_more_is_lines_more_and_changes_none_of_another_task() -> None:
    fields = {"value": 1, "because": "x", "policy": "p"}
    origins = {
        "task:shop.a": Written(("tasks", "shop.a", "rate")),
        "task:shop.b": Written(("tasks", "shop.b", "rate")),
    }
    one, two = (
        Setting(Scope("task", scope.partition(":")[2]), "rate", origins=(origin,), **fields)
        for scope, origin in origins.items()
    )
    before, after = (to_json(of_settings(*each)).splitlines() for each in ((one,), (one, two)))
    assert set(before) < set(after)
    assert len(after) == len(before) + 3


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Constant("N", 1), Constant("N", 1.0)),
        (Constant("N", 1), Constant("N", value=True)),
        (Constant("N", [1]), Constant("N", [2])),
        (Written(("a",)), Written(("tasks", "shop.a", "a"))),
        (Constant("a", 1), Parameter(("a",), 1)),
        (Derived(TASK, "a"), Derived(APP, "a")),
        (Written(("tasks", "shop.b", "a")), Written(("tasks", "shop.a", "a"))),
    ],
    ids=str,
)
def test_origins_that_are_not_the_same_stay_apart(one: Any, other: Any) -> None:
    plan = of_settings(
        Setting(TASK, "one", 1, "x", (one,), "p"), Setting(TASK, "other", 1, "x", (other,), "p")
    )
    again = from_json(to_json(plan))
    assert len(json.loads(to_json(plan))["reasons"]) == 2
    assert repr(list(again)) == repr(list(plan))


def test_reasons_whose_names_would_be_the_same_have_longer_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("policycompiler.plan.file._NAME_DIGITS", 0)
    plan = of_settings(
        *(Setting(TASK, f"k{n:02}", n, f"reason {n}", (Constant("N", n),), "p") for n in range(99))
    )
    assert len(json.loads(to_json(plan))["reasons"]) == 99
    assert from_json(to_json(plan)) == plan


def test_the_text_comes_in_parts_of_a_scope_each() -> None:
    plan = plan_of({f"task:shop.t{number:03}": {"queue": "q"} for number in range(200)})
    parts = list(lines(plan))
    assert "".join(parts) == to_json(plan)
    assert max(map(len, parts)) < len(to_json(plan)) / 50


@pytest.mark.parametrize(
    "text",
    [
        "{",
        '{"format": 2,}',
        '{"format": 2 "settings": {}}',
        '{"format": 2, "settings": {}} x',
        "{1: 2}",
        '{"a" 1}',
    ],
)
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whatever it says
        json.loads(text)
    with pytest.raises(ValueError):  # noqa: PT011
        from_json(text)
