"""How processes find a broker, and what they do while it is away.

On it rest the policies broker-addresses and broker-connection.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis
from celery import Celery
from celery.exceptions import OperationalError
from servers import HOST, free_port, redis_server

pytestmark = pytest.mark.server

SEND = """
from celery import Celery

app = Celery("sender")
app.conf.update(broker_url={url!r}, task_publish_retry_policy={policy!r})
app.send_task("shop.a")
"""
TWICE = """
import os
from itertools import count

from celery import Celery
from kombu.transport.redis import Transport

app = Celery("sender")
app.conf.update(broker_url={url!r}, task_publish_retry_policy={policy!r})
app.send_task("shop.a")
print("sent", flush=True)
input()
tries = count(1)
connect = Transport.establish_connection

def counted(self):
    if next(tries) > {most}:
        os._exit({most})
    connect(self)
    raise ConnectionRefusedError

Transport.establish_connection = counted
app.send_task("shop.a")
"""
FAR_MORE = 50
AT_ONCE = {"interval_start": 0, "interval_step": 0, "interval_max": 0}


def sender(**settings) -> Celery:
    app = Celery("sender", set_as_current=False)
    app.conf.update(task_publish_retry=False, **settings)
    return app


def nobody() -> str:
    return f"redis://{HOST}:{free_port()}/0"


def test_of_two_brokers_all_messages_go_to_the_first_that_answers(redis_url, redis_address, database):
    number = (database.get_connection_kwargs()["db"] + 8) % 16
    with redis.Redis.from_url(f"{redis_address}/{number}") as second:
        second.flushdb()
        app = sender(broker_url=f"{nobody()};{redis_url};{redis_address}/{number}")
        for _ in range(10):
            with app.connection_for_write() as connection:
                app.send_task("shop.a", connection=connection)
        assert (database.llen("celery"), second.llen("celery")) == (10, 0)


@pytest.mark.parametrize("url", ["redis://one,two,three/0", "redis://one:6379,two:6379/0"])
def test_several_hosts_in_a_url_of_redis_are_no_host(url):
    with pytest.raises((OperationalError, ValueError)):
        sender(broker_url=url, broker_connection_timeout=1).send_task("shop.a")


def test_keepalive_options_by_name_fail_every_connection(redis_url, tmp_path):
    options = {"socket_keepalive": True, "socket_keepalive_options": {"TCP_KEEPIDLE": 60}}
    code = f"""
from kombu import Connection

Connection({redis_url!r}, transport_options={options!r}).default_channel.client.ping()
"""
    assert "TypeError" in ran(tmp_path, code).stderr


def test_a_variable_of_celerys_beats_the_settings(redis_url, tmp_path, database):
    code = SEND.format(url=nobody(), policy={"max_retries": 0})
    assert ran(tmp_path, code, CELERY_BROKER_URL=redis_url).returncode == 0
    assert database.llen("celery") == 1


@pytest.mark.parametrize(
    ("policy", "status"), [({}, FAR_MORE), ({"max_retries": None}, FAR_MORE), ({"max_retries": 3}, 1)]
)
def test_a_send_over_a_lost_connection_is_tried_for_ever_without_a_number_of_retries(
    tmp_path, policy, status
):
    """A process that counts how often it tries, and ends itself when that is far more than three times."""
    with ExitStack() as stack:
        url = stack.enter_context(redis_server(tmp_path))
        code = TWICE.format(url=url, policy={**AT_ONCE, **policy}, most=FAR_MORE)
        sender = stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-c", code],
                env={"PATH": os.environ["PATH"]},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        )
        stack.callback(sender.kill)
        assert sender.stdout.readline() == b"sent\n"
        with redis.Redis.from_url(url) as client:
            client.shutdown(nosave=True)
        sender.stdin.write(b"go on\n")
        sender.stdin.flush()
        assert sender.wait(timeout=60) == status


@pytest.mark.parametrize("seconds", [0.5, 1.5])
def test_an_idle_worker_keeps_its_connection_whatever_the_socket_timeout(on_redis, seconds):
    """A look for messages takes a second; the worker is idle for longer than look and timeout together."""
    lab = on_redis(broker_transport_options={"socket_timeout": seconds})
    lab.worker(slots=2)
    lab.send("nap", 3)
    lab.wait_for("end", "nap")
    lab.send("quick")
    lab.wait_for("end", "quick")
    assert "Connection to broker lost" not in lab.logs()


def ran(folder: Path, code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A process that has ended, with nothing in its environment but what is given."""
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={"PATH": os.environ["PATH"], **environment},
        check=False,
        timeout=60,
        capture_output=True,
        text=True,
    )
