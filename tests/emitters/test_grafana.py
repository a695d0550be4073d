"""The dashboard, judged by Grafana's own schemas, promtool, the lint, and the sources of metrics."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator
from manifests import shared
from plans import plan_of
from watched_plans import SOURCES, WORKLOAD, promtool, rules_of, with_sources

from policycompiler.compiler import compile_workload
from policycompiler.emitters import grafana
from policycompiler.knowledge.metric_sources import SOURCES as PROGRAMS
from policycompiler.knowledge.signals import SIGNALS
from policycompiler.plan import Plan
from policycompiler.reality import dashboards

PATH = "grafana/shop.dashboard.json"
BASE = "https://wiki.example.com/RUNBOOK.md"
_METRIC = re.compile(r"([a-zA-Z_:][\w:]*)\{([^}]*)\}")


def dashboard(plan: Plan) -> dict[str, Any]:
    files = {file.path: file.text for file in grafana.emit(plan)}
    return json.loads(files[PATH])


@pytest.fixture(params=SOURCES.values(), ids=SOURCES)
def plan(request: pytest.FixtureRequest, tmp_path: Path) -> Plan:
    return with_sources(tmp_path, request.param)


def panels(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in document["panels"] if panel["type"] != "row"]


def expressions(document: dict[str, Any]) -> list[str]:
    return [target["expr"] for panel in panels(document) for target in panel["targets"]]


@cache
def schema(name: str, definition: str = "") -> Draft7Validator:
    found = json.loads((shared() / "grafana" / f"{name}.jsonschema.json").read_text("utf-8"))
    if definition:
        found["$ref"] = f"#/definitions/{definition}"
    return Draft7Validator(found)


def faults(document: dict[str, Any]) -> Iterator[str]:
    """What the schemas of Grafana say about a dashboard, its panels and its queries."""
    yield from (each.message for each in schema("dashboard").iter_errors(document))
    for panel in panels(document):
        judges = [(schema(panel["type"], "Options"), panel["options"])]
        if panel["type"] != "stat":
            custom = panel["fieldConfig"]["defaults"]["custom"]
            judges.append((schema(panel["type"], "FieldConfig"), custom))
        judges += [(schema("prometheus", "Dataquery"), target) for target in panel["targets"]]
        yield from (each.message for judge, data in judges for each in judge.iter_errors(data))


def test_the_schemas_of_grafana_take_the_dashboard(plan):
    assert list(faults(dashboard(plan))) == []


MISTAKES: dict[str, Callable[[dict[str, Any]], object]] = {
    "a key that does not exist": lambda each: each.update(pannels=[]),
    "a title that is a number": lambda each: panels(each)[0].update(title=5),
    "an option of a panel": lambda each: panels(each)[0]["options"].update(graphMode="lines"),
    "a query without its text": lambda each: panels(each)[0]["targets"][0].pop("expr"),
    "a place without a width": lambda each: panels(each)[0]["gridPos"].pop("w"),
    "a threshold without a color": lambda each: panels(each)[2]["fieldConfig"]["defaults"]["thresholds"][
        "steps"
    ][0].pop("color"),
}


@pytest.mark.parametrize("change", MISTAKES.values(), ids=MISTAKES)
def test_the_schemas_find(change, tmp_path):
    document = dashboard(with_sources(tmp_path, SOURCES["redis"]))
    change(document)
    assert list(faults(document))


def test_promtool_reads_every_query(plan, tmp_path):
    found = [each.replace("$__rate_interval", "1m") for each in expressions(dashboard(plan))]
    assert found
    assert not [each for each in found if "$" in each]
    rules = [{"record": f"panel:query:{number}", "expr": each} for number, each in enumerate(found)]
    path = tmp_path / "panels.rules.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}), "utf-8")
    checked = promtool("check", "rules", path)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_metric_and_label_is_one_of_a_source(plan):
    chosen = plan.texts(next(iter(plan.scopes("app"))), "metric_sources")
    known = {metric.name: (metric, source) for source in chosen for metric in SIGNALS[source].values()}
    for expression in expressions(dashboard(plan)):
        for name, selector in _METRIC.findall(expression):
            labels = set(re.findall(r"(\w+)=", selector.replace("!~", "=").replace("=~", "=")))
            if name == "ALERTS":
                assert 'app="shop"' in selector
                continue
            metric, source = known[name.removesuffix("_bucket")]
            program = PROGRAMS[source]
            assert ("service" if program.in_workers else "job") in labels
            own = {
                metric.queue,
                metric.task,
                *metric.labels,
                "job",
                "service",
                "le",
                "schedule",
                "dependency",
            }
            assert labels <= own, expression


def test_the_dashboard_reads_the_same_series_as_the_rules(plan):
    ruled = " ".join(str(rule["expr"]) for rule in rules_of(plan))
    read = {selector for each in expressions(dashboard(plan)) for selector in _METRIC.findall(each)}
    # An age instead of an absence, and a whole histogram instead of one bucket.
    other = {
        "ALERTS",
        "policycompiler_task_last_success_timestamp_seconds",
        "policycompiler_task_wait_seconds_bucket",
    }
    assert read
    for name, labels in read:
        assert name in other or f"{name}{{{labels}}}" in ruled


def test_the_lint_finds_nothing(plan, tmp_path):
    path = tmp_path / "shop.json"
    path.write_text(json.dumps(dashboard(plan)), "utf-8")
    assert list(dashboards.lint("", tmp_path, ["shop.json"], {})) == []


def test_with_telemetry_there_is_the_wait_and_its_promise(tmp_path):
    document = dashboard(with_sources(tmp_path, SOURCES["telemetry on redis"]))
    found = {panel["title"]: panel for panel in panels(document)}
    wait = found["Wait in the queue, class standard: 99th percentile"]
    assert wait["fieldConfig"]["defaults"]["thresholds"]["steps"][1] == {"color": "red", "value": 30}
    assert {"Last tick of beat", "Last send of each schedule", "Last success of each schedule"} <= set(found)


def test_without_telemetry_no_panel_is_empty(tmp_path):
    document = dashboard(with_sources(tmp_path, SOURCES["redis"]))
    titles = {panel["title"] for panel in panels(document)}
    assert not any(title.startswith("Wait") for title in titles)
    assert {"Backlog against its threshold", "Successes of each schedule in a day"} <= titles


def test_workers_are_compared_with_the_number_of_the_alert(tmp_path):
    plan = with_sources(tmp_path, SOURCES["redis"])
    (panel,) = (each for each in panels(dashboard(plan)) if each["title"].endswith("of those expected"))
    least = {
        rule["labels"]["queue"]: re.search(r"< (\d+) and", rule["expr"])[1]
        for rule in rules_of(plan)
        if rule["alert"] == "CeleryWorkersBelowMinimum"
    }
    shown = {target["legendFormat"]: target["expr"].rpartition(" / ")[2] for target in panel["targets"]}
    assert shown == {f"{queue} (of {number})": number for queue, number in least.items()}
    steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert steps == [{"color": "red", "value": 0}, {"color": "green", "value": 1}]


def test_a_name_of_a_user_is_no_variable_and_no_query_of_its_own(tmp_path):
    name = "a$datasource {{job}} \\"
    text = WORKLOAD.format(transport="redis", version="").replace("queue: z", f"queue: {json.dumps(name)}")
    (tmp_path / "workload.yaml").write_text(text, "utf-8")
    found = compile_workload([tmp_path / "workload.yaml"], targets=())
    assert found.plan is not None, [each.message for each in found.diagnostics]
    document = dashboard(found.plan)
    texts = [target["legendFormat"] for panel in panels(document) for target in panel["targets"]]
    assert any("datasource" in each for each in texts)
    assert not any("$" in each or "{{job}}" in each for each in texts)
    assert not any("$datasource" in each for each in expressions(document))
    assert any('queue_name="a\\u0024datasource {{job}} \\\\"' in each for each in expressions(document))


def test_the_runbook_is_linked_where_the_policy_file_says(tmp_path):
    plan = with_sources(tmp_path, SOURCES["redis"])
    assert dashboard(plan)["links"] == []
    policy = tmp_path / "policy.yaml"
    policy.write_text(f'version: 1\nparameters: {{runbooks: {{base: "{BASE}"}}}}\n', "utf-8")
    found = compile_workload([tmp_path / "workload.yaml"], policy=policy, targets=()).plan
    assert found is not None
    assert [link["url"] for link in dashboard(found)["links"]] == [BASE]


def test_grafana_is_told_where_the_dashboard_is(tmp_path):
    files = {file.path: file.text for file in grafana.emit(with_sources(tmp_path, SOURCES["redis"]))}
    told = yaml.safe_load(files["grafana/provisioning/shop.dashboards.yaml"])
    (provider,) = told["providers"]
    assert (told["apiVersion"], provider["type"], provider["allowUiUpdates"]) == (1, "file", False)
    assert Path(provider["options"]["path"]).name == Path(PATH).name


def test_a_plan_without_alerts_has_no_dashboard():
    empty = plan_of({"app": {"service": "shop", "broker_transport": "sqs"}})
    assert list(grafana.emit(empty)) == []
    assert grafana.missing(empty) == "the plan has no alerts"
