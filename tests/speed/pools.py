"""Throughput by memory of several fleets for one workload: 200 calls a second that wait 100 ms each.

The fleets, one after the other on a private Redis:
- `celery worker --concurrency 4` without any configuration;
- what the compiler decides by itself;
- what it decides if the policy file allows the pools up to gevent. Threads would not keep the time limit;
- both again without task events, which cost more of a gevent worker's only core than of prefork.

Each fleet first gets the declared load, at random moments. Every 4 s comes a message of a task that hangs: its
time limit is 2 s, and it would run for 20 s. Then fresh workers get a backlog, which shows how much they can
handle. Memory is the proportional set size of all processes meanwhile.

Prints for each fleet, at the declared load and with the backlog, the runs per second, the memory, and the runs
per second and MB. The last one is also shown as a multiple of that of the compiler's own fleet. Then it prints
the CPU time of a run, whether 99 of 100 messages start within 1 s as promised, how long hanging runs last, and how
many messages will run again because their acknowledgment failed.

`pools.py` takes 8 minutes, on an idle machine or with `chrt --rr 1`. `pools.py --seconds 10` is a try.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))

import redis
from fleets import (
    Send,
    compiled,
    cpu_seconds,
    environment,
    memory_mb,
    publishing,
    runs,
    sends,
    sized,
    workers,
)
from processes import running, wait_until
from servers import redis_server

from policycompiler.sizing.simulation import Constant, Flow, Poisson, measured, messages

SECONDS = 40
FIRST_SECONDS = 5
"""What happens in them is not measured."""
RATE, CALL_SECONDS, PROMISE_SECONDS = 200, 0.1, 1.0
HANG_EVERY, HANG_SECONDS, LIMIT_SECONDS = 4, 20, 2
LATEST_END_SECONDS = LIMIT_SECONDS + 1.5
"""Prefork looks each second for runs past their limit."""
MOST_HANDLED = 1000
"""More runs per second than any of these fleets handles on one core."""
AIM = 20
WORKLOAD = """\
version: 1
service: calls
app: stand_in:app
broker: {transport: redis, url: "${CELERY_BROKER_URL}"}
defaults: {queue: calls, latency: interactive, work: io, idempotent: true, retry: none, result: ignore}
tasks:
  stand_in.task0: {runtime: {p50: 100ms, p99: 100ms}, rate: 200/s}
  stand_in.stuck: {runtime: {p50: 100ms, p99: 100ms}, rate: 15/m, options: {time_limit: 2}}
