"""Prometheus rules and their unit tests, judged by promtool."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from plans import plan_of
from tools import needs

from policycompiler.emitters import prometheus
from policycompiler.emitters.base import OutputFile
from policycompiler.emitters.prometheus import template_text
from policycompiler.emitters.prometheus.expressions import duration, promql_string
from policycompiler.plan import Plan, Value

HOSTILE = "a\"b\\c$1{{ .Labels }}}}{{`é`}} #:'\u2028\x85\t\nz{"

METRICS = {
    "up": {"job", "instance"},
    "redis_up": {"job", "instance"},
    "celery_queue_length": {"queue_name"},
    "celery_active_worker_count": {"queue_name"},
    "celery_task_started_total": {"name", "hostname", "queue_name"},
    "celery_task_succeeded_total": {"name", "hostname", "queue_name"},
    "celery_task_failed_total": {"name", "hostname", "queue_name", "exception"},
}
"""What celery-exporter 0.12, redis_exporter and Prometheus itself have, of all that the rules may use."""

QUEUE_ALERTS: Mapping[str, Mapping[str, Value]] = {
    "CeleryQueueNoConsumer": {"severity": "critical", "for_seconds": 360},
    "CeleryQueueBacklog": {"severity": "warning", "for_seconds": 300, "threshold": 60},
    "CeleryQueueStalled": {"severity": "critical", "for_seconds": 300, "window_seconds": 600},
    "CeleryWorkersBelowMinimum": {
        "severity": "warning",
        "for_seconds": 360,
        "minimum": 2,
        "window_seconds": 180,
    },
    "CeleryTaskFailureRate": {
        "severity": "warning",
        "for_seconds": 300,
        "threshold": 0.05,
        "minimum": 20,
        "window_seconds": 600,
    },
}
TASK_ALERT: Mapping[str, Value] = {"severity": "critical", "for_seconds": 0, "window_seconds": 900}
APP_ALERTS: Mapping[str, Mapping[str, Value]] = {
    "CeleryExporterDown": {"severity": "critical", "for_seconds": 300},
    "CeleryBrokerDown": {"severity": "critical", "for_seconds": 60},
}


def alert(name: str, queue: str | None, team: str | None, **keys: Value) -> dict[str, dict[str, Value]]:
    of = f" of {queue}" if queue else ""
    texts: dict[str, Value] = {"summary": f"{name}{of}", "description": f"Something is wrong{of}."}
    scope = f"alert:{name}:{queue}" if queue else f"alert:{name}"
    return {scope: {"alert": name, "queue": queue, "team": team, **texts, **keys}}


def watched(
    transport: str = "redis",
    queues: tuple[str, ...] = ("mail",),
    team: str | None = "storefront",
    more: Mapping[str, Mapping[str, Value]] | None = None,
) -> Plan:
    """A plan with every alert, `more` of them with other numbers (by alert name and queue)."""
    scopes: dict[str, dict[str, Value]] = {"app": {"service": "shop", "broker_transport": transport}}
    for name, keys in APP_ALERTS.items():
        scopes |= alert(name, None, None, **keys)
    for queue in queues:
        for name, keys in QUEUE_ALERTS.items():
            scopes |= alert(name, queue, team, **{**keys, **(more or {}).get(f"{name}:{queue}", {})})
    return plan_of(scopes)


def critical(*, earlier: Value = None, **tasks: Value) -> Plan:
    """A plan with the alerts of critical tasks alone, by name or pattern, each with who is not meant.

    `earlier` are names that the first of them had.
    """
    scopes: dict[str, dict[str, Value]] = {"app": {"service": "shop", "broker_transport": "redis"}}
    for task, others in tasks.items():
        named: dict[str, Value] = {"summary": f"{task} failed", "description": f"A run of {task} failed."}
        keys = {"alert": "CeleryTaskNewFailure", "queue": "mail", "team": "storefront", "task": task}
        scope = f"alert:CeleryTaskNewFailure:{task}"
        runbook = f"https://wiki.example.com/{HOSTILE}"
        scopes[scope] = {**keys, **named, **TASK_ALERT, "runbook": runbook}
        if others:
            scopes[scope]["other_tasks"] = others
        if earlier and task == next(iter(tasks)):
            scopes[scope]["earlier_names"] = earlier
    return plan_of(scopes)


CRITICAL = critical(**{"shop.a": None, "shop.*": ["shop.a", "shop.b-*"], "shop.b-*": None})
PLANS = {
    "critical tasks": CRITICAL,
    "a critical task under a new name": critical(earlier=["shop.old", "old-b"], **{"shop.a": None}),
    "one of two under a new name": critical(earlier=["shop.old"], **{"shop.a": None, "shop.b": None}),
    "redis": watched(),
    "rabbitmq": watched("rabbitmq"),
    "no team": watched(team=None),
    "hostile names": watched(queues=("mail", "mail.2", "$1", HOSTILE), team=HOSTILE),
    "queues of different patience": watched(
        queues=("mail", "reports"),
        more={
            "CeleryQueueNoConsumer:reports": {"for_seconds": 10680},
            "CeleryQueueBacklog:reports": {"for_seconds": 900, "threshold": 1300000},
            "CeleryQueueStalled:reports": {"window_seconds": 10440},
            "CeleryWorkersBelowMinimum:reports": {"for_seconds": 10680, "minimum": 1},
            "CeleryTaskFailureRate:reports": {"window_seconds": 21600, "threshold": 0.6, "minimum": 7},
        },
    ),
}


def files(plan: Plan) -> tuple[OutputFile, OutputFile]:
    rules, tests = prometheus.emit(plan)
    return rules, tests


def written(folder: Path, plan: Plan) -> tuple[Path, Path]:
    paths = []
    for file in files(plan):
        path = folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.text, "utf-8")
        paths.append(path)
    return paths[0], paths[1]


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [needs("promtool"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def rules_of(plan: Plan) -> list[dict[str, object]]:
    document = yaml.safe_load(files(plan)[0].text)
    return [rule for group in document["groups"] for rule in group["rules"]]


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_promtool_accepts_the_rules_and_passes_their_tests(plan, tmp_path):
    rules, tests = written(tmp_path, plan)
    checked = promtool("check", "rules", "--lint=all", "--lint-fatal", rules)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    tested = promtool("test", "rules", tests)
    assert tested.returncode == 0, tested.stdout + tested.stderr


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_each_rule_has_a_test_in_which_it_fires_and_one_in_which_it_stays_silent(plan):
    fires, silent = set(), set()
    for test in yaml.safe_load(files(plan)[1].text)["tests"]:
        last = test["alert_rule_test"][-1]
        name = last["alertname"]
        if not last["exp_alerts"]:
            silent.add(name)
        fires |= {(name, expected["exp_labels"].get("queue")) for expected in last["exp_alerts"]}
    scopes = plan.scopes("alert")
    assert fires == {(plan.text(scope, "alert"), plan.get(scope, "queue")) for scope in scopes}
    assert silent == {plan.text(scope, "alert") for scope in scopes}


ALERTS = [*APP_ALERTS, *QUEUE_ALERTS]


@pytest.mark.parametrize("name", ALERTS)
@pytest.mark.parametrize("expression", ["vector(0) > 1", "vector(1)"], ids=["never fires", "always fires"])
def test_the_emitted_tests_fail_for_a_rule_that_never_or_always_fires(name, expression, tmp_path):
    rules, tests = written(tmp_path, PLANS["redis"])
    document = yaml.safe_load(rules.read_text("utf-8"))
    changed = 0
    for group in document["groups"]:
        for rule in group["rules"]:
            if rule["alert"] == name:
                rule["expr"] = expression
                changed += 1
    assert changed == 1
    rules.write_text(yaml.safe_dump(document), "utf-8")
    tested = promtool("test", "rules", tests)
    assert tested.returncode == 1
    assert f"alertname: {name}" in tested.stdout + tested.stderr


MUTATIONS = {
    "the label is called queue": ("queue_name", "queue"),
    "the exporter's job has another name": ('job=\\"celery-exporter\\"', 'job=\\"celery_exporter\\"'),
    "an exporter that nobody scrapes is forgotten": (" or absent(", " unless absent("),
    "a dead redis behind a live exporter is forgotten": ("redis_up{", "redis_up_{"),
    "the backlog begins one message later": ("> 60", "> 61"),
    "the backlog begins one message earlier": ("> 60", "> 59"),
    "an empty queue can stall": (
        '\\"mail\\"}) > 0 unless on',
        '\\"mail\\"}) >= 0 unless on',
    ),
    "starts long ago count": ('celery_task_started_total{queue_name=\\"mail\\"}[10m]', "%s[3h]"),
    "only recent starts count": ('celery_task_started_total{queue_name=\\"mail\\"}[10m]', "%s[2m]"),
    "a counter that was just born does not count": ("offset 10m", "offset 1s"),
    "one worker less is enough": ("< 2 and", "< 1 and"),
    "just enough workers are too few": ("< 2 and", "<= 2 and"),
    "workers that the exporter never saw are no concern": ("vector(0)", "(vector(0) > 1)"),
    "a broken exporter counts as lost workers": (" == 1", " >= 0"),
    "a queue without any success is no concern": ("or 0 * sum", "and 0 * sum"),
    "a few failures are enough": (">= 20", ">= 1"),
    "a smaller share is enough": ("> 0.05", "> 0.01"),
    "a larger share is needed": ("> 0.05", "> 0.2"),
    "no patience at all": ('for: "', 'for: "0s" # '),
    "a summary loses its queue": (" of mail", ""),
    "the value is lost": ("$value", "0.0"),
    "the team is lost": ("team:", "crew:"),
}


@pytest.mark.parametrize(("old", "new"), MUTATIONS.values(), ids=MUTATIONS)
def test_the_emitted_tests_fail_when_rules_are_changed_so_that(old, new, tmp_path):
    rules, tests = written(tmp_path, PLANS["redis"])
    text = rules.read_text("utf-8")
    assert old in text
    if new.startswith("%s"):
        new = old.replace("[10m]", new.removeprefix("%s"))
    rules.write_text(text.replace(old, new), "utf-8")
    checked = promtool("check", "rules", rules)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert promtool("test", "rules", tests).returncode == 1


CRITICAL_MUTATIONS = {
    "a failure long ago counts": ("[15m]", "[3h]"),
    "a counter that was just born does not count": ("offset 15m", "offset 1s"),
    "a failure that is one more does not count": ("increase(", "0 * increase("),
    "a pattern takes in what has its own entry": (", name!~", ", hostname!~"),
    "a point of a name stands for anything": ('"shop\\\\\\\\.a|', '"none|'),
    "the runbook is lost": ("wiki.example.com", "example.com"),
    "the task is lost": (" task:", " job:"),
}


@pytest.mark.parametrize(("old", "new"), CRITICAL_MUTATIONS.values(), ids=CRITICAL_MUTATIONS)
def test_the_emitted_tests_of_critical_tasks_fail_when_rules_are_changed_so_that(old, new, tmp_path):
    rules, tests = written(tmp_path, CRITICAL)
    text = rules.read_text("utf-8")
    assert old in text
    rules.write_text(text.replace(old, new), "utf-8")
    checked = promtool("check", "rules", rules)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert promtool("test", "rules", tests).returncode == 1


def test_a_rule_of_a_critical_pattern_names_what_it_means():
    (rule,) = (rule for rule in rules_of(CRITICAL) if rule["labels"]["task"] == "shop.*")
    failed = r'celery_task_failed_total{name=~"shop\\..*", name!~"shop\\.a|shop\\.b\\-.*"}'
    assert rule["expr"] == (
        f"sum by (name) (increase({failed}[15m])) > 0 "
        f"or sum by (name) ({failed} > 0 unless {failed} offset 15m)"
    )
    assert rule["for"] == "0d"
    assert rule["labels"]["queue"] == "mail"


@pytest.mark.parametrize("plan", [PLANS["redis"], PLANS["rabbitmq"]], ids=["redis", "rabbitmq"])
def test_expressions_use_only_metrics_and_labels_that_the_exporters_have(plan):
    used = set()
    for rule in rules_of(plan):
        expression = str(rule["expr"])
        selectors = re.findall(r"([a-z_]+)\{([^}]*)\}", expression)
        assert selectors
        metrics = {metric for metric, _ in selectors}
        used |= metrics
        for metric, matchers in selectors:
            assert set(re.findall(r"([a-z_]+)=", matchers)) <= METRICS[metric]
        for grouping in re.findall(r"(?:by|on) \(([^)]*)\)", expression):
            labels = {label for label in grouping.split(", ") if label}
            assert all(labels <= METRICS[metric] for metric in metrics - {"up"}), expression
        bare = re.sub(r'"(?:[^"\\]|\\.)*"', "", expression)
        assert set(re.findall(r"\b(?:celery|redis|rabbitmq)_\w+|\bup\b", bare)) == metrics
    assert used == set(METRICS) - (set() if plan is PLANS["redis"] else {"redis_up"})


def test_labels_that_annotations_use_are_kept_by_the_expression():
    used = []
    for rule in rules_of(PLANS["redis"]):
        for annotation in rule["annotations"].values():
            for label in re.findall(r"\$labels\.(\w+)", annotation):
                used.append((rule["alert"], label))
                metrics = re.findall(r"([a-z_]+)\{", rule["expr"])
                assert " by " not in rule["expr"]
                assert "absent" not in rule["expr"]
                assert all(label in METRICS[metric] for metric in metrics)
    assert used == [("CeleryBrokerDown", "instance")]


def test_groups_are_named_after_service_and_topic():
    document = yaml.safe_load(files(PLANS["redis"])[0].text)
    assert [group["name"] for group in document["groups"]] == [
        "policycompiler-shop-monitoring",
        "policycompiler-shop-queues",
        "policycompiler-shop-workers",
        "policycompiler-shop-tasks",
    ]


def test_a_rule_reads_as_a_person_would_write_it():
    (rule,) = (rule for rule in rules_of(PLANS["redis"]) if rule["alert"] == "CeleryQueueBacklog")
    assert rule == {
        "alert": "CeleryQueueBacklog",
        "expr": 'max by (queue_name) (celery_queue_length{queue_name="mail"}) > 60',
        "for": "5m",
        "labels": {
            "app": "shop",
            "severity": "warning",
            "team": "storefront",
            "queue": "mail",
            "inhibited_by": "worker",
        },
        "annotations": {
            "summary": "CeleryQueueBacklog of mail",
            "description": (
                'Something is wrong of mail. Messages in the queue now: {{ printf "%.0f" $value }}.'
            ),
        },
    }


def test_labels_that_are_null_are_left_out():
    for rule in rules_of(PLANS["no team"]):
        assert "team" not in rule["labels"]
        assert ("queue" in rule["labels"]) == (rule["alert"] in QUEUE_ALERTS)


def test_both_files_show_every_setting_of_every_alert():
    plan = PLANS["redis"]
    for file in files(plan):
        assert {setting.address for setting in plan} == set(file.addresses)


def test_a_plan_without_alerts_gives_no_files():
    assert list(prometheus.emit(plan_of({"app": {"service": "shop", "broker_transport": "sqs"}}))) == []


def test_an_alert_without_an_expression_is_refused():
    plan = plan_of(
        {
            "app": {"service": "shop", "broker_transport": "redis"},
            **alert("CeleryIsSad", None, None, severity="warning", for_seconds=60),
        }
    )
    with pytest.raises(KeyError, match="CeleryIsSad"):
        list(prometheus.emit(plan))


@pytest.mark.parametrize("text", ["{{ $value }}", "{{{", "a{{`b`}}", "{{- 1 -}}", "}}", "{", HOSTILE])
def test_no_action_of_a_go_template_is_left_in_escaped_text(text):
    escaped = template_text(text)
    actions = re.findall(r"\{\{.*?\}\}", escaped.replace('{{ "{{" }}', ""))
    assert actions == []
    assert escaped.replace('{{ "{{" }}', "{{") == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(60, "1m"), (90, "90s"), (5400, "90m"), (7200, "2h"), (86400, "1d"), (0, "0d"), (0.2, "1s")],
)
def test_durations_are_whole_numbers_of_the_largest_unit(seconds, text):
    assert duration(seconds) == text


def test_a_promql_string_escapes_quotes_backslashes_and_line_breaks():
    assert promql_string('a"b\\c\n') == '"a\\"b\\\\c\\n"'


def test_a_run_under_an_earlier_name_is_a_run_of_the_task():
    rules, _ = files(critical(earlier=["shop.old"], **{"shop.a": None}))
    (group,) = yaml.safe_load(rules.text)["groups"]
    assert 'name=~"shop\\\\.a|shop\\\\.old"' in group["rules"][0]["expr"]


def scheduled(**more: Value) -> Plan:
    """A plan with alerts on beat and on a schedule."""
    numbers: dict[str, Value] = {"severity": "critical", "for_seconds": 300, "window_seconds": 900}
    beat = alert("CeleryBeatDown", None, None, **numbers, **more)
    beat["alert:CeleryBeatDown"]["tasks"] = ["shop.a", "shop.b-*"]
    missed = alert("CeleryScheduleMissed", "mail", None, severity="warning", for_seconds=300, **more)
    keys = {**missed.pop("alert:CeleryScheduleMissed:mail"), "window_seconds": 90000, "task": "shop.a"}
    scopes: dict[str, dict[str, Value]] = {"app": {"service": "shop", "broker_transport": "redis"}}
    return plan_of({**scopes, **beat, "alert:CeleryScheduleMissed:daily": {**keys, "schedule": "daily"}})


@pytest.mark.parametrize(
    "more", [{}, {"matchers": {"job": "exporters", "cluster": "eu"}}], ids=["job", "more"]
)
def test_the_alerts_on_schedules_fire_and_stay_silent(more, tmp_path):
    rules, tests = written(tmp_path, scheduled(**more))
    tested = promtool("test", "rules", tests)
    assert tested.returncode == 0, tested.stdout + tested.stderr
    cases = yaml.safe_load(tests.read_text("utf-8"))["tests"]
    ends = [case["alert_rule_test"][-1] for case in cases]
    assert {(end["alertname"], bool(end["exp_alerts"])) for end in ends} == {
        (name, fires) for name in ("CeleryBeatDown", "CeleryScheduleMissed") for fires in (True, False)
    }
    text = rules.read_text("utf-8")
    for was, becomes in ((" unless on () (", " and on () ("), (" > 0.95", " >= 0.0")):
        rules.write_text(text.replace(was, becomes), "utf-8")
        assert promtool("test", "rules", tests).returncode == 1, was


@pytest.mark.parametrize("transport", ["redis", "rabbitmq"])
def test_matchers_tell_the_series_of_this_service_from_others(transport, tmp_path):
    matchers: dict[str, Value] = {"job": "redis-shop", "cluster": "eu"}
    plan = watched(transport)
    scopes: dict[str, dict[str, Value]] = {}
    for setting in plan:
        scopes.setdefault(str(setting.scope), {})[setting.key] = setting.value
    for name, keys in scopes.items():
        if name.startswith("alert:"):
            keys["matchers"] = matchers
    rules, tests = written(tmp_path, plan_of(scopes))
    tested = promtool("test", "rules", tests)
    assert tested.returncode == 0, tested.stdout + tested.stderr
    for rule in yaml.safe_load(rules.read_text("utf-8"))["groups"]:
        for each in rule["rules"]:
            selectors = re.findall(r"(?:up|[a-z]+_[a-z_]+)\{([^}]*)\}", each["expr"])
            assert selectors
            assert all('job="redis-shop", cluster="eu"' in found for found in selectors), each["expr"]


def test_one_cause_inhibits_what_follows_from_it():
    labels = {rule["alert"]: rule["labels"] for rule in rules_of(PLANS["redis"])}
    assert labels["CeleryQueueNoConsumer"]["inhibits"] == "worker"
    followers = ("CeleryQueueBacklog", "CeleryQueueStalled", "CeleryWorkersBelowMinimum")
    assert {labels[name]["inhibited_by"] for name in followers} == {"worker"}
    assert {labels[name]["inhibits"] for name in APP_ALERTS} == {"service"}
