"""What the emitted settings say of delivery: options by name and by pattern, priorities, dead letters."""

from __future__ import annotations

import importlib

import pytest
from celery import Celery
from celery.exceptions import ImproperlyConfigured
from compiled import configured_app, write_configuration
from workloads import workload

from policycompiler.compiler import compile_workload

FRAGMENT = """
broker: {transport: rabbitmq, url: "${CELERY_BROKER_URL}", version: "3.13"}
tasks:
  shop.mail.*: {idempotent: true, queue: mail, runtime: 10s}
  shop.mail.reset: {idempotent: true, queue: mail, priority: 9, runtime: 1s}
queues: {mail: {dead_letter: true}, other: {}}
"""


@pytest.fixture
def app(tmp_path) -> Celery:
    source = tmp_path / "workload.yaml"
    source.write_text(workload(FRAGMENT), "utf-8")
    compilation = compile_workload([source])
    assert not compilation.failed, compilation.diagnostics
    write_configuration(compilation.files, tmp_path)
    return configured_app(tmp_path, {"CELERY_BROKER_URL": "memory://"})


def test_no_annotation_is_for_all_tasks_or_for_a_pattern_that_celery_would_never_look_at(app):
    """Celery applies `*` after the exact name, and reads any other pattern as a name."""
    assert app.conf.task_annotations.annotate_any() is None


def test_options_reach_tasks_by_name_and_by_pattern_and_no_others(app):
    def nothing():
        pass

    found = {}
    for name in ("shop.mail.reset", "shop.mail.news", "shop.other"):
        task = app.task(name=name, shared=False)(nothing)
        found[name] = (task.soft_time_limit, task.acks_on_failure)
    assert found == {
        "shop.mail.reset": (2, False),
        "shop.mail.news": (16, False),
        "shop.other": (None, True),
    }


def test_a_route_has_the_priority_too(app):
    """A producer that has no such task gets nothing of its annotation."""
    routes = app.conf.task_routes
    assert routes["shop.mail.reset"] == {"queue": "mail", "priority": 9}
    assert routes["shop.mail.*"] == {"queue": "mail"}


def test_a_queue_with_dead_letters_brings_their_queue_and_no_worker_finds_it(app):
    queues = app.amqp.queues
    assert sorted(queues) == ["mail", "other", "shop.standard.io"]
    dead = queues["mail"].dead
    assert (dead.name, dead.queue_arguments) == ("mail.dead", {"x-max-length": 10000})
    assert not hasattr(queues["other"], "dead")


def test_declaring_the_queue_declares_that_of_its_dead_letters_first(app):
    declared = []

    class Channel:
        def exchange_declare(self, exchange, **_ignored):
            declared.append(("exchange", exchange))

        def queue_declare(self, queue, **_ignored):
            declared.append(("queue", queue))
            return queue, 0, 0

        def queue_bind(self, queue, **_ignored):
            declared.append(("bind", queue))

        def prepare_queue_arguments(self, arguments, **_ignored):
            return arguments

    app.amqp.queues["mail"](Channel()).declare()
    assert declared == [("queue", "mail.dead"), ("exchange", "mail"), ("queue", "mail"), ("bind", "mail")]


def test_a_copy_of_the_queue_keeps_its_dead_letters(app):
    """As kombu makes one for each channel, and control commands one for those who ask."""
    queue = app.amqp.queues["mail"]
    assert queue.__reduce__()[1][1]["dead"].name == "mail.dead"
    assert queue.as_dict(recurse=True)["dead"]["name"] == "mail.dead"


def test_a_missing_module_beside_it_is_named(tmp_path):
    source = tmp_path / "workload.yaml"
    source.write_text(workload(FRAGMENT), "utf-8")
    files = [file for file in compile_workload([source]).files if "dead_letters" not in file.path]
    (tmp_path / "conf").mkdir()
    write_configuration(files, tmp_path / "conf")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(tmp_path)
        patch.setenv("CELERY_BROKER_URL", "memory://")
        with pytest.raises(ImproperlyConfigured, match="beside celeryconfig"):
            importlib.import_module("conf.celeryconfig")
