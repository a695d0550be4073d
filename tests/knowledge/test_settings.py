"""What Celery takes for a setting or an option of its commands, and what it says about mistakes.

On it rest as-written, which refuses what Celery would ignore; serialization, broker-connection, node-names;
and the emitters: every name that they write must be one that this Celery knows.
"""

from __future__ import annotations

import ast
import socket
from pathlib import Path

import click
import pytest
from celery import Celery
from celery.app.defaults import SETTING_KEYS
from celery.bin.base import CLIContext
from celery.bin.beat import beat
from celery.bin.celery import celery
from celery.bin.worker import worker
from kombu import Connection

from policycompiler.compiler import Compilation, compile_workload
from policycompiler.emitters.commands import beat_command, worker_command

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(
    params=[("minimal.yaml", None), ("shop", None), ("shop", "rabbitmq")],
    ids=["minimal", "shop", "shop on rabbitmq"],
)
def compiled(request) -> Compilation:
    source, environment = request.param
    return compile_workload([EXAMPLES / source], environment=environment)


def settings(**given: object):
    app = Celery(set_as_current=False)
    app.config_from_object(given)
    return app.conf


def read(command: click.Command, words: list[str]) -> dict[str, object]:
    parent = click.Context(
        celery, obj=CLIContext(app=Celery(set_as_current=False), no_color=True, workdir=None)
    )
    with command.make_context(command.name, words, parent=parent) as context:
        return context.params


def test_an_unknown_setting_is_accepted_in_silence():
    assert settings(task_ack_late=True).task_acks_late is False


@pytest.mark.parametrize(
    ("name", "value"), [("task_time_limit", "60"), ("task_acks_late", "no"), ("worker_concurrency", [2])]
)
def test_a_value_of_a_wrong_type_is_kept_in_silence(name, value):
    assert settings(**{name: value})[name] == value


@pytest.mark.parametrize(
    ("name", "default"),
    [("broker_pool_limit", 10), ("broker_connection_max_retries", 100), ("worker_prefetch_multiplier", 4)],
)
def test_none_is_a_value_and_does_not_stand_for_the_default(name, default):
    assert settings()[name] == default
    assert settings(**{name: None})[name] is None


def test_none_for_the_number_of_connection_retries_is_for_ever():
    """Observed for 150 attempts, beyond Celery's default of 100."""

    class EnoughError(Exception):
        pass

    attempts = []

    def note(error, _interval):
        attempts.append(error)
        if len(attempts) == 150:
            raise EnoughError

    with (
        Connection("redis://127.0.0.1:1/0") as nowhere,
        pytest.raises(EnoughError),
    ):
        nowhere.ensure_connection(
            note,
            max_retries=settings(broker_connection_max_retries=None).broker_connection_max_retries,
            interval_start=0,
            interval_step=0,
            interval_max=0,
        )


def test_every_setting_that_is_emitted_is_one_of_celerys(compiled):
    (module,) = (file.text for file in compiled.files if file.path == "celeryconfig.py")
    names = {
        target.id
        for statement in ast.parse(module).body
        if isinstance(statement, ast.Assign)
        for target in statement.targets
        if isinstance(target, ast.Name) and not target.id.startswith("_")
    }
    assert len(names) > 15
    assert names - SETTING_KEYS == set()


def test_the_settings_that_hold_for_undeclared_tasks_and_lost_connections_exist():
    assert {
        "task_retry_on_worker_lost",
        "task_reject_on_worker_lost",
        "worker_cancel_long_running_tasks_on_connection_loss",
        "task_create_missing_queues",
        "broker_connection_retry_on_startup",
    } <= SETTING_KEYS


def test_every_option_of_a_worker_that_is_emitted_is_one_of_celerys(compiled):
    for scope in compiled.plan.scopes("worker"):
        lines = worker_command(compiled.plan, scope, "celery", "worker@x.1.%h")
        words = [word for line in lines for word in line]
        found = read(worker, words[words.index("worker") + 1 :])
        assert found["queues"] == compiled.plan.value(scope, "queues")


def test_every_option_of_beat_that_is_emitted_is_one_of_celerys(compiled):
    if compiled.plan.scopes("schedule"):
        lines = beat_command(compiled.plan, "celery", "schedule")
        words = [word for line in lines for word in line]
        assert read(beat, words[words.index("beat") + 1 :])["schedule"] == "schedule"


def test_an_option_that_celery_does_not_have_is_an_error():
    with pytest.raises(click.NoSuchOption):
        read(worker, ["--prefetch", "1"])


@pytest.mark.server
def test_a_node_is_called_by_its_worker_its_number_and_its_host(on_redis):
    """What exporters keep is what stands behind the @."""
    lab = on_redis()
    lab.worker("--hostname", "worker@shop.interactive.io.1.%h")
    lab.send("quick")
    lab.wait_for("start", "quick")
    expected = f"worker@shop.interactive.io.1.{socket.gethostname()}"
    assert lab.events("start", "quick")[0]["hostname"] == expected


def test_only_json_is_accepted_unless_said():
    assert list(settings().accept_content) == ["json"]
    assert (settings().task_serializer, settings().result_serializer) == ("json", "json")


@pytest.mark.server
def test_a_message_of_a_type_that_is_not_accepted_is_refused_unread(on_redis, database):
    lab = on_redis()
    lab.worker()
    lab.send("nap", 0, serializer="pickle")
    lab.send("quick")
    lab.wait_for("end", "quick")
    assert lab.events("start", "nap") == []
    assert "untrusted content" in lab.logs()
    assert (database.llen("celery"), database.hlen("unacked")) == (0, 0)


@pytest.mark.server
@pytest.mark.parametrize(("accepted", "answers"), [(["json"], 1), (["yaml"], 0)])
def test_a_worker_that_does_not_accept_json_does_not_understand_control_messages(on_redis, accepted, answers):
    """The refusal stands in its log; how long nobody answers is not what is observed."""
    lab = on_redis(accept_content=accepted)
    lab.worker()
    found = lab.stranger().control.ping(timeout=5, limit=1) or []
    assert len(found) == answers
    assert ("untrusted content of type json" in lab.logs()) == (answers == 0)
