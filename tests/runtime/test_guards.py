"""The package of guards: what it imports, what it says, what it leaves alone, and what publishers may send."""

from __future__ import annotations

import ast
import functools
import json
import os
import pickle
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
import redis
from celery import Celery, chord, group, signals
from celery._state import _task_stack
from celery.app.trace import build_tracer
from celery.exceptions import Reject, Retry
from kombu import serialization
from kombu.exceptions import EncodeError
from servers import redis_server

from policycompiler.runtime import guards
from policycompiler.runtime.guards import checks, counts, parking
from policycompiler.runtime.guards.errors import Later
from policycompiler.runtime.guards.told import Parking, told_of

PACKAGE = Path(guards.__file__).parent
KEYED = {"key": "payment_id"}
KINDS = ("plain", "bound", "autoretry", "own call", "decorated call", "own start", "written", "nested")
UIDS = tuple(f"celeryconfig-guards-{part}-shop" for part in ("prepare", "payloads"))


@pytest.fixture(autouse=True)
def no_signals_left():
    yield
    for signal, uid in zip((signals.worker_init, signals.before_task_publish), UIDS, strict=True):
        signal.disconnect(dispatch_uid=uid)


def guarded(**declared):
    return guards.guard({"service": "shop", "store": "STORE_URL", **declared})


def test_it_imports_nothing_of_ours_and_few_other_libraries():
    found = set()
    for file in PACKAGE.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"), feature_version=(3, 9))):
            if isinstance(node, ast.ImportFrom) and not node.level:
                found.add(node.module.partition(".")[0])
            elif isinstance(node, ast.Import):
                found.add(node.names[0].name.partition(".")[0])
    assert found - sys.stdlib_module_names == {"billiard", "celery", "kombu", "prometheus_client", "redis"}


def test_it_is_one_folder_that_works_under_another_name_and_loads_what_is_declared(tmp_path):
    (tmp_path / "celeryconfig_guards").symlink_to(PACKAGE)
    script = (
        "import sys, celeryconfig_guards as g; g.guard({'service': 's', 'store': None, 'bounds': {'q': 1}});"
        "print(*sorted(n.partition('.')[2] for n in sys.modules if n.startswith('celeryconfig_guards.')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["bounds", "counts", "errors", "guarded", "running", "told"]


def test_exact_names_come_before_patterns_and_the_first_pattern_wins():
    found = guarded(
        tasks={"shop.a": {"key": "exact"}}, patterns={"shop.*": {"key": "first"}, "*": {"key": "second"}}
    )
    assert [found.of(name).key for name in ("shop.a", "shop.b", "mail")] == ["exact", "first", "second"]
    assert guarded().of("shop.a") is None


def test_a_pattern_for_all_tasks_leaves_those_of_celery_alone(app, monkeypatch):
    """They have no such parameter, so no worker would start; and `chord_unlock` calls no dependency."""
    monkeypatch.setenv("STORE_URL", "redis://127.0.0.1:1/0")

    @app.task(name="shop.charge", shared=False)
    def charge(payment_id):
        pass

    app.finalize()
    found = guarded(patterns={"*": KEYED})
    assert "celery.chord_unlock" in app.tasks
    assert list(checks.problems(found, app)) == []
    assert [name for name in app.tasks if found.of(name)] == ["shop.charge"]
    assert guarded(tasks={"celery.chord_unlock": KEYED}).of("celery.chord_unlock").key == "payment_id"


def test_a_dependency_that_is_named_twice_is_asked_once():
    """Otherwise its only probe would wait for itself, and the breaker would never close."""
    assert guarded(tasks={"shop.a": {"calls": ["stripe", "bank", "stripe"]}}).of("shop.a").calls == (
        "stripe",
        "bank",
    )


@pytest.mark.parametrize(
    ("parking", "seconds", "countdown"),
    [
        (Parking(longest=60, whole_seconds=True), 0.2, 1),
        (Parking(longest=60, whole_seconds=True), 1.2, 2),
        (Parking(longest=60.5, whole_seconds=True), 90, 60),
        (Parking(longest=60, whole_seconds=False), 0.2, 0.2),
        (Parking(longest=60, whole_seconds=False), 90, 60),
    ],
)
def test_a_park_is_as_long_as_the_broker_can_delay(parking, seconds, countdown):
    assert parking.countdown(seconds) == countdown


@pytest.mark.parametrize(
    "error",
    [
        guards.QueueFull("mail", 12, 10),
        guards.PayloadTooLarge("shop.a", 12, 10),
        guards.Parked("stripe is open"),
        guards.Poisoned("p"),
    ],
)
def test_exceptions_can_be_pickled(error):
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again)) == (type(error), str(error))


