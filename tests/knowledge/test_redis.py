"""When Redis gives a message that nobody acknowledged to a worker again.

On it rests the policy visibility-timeout, whose clock runs from delivery to acknowledgement: through the
reserve, a countdown or a retry's wait, the wait for a rate limit, and the run where that is acknowledged
late.
"""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest
from kombu import Connection
from kombu.transport.redis import Channel
from processes import wait_until

QUICK_SWEEP = {"unacked_restore_interval": 0.5, "unacked_restore_throttle": 1}
ONE_SECOND = {"visibility_timeout": 1, **QUICK_SWEEP}
LATE = {"acks_late": True}
SWEPT = pytest.mark.since("5.6", run=False)
"""The kombu before always sweeps every 100 s, which is too long to wait for."""


KILLED_WHILE_IT_FETCHES = """\
import os, signal, sys
from kombu import Connection
from kombu.transport.redis import QoS

# The message has left its queue, and is not noted as held yet.
QoS.append = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
with Connection(sys.argv[1]) as connection:
    connection.SimpleQueue("fetched").get(timeout=30)
"""


@pytest.mark.server
def test_who_is_killed_while_it_fetches_a_message_loses_it(redis_url, database):
    """A rehearsal kills no worker at such a moment."""
    with Connection(redis_url) as connection:
        connection.SimpleQueue("fetched").put("message")
    assert database.llen("fetched") == 1
    command = [sys.executable, "-c", KILLED_WHILE_IT_FETCHES, redis_url]
    assert subprocess.run(command, timeout=60, check=False).returncode == -signal.SIGKILL
    assert (database.llen("fetched"), database.hlen("unacked")) == (0, 0)


def test_the_timeout_is_an_hour_unless_said():
    assert Channel.visibility_timeout == 3600


@pytest.mark.since("5.6")
def test_the_sweep_that_gives_messages_back_runs_every_100_s_unless_said():
    assert Channel.unacked_restore_interval * Channel.unacked_restore_throttle == 100


@pytest.mark.server
@SWEPT
def test_a_late_acknowledged_run_longer_than_the_timeout_is_started_again(on_redis, tmp_path):
    lab = on_redis(broker_transport_options=ONE_SECOND, task_annotations={"hold": LATE})
    lab.worker(slots=3)
    sent = lab.send("hold", str(tmp_path / "release"))
    lab.wait_for("start", "hold", times=2)
    assert {start["id"] for start in lab.events("start", "hold")} == {sent.id}
    assert lab.events("end", "hold") == []


@pytest.mark.server
@SWEPT
def test_an_early_acknowledged_run_longer_than_the_timeout_is_not(on_redis, tmp_path):
    """Observed while a late-acknowledged one beside it is started three times."""
    lab = on_redis(broker_transport_options=ONE_SECOND, task_annotations={"hold": LATE})
    lab.worker(slots=5)
    lab.send("nap", 30)
    lab.wait_for("start", "nap")
    lab.send("hold", str(tmp_path / "release"))
    lab.wait_for("start", "hold", times=3)
    assert len(lab.events("start", "nap")) == 1
    assert lab.events("end", "nap") == []


@pytest.mark.server
@SWEPT
def test_a_countdown_longer_than_the_timeout_is_run_twice_even_when_acknowledged_early(on_redis):
    lab = on_redis(broker_transport_options=ONE_SECOND)
    lab.worker(slots=2)
    sent = lab.send("quick", countdown=4)
    lab.wait_for("end", "quick", times=2)
    assert {start["id"] for start in lab.events("start", "quick")} == {sent.id}


@pytest.mark.server
@SWEPT
def test_a_retry_that_waits_longer_than_the_timeout_is_run_twice(on_redis):
    options = {
        "autoretry_for": (ConnectionError,),
        "max_retries": 1,
        "retry_backoff": 4,
        "retry_jitter": False,
    }
    lab = on_redis(broker_transport_options=ONE_SECOND, task_annotations={"fail": options})
    lab.worker(slots=2)
    lab.send("fail")
    lab.wait_for("start", "fail", times=3)
    assert [start["retries"] for start in lab.events("start", "fail")][:3] == [0, 1, 1]


@pytest.mark.server
@SWEPT
def test_a_message_held_in_reserve_longer_than_the_timeout_is_run_twice(on_redis, database, tmp_path):
    lab = on_redis(broker_transport_options=ONE_SECOND)
    lab.worker()
    lab.send("hold", str(tmp_path / "release"))
    lab.wait_for("start", "hold")
    lab.send("quick")
    wait_until(lambda: database.llen("celery") == 0, "the first worker has it in reserve")
    lab.worker()
    lab.wait_for("end", "quick")
    (tmp_path / "release").touch()
    lab.wait_for("end", "quick", times=2)
    assert len({start["hostname"] for start in lab.events("start", "quick")}) == 2


