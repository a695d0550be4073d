"""What is stored of a task that ended, and for how long.

On it rest the policies results and chords, and what serialization says of results.
"""

from __future__ import annotations

import pytest
from celery import chord
from celery.backends.base import Backend
from celery.backends.mongodb import MongoBackend
from celery.backends.s3 import S3Backend
from knowledge.app import make
from kombu.exceptions import ContentDisallowed
from processes import wait_until

pytestmark = pytest.mark.server

IGNORED = {"ignore_result": True}


@pytest.fixture
def lab(on_redis, redis_url):
    found = on_redis(
        result_backend=redis_url,
        result_expires=1000,
        task_annotations={"ignored_echo": IGNORED, "fail": IGNORED | {"store_errors_even_if_ignored": True}},
    )
    found.worker()
    return found


def stored(database, result) -> bool:
    return database.exists(f"celery-task-meta-{result.id}") == 1


def test_an_ignored_result_is_not_stored(lab, database):
    ignored, kept = lab.send("ignored_echo", 1), lab.send("echo", 1)
    wait_until(lambda: stored(database, kept), "the later one is stored")
    assert not stored(database, ignored)


def test_the_error_of_an_ignored_result_is_stored_where_the_option_says_so(lab):
    result = lab.send("fail")
    # A result that is ignored at the call cannot be asked through the one that the call gave.
    asked = lab.app.AsyncResult(result.id)
    wait_until(lambda: asked.state == "FAILURE", "the error is stored")
    assert isinstance(asked.result, ConnectionError)


def test_a_result_is_kept_for_result_expires(lab, database):
    result = lab.send("quick")
    wait_until(lambda: stored(database, result), "it is stored")
    assert 0 < database.ttl(f"celery-task-meta-{result.id}") <= 1000


def test_an_expiry_of_one_task_does_nothing(on_redis, redis_url, database):
    """As an annotation, which sets the same attribute as the decorator does."""
    lab = on_redis(
        result_backend=redis_url, result_expires=1000, task_annotations={"quick": {"result_expires": 5}}
    )
    lab.worker()
    result = lab.send("quick")
    wait_until(lambda: stored(database, result), "it is stored")
    assert database.ttl(f"celery-task-meta-{result.id}") > 5


@pytest.mark.parametrize(
    "pins", [{"accept_content": ["yaml"], "task_serializer": "yaml"}, {"result_accept_content": ["yaml"]}]
)
def test_results_are_read_only_as_what_is_accepted(on_redis, redis_url, database, pins):
    """The worker writes them all the same."""
    lab = on_redis(result_backend=redis_url, result_serializer="json", **pins)
    lab.worker()
    result = lab.send("echo", 1)
    wait_until(lambda: stored(database, result), "it is stored")
    with pytest.raises(ContentDisallowed, match="json"):
        lab.app.backend.get_result(result.id)


def test_celery_cleans_mongodb_and_leaves_s3_as_it_is():
    assert MongoBackend.cleanup is not Backend.cleanup
    assert S3Backend.cleanup is Backend.cleanup
    assert not S3Backend.supports_autoexpire


@pytest.mark.parametrize("backend", ["rpc://", "disabled://"])
def test_a_chord_is_refused_where_nothing_counts_its_parts(backend):
    app = make({"broker_url": "memory://", "result_backend": backend})
    header = [app.tasks["echo"].s(number) for number in (1, 2)]
    with pytest.raises(NotImplementedError):
        chord(header, app=app)(app.tasks["tell"].s())


@pytest.mark.since("5.7")
def test_what_is_counted_of_a_chord_is_kept_for_result_chord_expires(on_redis, redis_url, database):
    lab = on_redis(result_backend=redis_url, result_expires=1000, result_chord_expires=5000)
    chord([lab.app.tasks["echo"].s(1)] * 2, app=lab.app)(lab.app.tasks["tell"].s())
    (size,) = database.keys("celery-taskset-meta-*.s")
    assert 1000 < database.ttl(size) <= 5000


def test_a_part_of_a_chord_that_is_to_be_ignored_leaves_the_body_waiting(lab):
    chord([lab.app.tasks["echo"].s(1), lab.app.tasks["skip"].s()], app=lab.app)(lab.app.tasks["tell"].s())
    lab.wait_for("start", "skip")
    # One slot: a body that was sent before this one would run before it.
    lab.wait_for("end", "echo")
    lab.send("quick")
    lab.wait_for("end", "quick")
    assert lab.events("told") == []


@pytest.mark.parametrize(("part", "told"), [("echo", True), ("ignored_echo", False)])
def test_a_backend_that_polls_waits_for_ever_for_parts_whose_results_are_ignored(
    on_redis, tmp_path, part, told
):
    """Files stand for a database, S3 and MongoDB: Celery polls all of them in the same way."""
    lab = on_redis(
        result_backend=f"file://{tmp_path}",
        result_chord_retry_interval=0.2,
        task_annotations={"ignored_echo": IGNORED},
    )
    lab.worker()
    parts = [lab.app.tasks[part].s(number) for number in (1, 2)]
    chord(parts, app=lab.app)(lab.app.tasks["tell"].s())
    lab.wait_for("end", part, times=2)
    if told:
        lab.wait_for("told")
        assert lab.events("told")[0]["values"] == [1, 2]
    else:
        polled = len(lab.events("retry", "celery.chord_unlock"))
        lab.wait_for("retry", "celery.chord_unlock", times=polled + 3)
        assert lab.events("told") == []


@pytest.mark.parametrize("part", ["echo", "ignored_echo"])
def test_a_chord_gets_what_its_parts_return_also_where_their_results_are_ignored(lab, part):
    """On Redis; so the policy's `canvas: [chord]` is a caution and no need."""
    parts = [lab.app.tasks[part].s(number) for number in (1, 2)]
    chord(parts, app=lab.app)(lab.app.tasks["tell"].s())
    lab.wait_for("told")
    assert lab.events("told")[0]["values"] == [1, 2]
