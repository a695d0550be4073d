"""`extends: as-is`: an application under the compiled configuration is the application without it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from celery import Celery, Task
from celery.app.defaults import SETTING_KEYS
from kombu import Exchange, Queue
from places import EVERYTHING, EXAMPLES, TESTS
from servers import rabbitmq_server
from workloads import workload

from policycompiler import __version__, output
from policycompiler.compiler import Compilation, compile_workload
from policycompiler.diagnostics import Severity
from policycompiler.plan import Scope

pytestmark = pytest.mark.filterwarnings("ignore::celery.exceptions.CDeprecationWarning")

AS_IS = "version: 1\nextends: as-is\n"
BARE = """
    broker: {transport: redis, url: app}
    tasks: {shop.plain: {}, shop.late: {}, shop.based: {}, shop.own: {}}
    workers: {w: {queues: [celery, mail]}}
"""
QUEUES = """
    broker: {transport: redis, url: app}
    queues: {mail: {}}
    workers: {w: {queues: [mail, celery, other]}}
"""
ATTRIBUTES = (
    *("acks_late", "acks_on_failure", "acks_on_timeout", "ignore_result", "max_retries", "rate_limit"),
    *("default_retry_delay", "time_limit", "soft_time_limit", "reject_on_worker_lost", "priority"),
    *("retry_on_worker_lost", "store_errors_even_if_ignored", "serializer", "queue", "expires"),
)


class Based(Task):
    """A base class, which no workload shows."""

    acks_late = True
    max_retries = 7


def body() -> None:
    """Do nothing."""


def application(configuration: object = None) -> Celery:
    """An application whose decorators and base classes say more than its workload."""
    app = Celery("shop", set_as_current=False)
    app.conf.broker_url = "memory://"
    if configuration is not None:
        app.config_from_object(configuration)
    app.task(body, name="shop.plain", shared=False)
    app.task(body, name="shop.late", shared=False, acks_late=True, time_limit=9, queue="mail")
    app.task(body, name="shop.based", shared=False, base=Based)
    app.task(body, name="shop.own", shared=False, ignore_result=True, default_retry_delay=3)
    app.finalize()
    return app


def compiled(folder: Path, fragment: str, policy: str = AS_IS) -> Compilation:
    source, rules = folder / "workload.yaml", folder / "rules" / "policy.yaml"
    rules.parent.mkdir(exist_ok=True)
    source.write_text(workload(fragment), "utf-8")
    rules.write_text(policy, "utf-8")
    found = compile_workload([source], policy=rules)
    assert not found.failed, found.diagnostics
    manifest = output.manifest_file(found.files, found.sources, __version__)
    assert not output.write(folder / "build", [*found.files, manifest]).problems
    return found


@pytest.fixture
def configuration(tmp_path, monkeypatch):
    """Compiles a fragment, and imports its `celeryconfig`."""

    def compile_(fragment: str, policy: str = AS_IS) -> str:
        compiled(tmp_path, fragment, policy)
        monkeypatch.syspath_prepend(tmp_path / "build")
        sys.modules.pop("celeryconfig", None)
        return "celeryconfig"

    yield compile_
    sys.modules.pop("celeryconfig", None)


def attributes(app: Celery) -> Mapping[str, object]:
    names = ("shop.plain", "shop.late", "shop.based", "shop.own")
    return {f"{name}.{key}": getattr(app.tasks[name], key, None) for name in names for key in ATTRIBUTES}


def routes(app: Celery) -> dict[str, object]:
    """Queue and exchange of a message of each task, as the router decides."""
    found = {}
    for name in ("shop.plain", "shop.late", "shop.undeclared"):
        queue = app.amqp.router.route({}, name)["queue"]
        found[name] = queue.name, queue.exchange.name, queue.exchange.type, queue.routing_key
    return found


def settings(app) -> dict:
    """What somebody has set; a module of settings also shows the names that it imports."""
    table = app.conf.table(with_defaults=False)
    return {key: table[key] for key in table.keys() & SETTING_KEYS}


def test_tasks_that_are_only_named_stay_what_their_code_says(configuration):
    today, then = application(), application(configuration(BARE))
    assert settings(then) == settings(today)
    assert attributes(then) == attributes(today)
    assert routes(then) == routes(today)
    assert then.amqp.queues.keys() == today.amqp.queues.keys()


def test_what_the_workload_says_applies_and_nothing_else_of_the_task(configuration):
    said = BARE.replace("shop.own: {}", "shop.own: {queue: mail, options: {max_retries: 9}}")
    today, then = application(), application(configuration(said))
    changed = {key: value for key, value in attributes(then).items() if value != attributes(today)[key]}
    assert changed == {"shop.own.queue": "mail", "shop.own.max_retries": 9}
    set_now = then.conf.table(with_defaults=False).keys() - today.conf.table(with_defaults=False).keys()
    assert set_now & SETTING_KEYS == {"task_routes", "task_annotations"}


def test_a_switched_task_is_decided_by_policies(configuration):
    switched = BARE.replace("shop.own: {}", "shop.own: {policies: standard, queue: mail, runtime: 3s}")
    today, then = application(), application(configuration(switched))
    changed = {key for key, value in attributes(then).items() if value != attributes(today)[key]}
    assert {key.rpartition(".")[0] for key in changed} == {"shop.own"}
    assert then.tasks["shop.own"].time_limit > then.tasks["shop.own"].soft_time_limit >= 3


def test_a_declared_queue_is_bound_as_celery_binds_it(configuration):
    app = application(configuration(QUEUES))
    app.amqp.queues.select(["mail", "celery", "other"])
    found = {name: queue.exchange.name for name, queue in app.amqp.queues.items()}
    assert found == {"mail": "celery", "celery": "celery", "other": "other"}


CORPUS = [path for path in (TESTS / "data" / "corpus").glob("*/*.yaml") if path.stem != "policy"]
SOURCES = [*sorted(EVERYTHING.glob("*.yaml")), *sorted(CORPUS)]


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: f"{path.parent.stem}-{path.stem}")
def test_whatever_runs_today_compiles(source, tmp_path):
    policy = tmp_path / "policy.yaml"
    policy.write_text(AS_IS, "utf-8")
    found = compile_workload([source], policy=policy)
    assert [each for each in found.diagnostics if each.severity is Severity.ERROR] == []
    assert found.plan is not None
    left = {setting.address for setting in found.plan if setting.is_left_to_celery}
    assert left
    for file in found.files:
        if file.path not in {"routing.json", "ROUTING.md", "RUNBOOK.md"}:
            assert (file.path, left & file.addresses) == (file.path, set())


def test_no_worker_is_made_up_for_a_queue_that_nobody_consumes(tmp_path):
    found = compiled(tmp_path, "tasks: {shop.a: {queue: mail}}\nworkers: {w: {queues: [celery]}}\n")
    assert found.plan is not None
    assert found.plan.scopes("worker") == (Scope("worker", "w"),)
    told = {(each.name, each.severity) for each in found.diagnostics}
    assert ("queue-unconsumed", Severity.WARNING) in told


def test_the_example_compiles_under_its_policy_file_without_a_finding():
    folder = EXAMPLES / "as-is"
    found = compile_workload([folder], policy=folder / "policy.yaml")
    assert found.diagnostics == []
    text = {file.path: file.text for file in found.files}["celeryconfig.py"]
    assert "helpdesk.mail.send" not in text
    assert '"helpdesk.reports.nightly"' in text


@pytest.mark.server
def test_rabbitmq_accepts_every_declaration_beside_those_of_today(configuration, tmp_path):
    with rabbitmq_server(tmp_path) as url:
        today = Celery("today", broker=url, set_as_current=False)
        today.conf.task_queues = [Queue("mail"), Queue("media", Exchange("media", type="topic"), "media.#")]
        said = """
            broker: {transport: rabbitmq, url: app}
            queues: {mail: {}, media: {exchange: media, exchange_type: topic, routing_key: media.#}}
            workers: {w: {queues: [mail, media, celery, other]}}
        """
        then = Celery("then", broker=url, set_as_current=False)
        then.config_from_object(configuration(said))
        for app in (today, then):
            with app.connection_for_write() as connection:
                for name in ("mail", "media", "celery", "other"):
                    app.amqp.queues[name](connection.default_channel).declare()
        found = {name: _declaration(then, name) for name in ("mail", "media", "celery", "other")}
        assert found == {name: _declaration(today, name) for name in found}


def _declaration(app: Celery, name: str) -> tuple[object, ...]:
    queue = app.amqp.queues[name]
    return queue.exchange.name, queue.exchange.type, queue.routing_key, queue.queue_arguments
