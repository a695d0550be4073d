"""Which queue a message goes to, and which queues there are.

On it rest the policies placement, queue-declarations and consumers, and the emitter of `celeryconfig.py`: it
writes the queue both as a route and as an annotation, exact names first.
"""

from __future__ import annotations

import warnings

import pytest
from celery import Celery
from celery.exceptions import QueueNotFound
from knowledge.app import quick
from kombu import Exchange, Queue
from processes import EndedEarlyError

pytestmark = pytest.mark.server

SEND = "shop.mail.send"


def declared(*names: str) -> tuple[Queue, ...]:
    return tuple(Queue(name, Exchange(name, type="direct"), routing_key=name) for name in names)


def route(name: str, routes) -> str:
    app = Celery(set_as_current=False, task_routes=routes)
    return app.amqp.router.route({}, name)["queue"].name


@pytest.mark.parametrize("glob_first", [True, False])
def test_an_exact_route_beats_a_glob_of_the_same_mapping_whatever_the_order(glob_first):
    exact, glob = (SEND, {"queue": "exact"}), ("shop.*", {"queue": "glob"})
    assert route(SEND, dict([glob, exact] if glob_first else [exact, glob])) == "exact"


@pytest.mark.parametrize(("first", "second"), [("shop.*", "shop.mail.*"), ("shop.mail.*", "shop.*")])
def test_of_two_globs_the_first_wins(first, second):
    assert route(SEND, {first: {"queue": "first"}, second: {"queue": "second"}}) == "first"


@pytest.mark.parametrize("pattern", ["shop.mail.sen?", "shop.mail.[rs]end"])
def test_a_glob_without_a_star_matches_nothing(pattern):
    assert route(SEND, {pattern: {"queue": "glob"}}) == "celery"


def test_a_star_also_matches_dots():
    """As in the workload, where a pattern is matched by fnmatch."""
    assert route(SEND, {"sh*d": {"queue": "glob"}}) == "glob"


def test_a_queue_in_the_decorator_beats_the_route(on_redis, database):
    lab = on_redis(task_queues=declared("decorated", "routed"), task_routes={SEND: {"queue": "routed"}})
    task = decorated(lab)
    task.apply_async()
    assert (database.llen("decorated"), database.llen("routed")) == (1, 0)


def test_a_queue_in_an_annotation_beats_the_decorator(on_redis, database):
    lab = on_redis(
        task_queues=declared("decorated", "annotated"), task_annotations={SEND: {"queue": "annotated"}}
    )
    task = decorated(lab)
    task.apply_async()
    assert (database.llen("decorated"), database.llen("annotated")) == (0, 1)


def test_a_queue_of_the_call_beats_the_annotation(on_redis, database):
    """Why a workload declares `call_time_queues`."""
    lab = on_redis(
        task_queues=declared("called", "annotated"), task_annotations={"quick": {"queue": "annotated"}}
    )
    lab.send("quick", queue="called")
    assert (database.llen("called"), database.llen("annotated")) == (1, 0)


def test_by_name_the_route_counts_even_where_the_annotation_does_not(on_redis, database):
    """Why the queue is emitted twice."""
    lab = on_redis(
        task_queues=declared("routed", "annotated"),
        task_routes={SEND: {"queue": "routed"}},
        task_annotations={SEND: {"queue": "annotated"}},
    )
    lab.app.send_task(SEND)
    assert (database.llen("routed"), database.llen("annotated")) == (1, 0)


def test_with_missing_queues_created_a_misspelled_queue_takes_messages_without_complaint(on_redis, database):
    lab = on_redis()
    lab.send("quick", queue="mispelt")
    assert database.llen("mispelt") == 1


def test_with_task_create_missing_queues_false_an_unknown_queue_is_an_error_at_publish(on_redis, database):
    lab = on_redis(task_create_missing_queues=False, task_queues=declared("celery"))
    with pytest.raises(QueueNotFound, match="mispelt"):
        lab.send("quick", queue="mispelt")
    assert database.exists("mispelt") == 0


def test_with_task_create_missing_queues_false_the_default_queue_must_be_declared_too(on_redis, database):
    undeclared = on_redis(
        task_create_missing_queues=False, task_queues=declared("mail"), task_default_queue="rest"
    )
    with pytest.raises(QueueNotFound, match="rest"):
        undeclared.send("quick")
    both = on_redis(
        task_create_missing_queues=False, task_queues=declared("mail", "rest"), task_default_queue="rest"
    )
    both.send("quick")
    assert database.llen("rest") == 1


def test_with_task_create_missing_queues_false_a_worker_of_an_unknown_queue_ends(on_redis):
    lab = on_redis(task_create_missing_queues=False, task_queues=declared("celery"))
    with pytest.raises(EndedEarlyError, match="mispelt"):
        lab.worker("--queues", "mispelt")


def test_a_worker_without_queues_consumes_all_that_are_declared(on_redis):
    """Why every worker command names its queues."""
    lab = on_redis(task_queues=declared("mail", "dead"))
    lab.worker()
    lab.send("quick", queue="dead")
    lab.wait_for("end", "quick")


def test_a_worker_with_queues_leaves_the_others_alone(on_redis, database):
    lab = on_redis(task_queues=declared("mail", "dead"))
    lab.worker("--queues", "mail")
    lab.send("quick", queue="dead")
    lab.send("quick", queue="mail")
    lab.wait_for("end", "quick")
    assert [start["routing_key"] for start in lab.events("start")] == ["mail"]
    assert database.llen("dead") == 1


def test_a_queue_that_is_not_declared_by_the_sender_takes_messages_on_redis(on_redis, database):
    """How an external queue is emitted: `no_declare=True`, on a direct exchange."""
    external = Queue("theirs", Exchange("theirs", type="direct"), routing_key="theirs", no_declare=True)
    lab = on_redis(task_create_missing_queues=False, task_queues=(external, *declared("celery")))
    lab.send("quick", queue="theirs")
    assert database.llen("theirs") == 1
    assert database.exists("_kombu.binding.theirs") == 0


def decorated(lab):
    lab.app.task(name=SEND, queue="decorated", shared=False)(quick)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # for those who write it
        return lab.app.tasks[SEND]


@pytest.mark.since("5.7")
def test_a_queue_in_the_decorator_is_warned_of():
    app = Celery(set_as_current=False)
    app.task(name=SEND, queue="decorated", shared=False)(quick)
    with pytest.warns(match="queue"):
        assert app.tasks[SEND]
