"""What a worker's options really do: pools that never grow, reserves, stops that do not wait.

On it rest the policies pool, concurrency, prefetch, worker-pins, rate-limits, soft-shutdown, stop-timeout and
time-limits.
Not shown here: eventlet, which no longer installs by Celery's extra.
"""

from __future__ import annotations

import os
import signal

import pytest
from billiard import pool
from billiard.exceptions import TimeLimitExceeded
from celery import _state
from processes import wait_until

pytestmark = pytest.mark.server

COLD = {"REMAP_SIGTERM": "SIGQUIT"}


def waiting(database) -> int:
    """Messages that no worker has taken."""
    return database.llen("celery")


def taken(database) -> int:
    """Messages that a worker has and did not acknowledge."""
    return database.hlen("unacked")


def reserved(lab) -> int:
    """Messages that the one worker holds and does not run."""
    (held,) = lab.app.control.inspect(timeout=10, limit=1).reserved().values()
    return len(held)


def test_prefork_grows_to_the_most_of_autoscale(on_redis, tmp_path):
    lab = on_redis()
    for _ in range(3):
        lab.send("hold", str(tmp_path / "release"))
    lab.worker("--autoscale", "3,1")
    lab.wait_for("start", "hold", times=3)


def test_a_pool_of_threads_ends_with_its_worker_when_autoscale_would_grow_it(on_redis, tmp_path):
    lab = on_redis()
    worker = lab.worker("--autoscale", "3,1", pool="threads")
    for _ in range(3):
        lab.send("hold", str(tmp_path / "release"))
    wait_until(lambda: "has no attribute 'grow'" in lab.logs(), "it has tried")
    (tmp_path / "release").touch()
    assert worker.wait(90) != 0


@pytest.mark.since("5.6")
def test_disable_prefetch_leaves_no_reserve_on_redis(on_redis, database, tmp_path):
    lab = on_redis()
    for _ in range(6):
        lab.send("hold", str(tmp_path / "release"))
    lab.worker("--disable-prefetch", "--prefetch-multiplier", "4", slots=2)
    lab.wait_for("start", "hold", times=2)
    assert reserved(lab) == 0
    assert waiting(database) == 4


@pytest.mark.since("5.6")
def test_disable_prefetch_does_nothing_on_rabbitmq(on_rabbitmq, tmp_path, queue_name):
    lab = on_rabbitmq(task_default_queue=queue_name)
    for _ in range(3):
        lab.send("hold", str(tmp_path / "release"))
    lab.worker("--disable-prefetch", "--prefetch-multiplier", "1")
    lab.wait_for("start", "hold")
    wait_until(lambda: reserved(lab) == 1, "one is in reserve")
    assert "only supported for Redis" in lab.logs()


def test_a_pool_in_the_settings_is_warned_of_also_beside_the_option(on_redis):
    pytest.importorskip("gevent")
    lab = on_redis(worker_pool="gevent")
    lab.worker(pool="gevent")
    assert "you *must use the -P* argument" in lab.logs()


def test_no_number_of_slots_is_the_number_of_processors(on_redis, monkeypatch):
    # A worker in this process forbids to wait for results, also in later tests.
    monkeypatch.setattr(_state, "_task_join_will_block", _state._task_join_will_block)
    lab = on_redis(worker_concurrency=0)
    assert lab.app.WorkController(pool="solo", concurrency=0).concurrency == os.cpu_count()


def test_a_rate_limit_holds_for_each_worker_by_itself(on_redis, database):
    lab = on_redis(task_annotations={"quick": {"rate_limit": "1/h"}})
    for queue in ("one", "one", "other"):
        lab.send("quick", queue=queue)
    lab.worker("--queues", "one")
    lab.wait_for("end", "quick")
    wait_until(lambda: database.llen("one") == 0, "the worker has taken the second too")
    assert len(lab.events("start", "quick")) == 1
    lab.worker("--queues", "other")
    lab.wait_for("end", "quick", times=2)


def test_what_waits_for_its_rate_limit_keeps_a_worker_from_other_queues(on_redis, database):
    lab = on_redis(task_annotations={"quick": {"rate_limit": "20/m"}})
    for _ in range(6):
        lab.send("quick", queue="limited")
    lab.worker("--queues", "limited,other", "--prefetch-multiplier", "2")
    lab.wait_for("end", "quick")
    wait_until(lambda: database.hlen("unacked") == 2, "it has prefetched as much as it may")
    lab.send("echo", 1, queue="other")
    lab.wait_for("end", "echo")
    # Its slot was free all the time.
    assert [start["task"] for start in lab.events("start")].index("echo") > 1


