"""Which alerts there are, with which numbers, and that promtool can prove them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import pytest
from plans import plan_of
from workloads import Found, after, compiled, workload

from policycompiler.compiler import compile_workload
from policycompiler.diagnostics import Diagnostic
from policycompiler.model import Workload
from policycompiler.plan import (
    Constant,
    Decision,
    Derived,
    Parameter,
    Plan,
    PlanDraft,
    Scope,
    UndecidedError,
    Value,
)
from policycompiler.policies.watching import alerts

Keys = Mapping[str, Value]

MAIL = Scope("queue", "mail")
MAILER = Scope("worker", "mailer")
SEND = Scope("task", "shop.mail.send")

PLAN: Mapping[str, Keys] = {
    "app": {
        "service": "shop",
        "broker_transport": "redis",
        "longest_run_seconds": 432,
        "task_send_sent_event": True,
        "metric_sources": ["celery-exporter", "redis-exporter"],
    },
    "queue:mail": {
        "tasks": ["shop.mail.send"],
        "queue_wait_seconds": 1,
        "latency": "interactive",
        "owner": "storefront",
        "external": False,
        "broadcast": False,
        "workers": ["mailer"],
    },
    "worker:mailer": {
        "queues": ["mail"],
        "pool": "threads",
        "concurrency": 18,
        "replicas": 2,
        "stop_timeout_seconds": 36,
        "task_events": True,
        "node_name": "worker@mailer",
        "prefetch_multiplier": 1,
    },
    "task:shop.mail.send": {
        "queue": "mail",
        "longest_run_seconds": 6,
        "runtime_mean_seconds": 0.3,
        "runtime_p99_seconds": 3,
    },
}


def changed(**changes: Keys) -> dict[str, dict[str, Value]]:
    """PLAN with some keys replaced or added; `kind__name` stands for `kind:name`, and null removes."""
    scopes = {scope: dict(keys) for scope, keys in PLAN.items()}
    for scope_name, keys in changes.items():
        scope = scopes.setdefault(scope_name.replace("__", ":"), {})
        scope.update(keys)
        for key in [key for key, value in scope.items() if value is None]:
            del scope[key]
    return scopes


def proposals(scopes: Mapping[str, Keys]) -> list[Decision | Diagnostic]:
    return list(alerts.apply(cast("Workload", None), plan_of(scopes)))


def decisions(scopes: Mapping[str, Keys]) -> list[Decision]:
    return [item for item in proposals(scopes) if isinstance(item, Decision)]


def decided(scopes: Mapping[str, Keys]) -> Plan:
    """The plan with the alerts settled in it; a second decider or a missing origin raises."""
    draft = PlanDraft()
    for setting in plan_of(scopes):
        draft.settle(Decision(*setting[:5]), setting.policy)
    for decision in decisions(scopes):
        draft.settle(decision, alerts.NAME)
    return draft.finished()


def value(scopes: Mapping[str, Keys], name: str, key: str) -> Value:
    return decided(scopes).value(Scope("alert", name), key)


def names(scopes: Mapping[str, Keys]) -> set[str]:
    return {scope.name for scope in decided(scopes).scopes("alert")}


OF_SERVICE = {
    "CeleryBrokerDown",
    "CeleryExporterDown:celery-exporter",
    "CeleryExporterDown:redis-exporter",
    "CeleryTaskUnregistered",
    "CeleryWorkerLost",
    "RedisBrokerEvicting",
    "RedisBrokerMemoryCritical",
    "RedisBrokerMemoryHigh",
    "RedisBrokerNoMaxmemory",
    "RedisBrokerUnsafePolicy",
}
OF_RUNS = {
    "CeleryQueueDrainTime:mail",
    "CeleryQueueDrainTimeCritical:mail",
    "CeleryQueueStalled:mail",
    "CeleryTaskErrorBudgetFast:mail",
    "CeleryTaskErrorBudgetSlow:mail",
    "CeleryTaskFailureRate:mail",
    "CeleryTaskKilled:mail",
    "CeleryTaskRuntimeHigh:mail:5",
}


def test_each_queue_that_runs_here_has_its_alerts_and_the_app_has_its_own():
    assert names(PLAN) == {
        *OF_SERVICE,
        *OF_RUNS,
        "CeleryQueueNoConsumer:mail",
        "CeleryQueueBacklog:mail",
        "CeleryQueueGrowing:mail",
        "CeleryQueueMetricMissing:mail",
        "CeleryWorkersBelowMinimum:mail",
    }


OF_TELEMETRY = {
    "CeleryPlansDiffer",
    "CeleryQueueWaitBudgetFast:mail",
    "CeleryQueueWaitBudgetSlow:mail",
    "CeleryQueueWaitHigh:mail",
    "CeleryTelemetryDown",
}


def test_the_telemetry_adds_the_wait_and_needs_no_events():
    sources: list[Value] = ["telemetry", "celery-exporter", "redis-exporter"]
    of_app = {"metric_sources": sources, "task_send_sent_event": False, "telemetry_run_buckets": [1, 5]}
    silent = changed(app=of_app)
    assert names(silent) == names(PLAN) | OF_TELEMETRY
    plan = decided(silent)
    assert plan.value(Scope("alert", "CeleryQueueStalled:mail"), "sources") == [
        # Both count starts: the rule reads the first.
        "telemetry",
        "celery-exporter",
    ]


def test_alerts_without_a_source_are_in_the_plan():
    told = decided(PLAN).value(Scope("app", ""), "alerts_without_source")
    assert set(told) == {name.partition(":")[0] for name in OF_TELEMETRY} | {"CeleryUnackedHigh"} - {
        "CeleryUnackedHigh"
    }
    assert told["CeleryQueueWaitHigh"] == "the wait in a queue"


def test_a_policy_file_that_names_sources_hears_what_they_cannot_show(tmp_path):
    (tmp_path / "workload.yaml").write_text(workload("tasks: {shop.a: {queue: q, runtime: 60s}}"))
    (tmp_path / "policy.yaml").write_text(
        "version: 1\nparameters: {metric-sources: {sources: [celery-exporter, redis-exporter]}}\n"
    )
    made = compile_workload([tmp_path / "workload.yaml"], policy=tmp_path / "policy.yaml")
    (found,) = made.diagnostics
    assert found.name == "alert-without-source"
    assert "CeleryQueueWaitHigh" in found.message
    assert found.help == "name one of these sources in the policy file: telemetry"


@pytest.mark.parametrize("transport", ["sqs", "filesystem", "memory"])
def test_there_are_no_alerts_where_the_exporter_sees_nothing(transport):
    scopes = changed(app={"broker_transport": transport, "metric_sources": None})
    assert decisions(scopes) == []
    (finding,) = proposals(scopes)
    assert (finding.name, finding.path) == ("alert-missing", ("broker", "transport"))
    assert finding.message == f"no queue has an alert: celery-exporter does not support {transport}"


EVENTS_OFF = {
    "worker_send_task_events": (
        "workers send no events when runs start or fail: no alert fires when queues stall or runs fail"
    ),
    "task_send_sent_event": (
        "publishers send no events that name the queue of a task: no alert fires when queues "
        "stall or runs fail"
    ),
}


@pytest.mark.parametrize(("key", "message"), EVENTS_OFF.items(), ids=EVENTS_OFF)
def test_events_that_are_pinned_off_are_missed(key, message):
    found = after(alerts, f"celery: {{settings: {{{key}: false}}}}\ntasks: {{shop.a: }}").findings
    assert found == [Found("events-off-monitored", "1:21", message, f"remove `{key}`")]


def test_events_of_a_task_that_are_pinned_off_are_missed():
    found = after(alerts, "tasks: {shop.a: {options: {send_events: false}}}").findings
    message = "workers send no events about shop.a: no alert counts its started and failed runs"
    assert found == [Found("events-off-monitored", "1:28", message, "remove `send_events`")]


def test_events_of_another_apps_task_are_its_own_affair():
    found = after(alerts, "tasks: {shop.a: {external: true, queue: q, options: {send_events: false}}}")
    assert found.findings == []


def test_events_that_a_policy_turns_off_are_not():
    assert after(alerts, "tasks: {shop.a: }").findings == []


@pytest.mark.parametrize(
    "changes",
    [
        {"queue__mail": {"external": True}},
        {"queue__mail": {"broadcast": True}},
        {"queue__mail": {"workers": []}},
        {"worker__mailer": {"replicas": 0}},
    ],
    ids=["external", "broadcast", "no worker", "no replica"],
)
def test_a_queue_is_left_out_when_it_is(changes):
    assert names(changed(**changes)) == OF_SERVICE


@pytest.mark.parametrize(
    "changes",
    [{"worker__mailer": {"task_events": False}}, {"app": {"task_send_sent_event": False}}],
    ids=["workers", "senders"],
)
def test_alerts_that_count_starts_and_failures_are_left_out_without_events_of(changes):
    assert names(PLAN) - names(changed(**changes)) == OF_RUNS


def test_an_alert_has_the_keys_that_its_expression_needs():
    plan = decided(PLAN)
    common = {"alert", "queue", "team", "severity", "for_seconds", "summary", "description", "sources"}
    own = {scope.name.partition(":")[0]: set(plan.keys(scope)) - common for scope in plan.scopes("alert")}
    share = {"threshold", "minimum", "window_seconds"}
    for name, keys in {
        "CeleryExporterDown": set(),
        "CeleryQueueNoConsumer": set(),
        "CeleryQueueBacklog": {"threshold"},
        "CeleryQueueStalled": {"window_seconds"},
        "CeleryWorkersBelowMinimum": {"minimum", "window_seconds"},
        "CeleryTaskFailureRate": share,
        "CeleryTaskErrorBudgetFast": {*share, "short_window_seconds"},
        "CeleryTaskRuntimeHigh": {*share, "bound_seconds", "tasks"},
        "CeleryWorkerLost": {"nodes", "window_seconds"},
    }.items():
        assert own[name] == keys, name
    assert all(common <= set(plan.keys(scope)) for scope in plan.scopes("alert"))


def test_a_backlog_is_what_the_slots_start_within_the_promise_with_its_reason_and_origins():
    (threshold,) = (
        decision
        for decision in decisions(PLAN)
        if decision.key == "threshold" and decision.scope.name == "CeleryQueueBacklog:mail"
    )
    assert threshold == Decision(
        Scope("alert", "CeleryQueueBacklog:mail"),
        "threshold",
        120,
        "36 slots with runs of about 0.3 s start 120 messages within the latency target of 1 s",
        (
            Derived(MAIL, "queue_wait_seconds"),
            Derived(MAILER, "concurrency"),
            Derived(MAILER, "replicas"),
            Derived(MAILER, "queues"),
            Derived(SEND, "runtime_mean_seconds"),
            Parameter(("parameters", "alerts", "backlog_floor"), 10),
        ),
    )


OTHER = {"queue": "mail", "longest_run_seconds": 60, "runtime_mean_seconds": 10}
PATIENT: Mapping[str, Keys] = {"queue__mail": {"queue_wait_seconds": 30}}

BACKLOGS: Mapping[str, tuple[Mapping[str, Keys], int]] = {
    "a longer promise": (PATIENT, 3600),
    "rounded up to two digits": ({"task__shop.mail.send": {"runtime_mean_seconds": 0.291}}, 130),
    "autoscale counts as its most": (
        {"worker__mailer": {"concurrency": None, "autoscale": {"min": 2, "max": 9}}},
        60,
    ),
    "a worker serves its queues in turn": ({"worker__mailer": {"queues": ["mail", "search", "more"]}}, 40),
    "no run time is known": (
        {**PATIENT, "task__shop.mail.send": {"runtime_mean_seconds": None}},
        110,
    ),
    "no task is declared": ({**PATIENT, "task__shop.mail.send": {"queue": "other"}}, 110),
    "a burst is no trouble": ({"task__shop.mail.send": {"burst": 500}}, 500),
    "a burst that is swallowed": ({"task__shop.mail.send": {"burst": 5}}, 120),
    "few slots": ({"worker__mailer": {"concurrency": 1, "replicas": 1}}, 10),
    "two tasks of unknown rate count alike": ({**PATIENT, "task__other": OTHER}, 210),
    "a task counts as often as it is sent": (
        {
            "task__shop.mail.send": {"rate_mean_per_second": 999.0},
            "task__other": {**OTHER, "rate_mean_per_second": 1.0},
        },
        120,
    ),
}


@pytest.mark.parametrize(("changes", "threshold"), BACKLOGS.values(), ids=BACKLOGS)
def test_the_backlog_threshold_when(changes, threshold):
    assert value(changed(**changes), "CeleryQueueBacklog:mail", "threshold") == threshold


def test_a_backlog_is_borne_for_as_long_as_the_promise():
    batch = changed(queue__mail={"queue_wait_seconds": 890.5})
    assert value(PLAN, "CeleryQueueBacklog:mail", "for_seconds") == 300
    assert value(batch, "CeleryQueueBacklog:mail", "for_seconds") == 900


SHARED = {
    "worker__mailer": {"queues": ["mail", "search"]},
    "task__reindex": {"queue": "search", "longest_run_seconds": 3500},
}
WINDOWS: Mapping[str, tuple[Mapping[str, Keys], int]] = {
    "undeclared tasks may come": ({}, 600),
    "the app's limit is the longest": ({"app": {"longest_run_seconds": 3540.5}}, 3660),
    "the queue's task is the longest": ({"task__shop.mail.send": {"longest_run_seconds": 3500}}, 3600),
    "a task of another queue blocks its workers": (SHARED, 3600),
    "nothing has a limit": (
        {"app": {"longest_run_seconds": None}, "task__shop.mail.send": {"longest_run_seconds": None}},
        3660,
    ),
}


@pytest.mark.parametrize(("changes", "window"), WINDOWS.values(), ids=WINDOWS)
def test_the_stalled_window_is_longer_than_the_longest_run_when(changes, window):
    assert value(changed(**changes), "CeleryQueueStalled:mail", "window_seconds") == window


PATIENCE: Mapping[str, tuple[Keys, int]] = {
    "stops soon": ({}, 360),
    "may stop for hours": ({"stop_timeout_seconds": 31134}, 1200),
    "is solo and busy": ({"pool": "solo"}, 780),
}


@pytest.mark.parametrize("name", ["CeleryQueueNoConsumer:mail", "CeleryWorkersBelowMinimum:mail"])
@pytest.mark.parametrize(("worker", "seconds"), PATIENCE.values(), ids=PATIENCE)
def test_lost_workers_are_borne_for_a_stop_and_a_start_when_a_worker(name, worker, seconds):
    assert value(changed(worker__mailer=worker), name, "for_seconds") == seconds


def test_the_minimum_is_the_replicas_of_all_its_workers():
    more = {**PLAN["worker:mailer"], "replicas": 3}
    plan = changed(queue__mail={"workers": ["mailer", "more"]}, worker__more=more)
    assert value(plan, "CeleryWorkersBelowMinimum:mail", "minimum") == 5


FAILURE_WINDOWS: Mapping[str, tuple[Keys, int]] = {
    "no rate is declared": ({}, 3600),
    "tasks come often": ({"rate_mean_per_second": 5}, 600),
    "tasks come every half minute": ({"rate_mean_per_second": 1 / 30}, 1200),
    "tasks come once a day": ({"rate_mean_per_second": 1 / 86400}, 21600),
}


@pytest.mark.parametrize(("task", "window"), FAILURE_WINDOWS.values(), ids=FAILURE_WINDOWS)
def test_the_failure_window_holds_enough_runs_when(task, window):
    assert value(
        changed(**{"task__shop.mail.send": task}), "CeleryTaskFailureRate:mail", "window_seconds"
    ) == (window)


def severities(scopes: Mapping[str, Keys]) -> dict[str, Value]:
    plan = decided(scopes)
    return {scope.name.partition(":")[0]: plan.value(scope, "severity") for scope in plan.scopes("alert")}


def test_only_a_queue_that_promises_a_start_within_a_minute_calls_somebody():
    urgent = severities(PLAN)
    patient = severities(changed(queue__mail={"queue_wait_seconds": 900}))
    pages, still = (
        {name for name, severity in found.items() if severity == "critical"} for found in (urgent, patient)
    )
    assert pages - still == {
        "CeleryQueueNoConsumer",
        "CeleryQueueStalled",
        "CeleryQueueDrainTimeCritical",
        "CeleryTaskErrorBudgetFast",
    }
    assert {"CeleryExporterDown", "CeleryBrokerDown"} <= still
    assert set(urgent.values()) == {"critical", "warning", "info"}


def test_the_team_is_the_queues_owner_or_nobody():
    assert value(PLAN, "CeleryQueueStalled:mail", "team") == "storefront"
    assert value(changed(queue__mail={"owner": None}), "CeleryQueueStalled:mail", "team") is None
    assert value(PLAN, "CeleryBrokerDown", "team") is None


def test_every_origin_is_a_setting_of_the_plan_or_a_constant():
    plan = decided(changed(**SHARED, queue__mail={"owner": None}))
    own = [setting for setting in plan if setting.policy == alerts.NAME]
    assert len(own) > 50
    for setting in own:
        for origin in setting.origins:
            if isinstance(origin, Derived):
                assert plan.find(origin.scope, origin.key) is not None, (setting.address, origin)
            else:
                assert isinstance(origin, Constant | Parameter)


def test_it_stands_too_early_when_the_workers_are_not_decided():
    with pytest.raises(UndecidedError, match="worker:mailer/stop_timeout_seconds"):
        decisions(changed(worker__mailer={"stop_timeout_seconds": None}))


BEATEN: Mapping[str, Keys] = {
    "beat": {"scheduler": "celery.beat:PersistentScheduler", "max_interval_seconds": 30},
    "schedule:often": {"task": "shop.mail.send", "every_seconds": 300},
    "schedule:nightly": {
        "task": "shop.mail.send",
        "cron": {
            "minute": "0",
            "hour": "3",
            "day_of_month": "*",
            "month_of_year": "*",
            "day_of_week": "mon-fri",
        },
    },
    "schedule:yearly": {"task": "shop.mail.send", "every_seconds": 31536000},
    "schedule:sunset": {"task": "shop.mail.send", "solar": {"event": "sunset"}},
}


def test_beat_and_each_schedule_are_watched_for_longer_than_their_longest_gap():
    plan = {**PLAN, **BEATEN}
    found = {name for name in names(plan) if name.startswith(("CeleryBeat", "CelerySchedule"))}
    of_schedules = {
        f"{name}:{schedule}"
        for name in ("CeleryScheduleMissed", "CeleryScheduleUnsuccessful")
        for schedule in ("often", "nightly")
    }
    assert found == {"CeleryBeatDown", *of_schedules}
    # Five minutes and the slack; from Friday to Monday, the promise and the slack.
    assert value(plan, "CeleryBeatDown", "for_seconds") == 900
    assert value(plan, "CeleryScheduleMissed:nightly", "for_seconds") == 3 * 86400 + 660
    # A schedule that is new has its whole interval, from the first evaluation of the rule on.
    assert value(plan, "CeleryScheduleMissed:nightly", "window_seconds") == 600
    assert value(plan, "CeleryBeatDown", "severity") == "critical"
    # And six seconds for the run, in the same minute.
    assert value(plan, "CeleryScheduleUnsuccessful:nightly", "for_seconds") == 3 * 86400 + 660


def test_the_telemetry_shows_beat_and_each_send():
    sources: list[Value] = ["telemetry", "redis-exporter"]
    of_app = {"metric_sources": sources, "task_send_sent_event": False, "telemetry_run_buckets": [1, 5]}
    plan = {**changed(app=of_app), **BEATEN}
    # Beat wakes every 30 s, and two scrapes may fail.
    assert value(plan, "CeleryBeatDown", "window_seconds") == 120
    assert value(plan, "CeleryScheduleNotSent:often", "window_seconds") == 900
    assert value(plan, "CeleryScheduleNotSent:often", "sources") == ["telemetry"]


def test_a_schedule_of_a_task_that_a_pattern_declares_is_watched():
    found = compiled(workload("tasks: {shop.*: {queue: q}}\nschedules: {s: {task: shop.a, every: 1h}}")).plan
    assert found.value(Scope("alert", "CeleryScheduleMissed:s"), "task") == "shop.a"


def test_a_day_has_an_hour_more_when_the_clocks_go_back():
    schedule = "tasks: {shop.a: {queue: q}}\nschedules: {s: {task: shop.a, cron: 30 6 * * *, timezone: %s}}"
    waits = [
        compiled(workload(schedule % zone)).plan.value(
            Scope("alert", "CeleryScheduleMissed:s"), "for_seconds"
        )
        for zone in ("UTC", "Europe/Paris")
    ]
    assert waits[1] - waits[0] == 3600


def test_what_nobody_says_of_run_times_makes_no_alert_wait():
    plan = compiled(workload("tasks: {shop.a: {queue: q, latency: standard}}")).plan
    assert plan.value(Scope("alert", "CeleryQueueNoConsumer:q"), "for_seconds") == 300


def test_nothing_tells_of_schedules_without_the_events_of_producers():
    silent = {**PLAN, **BEATEN, "app": {**PLAN["app"], "task_send_sent_event": False}}
    assert not any("Beat" in name or "Schedule" in name for name in names(silent))


def test_a_worker_without_answer_is_borne_by_its_own_tasks(tmp_path):
    """Not for as long as a task that nobody declared might run somewhere else."""
    source = tmp_path / "workload.yaml"
    source.write_text(workload("tasks: {shop.a: {latency: interactive, runtime: 1s}}"))
    plan = compile_workload([source], targets=()).plan
    queue = plan.text(Scope("task", "shop.a"), "queue")
    assert plan.value(Scope("alert", f"CeleryQueueNoConsumer:{queue}"), "for_seconds") == 360


def test_descriptions_name_the_unit_and_the_first_command():
    plan = decided({**PLAN, **BEATEN})
    for scope in plan.scopes("alert"):
        description = plan.text(scope, "description")
        assert "First: " in description, scope
    told = plan.text(Scope("alert", "CeleryQueueNoConsumer:mail"), "description")
    assert "systemctl start shop-worker-mailer@1.service" in told


def test_a_policy_file_sets_selectors_numbers_and_severities(tmp_path):
    (tmp_path / "workload.yaml").write_text(
        workload("tasks: {shop.a: {queue: q}}\nschedules: {s: {task: shop.a, every: 1h, expires: 30m}}")
    )
    (tmp_path / "policy.yaml").write_text(
        "version: 1\nparameters:\n  alerts:\n"
        "    exporter_matchers: {job: exporters, cluster: eu}\n"
        "    broker_matchers: {job: redis-shop}\n"
        "    severities: {CeleryQueueBacklog: info, CeleryBeatDown: page}\n"
        "    urgent_wait: 10s\n    patience: 10m\n    backlog_floor: 1000\n    failed_share: 0.2\n"
        "    least_runs: 5\n    schedule_slack: 30m\n"
    )
    made = compile_workload([tmp_path / "workload.yaml"], policy=tmp_path / "policy.yaml")
    assert made.plan is not None, made.diagnostics

    def of(name: str, key: str) -> Value:
        return made.plan.value(Scope("alert", name), key)

    of_exporter = {"job": "exporters", "cluster": "eu"}
    assert of("CeleryBrokerDown", "matchers") == {"redis-exporter": {"job": "redis-shop"}}
    assert of("CeleryQueueStalled:q", "matchers") == {"celery-exporter": of_exporter}
    assert of("CeleryQueueBacklog:q", "severity") == "info"
    assert of("CeleryBeatDown", "severity") == "page"
    assert of("CeleryQueueNoConsumer:q", "severity") == "warning"
    assert of("CeleryQueueStalled:q", "for_seconds") == 600
    assert of("CeleryQueueBacklog:q", "threshold") == 1000
    assert of("CeleryTaskFailureRate:q", "threshold") == 0.2
    assert of("CeleryTaskFailureRate:q", "minimum") == 5
    assert of("CeleryBeatDown", "for_seconds") == 3600 + 1800
    setting = made.plan.setting(Scope("alert", "CeleryQueueBacklog:q"), "severity")
    assert [origin.path for origin in setting.origins] == [
        ("parameters", "alerts", "severities", "CeleryQueueBacklog")
    ]
    rules = "".join(file.text for file in made.files if file.path.endswith(".rules.yaml"))
    assert 'redis_up{job=\\"redis-shop\\"}' in rules
    assert 'celery_queue_length{job=\\"exporters\\", cluster=\\"eu\\", queue_name=\\"q\\"}' in rules


def test_a_description_never_rounds_a_share_up_to_all(tmp_path):
    (tmp_path / "workload.yaml").write_text(workload("tasks: {shop.a: {queue: q}}"))
    (tmp_path / "policy.yaml").write_text(
        "version: 1\nparameters: {alerts: {failed_share: 0.9999, success_objective: 0.99999}}\n"
    )
    plan = compile_workload([tmp_path / "workload.yaml"], policy=tmp_path / "policy.yaml").plan
    texts = [plan.text(each, "description") for each in plan.scopes("alert")]
    assert not any("100%" in text for text in texts)
    assert any("More than 99.99% of the runs" in text for text in texts)
    assert any("is 99.999% of runs without a failure" in text for text in texts)


PATTERNS = """
tasks:
  "*": {queue: q, runtime: 1s, critical: true}
  shop.*: {queue: z, runtime: 1m}
  shop.a.*: {queue: z, runtime: 1s}
  shop.b: {queue: z, runtime: 1m}
