"""The container of a manifest, as a process: its probe passes while it is busy, and its stop waits for runs.

What only a cluster does is left out: folders that cannot be written, limits, and the signals of the kubelet,
which sends TERM to the first process of a container, and KILL after the grace.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen

import pytest
from celery import Celery
from manifests import by_kind, container, of_text, rendered
from processes import running, stop, wait_until
from servers import redis_server

pytestmark = pytest.mark.server

POOLS = ("prefork", "threads")
BUSY_SECONDS = 25
"""Longer than two beats of a worker that shows life every 10 s."""
APP = """
import pathlib, time
from celery import Celery
app = Celery("shop")
app.config_from_object("celeryconfig")

@app.task(name="shop.sleep")
def sleep(seconds, done):
    time.sleep(seconds)
    pathlib.Path(done).touch()
"""
WORKLOAD = """
tasks: {shop.sleep: {queue: prefork, idempotent: true, runtime: 25s, retry: none}}
queues: {threads: {}}
workers:
  prefork: {queues: [prefork], concurrency: 1, environment: {GREETING: "$(HOME) $HOME"}}
  threads: {queues: [threads], pool: threads, concurrency: 1}
"""


class Pod:
    """A container of a Deployment, started here; `alive` is the file that its probe reads."""

    def __init__(self, deployment: dict, folder: Path, url: str) -> None:
        self.folder, self.alive = folder, folder / "alive"
        self.grace: int = deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
        self.container = container(deployment)
        mounted = [each["mountPath"] for each in self.container["volumeMounts"]]
        own = {each["name"]: self._here(each["value"].replace("$$", "$")) for each in self.container["env"]}
        assert own["PYTHONPATH"] in mounted
        own["PYTHONPATH"] = f"{folder / 'settings'}:{folder}"
        self.environment = {**os.environ, **own, "CELERY_BROKER_URL": url}

    def _here(self, word: str) -> str:
        return word.replace("/tmp/celery-alive", str(self.alive))

    @contextmanager
    def started(self) -> Iterator[Popen[bytes]]:
        """The process of the container."""
        program, *words = self.container["command"]
        command = [Path(sys.executable).parent / program, *words]
        with running(command, log=self.folder / "log", environment=self.environment) as process:
            yield process

    def healthy(self, probe: str) -> bool:
        """Whether a probe passes."""
        _, *words = map(self._here, self.container[probe]["exec"]["command"])
        return subprocess.run([sys.executable, *words], timeout=30, check=False).returncode == 0


@pytest.mark.parametrize("pool", POOLS)
def test_a_busy_pod_is_healthy_and_a_stop_waits_for_its_run(pool, tmp_path):
    manifests = of_text(WORKLOAD, tmp_path)
    folder = tmp_path / "pod"
    (folder / "settings").mkdir(parents=True)
    objects = rendered(manifests / "base")
    (settings,) = by_kind(objects, "ConfigMap").values()
    (folder / "settings" / "celeryconfig.py").write_text(settings["data"]["celeryconfig.py"], "utf-8")
    (folder / "shop").mkdir()
    (folder / "shop" / "__init__.py").touch()
    (folder / "shop" / "celery_app.py").write_text(APP, "utf-8")
    with redis_server(tmp_path) as url:
        pod = Pod(by_kind(objects, "Deployment")[f"shop-worker-{pool}"], folder, url)
        assert pod.grace > BUSY_SECONDS
        assert not pod.healthy("startupProbe")
        with pod.started() as process:
            wait_until(lambda: pod.healthy("startupProbe"), "the pod is ready", seconds=60, process=process)
            done = folder / "done"
            producer = Celery(broker=url, set_as_current=False)
            producer.send_task("shop.sleep", (BUSY_SECONDS, str(done)), queue=pool)
            for _ in range(2):
                before = pod.alive.stat().st_mtime
                wait_until(
                    lambda at=before: pod.alive.stat().st_mtime > at, "a sign of life", process=process
                )
            assert not done.exists()
            assert pod.healthy("livenessProbe")
            assert stop(process, seconds=pod.grace, number=signal.SIGTERM) == 0
        assert done.exists()
