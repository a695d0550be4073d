"""Real deployments, compiled: what Celery then does is what their sources say, and their mistakes are found.

The workloads in `corpus/` are made by `corpus/make.py`; a policy file beside one lowers what is wrong there.
"""

from __future__ import annotations

import shlex
from builtins import __dict__ as builtin
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from celery import Celery, Task
from celery.bin.base import CLIContext
from celery.bin.worker import worker as worker_cli
from celery.schedules import crontab
from compiled import configured_app
from corpus import CASES, Case, compiled
from places import CORPUS

from policycompiler.compiler import compile_workload
from policycompiler.diagnostics import Severity
from policycompiler.model.units import parse_duration

VARIABLES = ("BROKER_URL", "CELERY_BROKER_URL", "RESULT_BACKEND", "CELERY_RESULT_BACKEND")
URLS = {name: f"redis://127.0.0.1:6379/{index}" for index, name in enumerate(VARIABLES)}

Facts = Mapping[str, object]


NAMES = sorted({case.name for case in CASES})
every_case = pytest.mark.parametrize("case", CASES, ids=str)

OWN_WORKERS = {"safe-transaction-service": {"celery"}, "saleor": {"observability"}}
"""Queues that no process of the deployment reads: the compiler gives each a worker."""


@cache
def said(case: Case) -> dict:
    """The workload as it is written, its environment patched in and its defaults filled in."""
    data = yaml.safe_load(case.source.read_text("utf-8"))
    if case.environment:
        data = patched(data, data["environments"][case.environment])
    data["tasks"] = {name: {**data["defaults"], **task} for name, task in data["tasks"].items()}
    return data


def patched(target: object, patch: object) -> object:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = patched(result.get(key), value)
    return result


@pytest.fixture(params=CASES, ids=str)
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


@pytest.fixture
def facts(case: Case) -> dict:
    return said(case)


@pytest.fixture
def files(case: Case) -> dict[str, str]:
    compilation = compiled(case)
    assert not compilation.failed, compilation.diagnostics
    return {file.path: file.text for file in compilation.files}


@pytest.fixture
def app(case: Case, files: dict[str, str], tmp_path: Path) -> Celery:
    """Celery with nothing of the deployment but its compiled configuration."""
    (tmp_path / "celeryconfig.py").write_text(files["celeryconfig.py"], "utf-8")
    return configured_app(tmp_path, URLS, namespace=said(case)["celery"].get("namespace"))


def test_every_deployment_is_a_case_in_each_of_its_environments():
    found = {
        (folder.name, environment)
        for folder in CORPUS.iterdir()
        if (folder / "workload.yaml").exists()
        for environment in [None, *said(Case(folder.name)).get("environments", {})]
    }
    assert found == set(CASES)


@pytest.mark.parametrize("name", NAMES)
def test_a_policy_file_lowers_the_errors_that_there_are_and_no_others(name):
    policy = Case(name).policy
    lowered = yaml.safe_load(policy.read_text("utf-8"))["severities"] if policy else {}
    cases = [case for case in CASES if case.name == name]
    findings = [each for case in cases for each in compiled(case, ruled=False).diagnostics]
    assert {each.name for each in findings if each.severity is Severity.ERROR} == set(lowered)
    assert set(lowered.values()) <= {"warning"}
    assert not any(compiled(case).failed for case in cases)


def task_in(app: Celery, name: str, **decorator: object) -> Task:
    @app.task(name=name, shared=False, **decorator)
    def body():
        pass

    return body


def entries(facts: Facts) -> Iterator[tuple[str, dict]]:
    """Each entry of `tasks` with the name of a task that it declares."""
    exact = {name for name in facts["tasks"] if "*" not in name}
    for name, task in facts["tasks"].items():
        concrete = name.replace("*", "still_to_come")
        assert concrete == name or concrete not in exact
        yield concrete, task


def test_each_task_goes_to_its_queue(app, facts):
    expected = {name: task["queue"] for name, task in entries(facts)}
    assert {name: app.amqp.router.route({}, name)["queue"].name for name in expected} == expected
    default = facts["celery"]["settings"]["task_default_queue"]
    assert app.amqp.router.route({}, "nobody.declared.it")["queue"].name == default


@pytest.mark.filterwarnings(r"ignore:\s*The 'queue' task attribute:celery.exceptions.CDeprecationWarning")
def test_no_decorator_sends_a_task_elsewhere(app, facts):
    for name, task in entries(facts):
        assert task_in(app, name, queue="elsewhere").queue == task["queue"], name


