"""A private supervisord that includes the generated programs as they are, and real workers under it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from deployment import EXTRA, Deployment, deployed
from processes import running, wait_until
from tools import needs

pytestmark = pytest.mark.server

# The command is not ours to change, so the settings load the witness.
WITNESSED = EXTRA + "celery: {settings: {imports: [witness, extra_tasks]}}\n"


class Supervised(NamedTuple):
    """A deployment whose processes supervisord starts."""

    shop: Deployment
    socket: Path

    def control(self, *words: str) -> str:
        """What supervisorctl answers."""
        command = [needs("supervisorctl"), "-s", f"unix://{self.socket}", *words]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60).stdout

    def states(self) -> dict[str, str]:
        """The state of each process by its name."""
        return dict(re.findall(r"^shop:(\S+) +([A-Z]+) ", self.control("status"), re.MULTILINE))


@pytest.fixture(scope="module")
def supervised(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Supervised]:
    folder = tmp_path_factory.mktemp("s")  # short: a socket's path has its limits
    with deployed("redis", folder, more=WITNESSED) as shop:
        main = folder / "main.conf"
        main.write_text(
            f"[unix_http_server]\nfile={folder}/s\n"
            f"[supervisord]\nnodaemon=true\nlogfile={folder}/supervisord.log\npidfile={folder}/pid\n"
            f"childlogdir={folder}\ndirectory={folder}\n"
            "[rpcinterface:supervisor]\n"
            "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n"
            f"[include]\nfiles={shop.build}/supervisor/shop.conf\n",
            encoding="utf-8",
        )
        environment = {**shop.environment, "WITNESS": str(shop.witness)}
        command = [needs("supervisord"), "--nodaemon", "--silent", "--configuration", main]
        with running(command, log=shop.log, environment=environment, folder=folder):
            yield Supervised(shop, folder / "s")


def test_every_declared_task_runs_once_where_and_how_the_plan_says(supervised):
    shop = supervised.shop
    ids = shop.send(*shop.declared)
    shop.wait_for_ends(ids)
    runs = sorted(shop.runs(ids), key=lambda run: run["task"])
    assert runs == [shop.expected(name) for name in sorted(shop.declared)]
    assert shop.outcomes(ids) == ["SUCCESS"] * len(ids)


def test_beat_sends_what_is_due(supervised):
    def tasks() -> list[str]:
        return [run["task"] for run in supervised.shop.uninvited()]

    wait_until(lambda: "shop.inventory.sync_stock" in tasks(), "beat has sent", log=supervised.shop.log)


def test_a_stop_lets_running_tasks_finish_and_lasts(supervised):
    def all_run() -> bool:
        states = supervised.states()
        return len(states) == len(shop.plan.scopes("worker")) + 1 and set(states.values()) == {"RUNNING"}

    shop = supervised.shop
    wait_until(all_run, "supervisord trusts every process", seconds=60, log=shop.log)
    ids = shop.send("shop.payments.charge_card", "shop.mail.send_welcome_email", seconds=3)
    shop.wait_for_starts(ids)
    assert shop.outcomes(ids) == []
    program = "shop-shop.interactive.io_1"
    assert "stopped" in supervised.control("stop", f"shop:{program}")
    assert supervised.states()[program] == "STOPPED"
    assert len(shop.runs(ids)) == 2
    assert shop.outcomes(ids) == ["SUCCESS", "SUCCESS"]
    # The other workers go on, so the next run that beat sends may be in their hands.
    wait_until(lambda: shop.messages_left("shop.interactive.io") == 0, "nothing is left", log=shop.log)
