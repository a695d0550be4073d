"""The module that measures a worker or beat: it disturbs nothing, and its labels are bounded."""

from __future__ import annotations

import ast
import logging
import socket
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic, time
from types import SimpleNamespace
from urllib.request import urlopen

import prometheus_client
import pytest
from celery import Celery, signals
from celery.exceptions import ImproperlyConfigured, Retry, WorkerLostError
from celery.utils.dispatch import Signal
from celery.worker.request import Request
from kombu import Exchange, Queue
from prometheus_client.parser import text_string_to_metric_families
from servers import HOST, free_port

from policycompiler.runtime import telemetry

TOLD = {
    "service": "shop",
    "fingerprint": "b4f76600c88e",
    "bind": HOST,
    "wait_bounds": (1, 30),
    "run_bounds": (1, 60),
    "payload_bounds": {"shop.small": 10, "shop.free": None, "shop.*": 100},
    "dead_letters": ("direct",),
}
QUEUES = (
    Queue("direct", Exchange("direct"), routing_key="direct"),
    Queue("key", Exchange("shared"), routing_key="a.key"),
    Queue("topic", Exchange("topics", type="topic"), routing_key="shop.*.mail"),
    Queue("all", Exchange("all", type="topic"), routing_key="shop.#"),
    Queue("each", Exchange("each", type="fanout"), alias="everybody"),
)


def small():
    """A task that does nothing."""


@pytest.fixture
def app():
    made = Celery("shop", broker="memory://", set_as_current=False)
    made.conf.task_queues = QUEUES
    made.conf.beat_schedule = {"nightly": {"task": "shop.small", "schedule": 60}}
    made.task(small, name="shop.small")
    yield made
    made.close()


@pytest.fixture
def metrics(app, monkeypatch):
    """Those of a worker that has begun, in this process alone."""
    monkeypatch.setattr(telemetry, "_state", {"told": telemetry.Told(**TOLD)})
    found = telemetry._Metrics(telemetry._client(), app, "mail")
    telemetry._state.update(metrics=found, consumer=None)
    return found


def value(metrics, name, **labels):
    """The value of the one sample with these labels."""
    found = [
        sample.value
        for family in metrics.collect()
        for sample in family.samples
        if sample.name == f"policycompiler_{name}" and labels.items() <= sample.labels.items()
    ]
    return sum(found) if found else None


def request(key="direct", body="[]", eta=None, **headers):
    message = SimpleNamespace(body=body, headers=headers)
    info = {"exchange": "", "routing_key": key}
    return SimpleNamespace(
        task=SimpleNamespace(name="shop.small"), message=message, delivery_info=info, eta=eta
    )


