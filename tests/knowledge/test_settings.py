"""What Celery takes for a setting or an option of its commands, and what it says about mistakes.

On it rest pinned-settings, option-versions and transport-options, which refuse what Celery would ignore;
serialization, broker-connection and node-names.
"""

from __future__ import annotations

import socket
import subprocess
import sys

import click
import pytest
from celery import Celery
from celery.app.defaults import SETTING_KEYS
from celery.bin.base import CLIContext
from celery.bin.celery import celery
from celery.bin.worker import worker
from celery.exceptions import ImproperlyConfigured
from celery.worker.consumer import Consumer
from knowledge.app import quick
from kombu import Connection


def settings(**given: object):
    app = Celery(set_as_current=False)
    app.config_from_object(given)
    return app.conf


def test_a_worker_ends_as_it_starts_when_the_unit_of_the_apps_rate_limit_is_unknown():
    app = Celery(broker="memory://", set_as_current=False)
    app.conf.task_default_rate_limit = "10/d"
    app.task(quick, name="quick", shared=False)
    app.finalize()
    with pytest.raises(KeyError, match="d"):
        Consumer(print, app=app)


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


@pytest.mark.since("5.7")
def test_a_lost_worker_can_be_answered_by_a_retry_for_all_tasks():
    assert "task_retry_on_worker_lost" in SETTING_KEYS


def test_the_settings_that_hold_for_undeclared_tasks_and_lost_connections_exist():
    assert {
        "task_reject_on_worker_lost",
        "worker_cancel_long_running_tasks_on_connection_loss",
        "task_create_missing_queues",
        "broker_connection_retry_on_startup",
    } <= SETTING_KEYS


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


def test_a_name_from_before_celery_4_beside_one_of_today_is_refused_at_the_first_use():
    with pytest.raises(ImproperlyConfigured, match="CELERY_ACKS_LATE"):
        assert settings(CELERY_ACKS_LATE=True, task_serializer="json").task_acks_late


@pytest.mark.parametrize("name", ["celery_acks_late", "CELERY_TASK_ACKS_LATE"])
def test_an_old_name_in_small_letters_or_todays_with_a_prefix_is_ignored_in_silence(name):
    assert settings(**{name: True}).task_acks_late is False


def test_an_option_of_a_task_that_celery_does_not_have_is_taken_in_silence():
    app = Celery(set_as_current=False)
    app.task(name="quick", shared=False, retry_on_worker_loss=True)(quick)
    assert app.tasks["quick"].retry_on_worker_loss is True


@pytest.mark.parametrize("url", ["memory://", "redis://127.0.0.1:1/0", "amqp://127.0.0.1:1"])
def test_a_transport_option_that_kombu_does_not_know_is_taken_in_silence(url):
    with Connection(url, transport_options={"visibilty_timeout": 5}) as connection:
        if url.startswith("memory"):
            assert connection.default_channel
        else:
            with pytest.raises(connection.connection_errors):
                connection.connect()


@pytest.mark.server
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # redis-py leaves its socket
def test_text_for_a_number_of_seconds_fails_where_it_is_used(redis_url):
    options = {"socket_timeout": "5"}
    with Connection(redis_url, transport_options=options) as connection, pytest.raises(TypeError):
        connection.default_channel.client.ping()


def test_a_word_that_a_retry_policy_does_not_have_fails_every_publish():
    app = Celery(set_as_current=False, broker="memory://")
    with pytest.raises(TypeError, match="max_retry"):
        app.send_task("quick", retry_policy={"max_retry": 3})


@pytest.mark.parametrize(("url", "expected"), [("redis://", False), ("memory://", False), ("amqp://", True)])
def test_only_amqp_has_heartbeats(url, expected):
    assert bool(Connection(url).supports_heartbeats) is expected


def test_of_redis_only_and_for_sentinel_results_have_transport_options():
    """What the others are told there is read by nobody."""
    app = Celery(set_as_current=False, backend="redis://", broker="memory://")
    app.conf.result_backend_transport_options = {"global_keyprefix": "shop"}
    assert app.backend.get_key_for_task("1").startswith(b"shop")


@pytest.mark.parametrize(
    ("pin", "last_words"),
    [
        ("broker_connection_max_retries=1", "Connection refused"),
        ("broker_connection_retry_on_startup=False", "Shutting down"),
    ],
)
def test_a_worker_that_may_not_go_on_trying_ends(pin, last_words):
    program = (
        "from celery import Celery\n"
        "app = Celery(broker='redis://127.0.0.1:1/0')\n"
        f"app.conf.update({pin}, broker_connection_timeout=1)\n"
        "app.worker_main(['worker', '--pool', 'solo', '--without-gossip', '--without-mingle'])\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert last_words in ended.stderr.splitlines()[-1]
