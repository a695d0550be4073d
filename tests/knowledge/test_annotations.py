"""How `task_annotations` gives options to tasks.

On it rest the emitter of `celeryconfig.py`, which writes one annotation for each exact name and one object
for all patterns, and every policy that decides `task:NAME/options.*`: as-written, time-limits, retries,
late-acknowledgement, worker-lost, expiry, results, failure-acknowledgement, and what retry-checks says.
"""

from __future__ import annotations

import json
from fnmatch import fnmatchcase

import pytest
from celery import Celery, Task
from knowledge.app import ByPattern, make, quick
from processes import wait_until

NAME = "shop.mail.send"
NO_JITTER = {"retry_backoff": 1, "retry_backoff_max": 2, "retry_jitter": False}


def annotated(annotations, **decorator):
    """The task `shop.mail.send` of an app with these annotations."""
    app = Celery(set_as_current=False, task_annotations=annotations)
    app.task(name=NAME, shared=False, **decorator)(quick)
    return app.tasks[NAME]


def test_an_exact_annotation_overrides_the_decorator():
    assert annotated({NAME: {"time_limit": 50}}, time_limit=5).time_limit == 50


def test_a_star_annotation_overrides_the_exact_one():
    assert annotated({NAME: {"time_limit": 50}, "*": {"time_limit": 77}}).time_limit == 77


def test_a_glob_key_is_ignored():
    assert fnmatchcase(NAME, "shop.*")
    assert annotated({"shop.*": {"time_limit": 50}}).time_limit is None


def test_an_object_with_annotate_gives_options_by_pattern():
    assert annotated(({}, ByPattern("shop.", {"time_limit": 50}))).time_limit == 50


def test_only_the_first_annotation_that_knows_the_name_counts():
    task = annotated(({NAME: {"time_limit": 50}}, ByPattern("shop.", {"time_limit": 7, "acks_late": True})))
    assert (task.time_limit, task.acks_late) == (50, False)


def test_an_annotation_without_options_hides_the_others_too():
    task = annotated(({NAME: {}}, ByPattern("shop.", {"time_limit": 7})))
    assert task.time_limit is None


def test_none_in_an_annotation_is_set_and_hides_the_default():
    assert annotated({NAME: {"max_retries": None}}).max_retries is None
    assert annotated({}).max_retries == 3


@pytest.mark.parametrize(
    "option",
    [
        "acks_late",
        "reject_on_worker_lost",
        pytest.param("retry_on_worker_lost", marks=pytest.mark.since("5.7")),
        "ignore_result",
        "store_errors_even_if_ignored",
        "soft_time_limit",
        "time_limit",
        "max_retries",
        "default_retry_delay",
        "rate_limit",
        "expires",
        "track_started",
    ],
)
def test_a_task_has_the_option(option):
    """An option that Celery renames would be set all the same, on an attribute that nothing reads."""
    assert hasattr(annotated({}), option)


@pytest.mark.server
def test_expires_and_limits_of_an_annotation_travel_with_a_producer_that_has_the_task(on_redis, database):
    lab = on_redis(task_annotations={"quick": {"expires": 60, "time_limit": 9, "soft_time_limit": 8}})
    lab.send("quick")
    lab.stranger().send_task("quick")
    by_name, with_task = (json.loads(message)["headers"] for message in database.lrange("celery", 0, -1))
    assert with_task["expires"]
    assert with_task["timelimit"] == [9, 8]
    assert by_name["expires"] is None
    assert by_name["timelimit"] == [None, None]


@pytest.mark.server
def test_autoretry_by_annotation_works_and_its_waits_double_up_to_the_longest(on_redis):
    options = {"autoretry_for": (ConnectionError,), "max_retries": 3, **NO_JITTER}
    lab = on_redis(task_annotations={"fail": options})
    lab.worker()
    lab.send("fail")
    lab.wait_for("start", "fail", times=4)
    wait_for_failure(lab, "fail")
    assert [retry["wait"] for retry in lab.events("retry", "fail")] == [1, 2, 2]
    assert [start["retries"] for start in lab.events("start", "fail")] == [0, 1, 2, 3]