def test_it_imports_nothing_of_ours_and_no_other_library():
    tree = ast.parse(Path(telemetry.__file__).read_text("utf-8"), feature_version=(3, 9))
    found = {
        (node.module if isinstance(node, ast.ImportFrom) else node.names[0].name).partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    # prometheus_client is imported only where a process measures; billiard is Celery's own.
    assert found - sys.stdlib_module_names == {"billiard", "celery", "kombu"}


DELAY = ".".join("0" * 28)


@pytest.mark.parametrize(
    ("exchange", "key", "queue"),
    [
        ("", "direct", "direct"),
        ("", "from-somewhere", "other"),
        ("shared", "a.key", "key"),
        ("shared", "another", "other"),
        ("topics", "shop.news.mail", "topic"),
        ("topics", "shop.mail", "other"),
        ("all", "shop", "all"),
        ("all", "shop.a.b", "all"),
        ("all", "shopper", "other"),
        ("each", "", "everybody"),
        ("celery_delayed_delivery", f"{DELAY}.direct", "direct"),
    ],
)
def test_the_queue_of_a_message_is_one_of_the_app_or_other(metrics, exchange, key, queue):
    assert metrics.queue_of({"exchange": exchange, "routing_key": key}) == queue


def test_many_routing_keys_make_no_more_series_and_need_no_more_memory(metrics):
    for number in range(3000):
        metrics.of("shop.small", metrics.queue_of({"exchange": "all", "routing_key": f"shop.{number}"}))
        metrics.of("shop.small", metrics.queue_of({"exchange": "", "routing_key": f"no.{number}"}))
    assert set(metrics.series) == {("shop.small", "all"), ("shop.small", "other")}
    assert len(metrics.addresses) <= 1000


@pytest.mark.parametrize(
    ("task", "bound"), [("shop.small", 10), ("shop.free", None), ("shop.other", 100), ("a.b", None)]
)
def test_the_bound_of_a_payload_is_that_of_the_name_before_that_of_a_pattern(task, bound):
    assert telemetry._bound_of(TOLD["payload_bounds"], task) == bound


@pytest.mark.parametrize(
    ("sent", "eta", "wait"),
    [(-5, None, 5), (-5, -3, 3), (-5, 3, 0), (60, None, 0)],
    ids=["published 5 s ago", "with a countdown of 2 s", "before its time", "by a clock that is ahead"],
)
def test_a_wait_is_from_publish_or_eta_to_start_and_never_below_0(metrics, sent, eta, wait):
    due = None if eta is None else datetime.now(UTC) + timedelta(seconds=eta)
    received = request(eta=due, **{telemetry.HEADER: time() + sent})
    telemetry._Run(received).start(received, monotonic())
    assert value(metrics, "task_wait_seconds_sum", task="shop.small") == pytest.approx(wait, abs=0.1)


def test_a_message_without_a_stamp_has_no_wait(metrics):
    received = request()
    telemetry._Run(received).start(received, monotonic())
    assert value(metrics, "task_wait_seconds_count") is None
    assert value(metrics, "task_starts_total", task="shop.small") == 1


def test_an_end_is_counted_once_and_a_message_that_comes_again_is_no_dead_letter(metrics):
    twice, again = telemetry._Run(request()), telemetry._Run(request())
    twice.end("hard_killed")
    twice.end("failed")
    again.returns(1)
    again.end("hard_killed")
    told = {"task": "shop.small", "queue": "direct"}
    assert value(metrics, "task_outcomes_total", **told, outcome="hard_killed") == 2
    assert value(metrics, "task_outcomes_total", **told, outcome="failed") == 0
    assert value(metrics, "task_outcomes_total", **told, outcome="dead_lettered") == 1
    assert value(metrics, "task_outcomes_total", queue="key", outcome="dead_lettered") is None


def test_a_lost_process_that_has_stored_its_result_has_succeeded(metrics):
    run = telemetry._Run(request())
    run.has_result({"status": "SUCCESS"})
    run.fail(WorkerLostError("gone"))
    assert value(metrics, "task_outcomes_total", outcome="succeeded") == 1
    assert value(metrics, "task_last_success_timestamp_seconds", task="shop.small") > 0


def test_a_retry_and_a_publish_with_the_old_protocol_are_stamped_anew(app, monkeypatch):
    monkeypatch.setattr(telemetry, "_state", {})
    monkeypatch.delenv(telemetry.PORTS, raising=False)
    telemetry.observe(TOLD)
    try:
        for protocol in (1, 2):
            headers = {telemetry.HEADER: 1.0}
            app.conf.task_protocol = protocol
            seen = []
            receiver = lambda headers, **_: seen.append(headers)  # noqa: E731, B023
            signals.after_task_publish.connect(receiver, weak=False)
            app.send_task("shop.small", headers=headers, queue="direct")
            signals.after_task_publish.disconnect(receiver)
            assert seen[0].get(telemetry.HEADER, time()) > time() - 60
        receivers = [
            name for signal in (signals.worker_init, signals.beat_init) for name, _ in signal.receivers
        ]
        assert not any(telemetry.HEADER in str(name) for name in receivers)
    finally:
        signals.before_task_publish.disconnect(dispatch_uid=f"{telemetry.HEADER}-_stamp")


def test_the_files_with_metrics_of_the_application_have_none_of_its_own(app, monkeypatch, tmp_path):
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    monkeypatch.setattr(prometheus_client.values, "ValueClass", prometheus_client.values.MultiProcessValue())
    monkeypatch.setattr(telemetry, "_state", {"told": telemetry.Told(**TOLD)})
    metrics = telemetry._state["metrics"] = telemetry._Metrics(telemetry._client(), app, "mail")
    run = telemetry._Run(request())
    run.end("succeeded")
    labels = {"task": "shop.small", "queue": "direct", "outcome": "succeeded"}
    assert value(metrics, "task_outcomes_total", **labels) == 1
    assert not list(tmp_path.iterdir())
    theirs = prometheus_client.Counter("theirs", "Of the application.", registry=None)
    theirs.inc()
    assert [each.name.partition("_")[0] for each in tmp_path.iterdir()] == ["counter"]


def test_an_error_in_it_is_logged_once_and_the_request_goes_on(app, metrics, caplog):
    metrics.queue_of = None
    kind = telemetry._observed(Request)
    message = SimpleNamespace(
        body="[]",
        headers={"id": "1", "task": "shop.small"},
        content_type="application/json",
        content_encoding="utf-8",
        payload=[[], {}, {}],
        delivery_info={},
        properties={},
    )
    for _ in range(3):
        received = kind(message, app=app, task=app.tasks["shop.small"])
        received.on_accepted(1, monotonic())
        received.on_retry = print
        received.on_failure(SimpleNamespace(exception=Retry(), exc_info=None, traceback=""))
    assert [each.levelname for each in caplog.records if each.name == telemetry.__name__] == ["ERROR"]


def test_without_its_library_a_worker_ends_and_says_what_to_install(app, monkeypatch):
    def absent(name):
        raise ModuleNotFoundError(name=name)

    monkeypatch.setattr(telemetry, "import_module", absent)
    with pytest.raises(ImproperlyConfigured, match="prometheus-client"):
        telemetry._client()
    app.app, app.hostname = app, "mail@host"
    with pytest.raises(SystemExit, match="prometheus-client"):
        sent_by_celery(telemetry._prepare, app)


def sent_by_celery(receiver, sender):
    """A signal swallows any other exception."""
    signal = Signal(name="test")
    signal.connect(receiver, weak=False)
    signal.send(sender=sender)


def test_it_serves_on_the_first_free_port_and_only_says_so_if_there_is_none(metrics, monkeypatch, caplog):
    port = free_port()
    with socket.socket() as taken:
        taken.bind((HOST, port))
        taken.listen()
        monkeypatch.setenv(telemetry.PORTS, str(port))
        telemetry._serve(metrics)
    assert [each.levelname for each in caplog.records] == ["ERROR"]
    assert f"no port of {port} is free" in caplog.text
    caplog.set_level(logging.INFO)
    telemetry._serve(metrics)
    with urlopen(f"http://{HOST}:{port}/metrics", timeout=5) as answer:
        names = {family.name for family in text_string_to_metric_families(answer.read().decode())}
    assert {"policycompiler_plan_info", "policycompiler_tasks_in_flight"} <= names
    with urlopen(f"http://{HOST}:{port}/metrics?name[]=policycompiler_plan_info", timeout=5) as answer:
        assert b"policycompiler_plan_info" in answer.read()
    server = telemetry._state["server"]
    # What a process of a pool does with the socket that it has inherited.
    telemetry._enter_child()
    assert server.socket.fileno() == -1
    server.shutdown()


class Scheduler:
    """One of no base class, as a library may bring it."""

    def tick(self, *given):
        return 5.0, given

    def apply_async(self, entry, producer=None, **options):
        if producer == "broken":
            raise ConnectionError
        return entry.name, options


def test_any_scheduler_is_measured_and_keeps_its_answers_and_its_errors(app, metrics):
    scheduler = Scheduler()
    telemetry._wrap(scheduler, app, metrics)
    entries = [SimpleNamespace(name=name) for name in ("nightly", "of-a-user")]
    assert value(metrics, "beat_dispatch_errors_total", schedule="nightly") == 0
    assert value(metrics, "beat_last_dispatch_timestamp_seconds", schedule="nightly") is None
    assert scheduler.tick(1) == (5.0, (1,))
    assert [scheduler.apply_async(each, advance=False)[0] for each in entries] == ["nightly", "of-a-user"]
    with pytest.raises(ConnectionError):
        scheduler.apply_async(entries[0], producer="broken")
    assert value(metrics, "beat_dispatch_errors_total", schedule="nightly") == 1
    for labels in ({"schedule": "nightly"}, {"schedule": "other"}):
        assert value(metrics, "beat_last_dispatch_timestamp_seconds", **labels) == pytest.approx(
            time(), abs=5
        )
    assert value(metrics, "beat_last_dispatch_timestamp_seconds", schedule="of-a-user") is None
    assert value(metrics, "beat_last_tick_timestamp_seconds") == pytest.approx(time(), abs=5)
