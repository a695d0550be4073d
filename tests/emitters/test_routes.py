"""Routes as emitted meet none of the traps that Celery's routing has, whatever a workload says."""

from __future__ import annotations

import pytest
from celery import Celery
from compiled import configured_app, write_configuration
from places import DATA, EVERYTHING

from policycompiler.compiler import compile_workload
from policycompiler.plan import APP

SOURCES = [DATA / "language.yaml", EVERYTHING / "rabbitmq.yaml"]
ALLOWED = {"queue", "priority"}
"""An expiry or a limit would make each send an error, a pool or a concurrency be published as junk."""


@pytest.fixture(params=SOURCES, ids=lambda source: source.stem)
def app(request, tmp_path) -> Celery:
    compilation = compile_workload([request.param], targets=("celeryconfig",))
    write_configuration(compilation.files, tmp_path)
    variables = dict.fromkeys(variables_of(compilation), "memory://")
    namespace = compilation.plan.get(APP, "namespace") or None
    return configured_app(tmp_path, variables, namespace=namespace)


def variables_of(compilation) -> list[str]:
    """The environment variables that the settings read."""
    keys = ("broker_url_variable", "result_backend_variable")
    return [str(value) for key in keys if (value := compilation.plan.get(APP, key))]


def test_there_is_one_mapping_with_exact_names_before_patterns(app):
    routes = app.conf.task_routes
    assert isinstance(routes, dict)
    patterns = ["*" in name for name in routes]
    assert patterns == sorted(patterns)


def test_every_pattern_has_the_one_letter_that_makes_it_one(app):
    assert [name for name in app.conf.task_routes if set(name) & set("?[]") and "*" not in name] == []


def test_a_route_holds_a_queue_and_a_priority_and_nothing_else(app):
    assert {key for route in app.conf.task_routes.values() for key in route} <= ALLOWED


def test_every_route_leads_to_a_declared_queue(app):
    declared = {queue.name for queue in app.conf.task_queues}
    assert {route["queue"] for route in app.conf.task_routes.values()} <= declared


def test_the_queue_is_an_annotation_too_which_beats_a_decorator(app):
    routes = app.conf.task_routes

    def run():
        """Stand for the task's code."""

    for name, route in routes.items():
        exact = name.replace("*", "any")
        with pytest.warns(match="queue"):
            task = app._task_from_fun(run, name=exact, queue="decorated")
        assert task.queue == route["queue"], name