def test_a_null_limit_of_a_task_gives_it_the_limit_of_the_settings(on_redis, redis_url):
    lab = on_redis(
        task_time_limit=1, task_annotations={"nap": {"time_limit": None}}, result_backend=redis_url
    )
    lab.worker()
    result = lab.send("nap", 60)
    wait_until(lambda: result.state == "FAILURE", "it counts as failed")
    assert isinstance(result.result, TimeLimitExceeded)


def knows_of_a_run(lab) -> bool:
    """Whether the main process of a worker has heard of a run, which its child begins before."""
    return any((lab.app.control.inspect(timeout=1).active() or {}).values())


@pytest.mark.parametrize(("acks_late", "put_back"), [(True, 1), (False, 0)], ids=["late", "early"])
def test_sigquit_puts_back_what_is_acknowledged_late_and_loses_the_rest(
    on_redis, database, tmp_path, acks_late, put_back
):
    lab = on_redis(task_annotations={"hold": {"acks_late": acks_late}})
    worker = lab.worker()
    lab.send("hold", str(tmp_path / "release"))
    wait_until(lambda: knows_of_a_run(lab), "the run is known")
    worker.send_signal(signal.SIGQUIT)
    worker.wait(90)
    assert (waiting(database), taken(database)) == (put_back, 0)
    assert [end["state"] for end in lab.events("end", "hold") if end["state"] == "SUCCESS"] == []


def test_sigterm_is_sigquit_where_the_environment_says_so(on_redis, database, tmp_path):
    """At once, not after the visibility timeout of a worker that was killed."""
    lab = on_redis(task_annotations={"hold": {"acks_late": True}}, worker_soft_shutdown_timeout=1.0)
    worker = lab.worker(environment=COLD)
    lab.send("hold", str(tmp_path / "release"))
    wait_until(lambda: knows_of_a_run(lab), "the run is known")
    worker.send_signal(signal.SIGTERM)
    worker.wait(90)
    assert "Soft Shutdown" in lab.logs()
    assert (waiting(database), taken(database)) == (1, 0)


def test_without_that_sigterm_waits_whatever_the_soft_timeout_is(on_redis, database, tmp_path):
    lab = on_redis(task_annotations={"hold": {"acks_late": True}}, worker_soft_shutdown_timeout=0.1)
    worker = lab.worker()
    lab.send("hold", str(tmp_path / "release"))
    wait_until(lambda: knows_of_a_run(lab), "the run is known")
    worker.send_signal(signal.SIGTERM)
    wait_until(lambda: "Warm shutdown" in lab.logs(), "the worker has heard", process=worker)
    (tmp_path / "release").touch()
    assert worker.wait(90) == 0
    assert [end["state"] for end in lab.events("end", "hold")] == ["SUCCESS"]
    assert (waiting(database), taken(database)) == (0, 0)


def test_a_soft_shutdown_lets_an_early_run_end_that_is_short_enough(on_redis, tmp_path):
    lab = on_redis(worker_soft_shutdown_timeout=4.0)
    worker = lab.worker(environment=COLD)
    lab.send("hold", str(tmp_path / "release"))
    wait_until(lambda: knows_of_a_run(lab), "the run is known")
    worker.send_signal(signal.SIGTERM)
    wait_until(lambda: "Soft Shutdown" in lab.logs(), "the worker has heard", process=worker)
    (tmp_path / "release").touch()
    worker.wait(90)
    assert [end["state"] for end in lab.events("end", "hold")] == ["SUCCESS"]


@pytest.mark.parametrize("late", [False, True], ids=["early", "late"])
def test_a_stop_right_after_a_job_went_to_a_child_runs_it_once_more(on_redis, late):
    """However it is acknowledged: why a task that may never run twice lets its workers finish first."""
    lab = on_redis(task_acks_late=late)
    stopped = lab.worker("--include", "knowledge.stops_in_between")
    sent = lab.send("quick")
    assert stopped.wait(timeout=60) == 0
    assert [run["id"] for run in lab.events("end", "quick")] == [sent.id]
    lab.worker()
    lab.wait_for("end", "quick", times=2)
    assert {run["id"] for run in lab.events("end", "quick")} == {sent.id}


def test_a_child_waits_30_s_in_vain_for_a_worker_that_stops():
    """Why the stop timeout has so much above the longest run."""
    assert (
        pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_LIMIT * pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_INTERVAL
        == 30
    )