"""
PLAIN = "from os import environ\nbroker_url = environ['CELERY_BROKER_URL']\n"
PLAIN_SLOTS = 4
BY_ITSELF = "version: 1\n"
ALLOWED = "version: 1\nparameters: {pool: {up_to: gevent}}\n"
NO_EVENTS = "celery: {settings: {worker_send_task_events: false, task_send_sent_event: false}}\n"
PLAIN_FLEET = "celery -c 4"
FLEETS = {
    PLAIN_FLEET: (BY_ITSELF, "", "compiled"),
    "compiled": (BY_ITSELF, "", "compiled"),
    "pools allowed": (ALLOWED, "", "compiled"),
    "compiled, no events": (BY_ITSELF, NO_EVENTS, "compiled, no events"),
    "pools allowed, no events": (ALLOWED, NO_EVENTS, "compiled, no events"),
}
"""Policy file, what the workload adds, and the fleet that the multiple refers to."""


class Fleet(NamedTuple):
    """Workers that are started from a folder; those of `celery -c 4` have no launch script."""

    name: str
    build: Path
    pool: str
    processes: int
    slots: int

    @contextmanager
    def started(self, url: str) -> Iterator[Sequence[Popen[bytes]]]:
        """The processes, ready."""
        if self.name != PLAIN_FLEET:
            with workers(self.build, "calls", self.processes, url) as processes:
                yield processes
            return
        command = [sys.executable, "-m", "celery", "--app", "stand_in:app", "worker"]
        log = self.build / "worker.log"
        with running(
            [*command, "--concurrency", str(self.slots), "--loglevel", "INFO"],
            log=log,
            folder=self.build,
            environment=environment(self.build, url),
            stop_seconds=1,  # it would first run for minutes what is left
        ) as process:
            wait_until(lambda: " ready." in log.read_text(), "celery is ready", process=process, log=log)
            yield [process]


class Load(NamedTuple):
    """What a fleet did under a load: runs per second, MB of memory, and the p99 wait in seconds.

    `hung` is the longest of the runs that hung, in seconds. `unacked` counts messages that have run and are
    not acknowledged: they will run again. `cpu_ms` is the CPU time of a run with all that
    Celery does for it.
    """

    handled: float
    memory: float
    wait: float = 0.0
    hung: float = 0.0
    unacked: int = 0
    cpu_ms: float = 0.0

    @property
    def each_mb(self) -> float:
        """Runs per second and MB."""
        return self.handled / self.memory


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser()
    options.add_argument("--seconds", type=int, default=SECONDS)
    seconds = options.parse_args().seconds
    found: dict[str, tuple[Fleet, Load, Load]] = {}
    with tempfile.TemporaryDirectory() as name, redis_server(Path(name)) as server:
        for number, kind in enumerate(FLEETS):
            fleet = built(kind, Path(name) / f"fleet{number}")
            urls = [f"{server.rpartition('/')[0]}/{database}" for database in (2 * number, 2 * number + 1)]
            found[kind] = fleet, declared(fleet, urls[0], seconds), backlog(fleet, urls[1], seconds // 2)
    table(found)


def built(kind: str, folder: Path) -> Fleet:
    """The files of a fleet, and its slots."""
    policy, more, _ = FLEETS[kind]
    build = compiled(folder, WORKLOAD + more, policy)
    if kind == PLAIN_FLEET:
        (build / "celeryconfig.py").write_text(PLAIN, "utf-8")
        return Fleet(kind, build, "prefork", 1, PLAIN_SLOTS)
    size = sized(folder)["calls"]
    return Fleet(kind, build, size["pool"], size["replicas"], size["slots"])


def declared(fleet: Fleet, url: str, seconds: int) -> Load:
    """The load of the workload, with runs that hang."""
    flow = Flow("stand_in.task0", "", (Poisson(RATE),), Constant(CALL_SECONDS))
    calls = [Send(each.arrived, flow.name, each.run) for each in messages((flow,), seconds, seed=0)]
    hangs = [Send(each, "stand_in.stuck", HANG_SECONDS) for each in range(FIRST_SECONDS, seconds, HANG_EVERY)]
    sending = sorted((*calls, *hangs))
    with fleet.started(url) as processes, publishing(fleet.build, url, sending) as publisher:
        memory = weighed(processes, publisher)
        over = time.monotonic()
        # The last runs end, and those of the last message that hung.
        time.sleep(HANG_SECONDS)
        ran, sent = runs(fleet.build), [now for _, now in sends(fleet.build)]
        with redis.Redis.from_url(url) as client:
            unacked = max(client.hlen("unacked") - (len(sent) - len(ran)), 0)
    began = sent[0] + FIRST_SECONDS
    handled = sum(began < run.ended < over for run in ran.values()) / (over - began)
    # A message that has not run waits still.
    waits = [
        (ran[number].began if number in ran else over + HANG_SECONDS) - now
        for number, now in enumerate(sent)
        if now > began
    ]
    hung = [
        ran[number].ended - ran[number].began
        for number, each in enumerate(sending)
        if each.task == "stand_in.stuck" and number in ran
    ]
    return Load(handled, memory, measured(waits).quantile(0.99), max(hung, default=0.0), unacked)


def backlog(fleet: Fleet, url: str, seconds: int) -> Load:
    """More than the fleet can handle; measured from the end of publishing until a tenth is left."""
    count = int(min(fleet.slots / CALL_SECONDS, MOST_HANDLED) * seconds)
    sending = [Send(0, "stand_in.task0", CALL_SECONDS)] * count
    with fleet.started(url) as processes, publishing(fleet.build, url, sending) as publisher:
        publisher.wait(60)
        over, before, already = time.monotonic(), cpu_seconds(processes), len(runs(fleet.build))
        memory = memory_mb(processes)
        wait_until(
            lambda: (fleet.build / "runs").read_bytes().count(b"\n") > 0.9 * count,
            "the backlog has run",
            seconds=20 * seconds,
        )
        ended = sorted(run.ended for run in runs(fleet.build).values())
        cpu_ms = 1000 * (cpu_seconds(processes) - before) / (len(ended) - already)
    within = [each for each in ended[: int(0.9 * count)] if each > over]
    return Load(len(within) / (within[-1] - over), memory, cpu_ms=cpu_ms)


def weighed(processes: Sequence[Popen[bytes]], publisher: Popen[bytes]) -> float:
    """The median of the memory while messages are published."""
    found = []
    while publisher.poll() is None:
        found.append(memory_mb(processes))
        time.sleep(2)
    return statistics.median(found)


def table(found: dict[str, tuple[Fleet, Load, Load]]) -> None:
    """Print the figures."""
    each, titles = "runs/s      MB  runs/s/MB  multiple", ("declared load", "backlog")
    sys.stdout.write(f"{'':38}  {titles[0]:^39}  {titles[1]:^39}\n")
    sys.stdout.write(
        f"{'fleet':24} {'pool':7} {'slots':>6}  {each}  {each}  CPU ms/run  p99 wait  kept  hanging runs  limit kept  run again\n"
    )
    for kind, (fleet, *loads) in found.items():
        own = found[FLEETS[kind][2]]
        shape = f"{fleet.processes} x {fleet.slots // fleet.processes}"
        line = f"{kind:24} {fleet.pool:7} {shape:>6}"
        for load, of_own in zip(loads, own[1:], strict=True):
            line += f"  {load.handled:6.0f}  {load.memory:6.0f}  {load.each_mb:9.2f}"
            line += f"  {load.each_mb / of_own.each_mb:8.1f}"
        wait, hung = loads[0].wait, loads[0].hung
        line += f"  {loads[1].cpu_ms:10.1f}  {1000 * wait:5.0f} ms  {yes(wait <= PROMISE_SECONDS):>4}  {hung:10.1f} s"
        sys.stdout.write(f"{line}  {yes(hung <= LATEST_END_SECONDS):>10}  {loads[0].unacked:9}\n")
    sys.stdout.write(f"a multiple of {AIM} with every promise and limit kept is the aim\n")


def yes(holds: object) -> str:
    """A word for the table."""
    return "yes" if holds else "NO"


if __name__ == "__main__":
    main()
