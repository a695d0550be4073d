"""What the program says to do about a key, a word or a shape that it does not take."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from workloads import HEAD

from policycompiler.cli import cli
from policycompiler.cli.init import FILES
from policycompiler.compiler import compile_workload
from policycompiler.diagnostics import misspelled, nearest
from policycompiler.knowledge import celery_settings as celery
from policycompiler.model.shapes import NAME, paths_below
from policycompiler.model.workload import Workload


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def found(text: str) -> list[tuple[str, str]]:
    """Code and advice of each error of a workload, with what it lacks of the head."""
    head = "".join(
        f"{key}: {value}\n" for key, value in HEAD.items() if f"{key}:" not in text.split("\n", maxsplit=1)[0]
    )
    Path("workload.yaml").write_text(f"{text}\n{head}")
    made = compile_workload([Path("workload.yaml")], targets=())
    return [(each.code, each.help) for each in made.diagnostics if each.severity == "error"]


BROKER = 'broker: {transport: redis, url: "${B}", '


@pytest.mark.parametrize(
    ("text", "code", "advice"),
    [
        # Celery's settings: a name without its last words, without its first, and one of another section.
        ("celery: {settings: {worker_prefetch: 1}}", "PC601", "`worker_prefetch_multiplier`"),
        ("celery: {settings: {worker_max_memory: 1}}", "PC601", "`worker_max_memory_per_child`"),
        ("celery: {settings: {acks_late: true}}", "PC601", "`task_acks_late`"),
        ("celery: {settings: {prefetch_multiplier: 1}}", "PC601", "`worker_prefetch_multiplier`"),
        ("celery: {settings: {result_expiry: 1}}", "PC601", "`result_expires`"),
        ("celery: {settings: {visibility_timeout: 1}}", "PC601", "`broker.visibility_timeout`"),
        ("celery: {settings: {master_name: x}}", "PC601", "`broker.options.master_name`"),
        ("celery: {settings: {queues: {}}}", "PC601", "`queues:`"),
        ("celery: {settings: {worker_autoscale: 3}}", "PC601", "`workers.NAME.concurrency`"),
        ("celery: {settings: {worker_proc_alive_timeout: 5m}}", "PC602", "in seconds: 300"),
        # Keys that exist one level deeper, one level up, or in another section.
        ("tasks: {a: {rate_limit: 10/m}}", "PC101", "`options: {rate_limit: …}`"),
        ("tasks: {a: {acks_late: true}}", "PC101", "`options: {acks_late: …}`"),
        ("tasks: {a: {max_retries: 3}}", "PC101", "`retry: {max: …}`"),
        ("tasks: {a: {p99: 3s}}", "PC101", "`runtime: {p99: …}`"),
        ("tasks: {a: {options: {queue: mail}}}", "PC101", "`tasks.a.queue`"),
        ("tasks: {a: {concurrency: 3}}", "PC101", "`workers.NAME.concurrency`"),
        ("workers: {w: {autoscale: 3}}", "PC101", "`{min: 2, max: 10}`"),
        ("workers: {w: {prefetch: 1}}", "PC101", "`options: {prefetch_multiplier: …}`"),
        ("workers: {w: {max_tasks_per_child: 1}}", "PC101", "`options: {max_tasks_per_child: …}`"),
        ("workers: {w: {rate_limit: 1/s}}", "PC101", "`tasks.NAME.options.rate_limit`"),
        (BROKER + "master_name: m}", "PC101", "`options: {master_name: …}`"),
        (BROKER + "ssl: true}", "PC101", "broker_use_ssl"),
        (BROKER + "pool_limit: 3}", "PC101", "`celery: {settings: {broker_pool_limit: …}}`"),
        (BROKER + "options: {pool_limit: 3}}", "PC636", "broker_pool_limit"),
        (BROKER + "options: {master: x}}", "PC636", "`master_name`"),
        ("schedules: {s: {task: a, interval: 30}}", "PC101", "`every`"),
        ("schedules: {s: {task: a, crontab: x}}", "PC101", "`cron`"),
        ("schedules: {s: {task: a, queue: x}}", "PC101", "`options: {queue: …}`"),
        ("queues: {q: {x-max-length: 3}}", "PC101", "`arguments: {x-max-length: …}`"),
        ("visibility_timeout: 1h", "PC101", "`broker.visibility_timeout`"),
        ("task_routes: {}", "PC101", "`tasks.NAME.queue`"),
        ("worker_concurrency: 3", "PC101", "`celery.settings.worker_concurrency`"),
        # A misspelling is nearer than the same word elsewhere.
        ("task: {}", "PC101", "`tasks`"),
        # A structured field that is given as a scalar.
        (
            "tasks: {a: {retry: false}}",
            "PC103",
            "`none` or a mapping such as `{on: [ConnectionError], max: 5}`",
        ),
        ("tasks: {a: {retry: 3}}", "PC103", "`none` or a mapping such as `{on: [ConnectionError], max: 5}`"),
        ("tasks: {a: {options: {time_limit: 5m}}}", "PC104", "in seconds: 300"),
        ("tasks: {a: {retry: {on: Exception}}}", "PC103", "`[Exception]`"),
        ("tasks: {a: {canvas: chord}}", "PC103", "`[chord]`"),
        ("tasks: {a: {canvas: {}}}", "PC103", "`[chain]`"),
        ("tasks: {a: {renamed_from: shop.b}}", "PC103", "`[shop.b]`"),
        ("tasks: {a: batch}", "PC103", "`{latency: batch, idempotent: true}`"),
        ("tasks: [a]", "PC103", "`{NAME: {latency: batch, idempotent: true}}`"),
        ("workers: {w: {queues: mail}}", "PC103", "`[mail]`"),
        ("queues: {q: quorum}", "PC103", "`{type: quorum}`"),
        ("schedules: {s: hourly}", "PC103", "`{task: shop.reports.nightly, every: 1h}`"),
        # Values.
        ("results: {backend: django-db, url: '${R}'}", "PC104", "write `database`, and set the"),
        ("results: {backend: postgresql, url: '${R}'}", "PC104", "write `database`"),
        ("broker: {transport: amqp, url: '${B}'}", "PC104", "write `rabbitmq`"),
        ("broker: {transport: rediss, url: '${B}'}", "PC104", "write `redis`"),
        # Numbers with a unit where Celery counts.
        ("workers: {w: {options: {max_memory_per_child: 300MiB}}}", "PC103", "in KiB: 307200"),
        ("workers: {w: {options: {heartbeat_interval: 2m}}}", "PC103", "in seconds: 120"),
        ('hosts: {one: {cores: "2"}}', "PC103", "without quotes"),
    ],
)
def test_the_advice_says_what_to_write(text: str, code: str, advice: str) -> None:
    [(got, said)] = [
        each for each in found(text) if each[0] in ("PC101", "PC103", "PC104", "PC601", "PC602", "PC636")
    ]
    assert (got, advice in said) == (code, True), said


@pytest.mark.parametrize(
    "path", [path for path in paths_below(Workload) if len(path) > 1 and NAME not in path]
)
def test_a_key_below_a_section_is_pointed_to_from_the_top(path: tuple[str, ...]) -> None:
    if path[-1] in Workload.model_fields or celery.is_setting(path[-1]):
        pytest.skip("it is a key, or a setting of Celery, as well")
    if misspelled(path[-1], Workload.model_fields):
        pytest.skip("it may be a misspelling")
    [(_, said)] = [each for each in found(f"{path[-1]}: x") if each[0] == "PC101"]
    assert path[-1] in said
    assert not said.startswith("allowed")


@pytest.mark.parametrize("name", [name for name in celery.known_settings() if name.startswith("worker_")])
def test_a_setting_with_a_letter_less_is_found_again(name: str) -> None:
    assert nearest(name[:-1], celery.known_settings()) is not None
    assert nearest(name[:-3] + name[-2:], celery.known_settings()) == name


@pytest.mark.parametrize(
    ("url", "told"),
    [
        (
            "${BROKER:-redis://localhost}",
            "write one environment variable, `${BROKER}`, or a URL without credentials; a default",
        ),
        (
            "${BROKER-redis}",
            "write one environment variable, `${BROKER}`, or a URL without credentials; a default",
        ),
        (
            "${BROKER:?unset}",
            "write one environment variable, `${BROKER}`, or a URL without credentials; a default",
        ),
        ("$BROKER", "write one environment variable, `${BROKER}`, or"),
        ("${BROKER}/1", "write one environment variable, `${BROKER}`, or"),
    ],
)
def test_a_variable_of_a_shell_is_explained(url: str, told: str) -> None:
    Path("workload.yaml").write_text(
        f'version: 1\nservice: shop\napp: a:b\nbroker: {{transport: redis, url: "{url}"}}\n'
        f'results: {{backend: redis, url: "{url}"}}\n'
    )
    made = compile_workload([Path("workload.yaml")], targets=())
    assert [each.code for each in made.diagnostics] == ["PC104", "PC104"]
    assert all(told in each.message for each in made.diagnostics)


POLICY = """\
version: 1
extends: normal
profile: strict
severities: {missing-idempotncy: eror}
parameters: {time-limit: {}, time-limits: {hard_over_sft: 1.2}}
waivers: {max: 180d}
locked: [retry-non-idempotnt]
targets: [kubernets]
latency_classes: {urgent: {queue_wait_p99: 1s}}
custom:
  - {name: a, severity: eror, when: task.critcal, message: x}
  - {name: b, severity: error, when: "task.critcal && queue.typ == 'x'", message: x}
