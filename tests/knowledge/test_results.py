"""What is stored of a task that ended, and for how long.

On it rests the policy results.
"""

from __future__ import annotations

import pytest
from celery import chord
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


@pytest.mark.parametrize("part", ["echo", "ignored_echo"])
def test_a_chord_gets_what_its_parts_return_also_where_their_results_are_ignored(lab, part):
    """On Redis; so the policy's `canvas: [chord]` is a caution and no need."""
    parts = [lab.app.tasks[part].s(number) for number in (1, 2)]
    chord(parts, app=lab.app)(lab.app.tasks["tell"].s())
    lab.wait_for("told")
    assert lab.events("told")[0]["values"] == [1, 2]
