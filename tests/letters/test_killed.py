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
    for number in range(LETTERS):
        mailbox.put(f"letter-{number}")
    wait_until(lambda: mailbox.count(mailbox.dead) == LETTERS, "all letters are there")
    words = (
        Path(__file__).with_name("replayer.py"),
        mailbox.folder / "workload.yaml",
        mailbox.url,
        mailbox.dead,
    )
    ended = []
    with subprocess.Popen(
        [sys.executable, *map(str, words)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as replayer:
        while mailbox.count(mailbox.dead):
            ended.append(killed(replayer, chance))
            # A broker notices only after a moment that a client is gone, and returns its letters.
            wait_until(
                lambda: mailbox.count(mailbox.dead) + mailbox.count(mailbox.queue) >= LETTERS, "all are back"
            )
    assert ended.count(-signal.SIGKILL) >= FEWEST_KILLS, ended
    assert mailbox.everywhere() == {f"letter-{number}": 1 for number in range(LETTERS)}
