from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from textwrap import dedent

import pytest
from workloads import workload

from policycompiler.compiler import compile_workload
from policycompiler.load import Document, load
from policycompiler.plan import (
    APP,
    Constant,
    Decision,
    Derived,
    Plan,
    Scope,
    Setting,
    Written,
)
from policycompiler.report.explain import UnknownAddressError, explain, explain_json

WORKLOAD = """\
broker: {url: "redis://shop:s3cret@host/0"}
tasks:
  shop.reports.yearly:
    runtime: {p50: 40m, p99: 2h}
    retry:
      on: [ConnectionError]
      max: 3
"""
YEARLY = Scope("task", "shop.reports.yearly")
BATCH = Scope("worker", "shop.batch.cpu")
ENTRY = ("tasks", "shop.reports.yearly")


@pytest.fixture
def document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Document:
    monkeypatch.chdir(tmp_path)
    path = Path("reports.yaml")
    path.write_text(WORKLOAD, encoding="utf-8")
    document, findings = load([path])
    assert findings == []
    return document


def plan_by(decisions: Iterable[tuple[str, Decision]]) -> Plan:
    """As one that was read from a file, which may hold anything."""
    settings: dict[Scope, dict[str, Setting]] = {}
    for policy, (scope, key, value, because, origins, _) in decisions:
        settings.setdefault(scope, {})[key] = Setting(scope, key, value, because, origins, policy)
    return Plan(settings)


PLAN = plan_by(
    [
        (
            "as-written",
            Decision(YEARLY, "runtime_p99_seconds", 7200, "declared", (Written((*ENTRY, "runtime", "p99")),)),
        ),
        (
            "time-limits",
            Decision(
                YEARLY,
                "options.time_limit",
                8640,
                "a run well past its 99th percentile is stuck, not slow",
                (Written((*ENTRY, "runtime", "p99")), Constant("HARD_OVER_P99", 1.2)),
            ),
        ),
        (
            "late-acknowledgement",
            Decision(
                YEARLY,
                "options.acks_late",
                value=True,
                because="safe to run twice",
                origins=(Written((*ENTRY, "idempotent")),),
            ),
        ),
        (
            "stop-timeouts",
            Decision(
                BATCH,
                "stop_timeout_seconds",
                8670,
                "a stop waits for the longest run",
                (Derived(YEARLY, "options.time_limit"), Constant("MARGIN_SECONDS", 30)),
            ),
        ),
        (
            "redis-visibility-timeout",
            Decision(
                APP,
                "visibility_timeout_seconds",
                12960,
                "longest late-acknowledged run, with margin",
                (
                    Derived(BATCH, "stop_timeout_seconds"),
                    Derived(YEARLY, "options.time_limit"),
                    Derived(YEARLY, "queue"),
                    Written(("tasks", "shop.reports.yearly", "retry")),
                ),
            ),
        ),
        (
            "as-written",
            Decision(
                APP, "broker_url", "redis://shop:s3cret@host/0", "declared", (Written(("broker", "url")),)
            ),
        ),
    ]
)


def test_a_setting_is_explained_from_its_policy_to_its_line_and_its_users(document: Document) -> None:
    files = {"task:shop.reports.yearly/options.time_limit": ["celeryconfig.py", "launch/shop.batch.cpu.sh"]}
    assert explain(PLAN, document, "task:shop.reports.yearly/time_limit", files) == dedent("""\
        task shop.reports.yearly · time_limit = 2 h 24 min (8640 s)
          by       time-limits
          because  a run well past its 99th percentile is stuck, not slow
          from     runtime.p99 = 2h              reports.yaml:4:30
                   constant HARD_OVER_P99 = 1.2  policy time-limits
          used by  app · visibility_timeout_seconds              = 3 h 36 min
                   worker shop.batch.cpu · stop_timeout_seconds  = 2 h 24 min 30 s
                   celeryconfig.py, launch/shop.batch.cpu.sh
        """)


