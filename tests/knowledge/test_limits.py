"""Which limits a run is held to, and in which pools.

On it rest the policies time-limits, pool and recycling; stop-timeout builds on hard limits that hold.
"""

from __future__ import annotations

import time

import pytest
from billiard.exceptions import TimeLimitExceeded
from celery.exceptions import SoftTimeLimitExceeded
from processes import wait_until

pytestmark = pytest.mark.server

SHORT = {"soft_time_limit": 1, "time_limit": 2}


def test_a_soft_limit_above_the_hard_one_makes_every_send_an_error(on_redis):
    lab = on_redis(task_annotations={"quick": {"soft_time_limit": 2, "time_limit": 1}})
    with pytest.raises(ValueError, match="soft_time_limit"):
        lab.send("quick")


@pytest.mark.since("5.7")
def test_a_soft_limit_of_the_settings_above_their_hard_one_makes_every_send_an_error(on_redis):
    lab = on_redis(task_soft_time_limit=2, task_time_limit=1)
    with pytest.raises(ValueError, match="soft_time_limit"):
        lab.send("quick")


def test_a_soft_limit_that_equals_the_hard_one_is_allowed(on_redis, database):
    lab = on_redis(task_annotations={"quick": {"soft_time_limit": 2, "time_limit": 2}})
    lab.send("quick")
    assert database.llen("celery") == 1


def test_prefork_keeps_the_soft_limit_as_an_exception_in_the_task(on_redis):
    lab = on_redis(task_annotations={"nap": {"soft_time_limit": 1, "time_limit": 60}})
    lab.worker()
    lab.send("nap", 60)
    lab.wait_for("end", "nap")
    assert lab.events("end", "nap")[0]["state"] == "FAILURE"
    assert SoftTimeLimitExceeded.__name__ in lab.logs()


def test_prefork_keeps_the_hard_limit_by_ending_the_process(on_redis, redis_url):
    lab = on_redis(task_annotations={"shrug": SHORT}, result_backend=redis_url)
    lab.worker()
    result = lab.send("shrug", 60)
    wait_until(lambda: result.state == "FAILURE", "it counts as failed")
    assert isinstance(result.result, TimeLimitExceeded)
    assert len(lab.events("soft limit")) == 1
    assert not any(end["state"] for end in lab.events("end", "shrug"))


@pytest.mark.parametrize("pool", ["threads", "solo"])
def test_threads_and_solo_ignore_both_limits_in_silence(on_redis, pool):
    lab = on_redis(task_annotations={"nap": SHORT})
    lab.worker(pool=pool)
    lab.send("nap", 3)
    lab.wait_for("end", "nap")
    assert lab.events("end", "nap")[0]["state"] == "SUCCESS"
    assert "limit" not in lab.logs()


def test_gevent_ignores_the_soft_limit_in_silence(on_redis):
    pytest.importorskip("gevent")
    lab = on_redis(task_annotations={"nap": {"soft_time_limit": 1}})
    lab.worker(pool="gevent")
    lab.send("nap", 3)
    lab.wait_for("end", "nap")
    assert lab.events("end", "nap")[0]["state"] == "SUCCESS"
    assert "limit" not in lab.logs()


def test_gevent_keeps_the_hard_limit_of_a_task_that_waits(on_redis, redis_url):
    """Unlike what the policy pool says of it; a task that computes is not held to it, see below."""
    pytest.importorskip("gevent")
    lab = on_redis(task_annotations={"nap": {"time_limit": 1}}, result_backend=redis_url)
    lab.worker(pool="gevent")
    result = lab.send("nap", 60)
    wait_until(lambda: result.state == "FAILURE", "it counts as failed")
    assert isinstance(result.result, TimeLimitExceeded)


def test_gevent_does_not_keep_the_hard_limit_of_a_task_that_computes(on_redis):
    pytest.importorskip("gevent")
    lab = on_redis(task_annotations={"compute": {"time_limit": 1}})
    lab.worker(pool="gevent", slots=2)
    lab.send("compute", 3)
    lab.wait_for("end", "compute")
    assert lab.events("end", "compute")[0]["state"] == "SUCCESS"


def test_a_limit_in_the_message_beats_the_workers_own(on_redis):
    """Producers must load the same settings."""
    other = on_redis(task_annotations={"nap": {"time_limit": 60}})
    lab = on_redis(task_annotations={"nap": {"time_limit": 1}})
    lab.worker()
    other.send("nap", 2.5)
    lab.wait_for("end", "nap")
    assert lab.events("end", "nap")[0]["state"] == "SUCCESS"


def test_a_message_without_a_limit_gets_the_workers_own(on_redis, redis_url):
    """A task sent by name."""
    lab = on_redis(task_annotations={"nap": {"time_limit": 1}}, result_backend=redis_url)
    lab.worker()
    result = lab.stranger().send_task("nap", (60,))
    wait_until(lambda: result.state == "FAILURE", "it counts as failed")
    assert isinstance(result.result, TimeLimitExceeded)


@pytest.mark.since("5.7")
def test_limits_of_the_settings_hold_for_a_task_that_has_none(on_redis, redis_url):
    """What the policy gives to tasks that nobody declared."""
    lab = on_redis(task_soft_time_limit=60, task_time_limit=61, result_backend=redis_url)
    assert lab.app.tasks["nap"].time_limit == 61
    tight = on_redis(task_time_limit=1, result_backend=redis_url)
    tight.worker()
    result = tight.send("nap", 60)
    wait_until(lambda: result.state == "FAILURE", "it counts as failed")
    assert isinstance(result.result, TimeLimitExceeded)


@pytest.mark.since("5.7")
def test_a_limit_of_the_settings_beats_the_flag_of_a_worker(on_redis):
    """So a workload has no limits of a worker: where the app has one, which is always, they say nothing."""
    lab = on_redis(task_time_limit=60)
    lab.worker("--time-limit", "1")
    lab.send("nap", 2.5)
    lab.wait_for("end", "nap")
    assert lab.events("end", "nap")[0]["state"] == "SUCCESS"


def test_threads_ignore_recycling_in_silence(on_redis):
    lab = on_redis()
    lab.worker("--max-tasks-per-child", "1", "--max-memory-per-child", "1000", pool="threads")
    for _ in range(3):
        lab.send("quick")
    lab.wait_for("end", "quick", times=3)
    assert len({start["pid"] for start in lab.events("start", "quick")}) == 1


RATE, BACKLOG, WATCHED_SECONDS = 20, 160, 4


def test_a_rate_limit_of_celery_falls_to_one_task_a_second_with_a_backlog(on_redis):
    """Finding PC994. A worker that fetches a single message at a time keeps the rate."""
    for slots in (2, 1):
        lab = on_redis(
            task_annotations={"quick": {"rate_limit": f"{RATE}/s"}},
            task_acks_late=True,
            worker_prefetch_multiplier=1,
            task_default_queue=f"slots {slots}",
        )
        for _ in range(BACKLOG):
            lab.send("quick")
        lab.worker(slots=slots)
        # Up to here, both keep it.
        lab.wait_for("end", "quick", times=2 * RATE)
        if slots == 1:
            lab.wait_for("end", "quick", times=BACKLOG)
            continue
        time.sleep(WATCHED_SECONDS)
        assert len(lab.events("end", "quick")) < (2 + WATCHED_SECONDS / 2) * RATE