@pytest.fixture
def app():
    made = Celery("shop", broker="memory://", set_as_current=False)
    yield made
    made.close()


@pytest.mark.parametrize("kind", KINDS)
def test_a_task_that_no_worker_runs_is_left_alone(kind, app, monkeypatch):
    """The store cannot be reached, and nobody tries."""
    monkeypatch.setattr(counts, "_values", {})
    monkeypatch.setenv("STORE_URL", "redis://127.0.0.1:1/0")
    found = guarded(patterns={"*": KEYED})
    app.conf.task_annotations = SimpleNamespace(annotate=found.annotate, annotate_any=lambda: None)
    kinds(app)
    task = app.tasks[kind]
    own = {"own call": ["own"], "decorated call": ["decorated"]}.get(kind, [])

    def expected(task_id, *words):
        return "bottom" if kind == "nested" else [*words, 1, task_id, 0, False]

    assert task(1) == expected(None, *own)
    assert task.run(1) == expected(None)
    assert task.apply((1,), task_id="t").get() == expected("t", *own)
    app.conf.task_always_eager = True
    assert task.apply_async((1,), task_id="t").get() == expected("t", *own)
    assert list(counts.read()) == []


def test_an_unguarded_task_gets_no_option(app):
    @app.task(name="shop.other", shared=False)
    def other():
        pass

    assert guarded(tasks={"shop.charge": KEYED}).annotate(other) == {}


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    with redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url


def kinds(app):
    """Tasks as people write them; each returns its argument and what it knows of its request."""
    import celery  # noqa: PLC0415

    def told(self, payment_id):
        return [payment_id, self.request.id, self.request.retries, guards.current_key() is not None]

    class Base(celery.Task):
        def __call__(self, *args, **kwargs):
            return ["own", *super().__call__(*args, **kwargs)]

    def decorated(function):
        @functools.wraps(function)
        def inner(*args, **kwargs):
            return ["decorated", *function(*args, **kwargs)]

        return inner

    class Decorated(celery.Task):
        @decorated
        def __call__(self, *args, **kwargs):
            return super().__call__(*args, **kwargs)

    class Before(celery.Task):
        def before_start(self, *_):
            """Its own."""

    class Written(celery.Task):
        name = "written"

        def run(self, payment_id):
            return told(self, payment_id)

    def plain(payment_id):
        return told(app.tasks["plain"], payment_id)

    options = {"shared": False}
    app.task(plain, name="plain", **options)
    app.task(told, name="bound", bind=True, **options)
    app.task(told, name="autoretry", bind=True, autoretry_for=(KeyError,), **options)
    app.task(told, name="own call", bind=True, base=Base, **options)
    app.task(told, name="decorated call", bind=True, base=Decorated, **options)
    app.task(told, name="own start", bind=True, base=Before, **options)
    app.register_task(Written())

    @app.task(name="nested", bind=True, **options)
    def nested(self, payment_id):
        return self(payment_id - 1) if payment_id > 1 else "bottom"


