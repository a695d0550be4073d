"""What is left to Celery, where, and what the workload still says."""

from __future__ import annotations

import pytest
from workloads import compiled, workload

from policycompiler.diagnostics import Severity
from policycompiler.plan import AS_IS, Default, Plan, Value, scope_from_text

POLICY = "version: 1\nextends: as-is\n"


def plan_of(fragment: str, platform: str = POLICY) -> Plan:
    found = compiled(workload(fragment), platform).plan
    assert found is not None
    return found


def value(plan: Plan, address: str) -> tuple[Value, bool]:
    """The value of a setting, and whether it is left to Celery."""
    scope, _, key = address.rpartition("/")
    found = plan.setting(scope_from_text(scope), key)
    return found.value, found.is_left_to_celery


FACTS = "{idempotent: true, latency: batch, runtime: 3s, payload: 100KiB}"


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("task:shop.a/options.acks_late", False),
        ("task:shop.a/options.time_limit", None),
        ("task:shop.a/options.soft_time_limit", None),
        ("task:shop.a/options.ignore_result", False),
        ("task:shop.a/queue", "celery"),
        ("app/task_default_queue", "celery"),
        ("app/task_default_exchange", "celery"),
        ("app/task_create_missing_queues", True),
        ("app/broker_connection_max_retries", 100),
        ("app/visibility_timeout_seconds", 3600),
        ("app/worker_send_task_events", False),
        ("app/timezone", "UTC"),
        ("worker:w/pool", "prefork"),
        ("worker:w/prefetch_multiplier", 4),
        ("worker:w/max_tasks_per_child", None),
        ("worker:w/concurrency", 4),
        ("worker:w/without_gossip", False),
        ("worker:w/log_level", "WARNING"),
        ("worker:w/node_name", "celery@%h"),
        ("queue:celery/exchange", "celery"),
        ("queue:other/exchange", "other"),
        ("queue:mail/exchange", "celery"),
        ("beat/scheduler", "celery.beat:PersistentScheduler"),
        ("beat/log_level", "WARNING"),
        ("schedule:s/timezone", "UTC"),
    ],
)
def test_a_value_that_the_workload_does_not_set(address, expected):
    plan = plan_of(f"""
        tasks: {{shop.a: {FACTS}}}
        queues: {{mail: {{}}}}
        workers: {{w: {{queues: [celery, mail, other]}}}}
        schedules: {{s: {{task: shop.a, cron: "*/5 * * * *"}}}}
    """)
    assert value(plan, address) == (expected, True)
    assert plan.told().find(*_split(address)) is None


def _split(address: str):
    scope, _, key = address.rpartition("/")
    return scope_from_text(scope), key


@pytest.mark.parametrize(
    ("task", "key", "expected"),
    [
        ("{options: {acks_late: true}}", "options.acks_late", True),
        ("{options: {time_limit: 9}}", "options.time_limit", 9),
        ("{result: ignore}", "options.ignore_result", True),
        ("{retry: {on: [OSError], max: 9}}", "options.max_retries", 9),
        ("{retry: {on: [OSError], delay: 9s}}", "options.retry_backoff", 9),
        ("{retry: none}", "options.max_retries", 0),
        ("{expires: 1h}", "options.expires", 3600),
        ("{priority: 9}", "options.priority", 0),
    ],
)
def test_a_value_that_the_workload_says(task, key, expected):
    assert value(plan_of(f"tasks: {{shop.a: {task}}}"), f"task:shop.a/{key}") == (expected, False)


@pytest.mark.parametrize(
    ("task", "key", "expected"),
    [
        ("{retry: {on: [OSError]}}", "options.max_retries", 3),
        ("{retry: {on: [OSError]}}", "options.default_retry_delay", 180),
        ("{retry: {on: [OSError], delay: 9s}}", "options.retry_backoff_max", 600),
        ("{options: {acks_late: true}}", "options.retry_on_worker_lost", False),
        ("{options: {acks_late: true}}", "options.acks_on_failure", True),
    ],
)
def test_the_rest_of_a_half_declared_value(task, key, expected):
    assert value(plan_of(f"tasks: {{shop.a: {task}}}"), f"task:shop.a/{key}") == (expected, True)


def test_a_setting_of_the_app_applies_to_its_tasks_and_workers_without_an_annotation_or_a_flag():
    plan = plan_of("""
        celery: {settings: {task_time_limit: 9, worker_concurrency: 3, worker_pool: threads}}
        tasks: {shop.a: {queue: q}}
        workers: {w: {queues: [q]}}
    """)
    assert value(plan, "task:shop.a/options.time_limit") == (9, True)
    assert value(plan, "worker:w/concurrency") == (3, True)
    assert value(plan, "worker:w/pool") == ("threads", True)
    assert value(plan, "app/task_time_limit") == (9, False)