@pytest.mark.parametrize("address", ["task:shop.reports.yearly/time_limit", "task:shop.reports.yearly"])
def test_color_adds_nothing_but_color(document: Document, address: str) -> None:
    plain, colored = (explain(PLAN, document, address, {}, color=color) for color in (False, True))
    assert colored != plain
    assert re.sub(r"\x1b\[[\d;]*m", "", colored) == plain


def test_derived_origins_are_followed_down_and_shown_once(document: Document) -> None:
    assert explain(PLAN, document, "app/visibility_timeout_seconds", {}) == dedent("""\
        app · visibility_timeout_seconds = 3 h 36 min (12960 s)
          by       redis-visibility-timeout
          because  longest late-acknowledged run, with margin
          from     worker shop.batch.cpu · stop_timeout_seconds = 2 h 24 min 30 s     policy stop-timeouts
                     task shop.reports.yearly · time_limit = 2 h 24 min               policy time-limits
                       runtime.p99 = 2h                                               reports.yaml:4:30
                       constant HARD_OVER_P99 = 1.2                                   policy time-limits
                     constant MARGIN_SECONDS = 30                                     policy stop-timeouts
                   task shop.reports.yearly · time_limit = 2 h 24 min                 shown above
                   task shop.reports.yearly · queue                                   not decided
                   tasks.shop.reports.yearly.retry = {on: [ConnectionError], max: 3}  reports.yaml:5:5
        """)


def test_what_the_workload_leaves_out_is_said(document: Document) -> None:
    assert explain(PLAN, document, "task:shop.reports.yearly/acks_late", {}) == dedent("""\
        task shop.reports.yearly · acks_late = true
          by       late-acknowledgement
          because  safe to run twice
          from     idempotent is not set  reports.yaml:4:5
        """)


def test_settings_that_derive_from_each_other_end(document: Document) -> None:
    one, two = Derived(APP, "one"), Derived(APP, "two")
    plan = plan_by([("p", Decision(APP, "one", 1, "b", (two,))), ("p", Decision(APP, "two", 2, "b", (one,)))])
    assert explain(plan, document, "app/one", {}) == dedent("""\
        app · one = 1
          by       p
          because  b
          from     app · two = 2    policy p
                     app · one = 1  shown above
          used by  app · two  = 2
        """)
    assert list(json.loads(explain_json(plan, document, "app/one", {}))["settings"]) == ["app/one", "app/two"]


def test_a_scope_alone_lists_its_settings(document: Document) -> None:
    assert explain(PLAN, document, "task:shop.reports.yearly", {}) == dedent("""\
        task shop.reports.yearly
          acks_late            = true        policy late-acknowledgement
          runtime_p99_seconds  = 2 h         policy as-written
          time_limit           = 2 h 24 min  policy time-limits
        """)
    assert explain(PLAN, document, "app", {}).splitlines()[0] == "app"


def test_a_setting_with_many_users_names_the_first(document: Document) -> None:
    source = Decision(APP, "margin", 1, "b", (Constant("ONE", 1),))
    users = [
        Decision(Scope("task", f"t{number:03}"), "queue", "q", "b", (Derived(APP, "margin"),))
        for number in range(50)
    ]
    lines = explain(
        plan_by(("p", each) for each in (source, *users)), document, "app/margin", {}
    ).splitlines()
    assert lines[4] == "  used by  task t000 · queue  = q"
    assert lines[23:] == ["           task t019 · queue  = q", "           … and 30 more"]


