"""The words of the worker's and beat's command lines, read by Celery's own command line."""

from __future__ import annotations

import click
import pytest
from celery import Celery
from celery.bin.base import CLIContext
from celery.bin.beat import beat
from celery.bin.celery import celery
from celery.bin.worker import worker
from fleet_plans import fleet
from plans import plan_of

from policycompiler.emitters import launch, supervisor, systemd
from policycompiler.emitters.commands import (
    Target,
    beat_command,
    comment,
    name,
    required_variables,
    variable,
    whole_seconds,
    worker_command,
    worker_environment,
)
from policycompiler.plan import Plan, Scope, Value

WORKER = Scope("worker", "shop.batch.cpu")


def words(plan: Plan) -> list[str]:
    lines = worker_command(plan, WORKER, "celery", Target("{}1{}".format, "${{{}}}".format))
    return [word for line in lines for word in line]


def read(command: click.Command, arguments: list[str]) -> dict[str, object]:
    app = click.Context(celery, obj=CLIContext(app=Celery(), no_color=True, workdir=None))
    with command.make_context(command.name, arguments, parent=app) as context:
        return context.params


def test_celery_reads_every_option_of_a_worker():
    command = words(fleet())
    assert command[:4] == ["celery", "--app", "shop.celery_app:app", "worker"]
    found = read(worker, command[4:])
    assert found["hostname"].startswith("worker@shop.batch.cpu.1.")
    assert found["queues"] == ["shop.batch.cpu"]
    assert found["concurrency"] == 4
    assert found["prefetch_multiplier"] == 1
    assert found["max_tasks_per_child"] == 1000
    assert found["max_memory_per_child"] == 900000
    assert found["task_events"] is True
    assert (found["without_gossip"], found["without_mingle"], found["without_heartbeat"]) == (
        True,
        True,
        False,
    )
    assert found["loglevel"] == 20


def test_celery_reads_every_option_of_beat():
    lines = beat_command(fleet(beat={"max_interval_seconds": 4.5}), "celery", "/var/lib/shop/schedule")
    command = [word for line in lines for word in line]
    assert command[:4] == ["celery", "--app", "shop.celery_app:app", "beat"]
    found = read(beat, command[4:])
    assert found["scheduler"] == "celery.beat:PersistentScheduler"
    assert found["schedule"] == "/var/lib/shop/schedule"
    assert found["max_interval"] == 5
    assert found["pidfile"] is None
    assert found["loglevel"] == 20


def test_a_worker_that_scales_has_its_bounds_in_celerys_order():
    command = words(fleet({"concurrency": None, "autoscale": {"min": 2, "max": 10}}))
    assert "--concurrency" not in command
    assert command[command.index("--autoscale") + 1] == "10,2"


def test_what_the_plan_leaves_open_is_left_out():
    changes: dict[str, Value] = {
        "prefetch_multiplier": None,
        "max_tasks_per_child": None,
        "max_memory_per_child": None,
        "without_gossip": False,
        "without_mingle": False,
        "task_events": False,
    }
    expected = "--queues shop.batch.cpu --pool prefork --concurrency 4 --loglevel INFO"
    assert words(fleet(changes))[6:] == expected.split()


def test_celery_reads_what_is_only_there_where_it_is_pinned():
    plan = fleet({"heartbeat_interval": 7, "optimization": "fair", "disable_prefetch": True})
    found = read(worker, words(plan)[4:])
    assert (found["heartbeat_interval"], found["optimization"]) == (7, "fair")
    assert found["disable_prefetch"] is True
    unpinned = read(worker, words(fleet())[4:])
    assert (unpinned["heartbeat_interval"], unpinned["optimization"]) == (None, "default")
    assert unpinned["disable_prefetch"] is False
    assert read(worker, words(fleet({"optimization": "default"}))[4:])["optimization"] == "default"
    assert "--disable-prefetch" not in words(fleet({"disable_prefetch": False}))


@pytest.mark.parametrize("emitter", [launch, systemd, supervisor], ids=lambda emitter: emitter.ID)
def test_every_target_carries_each_pinned_option(emitter):
    pinned: dict[str, Value] = {"heartbeat_interval": 7, "optimization": "fair", "disable_prefetch": True}
    text = "".join(file.text for file in emitter.emit(fleet(pinned))).replace('"', "")
    for words_of_option in ("--heartbeat-interval 7", "--optimization fair", "--disable-prefetch"):
        assert f" {words_of_option}" in text


def test_a_prefix_stands_before_celery():
    assert words(fleet({"command_prefix": ["nice", "-n", "5"]}))[:4] == ["nice", "-n", "5", "celery"]


def test_a_pool_of_the_users_own_is_named_in_the_environment():
    plan = fleet({"pool": "shop.pools:Pool", "environment": {"LANG": "C.UTF-8", "AREA": "batch"}})
    command = words(plan)
    assert command[command.index("--pool") + 1] == "custom"
    assert worker_environment(plan, WORKER) == [
        ("AREA", "batch"),
        ("CELERY_CUSTOM_WORKER_POOL", "shop.pools:Pool"),
        ("LANG", "C.UTF-8"),
    ]


def test_one_variable_for_both_urls_is_required_once():
    both = plan_of({"app": {"broker_url_variable": "URL", "result_backend_variable": "URL"}})
    assert required_variables(both) == [("URL", "broker and result backend")]
    assert required_variables(plan_of({"app": {"broker_url": "memory://"}})) == []


def test_a_part_of_a_second_is_a_whole_one_for_a_stop():
    assert whole_seconds(fleet({"stop_timeout_seconds": 36.2}), WORKER, "stop_timeout_seconds") == 37


@pytest.mark.parametrize("text", ["two\nlines", "nul\0", "bell\a", "return\r", "next\x85line", "\ud800"])
def test_control_characters_are_refused(text):
    with pytest.raises(ValueError, match="control character"):
        comment(text)


@pytest.mark.parametrize(
    "text", ["", "../up", "a b", "a/b", "a%b", "a@b", "-a", "gr\N{LATIN SMALL LETTER SHARP S}e"]
)
def test_a_name_that_would_need_quotes_is_refused(text):
    with pytest.raises(ValueError, match="not a plain name"):
        name(text)


@pytest.mark.parametrize("text", ["", "1A", "A-B", "A=B", "A B", "$(id)"])
def test_only_the_name_of_a_variable_passes_for_one(text):
    with pytest.raises(ValueError, match="not the name of an environment variable"):
        variable(text)
