"""A replay that is killed at any moment loses and doubles no message."""

from __future__ import annotations

import os
import random
import signal
import time
from datetime import UTC, datetime

import pytest
from processes import wait_until

from policycompiler import letters
from policycompiler.letters import Deed, Wanted

pytestmark = pytest.mark.server

LETTERS = 300
MOST_A_ROUND = 25
FEWEST_KILLS = 5
LONGEST_SECONDS = 0.004
"""The time of two letters on RabbitMQ and of more on Redis: a process is killed within one, or between two."""


def replay_in_a_child(mailbox, pipe) -> int:
    """Replay in a process that the test can kill, and write a byte for each letter that is moved."""
    if child := os.fork():
        return child
    try:
        deed = Deed(datetime.now(UTC))
        for _ in letters.replay(mailbox.plan, mailbox.client(), mailbox.dead, Wanted(), deed):
            os.write(pipe, b".")
    finally:
        os._exit(0)


def test_a_replay_that_is_killed_loses_and_doubles_nothing(mailbox):
    chance = random.Random(mailbox.queue)
    for number in range(LETTERS):
        mailbox.put(f"letter-{number}")
    wait_until(lambda: mailbox.count(mailbox.dead) == LETTERS, "all letters are there")
    ended = []
    while mailbox.count(mailbox.dead):
        moved, pipe = os.pipe()
        child = replay_in_a_child(mailbox, pipe)
        os.close(pipe)
        for _ in range(chance.randrange(MOST_A_ROUND)):
            os.read(moved, 1)
        time.sleep(chance.uniform(0, LONGEST_SECONDS))
        os.kill(child, signal.SIGKILL)
        ended.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        os.close(moved)
        # A broker notices only after a moment that a client is gone, and returns its letters.
        wait_until(
            lambda: mailbox.count(mailbox.dead) + mailbox.count(mailbox.queue) >= LETTERS, "all are back"
        )
    assert ended.count(-signal.SIGKILL) >= FEWEST_KILLS, ended
    assert mailbox.everywhere() == {f"letter-{number}": 1 for number in range(LETTERS)}