@pytest.mark.server
@SWEPT
def test_a_message_that_waits_for_its_rate_limit_longer_than_the_timeout_is_run_twice(on_redis):
    """Though it is acknowledged early: that is when its run starts."""
    options = {"acks_late": False, "rate_limit": "15/m"}
    lab = on_redis(broker_transport_options=ONE_SECOND, task_annotations={"quick": options})
    lab.worker()
    first, second = lab.send("quick"), lab.send("quick")
    lab.wait_for("end", "quick", times=3)
    assert [start["id"] for start in lab.events("start", "quick")][:3] == [first.id, second.id, second.id]


@pytest.mark.server
@pytest.mark.parametrize(
    "flags", [(), pytest.param(("--disable-prefetch",), marks=pytest.mark.since("5.6", run=False))]
)
def test_a_worker_holds_slots_times_multiplier_of_a_rate_limited_task(on_redis, database, flags):
    """Beside the one that ran; `--disable-prefetch` counts only what the limit let through."""
    lab = on_redis(task_annotations={"quick": {"rate_limit": "1/h"}})
    for _ in range(10):
        lab.send("quick")
    lab.worker("--prefetch-multiplier", "3", *flags, slots=2)
    lab.wait_for("end", "quick")
    wait_until(lambda: (database.hlen("unacked"), database.llen("celery")) == (6, 3), "it holds six")


@pytest.mark.server
@SWEPT
def test_any_worker_gives_messages_back_by_its_own_timeout(on_redis, tmp_path):
    """Why the timeout belongs to the app and not to a worker."""
    patient = on_redis(broker_transport_options={"visibility_timeout": 3600}, task_annotations={"hold": LATE})
    hasty = on_redis(broker_transport_options=ONE_SECOND, task_annotations={"hold": LATE})
    patient.worker()
    patient.send("hold", str(tmp_path / "release"))
    patient.wait_for("start", "hold")
    hasty.worker()
    hasty.wait_for("start", "hold")
    assert patient.events("end", "hold") == []


@pytest.mark.server
@SWEPT
def test_a_worker_that_is_killed_gives_its_late_message_back_after_the_timeout(on_redis):
    lab = on_redis(broker_transport_options=ONE_SECOND, task_annotations={"nap": LATE})
    first = lab.worker()
    lab.send("nap", 30)
    lab.wait_for("start", "nap")
    first.kill()
    lab.worker()
    lab.wait_for("start", "nap", times=2)


@pytest.mark.server
@pytest.mark.parametrize(
    ("cancel", "finished"), [(True, 1), pytest.param(False, 2, marks=pytest.mark.since("5.7"))]
)
def test_when_the_connection_is_lost_a_late_run_is_cancelled_or_finished_beside_its_repetition(
    on_redis, database, tmp_path, cancel, finished
):
    """Why broker-connection turns `worker_cancel_long_running_tasks_on_connection_loss` on."""
    lab = on_redis(
        worker_cancel_long_running_tasks_on_connection_loss=cancel, task_annotations={"hold": LATE}
    )
    lab.worker(slots=2)
    lab.send("hold", str(tmp_path / "release"))
    lab.wait_for("start", "hold")
    database.client_kill_filter(_type="normal", skipme=True)
    lab.wait_for("start", "hold", times=2)
    (tmp_path / "release").touch()
    lab.wait_for("end", "hold", times=finished)
    lab.send("quick")
    lab.wait_for("end", "quick")
    assert [end["state"] for end in lab.events("end", "hold") if end["state"]] == ["SUCCESS"] * finished


@pytest.mark.server
@pytest.mark.since("5.7")
def test_when_the_connection_is_lost_an_early_run_is_not_cancelled(on_redis, database, tmp_path):
    lab = on_redis(worker_cancel_long_running_tasks_on_connection_loss=True, task_annotations={"nap": LATE})
    lab.worker(slots=2)
    lab.send("hold", str(tmp_path / "release"))
    lab.send("nap", 60)
    lab.wait_for("start", times=2)
    wait_until(lambda: database.hlen("unacked") == 1, "the early one is acknowledged")
    database.client_kill_filter(_type="normal", skipme=True)
    lab.wait_for("start", "nap", times=2)
    (tmp_path / "release").touch()
    lab.wait_for("end", "hold")
    assert [end["state"] for end in lab.events("end", "hold")] == ["SUCCESS"]
