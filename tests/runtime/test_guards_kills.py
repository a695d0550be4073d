"""Processes of pools and whole workers are killed at random moments: no effect is repeated, and no task lost.

The same kills meet tasks that were written by hand, which lose effects or repeat them.
"""

from __future__ import annotations

import os
import random
import signal
import time
from contextlib import ExitStack, suppress

import psutil
import pytest
from guarded import KEYED, deploy
from places import SUPPORT
from processes import wait_until
from servers import redis_server, start_rabbitmq

pytestmark = pytest.mark.server
APP = (SUPPORT / "shop_charges.py").read_text("utf-8")
LONG = os.environ.get("GUARDS") == "long"
OF_PROCESSES, OF_WORKERS = (200, 50) if LONG else (40, 10)
SECONDS = 0.3
"""How long a task takes."""
REDIS_AGAIN = {"visibility_timeout": 6, "unacked_restore_interval": 1, "unacked_restore_throttle": 1}
"""Redis gives out again what a worker has not acknowledged for so long."""


@pytest.fixture(params=["redis", "rabbitmq"])
def site(request, tmp_path):
    tasks = {"shop.charge": KEYED | {"lease": 8.0, "takeovers": 1000}}
    with ExitStack() as stack:
        url, broker = stack.enter_context(redis_server(tmp_path)), ""
        if request.param == "rabbitmq":
            (tmp_path / "rabbitmq").mkdir()
            broker = stack.enter_context(start_rabbitmq(tmp_path / "rabbitmq")).url
        yield deploy(tmp_path / "shop", url, APP, tasks, broker=broker, transport=REDIS_AGAIN)


def test_at_random_moments_an_effect_happens_once_and_by_hand_it_does_not(site):
    chosen, killed = random.Random(4), set()
    results, by_hand = [], []

    def publish(number):
        """So many tasks for each kill that workers are always busy."""
        keys = [f"k{number} {each}" for each in range(3)]
        results.extend(site.send("shop.charge", key, SECONDS) for key in [*keys, keys[0]])
        by_hand.extend(site.send("shop.nx", f"nx{number}", SECONDS) for _ in range(2))
        if not number % 5:
            by_hand.extend(site.send("shop.after", f"after{number}", SECONDS) for _ in range(2))

    def kill(*processes):
        for process in processes:
            with suppress(psutil.Error):
                process.send_signal(signal.SIGKILL)
        killed.update(process.pid for process in processes)

    rounds = OF_PROCESSES // OF_WORKERS + 1
    with ExitStack() as stack:
        stays = psutil.Process(stack.enter_context(site.worker("stays", slots=6)).pid)
        for number in range(0, OF_WORKERS * rounds, rounds):
            for each in range(1, rounds):
                publish(number + each)
                time.sleep(chosen.uniform(0, 0.3))
                wait_until(stays.children, "it has processes")
                kill(*chosen.sample(stays.children(), 1))
            with site.worker(f"killed{number}") as process:
                publish(number)
                time.sleep(chosen.uniform(0, 0.5))
                main = psutil.Process(process.pid)
                # The processes of a pool do not outlive the main one.
                kill(main, *main.children())
        site.succeeded(results + by_hand, seconds=60 + OF_WORKERS)
    by_key = {}
    for key, pid in (each.rsplit(" ", 1) for each in site.effects.lrange("effects", 0, -1)):
        by_key.setdefault(key, []).append(int(pid))
    assert len(by_key) == 3 * OF_WORKERS * rounds
    # The named window: a process was killed between the effect and its record, so this effect is its last.
    last = {int(each.rsplit(" ", 1)[1]): each for each in site.effects.lrange("effects", 0, -1)}
    twice = {key: pids for key, pids in by_key.items() if len(pids) > 1}
    for key, pids in twice.items():
        assert all(pid in killed and last[pid] == f"{key} {pid}" for pid in pids[:-1]), twice
    assert len(twice) <= (OF_WORKERS + OF_PROCESSES) / 5
    numbers = range(OF_WORKERS * rounds)
    assert any(site.effect(f"nx{number}") == 0 for number in numbers)
    assert any(site.effect(f"after{number}") > 1 for number in numbers[::5])