def option(name: str, value: object) -> object:
    """As the task has it: classes for names."""
    if name not in {"autoretry_for", "throws"}:
        return 1 if name == "retry_backoff" and value is True else value
    classes = [path.rpartition(".") for path in value]
    return tuple(
        getattr(import_module(module), each) if module else builtin[each] for module, _, each in classes
    )


AT_ODDS = {"intel_owl.tasks.remove_old_jobs"}
"""Its soft limit is above the app's hard one, which Celery does not send: it is dropped."""


def test_the_options_of_each_task_arrive(app, facts):
    for name, task in entries(facts):
        wanted = {key: option(key, value) for key, value in task.get("options", {}).items()}
        if name in AT_ODDS:
            wanted["soft_time_limit"] = 0
        found = task_in(app, name)
        assert {key: getattr(found, key) for key in wanted} == wanted, name


def limits(facts: Facts, task: dict) -> dict[str, float]:
    """Those that hold for a task, as Celery chooses: its own, or else the app's."""
    own, settings = task.get("options", {}), facts["celery"]["settings"]
    found = {key: own.get(key) or settings.get(f"task_{key}") for key in ("time_limit", "soft_time_limit")}
    return {key: limit for key, limit in found.items() if limit}


def test_the_limits_of_each_task_are_those_that_held_before(app, facts):
    for name, task in entries(facts):
        found, wanted = task_in(app, name), limits(facts, task)
        if name in AT_ODDS:
            wanted["soft_time_limit"] = 0
        # There are others only where somebody says how long a task may wait.
        keys = wanted if "latency" in task else ("time_limit", "soft_time_limit")
        assert {key: limit for key in keys if (limit := getattr(found, key)) is not None} == wanted, name


def test_every_setting_arrives(app, facts):
    settings = facts["celery"]["settings"]
    assert {key: app.conf[key] for key in settings} == settings
    assert app.conf.broker_url == URLS[facts["broker"]["url"][2:-1]]
    if "results" in facts:
        assert app.conf.result_backend == URLS[facts["results"]["url"][2:-1]]
    options = facts["broker"].get("options", {})
    assert {key: app.conf.broker_transport_options[key] for key in options} == options


def test_the_arguments_of_each_queue_arrive(app, facts):
    for name, queue in facts.get("queues", {}).items():
        found = app.amqp.queues[name].queue_arguments or {}
        wanted = queue.get("arguments", {})
        assert {key: found[key] for key in wanted} == wanted
        assert not {"x-max-priority", "x-queue-type"} <= found.keys(), "RabbitMQ refuses to make it"


def test_beat_sends_what_is_scheduled_and_nothing_else(app, facts):
    # One that is disabled stands there where a row of a database has to be told.
    found = {name: entry for name, entry in app.conf.beat_schedule.items() if entry.get("enabled", True)}
    schedules = {
        name: entry for name, entry in facts.get("schedules", {}).items() if entry.get("enabled", True)
    }
    assert found.keys() == schedules.keys()
    in_rows = "django_celery_beat" in facts.get("beat", {}).get("scheduler", "")
    for name, entry in schedules.items():
        assert found[name]["task"] == entry["task"]
        assert found[name].get("args", []) == entry.get("args", [])
        assert found[name].get("kwargs", {}) == entry.get("kwargs", {})
        options = dict(found[name].get("options", {}))
        # What the compiler adds: nobody here says when a run has become useless.
        expires = options.pop("expire_seconds" if in_rows else "expires", None)
        if "cron" in entry:
            minute, hour, day, month, weekday = entry["cron"].split()
            when = crontab(minute, hour, weekday, day_of_month=day, month_of_year=month)
        else:
            when = parse_duration(entry["every"])
            assert 0 < expires < when
        assert found[name]["schedule"] == when, name
        assert options == entry.get("options", {}), name


def launched(script: str) -> dict[str, object]:
    """The options that `celery worker` reads from a launch script."""
    command = script[script.index("exec ") :].replace("\\\n", " ")
    words = shlex.split(command)
    assert words[-1] == "$@"
    arguments = words[words.index("worker") + 1 : -1]
    context = CLIContext(app=Celery("launched", set_as_current=False), no_color=True, workdir=None)
    return worker_cli.make_context("worker", arguments, obj=context).params


def test_the_workers_are_those_of_the_deployment_and_of_queues_that_nobody_reads(case, files, facts):
    scripts = {Path(path).stem for path in files if path.startswith("launch/")} - {"beat"}
    assert scripts == {*facts["workers"], *OWN_WORKERS.get(case.name, ())}


