"""A replay that is killed at any moment loses and doubles no message."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from letters.mailbox import Mailbox
from processes import wait_until

pytestmark = pytest.mark.server

LETTERS = 300
MOST_LETTERS = 6000
MOST_A_ROUND = 25
FEWEST_KILLS = 5
LONGEST_SECONDS = 0.004
"""The time of two letters on RabbitMQ and of more on Redis: a process is killed within one, or between two."""


def killed(replayer: subprocess.Popen[str], chance: random.Random) -> int:
    """Start a replay, kill it after some letters, and tell how it ended."""
    assert replayer.stdin is not None
    assert replayer.stdout is not None
    replayer.stdin.write("again\n")
    replayer.stdin.flush()
    number, left = 0, chance.randrange(MOST_A_ROUND)
    # The first point may be earlier than the number of the process.
    while not number or left > 0:
        line = replayer.stdout.readline()
        if line == ".\n":
            left -= 1
        elif number:
            return int(line)
        else:
            number = int(line)
    time.sleep(chance.uniform(0, LONGEST_SECONDS))
    with suppress(ProcessLookupError):
        os.kill(number, signal.SIGKILL)
    return next(int(line) for line in iter(replayer.stdout.readline, "") if line != ".\n")


def test_a_replay_that_is_killed_loses_and_doubles_nothing(mailbox: Mailbox):
    chance = random.Random(mailbox.queue)
    words = (
        Path(__file__).with_name("replayer.py"),
        mailbox.folder / "workload.yaml",
        mailbox.url,
        mailbox.dead,
    )
    total, ended = 0, list[int]()

    def all_there() -> bool:
        return mailbox.count(mailbox.dead) + mailbox.count(mailbox.queue) >= total

    with subprocess.Popen(
        [sys.executable, *map(str, words)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as replayer:
        # On a fast machine a replay may end before the signal reaches it; then there are more letters.
        while ended.count(-signal.SIGKILL) < FEWEST_KILLS:
            assert total < MOST_LETTERS, ended
            for number in range(total, total + LETTERS):
                mailbox.put(f"letter-{number}")
            total += LETTERS
            wait_until(all_there, "all letters are there")
            while mailbox.count(mailbox.dead):
                ended.append(killed(replayer, chance))
                # A broker notices only after a moment that a client is gone, and returns its letters.
                wait_until(all_there, "all are back")
    assert mailbox.everywhere() == {f"letter-{number}": 1 for number in range(total)}
