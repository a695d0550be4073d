"""What happens to a message while its task waits, runs, dies, or is stopped.

On it rest the policies late-acknowledgement, worker-lost, prefetch, stop-timeout and recycling, and how the
emitters for systemd and supervisor stop a worker.
"""

from __future__ import annotations

import os
import signal

import pytest
from processes import stop, wait_until

pytestmark = pytest.mark.server

BOUNDED = {"acks_late": True, "retry_on_worker_lost": True, "max_retries": 2, "default_retry_delay": 0}


def waiting(database) -> int:
    """Messages that no worker has taken."""
    return database.llen("celery")


def taken(database) -> int:
    """Messages that a worker has and did not acknowledge."""
    return database.hlen("unacked")


def all_settled(database) -> bool:
    return waiting(database) == taken(database) == 0


@pytest.mark.parametrize("acks_late", [False, True], ids=["early", "late"])
def test_a_task_whose_process_is_killed_is_acknowledged_and_lost_late_or_early(on_redis, database, acks_late):
    lab = on_redis(task_annotations={"die": {"acks_late": acks_late}})
    lab.worker()
    lab.send("die")
    lab.send("quick")
    lab.wait_for("end", "quick")
    wait_until(lambda: all_settled(database), "no message is left", seconds=10)
    assert len(lab.events("start", "die")) == 1


@pytest.mark.since("5.7")
def test_with_retry_on_worker_lost_it_runs_again_at_most_max_retries_times(on_redis, database, redis_url):
    lab = on_redis(task_annotations={"die": BOUNDED}, result_backend=redis_url)
    lab.worker()
    result = lab.send("die")
    wait_until(lambda: result.state == "FAILURE", "it counts as failed")
    wait_until(lambda: all_settled(database), "no message is left", seconds=10)
    assert [start["retries"] for start in lab.events("start", "die")] == [0, 1, 2]


@pytest.mark.since("5.7")
def test_a_retry_after_a_lost_worker_waits_default_retry_delay_which_is_180_s(on_redis):
    """Not the backoff of `autoretry_for`; the wait is an ETA, which visibility timeouts must outlast."""
    lab = on_redis(
        task_annotations={
            "die": {"retry_on_worker_lost": True, "autoretry_for": (ConnectionError,), "retry_backoff": 1}
        }
    )
    lab.worker()
    lab.send("die")
    lab.wait_for("retry", "die")
    assert [retry["wait"] for retry in lab.events("retry", "die")] == [180]


@pytest.mark.since("5.7")
def test_retry_on_worker_lost_wins_over_reject_on_worker_lost(on_redis, database, redis_url):
    lab = on_redis(
        task_annotations={"die": BOUNDED | {"reject_on_worker_lost": True}}, result_backend=redis_url
    )
    lab.worker()
    result = lab.send("die")
    wait_until(lambda: result.state == "FAILURE", "it counts as failed")
    wait_until(lambda: all_settled(database), "no message is left", seconds=10)
    assert len(lab.events("start", "die")) == 3


def test_reject_on_worker_lost_alone_repeats_on_redis_beyond_any_max_retries(on_redis):
    """Observed for six runs, twice what `max_retries` allows; nothing in a message counts them."""
    lab = on_redis(
        task_annotations={"die": {"acks_late": True, "reject_on_worker_lost": True, "max_retries": 2}}
    )
    lab.worker()
    lab.send("die")
    lab.wait_for("start", "die", times=6, seconds=60)
    assert {start["retries"] for start in lab.events("start", "die")} == {0}


@pytest.mark.parametrize(("acks_late", "in_reserve"), [(True, 0), (False, 2)], ids=["late", "early"])
def test_with_multiplier_1_a_worker_reserves_one_a_slot_early_and_none_late(
    on_redis, database, tmp_path, acks_late, in_reserve
):
    lab = on_redis(task_annotations={"hold": {"acks_late": acks_late}})
    for _ in range(6):
        lab.send("hold", str(tmp_path / "release"))
    lab.worker("--prefetch-multiplier", "1", slots=2)
    lab.wait_for("start", "hold", times=2)
    wait_until(lambda: waiting(database) == 4 - in_reserve, "the worker has taken what it may")
    (reserved,) = lab.app.control.inspect(timeout=10, limit=1).reserved().values()
    assert len(reserved) == in_reserve
    assert waiting(database) == 4 - in_reserve