def test_a_worker_of_the_compilers_own_reads_the_queue_of_its_name(case, files):
    for name in OWN_WORKERS.get(case.name, ()):
        assert launched(files[f"launch/{name}.sh"])["queues"] == [name]


def test_each_worker_is_started_as_before(files, facts):
    for name, worker in facts["workers"].items():
        found = launched(files[f"launch/{name}.sh"])
        assert found["queues"] == worker.get("queues", [name])
        assert {key: found[key] for key in wanted_options(facts, worker)} == wanted_options(facts, worker)
        assert f"@{worker.get('node_name', name)}." in found["hostname"]
        if "pool" in worker:
            assert (
                found["pool"].__module__
                == {
                    "prefork": "celery.concurrency.prefork",
                    "threads": "celery.concurrency.thread",
                    "gevent": "celery.concurrency.gevent",
                }[worker["pool"]]
            )


def wanted_options(facts: Facts, worker: dict) -> dict[str, object]:
    """A worker's own, and those that the app's settings give it."""
    settings = facts["celery"]["settings"]
    keys = ("concurrency", "prefetch_multiplier", "max_tasks_per_child", "max_memory_per_child")
    wanted = {key: settings[f"worker_{key}"] for key in keys if f"worker_{key}" in settings}
    wanted |= worker.get("options", {})
    slots = worker.get("concurrency")
    if isinstance(slots, dict):
        wanted |= {"autoscale": (slots["max"], slots["min"]), "concurrency": None}
    elif slots is not None:
        wanted["concurrency"] = slots
    if "loglevel" in wanted:
        wanted["loglevel"] = {"DEBUG": 10, "INFO": 20, "WARNING": 30}[wanted["loglevel"]]
    return wanted


class Finding(NamedTuple):
    """It is found, by this name."""

    name: str


class Decided(NamedTuple):
    """A policy decides it instead: each setting of this glob, at least one, and none is pinned."""

    address: str
    value: object = ...


class Variation(NamedTuple):
    """It is refused where it is written; the deployment's file cannot hold it, or not by default."""

    patch: Facts
    finding: str


class Unsaid(NamedTuple):
    """A workload does not show it."""

    why: str


NO_LIMITS = Unsaid("nobody says how long its tasks run, and what nobody says is not killed")
ONE_AHEAD = Decided("worker:*/prefetch_multiplier", 1)
KEPT = Decided("task:*/options.ignore_result", value=False)
NAMED_BY_HOST = Decided("worker:*/node_name")
ONE_DESCRIPTION = Unsaid("every target is made from one description; an environment says where it differs")
BOUNDS_BY_NAME = Unsaid("the two bounds are said by name, and Celery gets them in its order")