@pytest.mark.server
def test_max_retries_0_in_an_annotation_stops_the_tasks_own_retry(on_redis):
    lab = on_redis(task_annotations={"again": {"max_retries": 0}})
    lab.worker()
    lab.send("again")
    wait_for_failure(lab, "again")
    assert lab.events("retry") == []
    assert len(lab.events("start", "again")) == 1


@pytest.mark.server
def test_without_an_annotation_the_tasks_own_retry_runs_three_times_more(on_redis):
    """Celery's default, which the policy retries keeps."""
    lab = on_redis()
    lab.worker()
    lab.send("again")
    wait_for_failure(lab, "again")
    assert len(lab.events("start", "again")) == 4


def test_a_retry_that_names_no_wait_waits_180_s():
    assert make({}).tasks["again"].default_retry_delay == 180


def test_a_decorators_autoretry_beats_the_annotations_although_the_attribute_shows_the_annotation():
    """The one family of options in which a workload does not override the code."""
    tried = []

    def failing():
        tried.append(None)
        raise KeyError

    annotations = {NAME: {"autoretry_for": (ValueError,), "retry_backoff": True, "retry_jitter": False}}
    app = Celery(set_as_current=False, task_annotations=annotations)
    app.task(name=NAME, autoretry_for=(KeyError,), max_retries=1, shared=False)(failing)
    app.tasks[NAME].apply()
    assert app.tasks[NAME].autoretry_for == (ValueError,)
    assert len(tried) == 2


@pytest.mark.since("5.7", run=False)
@pytest.mark.since("5.7")
def test_an_annotation_of_the_flag_for_failures_and_timeouts_changes_nothing():
    """Celery 5.7 splits it before it reads annotations, so there is one for each."""
    task = annotated({NAME: {"acks_on_failure_or_timeout": False}})
    assert (task.acks_on_failure, task.acks_on_timeout) == (True, True)
    task = annotated({NAME: {"acks_on_failure": False}})
    assert (task.acks_on_failure, task.acks_on_timeout) == (False, True)


def test_a_task_that_is_registered_as_a_class_has_no_automatic_retries():
    """A function is wrapped where errors are named; a class keeps its own run, whatever the attribute is."""

    class Failing(Task):
        name = NAME

        def run(self):
            raise KeyError

    app = Celery(set_as_current=False, task_annotations={NAME: {"autoretry_for": (KeyError,)}})
    task = app.register_task(Failing())
    assert task.autoretry_for == (KeyError,)
    assert not hasattr(task, "_orig_run")
    assert hasattr(annotated({NAME: {"autoretry_for": (KeyError,)}}), "_orig_run")


@pytest.mark.server
def test_a_retry_without_a_backoff_waits_default_retry_delay_and_no_jitter_shortens_it(on_redis):
    options = {"autoretry_for": (ConnectionError,), "retry_backoff": 0, "retry_backoff_max": 5}
    lab = on_redis(task_annotations={"fail": options | {"retry_jitter": True}})
    lab.worker()
    lab.send("fail")
    lab.wait_for("retry", "fail")
    assert [retry["wait"] for retry in lab.events("retry", "fail")] == [180]


@pytest.mark.server
def test_a_retry_that_is_due_after_the_task_expires_is_never_made(on_redis, database):
    """The expiry of the first message goes with every retry."""
    options = {"autoretry_for": (ConnectionError,), "retry_backoff": 3, "retry_jitter": False, "expires": 2}
    lab = on_redis(task_annotations={"fail": options})
    lab.worker()
    lab.send("fail")
    lab.wait_for("retry", "fail")
    wait_until(lambda: database.llen("celery") == database.hlen("unacked") == 0, "no message is left")
    assert len(lab.events("start", "fail")) == 1


def wait_for_failure(lab, task):
    lab.wait_for("end", task)
    while lab.events("end", task)[-1]["state"] == "RETRY":
        lab.wait_for("end", task, times=len(lab.events("end", task)) + 1)
    assert lab.events("end", task)[-1]["state"] == "FAILURE"