def test_the_default_multiplier_is_4_and_early_tasks_that_run_do_not_count(on_redis, database, tmp_path):
    """What the visibility timeout's policy reckons for the wait in reserve."""
    lab = on_redis()
    for _ in range(8):
        lab.send("hold", str(tmp_path / "release"))
    lab.worker()
    wait_until(lambda: waiting(database) == 3, "one runs, four are in reserve")
    (reserved,) = lab.app.control.inspect(timeout=10, limit=1).reserved().values()
    assert (len(reserved), waiting(database)) == (4, 3)


def test_sigterm_to_the_main_process_alone_finishes_running_tasks(on_redis, tmp_path):
    lab = on_redis()
    worker = lab.worker(slots=2)
    for _ in range(2):
        lab.send("hold", str(tmp_path / "release"))
    lab.wait_for("start", "hold", times=2)
    worker.send_signal(signal.SIGTERM)
    wait_until(lambda: "Warm shutdown" in lab.logs(), "the worker has heard", process=worker)
    (tmp_path / "release").touch()
    assert worker.wait(90) == 0
    assert [end["state"] for end in lab.events("end", "hold")] == ["SUCCESS", "SUCCESS"]


@pytest.mark.parametrize("acks_late", [False, True], ids=["early", "late"])
def test_sigterm_to_the_whole_group_loses_running_tasks_and_no_exit_status_says_so(
    on_redis, database, tmp_path, acks_late
):
    lab = on_redis(task_annotations={"hold": {"acks_late": acks_late}})
    worker = lab.worker(slots=2)
    for _ in range(2):
        lab.send("hold", str(tmp_path / "release"))
    lab.wait_for("start", "hold", times=2)
    os.killpg(worker.pid, signal.SIGTERM)
    assert worker.wait(90) == 0
    (tmp_path / "release").touch()
    assert [end["state"] for end in lab.events("end", "hold") if end["state"]] == []
    assert all_settled(database)


def test_a_worker_killed_before_its_tasks_end_loses_the_early_and_keeps_the_late(
    on_redis, database, tmp_path
):
    """Why a stop waits for the longest hard limit: on Redis a late one comes back, after the timeout."""
    lab = on_redis(task_annotations={"hold": {"acks_late": True}})
    worker = lab.worker(slots=2)
    lab.send("hold", str(tmp_path / "release"))
    lab.send("nap", 60)
    lab.wait_for("start", times=2)
    wait_until(lambda: taken(database) == 1, "the early one is acknowledged")
    stop(worker, number=signal.SIGKILL)
    assert (waiting(database), taken(database)) == (0, 1)


def test_a_child_is_replaced_after_max_tasks_per_child(on_redis):
    lab = on_redis()
    lab.worker("--max-tasks-per-child", "2")
    for _ in range(4):
        lab.send("quick")
    lab.wait_for("end", "quick", times=4)
    pids = [start["pid"] for start in lab.events("start", "quick")]
    assert pids[0] == pids[1] != pids[2] == pids[3]


def test_max_memory_per_child_is_in_kib_and_looked_at_after_a_task(on_redis):
    """A bare child has tens of MiB: 1000 KiB replaces it after each task, 10 GiB never."""
    lab = on_redis()
    small = lab.worker("--max-memory-per-child", "1000")
    for _ in range(2):
        lab.send("quick")
    lab.wait_for("end", "quick", times=2)
    stop(small)
    lab.worker("--max-memory-per-child", str(10 * 1024**2))
    for _ in range(2):
        lab.send("quick")
    lab.wait_for("end", "quick", times=4)
    pids = [start["pid"] for start in lab.events("start", "quick")]
    assert pids[0] != pids[1]
    assert pids[2] == pids[3]
