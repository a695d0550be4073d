"""Compiled workers with stand-ins for tasks, for `waits.py` and `pools.py`: started, fed, and weighed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from subprocess import Popen
from typing import Any, NamedTuple

import psutil
from processes import running, wait_until

PROGRAM = [sys.executable, "-m", "policycompiler"]
STOP_SECONDS = 60
APP = """\
import os, time
from celery import Celery
app = Celery("stand_in", config_source="celeryconfig")
runs = os.open("runs", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
def run(number, seconds):
    began = time.monotonic()
    try:
        time.sleep(seconds)
    finally:
        os.write(runs, f"{number} {began} {time.monotonic()}\\n".encode())
@app.task(name="stand_in.stuck")
def stuck(number, seconds):
    # Whoever ends it, the last line says when.
    began = time.monotonic()
    while time.monotonic() < began + seconds:
        os.write(runs, f"{number} {began} {time.monotonic()}\\n".encode())
        time.sleep(0.02)
for place in range(2):
    app.task(run, name=f"stand_in.task{place}")
"""
PUBLISHER = """\
import gc, json, time
from pathlib import Path
from stand_in import app
schedule = json.loads(Path("schedule").read_text())
sent = []
with app.producer_or_acquire() as producer:
    producer.connection.ensure_connection()
    gc.freeze()
    gc.disable()
    start = time.monotonic() + 1
    for number, (second, task, seconds) in enumerate(schedule):
        time.sleep(max(start + second - time.monotonic(), 0))
        now = time.monotonic()
        app.tasks[task].apply_async((number, seconds), producer=producer)
        sent.append((start + second, now))
Path("sending").write_text(json.dumps(sent))
Path("sending").rename("sent")
"""


class Send(NamedTuple):
    """A message: the second at which it is published, its task, and how long its run takes."""

    second: float
    task: str
    run_seconds: float


class Run(NamedTuple):
    """When a run began and ended, by the clock of all processes."""

    began: float
    ended: float


def compiled(folder: Path, workload: str, policy: str) -> Path:
    """The compiled output, with the stand-in beside it."""
    folder.mkdir()
    (folder / "workload.yaml").write_text(workload, "utf-8")
    (folder / "policy.yaml").write_text(policy, "utf-8")
    _run(folder, "compile", "--output", "build", "--quiet")
    (folder / "build" / "stand_in.py").write_text(APP, "utf-8")
    return folder / "build"


def sized(folder: Path) -> dict[str, dict[str, Any]]:
    """What `size` says of each worker."""
    told = json.loads(_run(folder, "size", "--output-format", "json"))
    return {each["worker"]: each for each in told["workers"]}


def _run(folder: Path, command: str, *options: str) -> str:
    words = [*PROGRAM, command, "workload.yaml", "--policy", "policy.yaml", *options]
    return subprocess.run(words, cwd=folder, check=True, stdout=subprocess.PIPE, text=True).stdout


def environment(build: Path, url: str, **more: str) -> dict[str, str]:
    """All that a process of the application needs."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {"PATH": path, "PYTHONPATH": str(build), "CELERY_BROKER_URL": url, "LANG": "C.UTF-8", **more}


@contextmanager
def workers(build: Path, name: str, processes: int, url: str) -> Iterator[Sequence[Popen[bytes]]]:
    """The processes of a worker by its launch script, ready to take messages."""
    with ExitStack() as stack:
        started = []
        for number in range(1, processes + 1):
            log = build / f"{name}.{number}.log"
            process = stack.enter_context(
                running(
                    ["sh", f"launch/{name}.sh"],
                    log=log,
                    folder=build,
                    environment=environment(build, url, INSTANCE=str(number)),
                    stop_seconds=STOP_SECONDS,
                )
            )
            started.append((process, log))
        for process, log in started:
            wait_until(lambda log=log: _ready(log), f"{name} is ready", process=process, log=log)
        yield [process for process, _ in started]


def _ready(log: Path) -> bool:
    return bool(re.search(r"worker@\S+ ready\.", log.read_text("utf-8", errors="replace")))


@contextmanager
def publishing(build: Path, url: str, messages: Sequence[Send]) -> Iterator[Popen[bytes]]:
    """A publisher on one connection; it notes in `sent` when it sent which message, and ends."""
    (build / "schedule").write_text(json.dumps(messages), "utf-8")
    (build / "sent").unlink(missing_ok=True)
    (build / "runs").write_bytes(b"")  # the workers have it open
    command, log = [sys.executable, "-c", PUBLISHER], build / "publisher.log"
    with running(command, log=log, folder=build, environment=environment(build, url)) as process:
        yield process


def sends(build: Path) -> list[tuple[float, float]]:
    """For each message the moment at which it was due, and the one just before it was published."""
    found: list[tuple[float, float]] = json.loads((build / "sent").read_text("utf-8"))
    return found


def runs(build: Path) -> dict[int, Run]:
    """The run of each message by its number; if it ran twice, the first run."""
    found: dict[int, Run] = {}
    for line in (build / "runs").read_text("utf-8").splitlines():
        number, began, ended = line.split()
        run = Run(float(began), float(ended))
        if found.setdefault(int(number), run).began == run.began:
            found[int(number)] = run
    return found


def cpu_seconds(processes: Sequence[Popen[bytes]]) -> float:
    """The CPU seconds of these processes, of their children, and of children that they have replaced."""
    spent = 0.0
    for process in processes:
        main = psutil.Process(process.pid)
        spent += main.cpu_times().children_user + main.cpu_times().children_system
        for each in (main, *main.children(recursive=True)):
            spent += each.cpu_times().user + each.cpu_times().system
    return spent


def memory_mb(processes: Sequence[Popen[bytes]]) -> float:
    """The proportional set size of these processes and their children, in MB: shared memory counts once."""
    size = 0
    for process in processes:
        main = psutil.Process(process.pid)
        for each in (main, *main.children(recursive=True)):
            size += each.memory_full_info().pss
    return size / 1e6