DEVIATIONS: dict[str, dict[str, list[Finding | Decided | Variation | Unsaid]]] = {
    "augur": {
        "no_time_limit": [NO_LIMITS],
        "no_prefetch_setting": [ONE_AHEAD],
        "no_acks_late": [Unsaid("nobody says whether its tasks may run twice")],
        "unlimited_retries": [Finding("retry-unbounded"), Finding("autoretry-broad")],
        "global_rate_limit_side_effect": [Unsaid("nobody says how often its tasks arrive")],
        "topology_drift": [ONE_DESCRIPTION],
        "random_node_name": [NAMED_BY_HOST],
        "result_kept": [KEPT],
    },
    "bookwyrm": {
        "many_queues_one_worker": [Unsaid("no task declares a promise that another one could break")],
        "retired_queue_still_read": [Finding("queue-unknown")],
        "limit_not_enforced_by_pool": [Finding("pool-time-limit-unkept")],
        "env_string_number": [
            Variation({"celery": {"settings": {"task_soft_time_limit": "300"}}}, "wrong-setting-type")
        ],
        "no_time_limit": [NO_LIMITS],
        "result_kept": [KEPT],
        "old_setting_name": [
            Variation({"celery": {"settings": {"default_queue": "low_priority"}}}, "unknown-setting")
        ],
        "topology_drift": [ONE_DESCRIPTION],
    },
    "intelowl": {
        "limit_conflict": [Finding("soft-over-hard")],
        "setting_in_wrong_place": [Finding("unknown-transport-option"), Finding("queue-type-unused")],
        "fixed_node_name": [NAMED_BY_HOST],
        "frequent_no_expires": [
            Decided("schedule:send_plugin_report_to_elastic/options", {"queue": "default", "expires": 54}),
            Decided("schedule:check_stuck_analysis/options", {"queue": "default", "expires": 270}),
        ],
        "fixed_message_group": [Unsaid("the id is drawn by code when a module is imported")],
        "autoscale_reversed": [BOUNDS_BY_NAME],
    },
    "kitsune": {
        "no_time_limit": [NO_LIMITS],
        "frequent_no_expires": [Decided("schedule:watchdog/options", {"expires": 270})],
        "rate_limit_per_worker": [
            Unsaid("that one process is meant as a throttle is not said"),
            Variation({"workers": {"celery": {"replicas": 2}}}, "rate-limit-scope"),
        ],
        "no_prefetch_setting": [ONE_AHEAD],
    },
    "kpi": {
        "schedule_missing_task": [Finding("beat-unknown-task")],
        "misspelled_option": [
            Variation(
                {"tasks": {"kobo.apps.project_ownership.tasks.async_task": {"options": {"max_retry": 5}}}},
                "unknown-key",
            )
        ],
        "autoscale_reversed": [BOUNDS_BY_NAME],
        "no_prefetch_setting": [ONE_AHEAD],
        "frequent_no_expires": [
            Decided(
                "schedule:cleanup-*-exports/options", {"queue": "kpi_low_priority_queue", "expires": 270}
            ),
            # Each quarter of an hour on Sunday mornings: there is no interval that an expiry could follow.
            Finding("beat-expires"),
        ],
        "huge_retries": [Unsaid("nobody says by when the work must be done")],
        "duplicated_inverse_lists": [Unsaid("a worker lists what it reads, and nothing else")],
    },
    "packit-service": {
        "visibility_vs_limit": [Decided("app/visibility_timeout_seconds", 8100)],
        "limit_not_enforced_by_pool": [
            Unsaid("gevent ends a run that waits, and no task declares that it computes"),
            Variation(
                {
                    "tasks": {"task.run_copr_build_handler": {"work": "cpu"}},
                    "workers": {"worker": {"pool": "gevent", "concurrency": 4}},
                },
                "pool-cpu-green",
            ),
        ],
        "beat_state_in_tmp": [Unsaid("where beat keeps its state is the target's business")],
        "no_schedule_expires": [
            Decided("schedule:update-pending-tft-runs/options", {"queue": "long-running", "expires": 540})
        ],
    },
    "safe-transaction-service": {
        "queue_without_consumer": [Finding("queue-unknown"), Decided("worker:celery/queues", ["celery"])],
        # Gevent keeps the hard limit of a run that waits.
        "limit_not_enforced_by_pool": [NO_LIMITS],
        "frequent_no_expires": [
            Decided("schedule:index-internal-txs/options", {"expires": 4}),
            Decided("schedule:index-erc20-721-events/options", {"expires": 12}),
        ],
        "prefetch_times_concurrency": [
            Unsaid("how long the tasks run, and so how long 10000 wait, is not said")
        ],
        "all_messages_transient": [Finding("messages-transient")],
    },
    "saleor": {
        "no_time_limit": [NO_LIMITS],
        "queue_without_consumer": [Decided("worker:observability/queues", ["observability"])],
        "queue_name_literal": [Unsaid("every name of a queue is a literal in a workload")],
    },
}
"""What the fact sheets hold against each deployment, by their words for it."""


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        pytest.param(name, outcome, id=f"{name} {kind} {index}")
        for name, kinds in DEVIATIONS.items()
        for kind, outcomes in kinds.items()
        for index, outcome in enumerate(outcomes)
        if not isinstance(outcome, Unsaid)
    ],
)
def test_what_is_wrong_is_found_or_decided(name, outcome, tmp_path):
    compilation = compiled(Case(name))
    match outcome:
        case Finding(finding):
            assert finding in {each.name for each in compilation.diagnostics}
        case Variation(patch, finding):
            source = tmp_path / "workload.yaml"
            source.write_text(yaml.safe_dump(patched(yaml.safe_load(Case(name).source.read_text()), patch)))
            assert finding not in {each.name for each in compilation.diagnostics}
            assert finding in {each.name for each in compile_workload([source]).diagnostics}
        case Decided(address, value):
            settings = [each for each in compilation.plan if fnmatchcase(each.address, address)]
            assert settings
            assert all(each.policy != "as-written" for each in settings)
            assert value is ... or all(each.value == value for each in settings)
