"""What Celery does with a value that nobody sets, by the installed Celery."""

from __future__ import annotations

import celery
import click
import pytest
from celery import Celery, Task
from celery.bin.beat import beat
from celery.bin.worker import worker
from celery.utils.log import mlevel
from celery.utils.nodenames import default_nodename, gethostname, host_format
from kombu import Queue
from kombu.transport.redis import PRIORITY_STEPS

from policycompiler.knowledge import brokers
from policycompiler.knowledge.celery_defaults import (
    BEAT_LOG_LEVEL,
    EFFECTS,
    EXCHANGE_TYPE,
    OF_SETTINGS,
    QUEUE_TYPE,
    RETRIES,
    WORKER,
    has_setting,
    of_setting,
)
from policycompiler.policies.written.celery_defaults import _SETTINGS

VERSION = ".".join(celery.__version__.split(".")[:2])


@pytest.fixture
def app() -> Celery:
    app = Celery("defaults", broker="memory://", set_as_current=False)
    app.finalize()
    return app


def registered(app: Celery, name: str) -> Task:
    """A task without any option."""

    def body() -> None:
        """Do nothing."""

    return app.task(body, name=name, shared=False)


@pytest.mark.parametrize("option", RETRIES)
def test_an_option_of_retries(app, option):
    task = registered(app, "plain")
    if hasattr(task, option):
        assert getattr(task, option) == RETRIES[option]
    else:
        # The wrapper of automatic retries reads these itself.
        assert RETRIES[option] == {"retry_backoff_max": 600, "retry_jitter": True}[option]


@pytest.mark.parametrize("option", OF_SETTINGS)
def test_an_option_that_a_setting_changes(app, option):
    setting, value = OF_SETTINGS[option]
    task = registered(app, "plain")
    # None counts as unset: the worker takes it for false, or for the older flag, which is true.
    found = getattr(task, option)
    assert (found if found is not None or value is None else value) == value
    app.conf[setting] = {None: 9}.get(value, not value)
    other = registered(app, "other")
    assert getattr(other, option) == app.conf[setting]


@pytest.mark.parametrize("setting", _SETTINGS)
def test_a_setting_has_the_recorded_default(app, setting):
    assert has_setting(setting, VERSION)
    found = app.conf[setting]
    if setting in EFFECTS:
        assert found is None
        return
    assert (list(found) if isinstance(found, tuple) else found) == of_setting(setting, VERSION)


def test_what_celery_does_with_a_setting_that_is_null(app):
    assert str(app.timezone) == EFFECTS["timezone"]
    task = registered(app, "plain")
    assert bool(task.reject_on_worker_lost) is EFFECTS["task_reject_on_worker_lost"]
    # The consumer falls back to this setting (celery.worker.consumer).
    assert app.conf.broker_connection_retry is EFFECTS["broker_connection_retry_on_startup"]


def parsed(command: click.Command) -> dict[str, object]:
    context = click.Context(command, resilient_parsing=True)
    command.parse_args(context, [])
    return context.params


@pytest.mark.parametrize("key", [key for key, (setting, _) in WORKER.items() if setting])
def test_an_option_of_a_worker_that_a_setting_changes(app, key):
    setting, value = WORKER[key]
    assert app.conf[setting] == value


def test_the_other_options_of_a_worker():
    options = parsed(worker)
    given = {key: options[key] for key in ("without_gossip", "without_mingle", "without_heartbeat")}
    assert given == {key: WORKER[key][1] for key in given}
    assert options["loglevel"] == mlevel(str(WORKER["log_level"][1]))
    assert host_format(default_nodename(None)) == str(WORKER["node_name"][1]).replace("%h", gethostname())
    assert parsed(beat)["loglevel"] == mlevel(BEAT_LOG_LEVEL) == mlevel(str(WORKER["log_level"][1]))


def test_a_queue_that_celery_creates_has_an_exchange_of_its_own_and_a_declared_one_has_not(app):
    app.conf.task_queues = [Queue("declared")]
    created, declared = app.amqp.queues["created"], app.amqp.queues["declared"]
    assert (created.exchange.name, created.exchange.type, created.routing_key) == (
        "created",
        EXCHANGE_TYPE,
        "created",
    )
    assert created.queue_arguments is None
    assert QUEUE_TYPE == "classic"
    default = app.conf.task_default_queue
    assert (declared.exchange.name, declared.exchange.type, declared.routing_key) == (
        default,
        EXCHANGE_TYPE,
        default,
    )


def test_the_priority_steps_of_redis():
    assert [*brokers.PRIORITY_STEPS] == PRIORITY_STEPS


def test_a_worker_counts_the_cores_for_auto():
    context = click.Context(worker, resilient_parsing=True)
    worker.parse_args(context, ["--concurrency", "auto"])
    assert context.params["concurrency"] == "auto" or context.params["concurrency"] is None