def test_the_default_is_that_of_the_declared_version():
    plan = plan_of('celery: {version: "5.4"}\ntasks: {shop.a: {options: {acks_late: true}}}\n')
    found = plan.setting(scope_from_text("task:shop.a"), "options.reject_on_worker_lost")
    assert found.origins == (Default("task_reject_on_worker_lost", "5.4"),)
    assert plan.find(scope_from_text("task:shop.a"), "options.retry_on_worker_lost") is None


@pytest.mark.parametrize(
    ("platform", "task", "expected"),
    [
        (POLICY, "{}", True),
        (POLICY, "{policies: standard}", False),
        (POLICY, "{policies: as-is}", True),
        ("", "{}", False),
        ("", "{policies: as-is}", True),
        ("version: 1\nextends: strict\n", "{policies: as-is}", True),
    ],
)
def test_a_task_leaves_its_values_to_celery_as_it_or_the_policy_file_says(platform, task, expected):
    plan = plan_of(f"tasks: {{shop.a: {task}}}", platform)
    assert plan.as_is(scope_from_text("task:shop.a")) is expected
    assert (plan.get(scope_from_text("task:shop.a"), "policies") == AS_IS) is expected
    assert value(plan, "task:shop.a/options.acks_late") == (False, expected)


def test_defaults_switch_the_tasks_of_their_file():
    plan = plan_of("defaults: {policies: standard}\ntasks: {shop.a: {}, shop.b: {policies: as-is}}\n")
    assert not plan.as_is(scope_from_text("task:shop.a"))
    assert plan.as_is(scope_from_text("task:shop.b"))


@pytest.mark.parametrize(
    ("platform", "task", "severity"),
    [
        ("", "{options: {soft_time_limit: 9, time_limit: 5}}", Severity.ERROR),
        (POLICY, "{options: {soft_time_limit: 9, time_limit: 5}}", Severity.WARNING),
        (POLICY, "{policies: standard, options: {soft_time_limit: 9, time_limit: 5}}", Severity.ERROR),
        ("", "{policies: as-is, options: {soft_time_limit: 9, time_limit: 5}}", Severity.WARNING),
        (
            "version: 1\nextends: as-is\nseverities: {soft-over-hard: error}\n",
            "{options: {soft_time_limit: 9, time_limit: 5}}",
            Severity.ERROR,
        ),
    ],
)
def test_what_runs_today_is_no_error_unless_the_policy_file_says_so(platform, task, severity):
    found = compiled(workload(f"tasks: {{shop.a: {task}}}"), platform)
    assert [each.severity for each in found.diagnostics if each.name == "soft-over-hard"] == [severity]


def test_a_limit_that_is_pinned_to_null_speaks_and_compiles():
    found = compiled(workload("celery: {settings: {task_time_limit: null}}\ntasks: {shop.a: {}}\n"), POLICY)
    assert not found.failed
    assert {each.severity for each in found.diagnostics if each.name == "hard-limit-missing"} == {
        Severity.WARNING
    }


def test_a_fatal_finding_stays_an_error():
    found = compiled(workload("tasks: {shop.a: {}}\nschedules: {s: {task: shop.a, cron: x}}\n"), POLICY)
    assert [each.name for each in found.diagnostics if each.severity is Severity.ERROR] == ["schedule-cron"]


def test_a_custom_finding_keeps_its_severity():
    own = """
custom:
  - {name: no-late, severity: error, when: "task.options.acks_late == false", message: late}
"""
    found = compiled(workload("tasks: {shop.a: {}}\n"), POLICY + own)
    assert ("no-late", Severity.ERROR) in {(each.name, each.severity) for each in found.diagnostics}


def test_a_switched_task_is_decided_although_the_app_is_left_to_celery():
    plan = plan_of("tasks: {shop.a: {policies: standard, idempotent: true, runtime: 3s}, shop.b: {}}\n")
    assert value(plan, "task:shop.a/queue") == ("shop.standard.io", False)
    assert value(plan, "task:shop.a/options.acks_late") == (True, False)
    assert plan.setting(scope_from_text("task:shop.a"), "options.ignore_result").policy == "results"
    assert value(plan, "worker:shop.standard.io/prefetch_multiplier")[1] is False
    assert [scope.name for scope in plan.scopes("worker")] == ["shop.standard.io"]
    assert value(plan, "app/task_default_queue") == ("celery", True)