@pytest.mark.parametrize(
    ("address", "nearest"),
    [
        ("task:shop.reports.yearly/time_limt", ("task:shop.reports.yearly/time_limit",)),
        ("task:shop.reports.yearly/zzz", ("task:shop.reports.yearly",)),
        ("task:shop.report.yearly/time_limit", ("task:shop.reports.yearly/time_limit",)),
        ("shop.reports.yearly/time_limit", ("task:shop.reports.yearly/time_limit",)),
        ("shop.batch.cpu", ("worker:shop.batch.cpu",)),
        ("worker:shop.batch.cpu/", ("worker:shop.batch.cpu",)),
        ("zzzz", ()),
        ("", ()),
    ],
)
def test_an_unknown_address_has_its_nearest(
    document: Document, address: str, nearest: tuple[str, ...]
) -> None:
    with pytest.raises(UnknownAddressError) as caught:
        explain(PLAN, document, address, {})
    assert caught.value.nearest == nearest
    there_are = f"; similar: {', '.join(nearest)}" if nearest else ""
    assert str(caught.value) == f"the plan has no setting `{address}`{there_are}"


def test_a_short_form_is_shown_as_it_is_written(tmp_path: Path) -> None:
    source = tmp_path / "w.yaml"
    source.write_text("tasks: {t: {rate: 2/h}}")
    document, _ = load([source])
    written = Decision(
        Scope("task", "t"), "rate_mean_per_second", 1, "declared", (Written(("tasks", "t", "rate", "mean")),)
    )
    assert "from     rate = 2/h  " in explain(
        plan_by([("p", written)]), document, "task:t/rate_mean_per_second", {}
    )


def test_passwords_and_control_characters_are_not_printed(document: Document) -> None:
    assert explain(PLAN, document, "app/broker_url", {}) == dedent("""\
        app · broker_url = redis://***@host/0
          by       as-written
          because  declared
          from     broker.url = redis://***@host/0  reports.yaml:1:15
        """)
    assert "s3cret" not in explain_json(PLAN, document, "app", {})
    long = "redis://shop:" + "s3cret" * 50 + "@host\x1b[2J"
    plan = plan_by([("p\x1b", Decision(APP, "u\x1b", [long], "b\x1b", (Constant("C\x1b", long),)))])
    for address in ("app", "app/u\x1b"):
        text = explain(plan, document, address, {"app/u\x1b": ["f\x1b"]})
        assert "s3cret" not in text
        assert "\x1b" not in text
        assert r"u\x1b" in text


def test_what_comes_from_a_list_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A constant may be a list, as the steps of priorities on Redis are."""
    monkeypatch.chdir(tmp_path)
    Path("workload.yaml").write_text(workload("tasks: {shop.a: {queue: mail, priority: 9}}"), "utf-8")
    made = compile_workload([Path("workload.yaml")], targets=())
    assert made.plan is not None
    assert made.document is not None
    for setting in made.plan:
        assert explain(made.plan, made.document, setting.address, {})


def test_json_holds_the_setting_and_all_it_derives_from(document: Document) -> None:
    files = {"worker:shop.batch.cpu/stop_timeout_seconds": ["Procfile"]}
    report = json.loads(explain_json(PLAN, document, "worker:shop.batch.cpu/stop_timeout_seconds", files))
    assert report == {
        "format": 1,
        "asked": ["worker:shop.batch.cpu/stop_timeout_seconds"],
        "settings": {
            "task:shop.reports.yearly/options.time_limit": {
                "value": 8640,
                "policy": "time-limits",
                "because": "a run well past its 99th percentile is stuck, not slow",
                "origins": [
                    {"spec": [*ENTRY, "runtime", "p99"], "file": "reports.yaml", "line": 4, "column": 30},
                    {"constant": "HARD_OVER_P99", "value": 1.2},
                ],
                "used_by": ["app/visibility_timeout_seconds", "worker:shop.batch.cpu/stop_timeout_seconds"],
                "files": [],
            },
            "worker:shop.batch.cpu/stop_timeout_seconds": {
                "value": 8670,
                "policy": "stop-timeouts",
                "because": "a stop waits for the longest run",
                "origins": [
                    {"setting": "task:shop.reports.yearly/options.time_limit"},
                    {"constant": "MARGIN_SECONDS", "value": 30},
                ],
                "used_by": ["app/visibility_timeout_seconds"],
                "files": ["Procfile"],
            },
        },
    }
