"""A stop of a worker that is in the middle of tasks: both kinds finish, none is lost or run again."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import witness
from deployment import TRANSPORTS, Deployment, deployed
from processes import stop, wait_until

from policycompiler.plan import Scope

pytestmark = pytest.mark.server

EARLY = "shop.mail.send_newsletter"
LATE = "shop.payments.refund"
WORKER = "shop.standard.io"


def send_and_await_starts(shop: Deployment, *names: str) -> list[str]:
    """Send tasks that take a while; their ids, once all of them run."""
    ids = shop.send(*names, seconds=4)
    shop.wait_for_starts(ids)
    assert witness.ends(shop.witness) == []
    return ids


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_term_to_the_script_lets_running_tasks_finish(tmp_path: Path, transport: str):
    with deployed(transport, tmp_path) as shop:
        assert [shop.expected(name)["acks_late"] for name in (EARLY, LATE)] == [False, True]
        with shop.started([WORKER]) as (process,):
            ids = send_and_await_starts(shop, EARLY, LATE)
            assert stop(process, number=signal.SIGTERM) == 0
        assert len(shop.runs(ids)) == 2
        assert shop.outcomes(ids) == ["SUCCESS", "SUCCESS"]
        assert shop.uninvited() == []
        assert shop.messages_left(WORKER) == 0


def test_what_waits_in_the_queue_is_left_for_the_next_worker(tmp_path: Path):
    with deployed("redis", tmp_path) as shop:
        slots = int(shop.plan.number(Scope("worker", WORKER), "concurrency"))
        with shop.started([WORKER]) as (process,):
            ids = shop.send(*[LATE] * slots, EARLY, LATE, EARLY, seconds=4)
            shop.wait_for_starts(ids[:slots])
            assert stop(process, number=signal.SIGTERM) == 0
        assert (len(shop.outcomes(ids)), shop.messages_left(WORKER)) == (slots, 3)
        with shop.started([WORKER]):
            shop.wait_for_ends(ids)
        assert len(shop.runs(ids)) == len(ids)
        assert shop.outcomes(ids) == ["SUCCESS"] * len(ids)
        assert shop.messages_left(WORKER) == 0


def test_term_to_the_whole_group_would_lose_them(tmp_path: Path):
    """The control: what the tests above would see of a stop that is done wrong."""
    with deployed("redis", tmp_path) as shop, shop.started([WORKER]) as (process,):
        ids = send_and_await_starts(shop, EARLY, EARLY)
        # The worker acknowledges them when it hears of the runs, which its children begin before.
        wait_until(lambda: shop.messages_left(WORKER) == 0, "both are acknowledged")
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(90)
        assert len(shop.runs(ids)) == 2
        assert "SUCCESS" not in shop.outcomes(ids)
        assert shop.messages_left(WORKER) == 0
