"""Prometheus rules and their unit tests, judged by promtool."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import yaml
from plans import plan_of
from prometheus_client.utils import floatToGoString
from watched_plans import SOURCES, files, promtool, rules_of, with_sources

from policycompiler.emitters import prometheus
from policycompiler.emitters.prometheus import template_text
from policycompiler.emitters.prometheus.courses import CAUSES
from policycompiler.emitters.prometheus.kinds import KINDS
from policycompiler.emitters.prometheus.series import bucket, duration, promql_string
from policycompiler.plan import Plan, Value

HOSTILE = "a\"b\\c$1{{ .Labels }}}}{{`é`}} #:'\u2028\x85\t\nz{"

LEAST = (
    "{failed_share: 0.0001, late_share: 0.0001, retried_share: 0.0001, parked_share: 0.0001, memory_share: 0.0001, least_runs: 1, "
    "memory_critical_share: 0.12345678, patience: 1ms, backlog_floor: 1, wait_objective: 0.94, "
    "success_objective: 0.94, schedule_slack: 1ms}"
)
MOST = (
    "{failed_share: 0.9999, late_share: 0.9999, retried_share: 0.9999, parked_share: 0.9999, memory_share: 0.9998, "
    "memory_critical_share: 0.9999, least_runs: 1000000, patience: 30m, backlog_floor: 10000000, "
    "wait_objective: 0.99999, success_objective: 0.99999, schedule_slack: 30d}"
)
"""Parameters of alerts at their limits."""

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
SOURCES_OF = {"CeleryBrokerDown": "redis-exporter"}
APP_ALERTS: Mapping[str, Mapping[str, Value]] = {
    "CeleryExporterDown": {"severity": "critical", "for_seconds": 300},
    "CeleryBrokerDown": {"severity": "critical", "for_seconds": 60},
}


def alert(name: str, queue: str | None, team: str | None, **keys: Value) -> dict[str, dict[str, Value]]:
    of = f" of {queue}" if queue else ""
    texts: dict[str, Value] = {"summary": f"{name}{of}", "description": f"Something is wrong{of}."}
    scope = f"alert:{name}:{queue}" if queue else f"alert:{name}"
    sources: list[Value] = [SOURCES_OF.get(name, "celery-exporter")]
    return {scope: {"alert": name, "queue": queue, "team": team, "sources": sources, **texts, **keys}}


def app(transport: str = "redis") -> dict[str, dict[str, Value]]:
    broker = {"redis": "redis-exporter", "rabbitmq": "rabbitmq"}[transport]
    sources: list[Value] = ["celery-exporter", broker]
    return {"app": {"service": "shop", "broker_transport": transport, "metric_sources": sources}}


def watched(
    transport: str = "redis",
    queues: tuple[str, ...] = ("mail",),
    team: str | None = "storefront",
    more: Mapping[str, Mapping[str, Value]] | None = None,
) -> Plan:
    """A plan with every alert, `more` of them with other numbers (by alert name and queue)."""
    scopes = app(transport)
    for name, keys in APP_ALERTS.items():
        scopes |= alert(name, None, None, **keys)
    if transport == "rabbitmq":
        scopes["alert:CeleryBrokerDown"]["sources"] = ["rabbitmq"]
    for queue in queues:
        for name, keys in QUEUE_ALERTS.items():
            scopes |= alert(name, queue, team, **{**keys, **(more or {}).get(f"{name}:{queue}", {})})
    return plan_of(scopes)


def critical(*, earlier: Value = None, **tasks: Value) -> Plan:
    """A plan with the alerts of critical tasks alone, by name or pattern, each with who is not meant.

    `earlier` are names that the first of them had.
    """
    scopes = app()
    for task, others in tasks.items():
        named: dict[str, Value] = {"summary": f"{task} failed", "description": f"A run of {task} failed."}
        keys: dict[str, Value] = {"alert": "CeleryTaskNewFailure", "queue": "mail", "team": "storefront"}
        keys |= {"task": task, "sources": ["celery-exporter"]}
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


def written(folder: Path, plan: Plan) -> tuple[list[Path], list[Path]]:
    """The same, written."""
    rules, tests = files(plan)
    (folder / "prometheus").mkdir()
    for file in (*rules, *tests):
        (folder / file.path).write_text(file.text, "utf-8")
    return [folder / each.path for each in rules], [folder / each.path for each in tests]


def changed(paths: list[Path], change: Callable[[str], str]) -> int:
    """Change the text of files; how many are then different."""
    count = 0
    for path in paths:
        text = path.read_text("utf-8")
        path.write_text(change(text), "utf-8")
        count += change(text) != text
    return count


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_promtool_accepts_the_rules_and_passes_their_tests(plan, tmp_path):
    rules, tests = written(tmp_path, plan)
    checked = promtool("check", "rules", "--lint=all", "--lint-fatal", *rules)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    tested = promtool("test", "rules", *tests)
    assert tested.returncode == 0, tested.stdout + tested.stderr


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_each_rule_has_a_test_in_which_it_fires_and_one_in_which_it_stays_silent(plan):
    fires, silent = set(), set()
    for test in (test for file in files(plan)[1] for test in yaml.safe_load(file.text)["tests"]):
        last = test["alert_rule_test"][-1]
        name = last["alertname"]
        if not last["exp_alerts"]:
            silent.add(name)
        fires |= {(name, expected["exp_labels"].get("queue")) for expected in last["exp_alerts"]}
    scopes = plan.scopes("alert")
    assert fires == {(plan.text(scope, "alert"), plan.get(scope, "queue")) for scope in scopes}
    assert silent == {plan.text(scope, "alert") for scope in scopes}


@pytest.mark.parametrize("expression", ["vector(0) > 1", "vector(1)"], ids=["never fires", "always fires"])
def test_the_emitted_tests_fail_for_a_rule_that_never_or_always_fires(expression, tmp_path):
    rules, tests = written(tmp_path, PLANS["redis"])
    assert changed(rules, lambda text: re.sub(r'(?m)^    expr: ".*"$', f'    expr: "{expression}"', text))
    tested = promtool("test", "rules", *tests)
    assert tested.returncode == 1
    for name in (*APP_ALERTS, *QUEUE_ALERTS):
        assert f"alertname: {name}" in tested.stdout + tested.stderr


MUTATIONS = {
    "the label is called queue": ("queue_name=", "queue="),
    "the exporter's job has another name": ('job=\\"celery-exporter\\"', 'job=\\"celery_exporter\\"'),
    "an exporter that nobody scrapes is forgotten": (" or absent(", " unless absent("),
    "a dead redis behind a live exporter is forgotten": ("redis_up{", "redis_up_{"),
    "the backlog begins one message later": ("> 60", "> 61"),
    "the backlog begins one message earlier": ("> 60", "> 59"),
    "an empty queue can stall": (
        '\\"mail\\"}) > 0 unless on',
        '\\"mail\\"}) >= 0 unless on',
    ),
    "starts long ago count": (
        'celery_task_started_total{job=\\"celery-exporter\\", queue_name=\\"mail\\"}[10m]',
        "%s[3h]",
    ),
    "only recent starts count": (
        'celery_task_started_total{job=\\"celery-exporter\\", queue_name=\\"mail\\"}[10m]',
        "%s[2m]",
    ),
    "a counter that was just born does not count": ("offset 10m", "offset 1s"),
    "one worker less is enough": ("< 2 and", "< 1 and"),
    "just enough workers are too few": ("< 2 and", "<= 2 and"),
    "workers that the exporter never saw are no concern": ("or vector(0)", "or (vector(0) > 1)"),
    "a broken exporter counts as lost workers": ("}) == 1", "}) >= 0"),
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
    if new.startswith("%s"):
        new = old.replace("[10m]", new.removeprefix("%s"))
    assert changed(rules, lambda text: text.replace(old, new))
    checked = promtool("check", "rules", *rules)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert promtool("test", "rules", *tests).returncode == 1


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
    assert changed(rules, lambda text: text.replace(old, new))
    checked = promtool("check", "rules", *rules)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert promtool("test", "rules", *tests).returncode == 1


PARKS_ARE_RETRIES = ('\\"parked\\"', '\\"rejected\\"')
GUARD_MUTATIONS = {
    "a probe that fails ends the alert": ("max_over_time(", "last_over_time("),
    "another dependency counts": ('dependency=\\"stripe\\"', 'service=\\"shop\\"'),
    "a breaker that has just opened is enough": ('for: "17m"', 'for: "10m"'),
    "a breaker that was open long ago counts": ("[2m]", "[12m]"),
    "all processes must miss the store": (
        "count(policycompiler_guard_store_up",
        "absent(policycompiler_guard_store_up",
    ),
    "some parks are enough": ("> 0.8", "> 0.3"),
    "all runs must be parked": ("> 0.8", "> 1"),
    "parks of breakers count": ('reason=~\\"busy|rate\\"', 'reason=~\\"busy|rate|breaker\\"'),
    "a lost claim long ago counts": ("[15m]", "[3h]"),
    "a park is a retry": PARKS_ARE_RETRIES,
}


@pytest.mark.parametrize(
    ("old", "new", "names"),
    [
        *(pytest.param(*each, ("telemetry",), id=name) for name, each in GUARD_MUTATIONS.items()),
        pytest.param(*PARKS_ARE_RETRIES, ("celery-exporter", "telemetry"), id="a park is a retry of events"),
    ],
)
def test_the_emitted_tests_of_guards_fail_when_rules_are_changed_so_that(old, new, names, tmp_path):
    rules, tests = written(tmp_path, with_sources(tmp_path, names))
    topic = "tasks" if (old, new) == PARKS_ARE_RETRIES else "guards"
    rules, tests = ([path for path in paths if f".{topic}." in path.name] for paths in (rules, tests))
    assert changed(rules, lambda text: text.replace(old, new))
    assert promtool("check", "rules", *rules).returncode == 0
    assert promtool("test", "rules", *tests).returncode == 1


def test_a_rule_of_a_critical_pattern_names_what_it_means():
    (rule,) = (rule for rule in rules_of(CRITICAL) if rule["labels"]["task"] == "shop.*")
    matchers = r'job="celery-exporter", name=~"shop\\..*", name!~"shop\\.a|shop\\.b\\-.*"'
    failed = f"celery_task_failed_total{{{matchers}}}"
    assert rule["expr"] == (
        f"sum by (name) (increase({failed}[15m])) > 0 "
        f"or sum by (name) ({failed} > 0 unless {failed} offset 15m)"
    )
    assert rule["for"] == "0d"
    assert rule["labels"]["queue"] == "mail"


def test_groups_are_named_after_service_and_topic():
    documents = [yaml.safe_load(file.text) for file in files(PLANS["redis"])[0]]
    assert [group["name"] for document in documents for group in document["groups"]] == [
        "policycompiler-shop-monitoring",
        "policycompiler-shop-queues",
        "policycompiler-shop-workers",
        "policycompiler-shop-tasks",
    ]


def test_a_rule_reads_as_a_person_would_write_it():
    (rule,) = (rule for rule in rules_of(PLANS["redis"]) if rule["alert"] == "CeleryQueueBacklog")
    assert rule == {
        "alert": "CeleryQueueBacklog",
        "expr": 'max(celery_queue_length{job="celery-exporter", queue_name="mail"}) > 60',
        "for": "5m",
        "labels": {
            "app": "shop",
            "severity": "warning",
            "team": "storefront",
            "queue": "mail",
            "source": "celery-exporter",
            "inhibited_by": "service,worker,queue,waits,drain",
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


def test_rules_and_tests_show_every_setting_of_every_alert():
    plan = PLANS["redis"]
    for made in files(plan):
        shown = {address for file in made for address in file.addresses}
        assert {setting.address for setting in plan} - {"app/metric_sources", "app/broker_transport"} <= shown


def test_a_plan_without_alerts_gives_no_files():
    assert list(prometheus.emit(plan_of({"app": {"service": "shop", "broker_transport": "sqs"}}))) == []


def test_an_alert_without_an_expression_is_refused():
    plan = plan_of(
        {
            **app(),
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
    (rule,) = rules_of(critical(earlier=["shop.old"], **{"shop.a": None}))
    assert 'name=~"shop\\\\.a|shop\\\\.old"' in str(rule["expr"])


@pytest.mark.parametrize(
    ("seconds", "text"), [(1, "1.0"), (0.3, "0.3"), (900, "900.0"), (2_000_000, "2e+06")]
)
def test_a_bucket_is_written_as_the_client_library_writes_it(seconds, text):
    assert bucket(seconds) == text == floatToGoString(seconds)


@pytest.mark.parametrize("transport", ["redis", "rabbitmq"])
def test_matchers_tell_the_series_of_this_service_from_others(transport, tmp_path):
    labels: Value = {"job": "shop", "cluster": "eu"}
    matchers: Value = dict.fromkeys(("celery-exporter", "redis-exporter", "rabbitmq"), labels)
    scopes: dict[str, dict[str, Value]] = {}
    for setting in watched(transport):
        scopes.setdefault(str(setting.scope), {})[setting.key] = setting.value
    for name, keys in scopes.items():
        if name.startswith("alert:"):
            keys["matchers"] = matchers
    plan = plan_of(scopes)
    _, tests = written(tmp_path, plan)
    tested = promtool("test", "rules", *tests)
    assert tested.returncode == 0, tested.stdout + tested.stderr
    for rule in rules_of(plan):
        selectors = re.findall(r"(?:up|[a-z]+_[a-z_]+)\{([^}]*)\}", str(rule["expr"]))
        assert selectors
        assert all('job="shop", cluster="eu"' in found for found in selectors), rule["expr"]


@pytest.mark.parametrize("names", SOURCES.values(), ids=SOURCES)
def test_the_rules_of_all_sources_fire_and_stay_silent(names, tmp_path):
    compiled = with_sources(tmp_path, names)
    rules, tests = written(tmp_path, compiled)
    checked = promtool("check", "rules", "--lint=all", "--lint-fatal", *rules)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    tested = promtool("test", "rules", *tests)
    assert tested.returncode == 0, tested.stdout + tested.stderr


@pytest.mark.parametrize(
    "parameters",
    [LEAST, MOST, "{broker_matchers: {z: 'a\"b', job: ''}, exporter_matchers: {cluster: '{{ $x }}'}}"],
    ids=["least", "most", "odd matchers"],
)
def test_the_rules_fire_and_stay_silent_at_the_limits_of_their_parameters(parameters, tmp_path):
    names = ("telemetry", "celery-exporter", "redis-exporter")
    rules, tests = written(tmp_path, with_sources(tmp_path, names, parameters))
    checked = promtool("check", "rules", "--lint=all", "--lint-fatal", *rules)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    tested = promtool("test", "rules", *tests)
    assert tested.returncode == 0, tested.stdout + tested.stderr


@pytest.mark.parametrize("expression", ["vector(0) > 1", "vector(1)"], ids=["never fires", "always fires"])
def test_the_tests_of_each_kind_fail_for_a_rule_that_never_or_always_fires(expression, tmp_path):
    compiled = with_sources(tmp_path, SOURCES["telemetry on redis"])
    rules, tests = written(tmp_path, compiled)
    assert changed(rules, lambda text: re.sub(r'(?m)^    expr: ".*"$', f'    expr: "{expression}"', text))
    tested = promtool("test", "rules", *tests)
    told = set(re.findall(r"alertname: (\w+)", tested.stdout + tested.stderr))
    assert told == {compiled.text(scope, "alert") for scope in compiled.scopes("alert")}


def test_some_sources_show_each_kind_of_alert(tmp_path):
    plans = [with_sources(tmp_path, names) for names in (*SOURCES.values(), ("celery-exporter", "rabbitmq"))]
    assert {plan.text(scope, "alert") for plan in plans for scope in plan.scopes("alert")} == set(KINDS)


def test_an_inhibited_alert_names_causes_that_exist():
    causes = {kind.inhibits for kind in KINDS.values() if kind.inhibits}
    named = {cause for kind in KINDS.values() for cause in kind.inhibited_by}
    assert named == causes == set(CAUSES)