"""


def test_all_mistakes_of_a_policy_file_are_found_in_one_run() -> None:
    Path("policy.yaml").write_text(POLICY)
    Path("workload.yaml").write_text("tasks: [1]\n")
    outcome = CliRunner().invoke(
        cli, ["check", "workload.yaml", "--policy", "policy.yaml", "--output-format", "json"]
    )
    data = json.loads(outcome.stdout)
    assert sorted((each["code"], each["line"], each["help"]) for each in data["findings"]) == [
        ("PC101", 3, "write `extends`"),
        ("PC101", 5, "did you mean `hard_over_soft`?"),
        ("PC101", 6, "write `longest`"),
        ("PC102", 9, "add `runtime_p99_limit:`"),
        ("PC104", 2, "write `standard`"),
        ("PC104", 4, "did you mean `error`?"),
        ("PC104", 11, "did you mean `error`?"),
        ("PC703", 4, "did you mean `missing-idempotency`?"),
        ("PC703", 7, "did you mean `retry-non-idempotent`?"),
        ("PC705", 5, "did you mean `time-limits`?"),
        ("PC708", 8, "did you mean `kubernetes`?"),
        ("PC721", 11, "did you mean `task.critical`?"),
        ("PC721", 12, "did you mean `queue.type`?"),
        ("PC721", 12, "did you mean `task.critical`?"),
    ]
    # The workload was not looked at.
    assert (data["summary"]["files"], data["summary"]["tasks"]) == (1, 0)
    text = CliRunner().invoke(cli, ["check", "workload.yaml", "--policy", "policy.yaml"]).stdout
    assert text.endswith("\n14 errors in 1 file\n")


def test_the_names_of_expressions_have_a_page() -> None:
    page = CliRunner().invoke(cli, ["policy", "custom-findings"]).stdout
    assert {"task.critical,", "queue.type,", "worker.concurrency,"} <= set(page.split())


def test_the_starter_files_name_schemas_that_are_there() -> None:
    assert CliRunner().invoke(cli, ["init", "new"]).exit_code == 0
    for name in FILES[:2]:
        first = Path("new", name).read_text().split("\n")[0]
        schema = Path("new", first.removeprefix("# yaml-language-server: $schema="))
        assert json.loads(schema.read_text())["$schema"].startswith("https://json-schema.org/")


def test_a_waiver_that_expires_too_late_is_told_the_latest_day() -> None:
    Path("policy.yaml").write_text("version: 1\nwaivers: {longest: 90d}\n")
    waiver = "{finding: missing-runtime, at: tasks.a, reason: old, owner: shop, expires: 2027-12-31}"
    Path("workload.yaml").write_text(
        "version: 1\nservice: shop\napp: a:b\nbroker: {transport: redis, url: '${B}'}\n"
        f"waivers: [{waiver}]\n"
    )
    outcome = CliRunner().invoke(
        cli, ["check", "workload.yaml", "--policy", "policy.yaml", "--today", "2026-11-21"]
    )
    assert "until 2027-02-19" in outcome.stdout
