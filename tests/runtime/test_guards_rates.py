"""A rate that real workers share, with a backlog: never more, and hardly less."""

from __future__ import annotations

import os
from bisect import bisect_left
from contextlib import ExitStack

import pytest
from guarded import deploy
from processes import wait_until
from servers import redis_server

pytestmark = pytest.mark.server
APP = """\
import os
import redis
from celery import Celery
app = Celery("shop", config_source="celeryconfig")
effects = redis.Redis.from_url(os.environ["EFFECTS_URL"])
@app.task(name="shop.call", ignore_result=True)
def call():
    seconds, micros = effects.time()
    effects.rpush("calls", seconds + micros / 1e6)
"""
RATE, BURST, WORKERS, SLOTS = 20.0, 20, 2, 10
SECONDS = 600 if os.environ.get("GUARDS") == "long" else 10
"""How much work waits. Celery's own limit fails at it: `tests/knowledge/test_limits.py`."""


@pytest.fixture
def redis_url(tmp_path):
    with redis_server(tmp_path) as url:
        yield url


def test_a_backlog_is_worked_off_at_the_rate(redis_url, tmp_path):
    stripe = {"stripe": {"rate": RATE, "burst": BURST, "hold": 2.0}}
    tasks = {"shop.call": {"calls": ["stripe"]}}
    site = deploy(tmp_path / "shop", redis_url, APP, tasks, dependencies=stripe)
    number = int(RATE * SECONDS)
    for _ in range(number):
        site.send("shop.call", ignore_result=True)
    with ExitStack() as stack:
        for each in range(WORKERS):
            stack.enter_context(site.worker("w" * (each + 1), pool="threads", slots=SLOTS))
        wait_until(lambda: site.effects.llen("calls") == number, "all calls", seconds=2 * SECONDS + 60)
    calls = sorted(map(float, site.effects.lrange("calls", 0, -1)))
    most = max(bisect_left(calls, moment + 1) - index for index, moment in enumerate(calls))
    assert most <= RATE + BURST + WORKERS * SLOTS
    assert (number - BURST) / (calls[-1] - calls[0]) >= 0.97 * RATE
    # All of them waited in their slots: no message was sent again.
    assert "shop.call" in (site.folder / "w.log").read_text()
    assert "Retry" not in "".join(log.read_text() for log in site.folder.glob("*.log"))
