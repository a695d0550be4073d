"""The example of guards as its README runs it: its own code, its own bank, an outage and a killed process."""

from __future__ import annotations

import json
import os
import signal
import sys
from ast import literal_eval
from contextlib import suppress
from pathlib import Path
from urllib.request import Request, urlopen

import psutil
import pytest
from places import EXAMPLES
from processes import running, wait_until
from servers import free_port, redis_server

from policycompiler.compiler import compile_workload
from policycompiler.emitters.base import OutputFile

pytestmark = pytest.mark.server

PAYMENTS = EXAMPLES / "payments"
ORDERS, SENT = 40, 54
SHORT = "open_for: 2s"


def built(folder: Path) -> list[OutputFile]:
    """The compiled example, with a breaker that is open for less time."""
    text = (PAYMENTS / "workload.yaml").read_text("utf-8")
    assert text.count("open_for: 15s") == 1
    source = folder / "workload.yaml"
    source.write_text(text.replace("open_for: 15s", SHORT), "utf-8")
    return compile_workload([source], targets=["celeryconfig", "launch"]).files


def asked(url: str, seconds: float | None = None) -> dict[str, int]:
    """What the bank has done; with a number of seconds, begin an outage."""
    given = None if seconds is None else json.dumps({"seconds": seconds}).encode()
    request = Request(url, given, method="GET" if given is None else "PUT")
    with urlopen(request, timeout=10) as answer:
        return dict(json.load(answer))


@pytest.fixture
def redis_url(tmp_path_factory):
    with redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url


def test_each_order_is_charged_once(redis_url, tmp_path):
    for file in built(tmp_path):
        path = tmp_path / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"".join(file.parts))
    first, port = redis_url.rpartition("/")[0], free_port()
    bank = f"http://127.0.0.1:{port}"
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": f"{tmp_path}:{PAYMENTS}",
        "CELERY_BROKER_URL": f"{first}/0",
        "CELERY_RESULT_BACKEND": f"{first}/1",
        "PAYMENTS_STORE_URL": f"{first}/2",
        "BANK_URL": bank,
    }

    def started(name: str, *words: str):
        return running(words, log=tmp_path / name, environment=environment, folder=tmp_path)

    def bank_answers() -> bool:
        with suppress(OSError):
            return asked(f"{bank}/charges")["orders"] == 0
        return False

    def log() -> str:
        return (tmp_path / "worker.log").read_text("utf-8")

    with (
        started("bank.log", sys.executable, str(PAYMENTS / "bank.py"), str(port)),
        started("worker.log", "sh", "launch/payments.interactive.io.sh") as worker,
    ):
        wait_until(bank_answers, "the bank answers")
        wait_until(lambda: " ready." in log(), "the worker is ready", log=tmp_path / "worker.log")
        with started("checkout.log", sys.executable, "-m", "payments.checkout", str(ORDERS)) as checkout:
            wait_until(lambda: asked(f"{bank}/charges")["charges"] > 5, "some charges")
            # In the middle of a charge, or between two.
            os.kill(psutil.Process(worker.pid).children()[0].pid, signal.SIGKILL)
            wait_until(lambda: "WorkerLostError" in log(), "the kill is seen", log=tmp_path / "worker.log")
            asked(f"{bank}/outage", seconds=5)
            wait_until(lambda: checkout.poll() is not None, "the end", log=tmp_path / "worker.log")
        found = asked(f"{bank}/charges")
    results = [literal_eval(line) for line in (tmp_path / "checkout.log").read_text("utf-8").splitlines()]
    assert len(results) == SENT
    assert len({(each["order"], each["charge"]) for each in results}) == ORDERS
    assert found["orders"] == found["charges"] == ORDERS
    # A charge whose process was killed between the bank's answer and its record is asked for again.
    assert ORDERS <= found["answered"] <= ORDERS + 1
    # Nearly all messages met the outage, and each may be tried six times.
    assert 0 < found["unanswered"] < SENT
