"""Throughput of a worker with telemetry and without, side by side on a private Redis.

A prefork worker with two slots drains a queue of tasks that do nothing: the worst case, because a task that
works longer hides the cost. Rounds alternate, so that other load on the machine falls on both. While it runs,
the metrics are read each 5 s, more often than most Prometheus servers do it. Prints the medians of both, in tasks per
second and in ms of CPU time for each task, and the ratios of the medians.

`telemetry.py 9 4000` measures 9 rounds of 4000 tasks.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from urllib.error import URLError
from urllib.request import urlopen

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))

import psutil
import redis
from processes import running
from servers import HOST, free_port, redis_server

ROUNDS, TASKS = 5, 3000
SCRAPE_SECONDS = 5
AIM = 1.03
"""What a ratio should be at most. On a busy machine the CPU time says more than the throughput."""
WORKLOAD = """\
version: 1
service: bench
app: bench_app:app
broker: {transport: redis, url: "${CELERY_BROKER_URL}"}
tasks: {bench.nothing: {queue: q, latency: batch}}
workers: {q: {pool: prefork, concurrency: 2, replicas: 1}}
"""
POLICY = """\
version: 1
parameters: {metric-sources: {sources: [SOURCE]}, telemetry: {bind: 127.0.0.1, first_port: FIRST}}
"""
APP = """\
from celery import Celery
app = Celery("bench", config_source="celeryconfig")
@app.task(name="bench.nothing")
def nothing(number):
    pass
"""
FILL = "import sys, bench_app; [bench_app.nothing.delay(n) for n in range(int(sys.argv[1]))]"
SIDES = {"without": "celery-exporter", "with": "telemetry"}


class Round(NamedTuple):
    """Tasks per second, and CPU milliseconds of the worker's processes for each task."""

    throughput: float
    cpu_ms: float


def build(folder: Path, source: str, port: int) -> Path:
    """A compiled output with the application beside it."""
    folder.mkdir()
    (folder / "workload.yaml").write_text(WORKLOAD, "utf-8")
    (folder / "policy.yaml").write_text(POLICY.replace("SOURCE", source).replace("FIRST", str(port)), "utf-8")
    command = [sys.executable, "-m", "policycompiler", "compile", "workload.yaml", "--policy", "policy.yaml"]
    subprocess.run([*command, "-o", "build", "-q"], cwd=folder, check=True)
    (folder / "build" / "bench_app.py").write_text(APP, "utf-8")
    return folder / "build"


def measured(where: Path, url: str, port: int, tasks: int) -> Round:
    """One worker that drains a queue which was filled before it started."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {"PATH": path, "CELERY_BROKER_URL": url, "PYTHONPATH": str(where)}
    subprocess.run([sys.executable, "-c", FILL, str(tasks)], env=environment, cwd=where, check=True)
    # No process is replaced, so all of the CPU time can be seen.
    command = ["sh", "launch/q.sh", "--prefetch-multiplier", "10", "--max-tasks-per-child", "10000000"]
    log, options = where / "worker.log", {"folder": where, "environment": environment, "stop_seconds": 60}
    with redis.Redis.from_url(url) as client, running(command, log=log, **options) as process:
        # The first fifth warms up.
        started, first = until(client, tasks * 4 // 5, port)
        before = spent(process.pid)
        ended, last = until(client, 0, port)
        cpu = spent(process.pid) - before
    return Round((first - last) / (ended - started), 1000 * cpu / (first - last))


def spent(pid: int) -> float:
    """The CPU seconds of a process and its children."""
    main = psutil.Process(pid)
    times = [each.cpu_times() for each in (main, *main.children(recursive=True))]
    return sum(each.user + each.system for each in times)


def until(client: redis.Redis, waiting: int, port: int) -> tuple[float, int]:
    """Wait until so few messages are left; when that was, and how many there are."""
    scraped = 0.0
    while True:
        left = int(client.llen("q")) + int(client.hlen("unacked"))
        now = time.monotonic()
        if left <= waiting:
            return now, left
        if now - scraped > SCRAPE_SECONDS:
            scraped = now
            with (
                suppress(URLError, TimeoutError),
                urlopen(f"http://{HOST}:{port}/metrics", timeout=5) as answer,
            ):
                answer.read()
        time.sleep(0.005)


def main() -> None:
    """Measure and print."""
    rounds, tasks = [int(each) for each in sys.argv[1:]] or (ROUNDS, TASKS)
    found: dict[str, list[Round]] = {name: [] for name in SIDES}
    with tempfile.TemporaryDirectory() as name, redis_server(Path(name)) as url:
        first = free_port()
        builds = {side: build(Path(name) / side, source, first) for side, source in SIDES.items()}
        for number in range(rounds):
            for side in [*SIDES][:: 1 if number % 2 else -1]:
                found[side].append(measured(builds[side], url, first + 1, tasks))
    middle = {
        side: Round(*map(statistics.median, zip(*several, strict=True))) for side, several in found.items()
    }
    lines = [
        f"{side} telemetry: {throughput:.0f} tasks/s, {cpu_ms:.2f} ms of CPU time a task"
        for side, (throughput, cpu_ms) in middle.items()
    ]
    ratio = middle["without"].throughput / middle["with"].throughput
    cpu = middle["with"].cpu_ms / middle["without"].cpu_ms
    lines += [
        f"{'throughput without / with telemetry':45} {ratio:8.2f}   at most {AIM:g}",
        f"{'CPU time with / without telemetry':45} {cpu:8.2f}   at most {AIM:g}",
    ]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