@pytest.mark.server
@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_task_runs_once_and_then_returns_what_it_has(kind, app, url, monkeypatch):
    monkeypatch.setenv("STORE_URL", url)
    found = guarded(patterns={"*": KEYED}, prefix=f"{kind}:")
    app.conf.task_annotations = SimpleNamespace(annotate=found.annotate, annotate_any=lambda: None)
    kinds(app)
    app.finalize()
    task = app.tasks[kind]
    results = [run(app, task, f"{number}", 3 if kind == "nested" else "p") for number in ("first", "second")]
    assert results[0] == results[1]
    expected = ["p", "first", 0, True]
    others = {"nested": "bottom", "own call": ["own", *expected], "decorated call": ["decorated", *expected]}
    assert results[0] == others.get(kind, expected)
    found.store._client.close()


@pytest.mark.server
def test_a_task_that_calls_itself_again_and_again_has_one_claim(app, url, monkeypatch):
    monkeypatch.setenv("STORE_URL", url)
    found = guarded(patterns={"*": KEYED}, prefix="again:")
    app.conf.task_annotations = SimpleNamespace(annotate=found.annotate, annotate_any=lambda: None)

    @app.task(name="walk", bind=True, shared=False)
    def walk(self, payment_id, depth):
        return self(payment_id, depth - 1) if depth else self.request.id

    app.finalize()
    assert run(app, app.tasks["walk"], "first", "p", 4) == "first"
    assert len(found.store._client.keys("again:*")) == 1
    found.store._client.close()


def run(app, task, task_id, *args):
    """Run a task as the process of a pool does."""
    from celery.app import trace  # noqa: PLC0415

    trace._install_stack_protection()
    try:
        request = {"id": task_id, "args": args, "kwargs": {}, "hostname": "w@host", "is_eager": False}
        tracer = build_tracer(task.name, task, app=app, eager=True, propagate=True)
        return tracer(task_id, args, {}, {**request, "ignore_result": True}).retval
    finally:
        trace.reset_worker_optimizations(app)


def test_a_worker_says_what_is_wrong_before_it_takes_a_message(app, monkeypatch):
    monkeypatch.delenv("STORE_URL", raising=False)

    @app.task(name="shop.charge", shared=False)
    def charge(order):
        pass

    trip = {"failures": 1, "within": 1, "open_for": 1}
    found = guarded(
        dependencies={"stripe": {"breaker": trip}},
        tasks={"shop.charge": KEYED | {"calls": ["stripe"], "failures": {"stripe": ["no.Such", "os.sep"]}}},
    )
    said = list(checks.problems(found, app))
    assert [text.partition(" ")[0] for text in said] == ["guards", "task", "no.Such", "os.sep"]
    assert "set STORE_URL" in said[0]
    assert "has no parameter payment_id" in said[1]
    assert "its parameters: order" in said[1]
    assert "cannot be imported (ModuleNotFoundError)" in said[2]
    assert "is no exception" in said[3]
    app.app = app
    with pytest.raises(SystemExit, match="set STORE_URL"):
        signals.worker_init.send(sender=app)


@pytest.mark.parametrize("text", ["http://:pa55word@host", "pa55word", "redis://:pa55word@host/0?no_such=1"])
def test_a_wrong_url_is_said_without_its_password(monkeypatch, text):
    monkeypatch.setenv("STORE_URL", text)
    problem = guarded(tasks={"shop.charge": KEYED}).store.problem()
    assert "STORE_URL is no URL of a Redis" in problem
    assert "pa55word" not in problem


def test_a_store_that_is_away_stops_no_worker(monkeypatch):
    monkeypatch.setenv("STORE_URL", "redis://127.0.0.1:1/0")
    assert guarded(tasks={"shop.charge": KEYED}).store.problem() is None


def test_counts_of_the_processes_of_a_pool_reach_the_main_process(monkeypatch):
    monkeypatch.setattr(counts, "_values", {})
    monkeypatch.setattr(counts, "_pipe", {"owner": None, "rest": b""})
    counts.share()
    # As a process of the pool, which has the pipe but another id.
    monkeypatch.setitem(counts._pipe, "owner", -1)
    counts.add("parked_total", task="shop.a", reason="rate")
    counts.add("rate_waited_seconds_total", 1.5, dependency="stripe")
    assert not counts._values
    monkeypatch.setitem(counts._pipe, "owner", os.getpid())
    counts.add("parked_total", task="shop.a", reason="rate")
    found = {each.name: (dict(each.labels), each.value) for each in counts.read()}
    assert found == {
        "parked_total": ({"task": "shop.a", "reason": "rate"}, 2),
        "rate_waited_seconds_total": ({"dependency": "stripe"}, 1.5),
    }
    os.close(counts._pipe["reads"])
    os.close(counts._pipe["writes"])


