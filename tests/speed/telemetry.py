"""Throughput of a worker with telemetry and without, side by side on a private Redis.

Two prefork workers of two slots each take tasks that do nothing: the worst case, because a task that works
longer hides the cost. Each round gives the same messages to one of them, in turns, while the other one waits:
other load on the machine falls on both. The metrics are read each 5 s, more often than most Prometheus
servers do it. Two workers with the same code differ by up to 10 %, each for all of its life, so there are
several pairs. Then the same for tasks that wait some milliseconds. Prints the medians of both sides, in tasks
per second and in ms of CPU time for each task, and the median of the ratios of all pairs.

`telemetry.py 9 4000` measures 9 pairs, and in each round 4000 tasks.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.request import urlopen

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))

import psutil
import redis
from processes import running
from servers import HOST, free_port, redis_server

PAIRS, TASKS = 7, 1000
ROUNDS = 4
RUN_SECONDS = (0, 0.005)
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
import time
from celery import Celery
app = Celery("bench", config_source="celeryconfig")
@app.task(name="bench.nothing")
def nothing(seconds):
    if seconds:
        time.sleep(seconds)
"""
FILL = "import sys, bench_app; [bench_app.nothing.delay(float(sys.argv[2])) for n in range(int(sys.argv[1]))]"
SIDES = {"without": "celery-exporter", "with": "telemetry"}


class Round(NamedTuple):
    """Tasks per second, and CPU milliseconds of the worker's processes for each task."""

    throughput: float
    cpu_ms: float


class Side(NamedTuple):
    """A worker with its own database in Redis, and the messages that it gets in each round."""

    pid: int
    client: redis.Redis
    messages: list[bytes]


def build(folder: Path, source: str, port: int) -> Path:
    """A compiled output with the application beside it."""
    folder.mkdir()
    (folder / "workload.yaml").write_text(WORKLOAD, "utf-8")
    (folder / "policy.yaml").write_text(POLICY.replace("SOURCE", source).replace("FIRST", str(port)), "utf-8")
    command = [sys.executable, "-m", "policycompiler", "compile", "workload.yaml", "--policy", "policy.yaml"]
    subprocess.run([*command, "-o", "build", "-q"], cwd=folder, check=True)
    (folder / "build" / "bench_app.py").write_text(APP, "utf-8")
    return folder / "build"


@contextmanager
def started(where: Path, url: str, tasks: int, run_seconds: float) -> Iterator[Side]:
    """A worker that has run each message once, so it is warm."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {"PATH": path, "CELERY_BROKER_URL": url, "PYTHONPATH": str(where)}
    fill = [sys.executable, "-c", FILL, str(tasks), str(run_seconds)]
    subprocess.run(fill, env=environment, cwd=where, check=True)
    # No process is replaced, so all of the CPU time can be seen.
    command = ["sh", "launch/q.sh", "--prefetch-multiplier", "10", "--max-tasks-per-child", "10000000"]
    log, options = where / "worker.log", {"folder": where, "environment": environment, "stop_seconds": 60}
    with redis.Redis.from_url(url) as client:
        messages = client.lrange("q", 0, -1)
        with running(command, log=log, **options) as process:
            drained(client)
            yield Side(process.pid, client, messages)


def drained(client: redis.Redis) -> None:
    """Wait until no message is left."""
    while client.llen("q") or client.hlen("unacked"):
        time.sleep(0.002)


def measured(side: Side) -> Round:
    """All messages at once, until the last one is acknowledged."""
    before, began = spent(side.pid), time.monotonic()
    side.client.lpush("q", *side.messages)
    drained(side.client)
    seconds, cpu = time.monotonic() - began, spent(side.pid) - before
    return Round(len(side.messages) / seconds, 1000 * cpu / len(side.messages))


def spent(pid: int) -> float:
    """The CPU seconds of a process and its children."""
    main = psutil.Process(pid)
    times = [each.cpu_times() for each in (main, *main.children(recursive=True))]
    return sum(each.user + each.system for each in times)


def scraping(port: int, over: threading.Event) -> None:
    """Read the metrics again and again, as Prometheus does."""
    while not over.wait(SCRAPE_SECONDS):
        with urlopen(f"http://{HOST}:{port}/metrics", timeout=10) as answer:
            answer.read()


def main() -> None:
    """Measure and print."""
    pairs, tasks = [int(each) for each in sys.argv[1:]] or (PAIRS, TASKS)
    for run_seconds in RUN_SECONDS:
        sys.stdout.write(f"tasks of {1000 * run_seconds:g} ms\n")
        told([pair(tasks, run_seconds) for _ in range(pairs)])


def pair(tasks: int, run_seconds: float) -> dict[str, Round]:
    """The medians of two fresh workers."""
    found: dict[str, list[Round]] = {name: [] for name in SIDES}
    with tempfile.TemporaryDirectory() as name, redis_server(Path(name)) as url, ExitStack() as stack:
        first, over = free_port(), threading.Event()
        launch = Path(name) / "with" / "build" / "launch" / "q.sh"
        both = {
            side: stack.enter_context(
                started(
                    build(Path(name) / side, source, first),
                    f"{url.rpartition('/')[0]}/{number}",
                    tasks,
                    run_seconds,
                )
            )
            for number, (side, source) in enumerate(SIDES.items())
        }
        [port] = re.findall(r"CELERY_TELEMETRY_PORTS=(\d+)", launch.read_text("utf-8"))
        prometheus = threading.Thread(target=scraping, args=(int(port), over))
        prometheus.start()
        for number in range(ROUNDS):
            for side in [*both][:: 1 if number % 2 else -1]:
                found[side].append(measured(both[side]))
        over.set()
        prometheus.join()
    return {
        side: Round(*map(statistics.median, zip(*several, strict=True))) for side, several in found.items()
    }


def told(found: list[dict[str, Round]]) -> None:
    """Print the figures."""
    lines = [
        f"{side} telemetry: {statistics.median(each[side].throughput for each in found):.0f} tasks/s, "
        f"{statistics.median(each[side].cpu_ms for each in found):.2f} ms of CPU time a task"
        for side in SIDES
    ]
    ratio = statistics.median(each["without"].throughput / each["with"].throughput for each in found)
    ratios = sorted(each["with"].cpu_ms / each["without"].cpu_ms for each in found)
    cpu = statistics.median(ratios)
    lines += [
        f"CPU time of each pair, with / without: {' '.join(f'{each:.2f}' for each in ratios)}",
        f"{'throughput without / with telemetry':45} {ratio:8.2f}   at most {AIM:g}",
        f"{'CPU time with / without telemetry':45} {cpu:8.2f}   at most {AIM:g}",
    ]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
