"""Queues of kinds that the example shop has none of, read back by Celery; and values as Python."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from celery import Celery
from celery.utils.serialization import jsonify
from compiled import compile_shop, configured_app
from kombu.utils.encoding import safe_repr
from plans import plan_of

from policycompiler.emitters import celeryconfig
from policycompiler.emitters.python import python_literal
from policycompiler.plan import Plan, Value

QUEUE: dict[str, Value] = {
    "exchange_type": "direct",
    "consumer_arguments": {},
    "broadcast": False,
    "external": False,
}


def plan(**told: dict[str, Value]) -> Plan:
    """A queue of each kind, and a task that goes to all who listen."""
    queues = {
        "news": {
            "broadcast": True,
            "exchange": "newsroom",
            "exchange_type": "fanout",
            "routing_key": "all",
        },
        "others": {"external": True, "exchange": "others", "routing_key": "others"},
        "own": {"exchange": "own.exchange", "exchange_type": "topic", "routing_key": "own.#"},
    }
    return plan_of(
        {
            "app": {
                "service": "shop",
                "celery_version": "5.7",
                "broker_transport": "redis",
                "broker_url_variable": "CELERY_BROKER_URL",
                "task_default_queue": "own",
            },
            "task:shop.news.tell": {"queue": "news", **told.get("task", {})},
            **{f"queue:{name}": QUEUE | queue for name, queue in queues.items()},
        }
    )


def configured(folder: Path, **told: dict[str, Value]) -> Celery:
    (file,) = celeryconfig.emit(plan(**told))
    (folder / file.path).write_text(file.text, "utf-8")
    return configured_app(folder, {"CELERY_BROKER_URL": "memory://"})


def test_each_queue_is_declared_as_planned(tmp_path):
    queues = configured(tmp_path).amqp.queues
    assert {
        name: (queue.exchange.name, queue.exchange.type, queue.routing_key, bool(queue.no_declare))
        for name, queue in ((name, queues[name]) for name in ("news", "others", "own"))
    } == {
        "news": ("newsroom", "fanout", "all", False),
        "others": ("others", "direct", "others", True),
        "own": ("own.exchange", "topic", "own.#", False),
    }


def test_an_earlier_name_goes_the_way_of_the_task_under_its_options(tmp_path):
    task: dict[str, Value] = {"options.priority": 3, "renamed_from": ["shop.a", "shop.z"]}
    conf = configured(tmp_path, task=task).conf
    names = {"shop.a", "shop.news.tell", "shop.z"}
    assert conf.task_routes == {name: {"queue": "news", "priority": 3} for name in names}
    app = configured(tmp_path, task=task)

    def nothing():
        pass

    tasks = [app.task(name=name, shared=False)(nothing) for name in sorted(names)]
    assert {task.name: (task.queue, task.priority) for task in tasks} == dict.fromkeys(names, ("news", 3))


@pytest.mark.parametrize(
    ("told", "signals"),
    [
        ({}, {"worker_init"}),
        ({"renamed_from": ["shop.old"]}, {"worker_init", "worker_process_init"}),
        ({"sent_as": "shop.old"}, {"worker_init", "before_task_publish"}),
    ],
    ids=["not renamed", "renamed", "sent by another name"],
)
def test_it_hears_of_no_more_than_it_has_to(told, signals):
    (file,) = celeryconfig.emit(plan(task=told))
    assert set(re.findall(r"signals\.(\w+)", file.text)) == signals


@pytest.mark.parametrize(
    ("value", "literal"),
    [
        (None, "None"),
        (1e300, "1e300"),
        ("it's", '"it\'s"'),
        (["a", {"b": True}], '["a", {"b": True}]'),
        ("\N{GRINNING FACE}\n", '"\\U0001f600\\n"'),
    ],
)
def test_a_value_is_written_as_formatters_have_it(value, literal):
    assert python_literal(value) == literal
    assert eval(literal) == value


def test_what_a_worker_shows_of_its_configuration_has_no_environment(tmp_path, monkeypatch):
    """Celery takes each name of the module as a setting, and `inspect conf` shows it to every client."""
    monkeypatch.setenv("PAYMENT_KEY", "sekret")
    variables = ("CELERY_BROKER_URL", "CELERY_RESULT_BACKEND")
    app = configured_app(compile_shop(tmp_path), dict.fromkeys(variables, "redis://:sekret@127.0.0.1/0"))
    told = jsonify(app.conf.table(), unknown_type_filter=safe_repr)
    assert told["task_default_queue"] == "shop.standard.io"
    assert "sekret" not in str(told)