@pytest.fixture
def publisher(url):
    """An app with tasks in a queue with priorities, on Redis with a prefix."""
    with redis.Redis.from_url(url) as client:
        client.flushall()
    made = Celery("shop", broker=url, backend="cache+memory://", set_as_current=False)
    made.conf.broker_transport_options = {"global_keyprefix": "pre-", "priority_steps": [0, 3, 6, 9]}
    made.conf.task_routes = {"shop.*": {"queue": "payments"}}
    for name in ("shop.a", "shop.b"):
        made.task(small, name=name, shared=False)
    yield made
    made.close()


def small(text=""):
    """A task that does nothing."""


WAYS = {
    "delay": lambda app, text: app.tasks["shop.a"].delay(text),
    "apply_async": lambda app, text: app.tasks["shop.a"].apply_async((text,), priority=9),
    "send_task": lambda app, text: app.send_task("shop.a", (text,)),
    "send_task to a queue": lambda app, text: app.send_task("shop.x", (text,), queue="payments"),
    "signature": lambda app, text: app.tasks["shop.a"].s(text).apply_async(),
    "signature by name": lambda app, text: app.signature("shop.x", args=(text,)).apply_async(),
    "chain": lambda app, text: (app.tasks["shop.a"].si("") | app.tasks["shop.b"].si(text)).apply_async(),
    "group": lambda app, text: group([app.tasks["shop.a"].si(text)], app=app).apply_async(),
    "chord": lambda app, text: chord([app.tasks["shop.a"].si(text)], app=app)(app.tasks["shop.b"].si()),
}


@contextmanager
def inside(task):
    """As in a worker that runs a task."""
    task.push_request(id="running", is_eager=False, called_directly=False)
    _task_stack.push(task)
    try:
        yield
    finally:
        _task_stack.pop()
        task.pop_request()


@pytest.mark.server
@pytest.mark.parametrize("way", WAYS)
def test_a_full_queue_refuses_a_publisher_but_no_task(way, publisher):
    found = guarded(bounds={"payments": 4})
    publisher.set_current()
    publisher.conf.task_routes = (found.route, publisher.conf.task_routes)
    for number in range(4):
        publisher.send_task("shop.a", priority=3 * number)
    with pytest.raises(guards.QueueFull) as error:
        WAYS[way](publisher, "")
    assert (error.value.queue, error.value.depth, error.value.bound) == ("payments", 4, 4)
    with inside(publisher.tasks["shop.b"]):
        WAYS[way](publisher, "")
    publisher.send_task("shop.a", queue="other")


@pytest.mark.server
def test_a_broker_that_is_away_does_not_make_a_queue_full(publisher):
    found = guarded(bounds={"payments": 0})
    publisher.conf.broker_url = "redis://127.0.0.1:1/0"
    publisher.conf.broker_transport_options = {"max_retries": 0}
    assert found.route("shop.a", (), {}, {}, task=publisher.tasks["shop.a"]) is None


@pytest.mark.server
@pytest.mark.parametrize("way", WAYS)
def test_a_large_message_is_refused_and_a_small_one_is_read_as_json(way, publisher, url):
    publisher.set_current()
    guarded(payloads={"shop.a": 1500}, payload_patterns={"shop.*": 1500})
    WAYS[way](publisher, "small")
    with redis.Redis.from_url(url) as client:
        [key] = client.keys("pre-payments*")
        message = json.loads(client.lindex(key, 0))
        assert message["content-type"] == "application/json"
        with pytest.raises(guards.PayloadTooLarge, match="1500 are allowed") as error:
            WAYS[way](publisher, "ü" * 1500)
        assert isinstance(error.value, EncodeError)
        assert client.llen(key) == 1
    publisher.send_task("mail", ("x" * 5000,), queue="mail")