"""


@pytest.mark.parametrize("source", ["telemetry", "flower"])
def test_a_pattern_does_not_count_runs_of_tasks_that_have_their_own_entries(source, tmp_path):
    (tmp_path / "workload.yaml").write_text(workload(PATTERNS))
    (tmp_path / "policy.yaml").write_text(
        f"version: 1\nparameters: {{metric-sources: {{sources: [{source}]}}}}\n"
    )
    plan = compile_workload([tmp_path / "workload.yaml"], policy=tmp_path / "policy.yaml").plan
    hidden = {
        (
            plan.text(scope, "alert"),
            plan.text(scope, "queue"),
            *sorted(plan.texts(scope, "tasks")),
        ): plan.texts(scope, "other_tasks")
        for scope in plan.scopes("alert")
        if plan.find(scope, "other_tasks") and plan.find(scope, "tasks")
    }
    high, mine = "CeleryTaskRuntimeHigh", ["shop.*", "shop.a.*", "shop.b"]
    if source == "telemetry":
        assert hidden == {(high, "q", "*"): mine, (high, "z", "shop.*", "shop.b"): ["shop.a.*"]}
    else:
        assert hidden[("CeleryTaskFailureRate", "q", "*")] == mine
        assert not any(queue == "z" for alert, queue, *_ in hidden if alert == "CeleryTaskFailureRate")
    assert plan.texts(Scope("alert", "CeleryTaskNewFailure:*"), "other_tasks") == mine


def test_targets_of_the_scrape_jobs_are_told_from_those_of_other_services(tmp_path):
    (tmp_path / "workload.yaml").write_text(workload("tasks: {shop.a: {queue: q}}"))
    (tmp_path / "policy.yaml").write_text(
        'version: 1\nparameters:\n  scraping: {addresses: {redis-exporter: ["cache:9121"]}}\n'
        "  alerts: {exporter_matchers: {cluster: eu}}\n"
    )
    plan = compile_workload([tmp_path / "workload.yaml"], policy=tmp_path / "policy.yaml").plan
    memory, backlog = Scope("alert", "RedisBrokerMemoryHigh"), Scope("alert", "CeleryQueueBacklog:q")
    assert plan.value(memory, "matchers") == {"redis-exporter": {"app": "shop"}}
    assert plan.value(backlog, "matchers") == {"celery-exporter": {"cluster": "eu"}}


def test_a_shorter_minute_shortens_all_times(tmp_path):
    (tmp_path / "workload.yaml").write_text(workload("tasks: {shop.a: {queue: q}}"))
    (tmp_path / "policy.yaml").write_text("version: 1\nparameters: {alerts: {minute: 2}}\n")
    long = compile_workload([tmp_path / "workload.yaml"]).plan
    short = compile_workload([tmp_path / "workload.yaml"], policy=tmp_path / "policy.yaml").plan
    times = [
        (setting.value, short.value(setting.scope, setting.key))
        for setting in long
        if setting.scope.kind == "alert" and setting.key in {"for_seconds", "window_seconds"}
    ]
    assert len(times) > 20
    assert all(of_short * 30 == of_long for of_long, of_short in times)
    assert short.value(Scope("app", ""), "alert_minute_seconds") == 2


@pytest.mark.parametrize(
    "parameters",
    [
        "severities: {CeleryQueueBackLog: info}",
        "exporter_matchers: {1a: x}",
        "severities: {CeleryBeatDown: 'A b'}",
        "telemetry_matchers: {service: other}",
        "exporter_matchers: {__name__: up}",
        "exporter_matchers: {queue_name: q}",
        "broker_matchers: {key: q}",
        "flower_matchers: {type: x}",
        "failed_share: 0.00001",
        "success_objective: 0.999999",
        "memory_share: 0.96",
        "patience: 1h",
    ],
)
def test_a_parameter_that_no_rule_could_have_is_refused(parameters, tmp_path):
    (tmp_path / "policy.yaml").write_text(f"version: 1\nparameters: {{alerts: {{{parameters}}}}}\n")
    made = compile_workload([], policy=tmp_path / "policy.yaml")
    assert [each.code for each in made.diagnostics] == ["PC104"]
