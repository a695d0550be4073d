"""What guards cost a task: on workers side by side, and around a single run.

Three prefork workers of two slots each take tasks that do nothing, on a private Redis, in turns, as in
`telemetry.py`. One has no guards at all. In the second, other tasks have guards. In the third, the task has a
key, a breaker and a rate that never makes it wait. Prints the medians of all sides, in tasks per second and in
ms of CPU time for each task, and what each adds to the first. Then the wall-clock time that each guard adds to
a run in this process, beside the time of a PING.

`guards.py 5 2000` measures 5 times, and in each round 2000 tasks.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))

import redis
from guarded import Site, deploy
from servers import redis_server
from telemetry import ROUNDS, Round, Side, drained, measured

from policycompiler.runtime.guards import guard

TIMES, TASKS, RUNS = 3, 1000, 2000
AIM_MS = 1.0
"""What the guards of a task should cost at most, all together."""
APP = """\
from celery import Celery
app = Celery("bench", config_source="celeryconfig")
@app.task(name="bench.nothing", ignore_result=True)
def nothing(number):
    pass
"""
TRIP = {"failures": 10, "within": 30.0, "open_for": 60.0, "probes": 1}
DEPENDENCIES = {"stripe": {"rate": 1e6, "burst": 1000, "hold": 2.0, "breaker": TRIP}}
KEY = {"key": "number", "keep": 600.0, "lease": 60.0}
ALL = KEY | {"calls": ["stripe"]}
SIDES = {
    "without guards": ({}, "task_annotations = {}"),
    "beside guarded tasks": ({"bench.other": ALL}, ""),
    "with guards": ({"bench.nothing": ALL}, ""),
}
"""The guarded tasks, and what the configuration has besides."""
ALONE = {"key": KEY, "breaker and rate": {"calls": ["stripe"]}, "all": ALL}


@contextmanager
def started(folder: Path, url: str, side: str, tasks: int) -> Iterator[tuple[Side, Site]]:
    """A worker that has run each message once, so it is warm."""
    tasks_told, more = SIDES[side]
    site = deploy(folder, url, APP, tasks_told, dependencies=DEPENDENCIES, more=more)
    for number in range(tasks):
        site.send("bench.nothing", number, queue="q", ignore_result=True)
    client = redis.Redis.from_url(url)
    messages = client.lrange("q", 0, -1)
    with site.worker("w", "--prefetch-multiplier", "10", queue="q") as process:
        drained(client)
        yield Side(process.pid, client, messages), site


def together(tasks: int) -> dict[str, Round]:
    """The medians of fresh workers, one for each side."""
    found: dict[str, list[Round]] = {side: [] for side in SIDES}
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        workers = {}
        for side in SIDES:
            folder = Path(name) / side
            folder.mkdir()
            url = stack.enter_context(redis_server(folder))
            workers[side] = stack.enter_context(started(folder / "shop", url, side, tasks))
        for number in range(ROUNDS):
            for side in [*workers][:: 1 if number % 2 else -1]:
                # Otherwise each task is a duplicate.
                workers[side][1].store.flushdb()
                found[side].append(measured(workers[side][0]))
    return {
        side: Round(*map(statistics.median, zip(*several, strict=True))) for side, several in found.items()
    }


def alone(url: str) -> dict[str, float]:
    """Milliseconds of a run in this process, by what guards it."""
    os.environ["STORE_URL"] = url
    app = SimpleNamespace(conf=SimpleNamespace(result_serializer="json"))
    task = SimpleNamespace(name="bench.nothing", run=lambda number: number, time_limit=None, app=app)
    client = redis.Redis.from_url(url)
    found = {"PING": timed(lambda _: client.ping())}
    for name, told in ALONE.items():
        declared = {"service": name, "store": "STORE_URL", "dependencies": DEPENDENCIES}
        guards = guard({**declared, "tasks": {task.name: told}})
        call = guards._guards(task.name, guards.of(task.name)).around(lambda _, number: number)
        # As Celery's own, so that `run` is called.
        found[name] = timed(lambda number, call=call: call(with_request(task, number), number))
    return found


def with_request(task: SimpleNamespace, number: int) -> SimpleNamespace:
    """The task with a request of its own."""
    request = {"id": f"{number}", "hostname": "w@host", "timelimit": None, "ignore_result": True}
    task.request = SimpleNamespace(**request, called_directly=False, is_eager=False)
    return task


def timed(function: object) -> float:
    """The median milliseconds of a call."""
    times = []
    for number in range(RUNS):
        began = time.perf_counter()
        function(number)
        times.append(1000 * (time.perf_counter() - began))
    return statistics.median(times)


def main() -> None:
    """Measure and print."""
    times, tasks = [int(each) for each in sys.argv[1:]] or (TIMES, TASKS)
    found = [together(tasks) for _ in range(times)]
    first = next(iter(SIDES))
    for side in SIDES:
        throughput = statistics.median(each[side].throughput for each in found)
        cpu = statistics.median(each[side].cpu_ms for each in found)
        ratio = statistics.median(each[side].cpu_ms / each[first].cpu_ms for each in found)
        added = statistics.median(each[side].cpu_ms - each[first].cpu_ms for each in found)
        sys.stdout.write(f"{side}: {throughput:.0f} tasks/s, {cpu:.2f} ms of CPU time a task, ")
        sys.stdout.write(f"{ratio:.2f} of the first, {added:+.2f} ms\n")
    sys.stdout.write(f"guards of a task should add at most {AIM_MS:g} ms\n")
    with tempfile.TemporaryDirectory() as name, redis_server(Path(name)) as url:
        for guarded, milliseconds in alone(url).items():
            sys.stdout.write(f"{f'time of a run with {guarded}, ms':45} {milliseconds:8.2f}\n")


if __name__ == "__main__":
    main()