@pytest.mark.server
def test_a_message_that_names_the_serializer_is_refused_too_and_a_result_is_none(publisher):
    publisher.set_current()
    guarded(payloads={"shop.a": 100})
    task = publisher.tasks["shop.a"]
    for send in (
        lambda: publisher.send_task("shop.a", ("x" * 200,), serializer="json"),
        lambda: task.apply_async(("x" * 200,), serializer="json"),
        lambda: task.s("x" * 200).set(serializer="json").apply_async(),
    ):
        with pytest.raises(guards.PayloadTooLarge):
            send()
    publisher.send_task("shop.a", ("x" * 200,), serializer="pickle")
    # The message before was not measured, and what follows is none.
    assert serialization.dumps("x" * 200, serializer="json")[2] == '"' + "x" * 200 + '"'


@pytest.mark.server
def test_a_retry_of_a_message_is_not_refused(publisher):
    publisher.set_current()
    guarded(payloads={"shop.a": 100})
    with inside(publisher.tasks["shop.a"]):
        publisher.send_task("shop.a", ("x" * 200,), task_id="running")
        with pytest.raises(guards.PayloadTooLarge):
            publisher.send_task("shop.a", ("x" * 200,))


@pytest.mark.server
def test_a_process_that_publishes_for_two_services_keeps_the_bounds_of_both(publisher):
    """Each has its own copy of the package; here one copy stands for both."""
    publisher.set_current()
    guarded(payloads={"shop.a": 100})
    guarded(service="mail", payloads={"shop.b": 100})
    for name in ("shop.a", "shop.b"):
        with pytest.raises(guards.PayloadTooLarge):
            publisher.send_task(name, ("x" * 200,))
    signals.before_task_publish.disconnect(dispatch_uid="celeryconfig-guards-payloads-mail")
    signals.worker_init.disconnect(dispatch_uid="celeryconfig-guards-prepare-mail")


def test_the_worker_of_another_service_needs_no_store_of_this_one(app, monkeypatch):
    monkeypatch.delenv("STORE_URL", raising=False)
    trip = {"failures": 1, "within": 1, "open_for": 1}
    guarded(dependencies={"stripe": {"breaker": trip}}, tasks={"shop.charge": {"calls": ["stripe"]}})
    app.app = app
    signals.worker_init.send(sender=app)


def test_what_is_not_declared_has_a_default():
    told = told_of({"service": "shop"})
    assert (told.store, told.tasks, told.parking) == (None, {}, Parking())


def test_a_message_that_cannot_be_parked_goes_back_to_its_queue(app, monkeypatch):
    """Celery's own retry would reject it for good."""

    @app.task(name="shop.charge", shared=False, bind=True)
    def charge(self):
        """It is parked."""

    def refuse(*_, **__):
        raise OSError

    monkeypatch.setattr(parking, "PAUSE_SECONDS", 0)
    monkeypatch.setattr(app, "send_task", refuse)
    with inside(charge), pytest.raises(Reject) as error:
        parking.park(charge, charge.request, Parking(), Later(1, "rate", "the rate is used up"))
    assert error.value.requeue


def test_a_parked_message_is_sent_with_the_same_number_of_retries(app, monkeypatch):
    sent = []

    @app.task(name="shop.charge", shared=False, bind=True)
    def charge(self):
        """It is parked."""

    monkeypatch.setattr(app, "send_task", lambda *_, **options: sent.append(options))
    later = Later(30, "rate", "the rate is used up")
    with inside(charge):
        charge.request.update(retries=2)
        with pytest.raises(Retry) as error:
            parking.park(charge, charge.request, Parking(longest=10), later)
    assert (sent[0]["retries"], sent[0]["countdown"], sent[0]["task_id"]) == (2, 10, "running")
    assert isinstance(error.value.exc, guards.Parked)
    assert isinstance(pickle.loads(pickle.dumps(error.value)).exc, guards.Parked)
