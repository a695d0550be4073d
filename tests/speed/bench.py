"""Speed and memory of the commands, as ratios to reading the same file with PyYAML's fastest loader.

Prints a table. For each number of tasks: the whole-process CPU time (user and system, imports and all) of
`compile` and of `check`, divided by that of `python -c 'yaml.load(…, CSafeLoader)'`; `check` divided by
`compile`; and the peak memory in MiB. For the largest number also a workload with every feature and a policy
file, and a `diff` of two plans divided by one compile. Last, what it takes to share few workers among many
queues. Runs alternate, so that other load on the machine falls on all; a figure is that of the medians.

`bench.py 100 1000` measures these numbers of tasks only.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

ROUNDS = {100: 9, 1_000: 7, 10_000: 3}
QUEUES = (60, 120, 240)

AIMS = {
    "compile of 100 tasks / read": 6.0,
    "compile of 1000 tasks / read": 2.8,
    "compile of 10000 tasks / read": 1.2,
    "compile of 10000 tasks, MiB": 250,
    "check / compile of 1000 tasks": 0.75,
    "check / compile of 10000 tasks": 0.75,
    "diff / compile of 10000 tasks": 1.0,
    "diff of 10000 tasks, MiB": 300,
    "240 queues / 120 queues on 4 workers": 2.5,
    "import of 500 tasks / of the app itself": 8.0,
}
"""What a figure should be at most."""

READ = [sys.executable, "-c", "import sys, yaml; yaml.load(open(sys.argv[1]), yaml.CSafeLoader)"]
PROGRAM = [sys.executable, "-m", "policycompiler"]

CLASSES = ("interactive", "standard", "batch")
RUNTIMES = {"interactive": ("100ms", "2s"), "standard": ("2s", "30s"), "batch": ("40s", "10m")}

POLICY = """\
version: 1
extends: strict
latency_classes: {batch: {queue_wait_p99: 15m, runtime_p99_limit: 6h}}
parameters: {time-limits: {hard_over_soft: 1.5}}
severities: {beat-overlap: info, "*": warning}
waivers: {longest: 3650d}
custom:
  - name: long-run-without-an-owner
    severity: warning
    when: task.runtime_p99_seconds > 600 && task.owner == ""
    message: nobody owns a run of more than ten minutes
  - name: slow-schedule
    severity: warning
    when: schedule.every_seconds < 60 && task.latency == "batch" && queue.external
    message: another app gets slow work every minute
"""
"""A policy file that asks for something everywhere."""


class Cost(NamedTuple):
    """What one process used: CPU seconds, and KiB of memory at its peak."""

    cpu_seconds: float
    peak_kib: float


def workload(tasks: int) -> Iterator[str]:
    """Lines of a workload of so many tasks, some fifteen lines each, and a schedule for one in fifty."""
    yield from ("version: 1", "service: bench", "app: bench.app:app")
    yield from ("broker: {transport: redis, url: '${CELERY_BROKER_URL}'}",)
    yield from ("results: {backend: redis, url: '${CELERY_RESULT_BACKEND}', keep: 1h}", "tasks:")
    for index in range(tasks):
        latency = CLASSES[index % 3]
        p50, p99 = RUNTIMES[latency]
        yield f"  bench.module_{index % 50}.task_{index}:"
        yield f"    description: what task number {index} does, in a few words  # and a comment"
        yield f"    latency: {latency}"
        yield f"    work: {'cpu' if index % 5 == 0 else 'io'}"
        yield f"    idempotent: {'true' if index % 2 else 'false'}"
        yield from ("    runtime:", f"      p50: {p50}", f"      p99: {p99}")
        yield from ("    rate:", f"      mean: {1 + index % 9}/d", f"      peak: {1 + index % 9}/h")
        yield f"    owner: team-{index % 7}"
        yield f"    result: {'keep' if index % 11 == 0 else 'ignore'}"
        yield f"    retry: {'{on: [ConnectionError], max: 5, max_delay: 5m}' if index % 2 else 'none'}"
        yield "    expires: 6h"
    yield "schedules:"
    for index in range(0, tasks, 50):
        yield f"  every-{index}: {{task: bench.module_{index % 50}.task_{index}, every: {5 + index % 50}m}}"


def everything(tasks: int) -> Iterator[str]:
    """The same workload with pins, crons and a waiver, and what more can be said of a task."""
    section, task = "", 0
    for line in workload(tasks):
        section = section if line.startswith(" ") else line
        yield line
        if line.startswith("    expires:"):
            task += 1
            yield f"    critical: {'true' if task % 10 == 0 else 'false'}"
            yield from ("    canvas: [chain]", "    memory: 64MiB", "    payload: 8KiB")
            yield from ("    runbook: https://runbooks.example/bench", "    priority: 6", "    burst: 20")
            yield "    options: {track_started: true, rate_limit: 100/m}"
        elif section == "schedules:" and line.startswith("  every-"):
            name, _, entry = line.strip().partition(": ")
            sends = entry.partition(",")[0]
            yield f"  cron-{name}: {sends}, cron: '{len(name)} 3 * * 1-5', timezone: Europe/Paris}}"
    yield "waivers:"
    yield "  - {finding: priority-monitoring, at: tasks.*, reason: known, owner: team-1, expires: 2030-01-01}"


def cost(command: list[str]) -> Cost:
    """Run a command to its end and ask the kernel what it used."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        message = f"{command[0]} ended with status {status}"
        raise SystemExit(message)
    return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss)


def medians(commands: Mapping[str, list[str]], rounds: int) -> dict[str, Cost]:
    """What each command costs, run in turns."""
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            costs[name].append(cost(command))
    return {name: Cost(*map(statistics.median, zip(*found, strict=True))) for name, found in costs.items()}


def told(name: str, figure: float) -> None:
    """Print a figure as soon as it is known."""
    aim = f"   at most {AIMS[name]:g}" if name in AIMS else ""
    sys.stdout.write(f"{name:45} {figure:8.2f}{aim}\n")
    sys.stdout.flush()


def written(folder: Path, name: str, lines: Iterable[str]) -> str:
    """A file of these lines; its name."""
    source = folder / f"{name}.yaml"
    source.write_text("\n".join(lines) + "\n")
    return str(source)


def compiling(source: str, output: Path, *options: str) -> list[str]:
    """The command that compiles into a folder of its own."""
    return [*PROGRAM, "compile", source, "-q", "-o", str(output), *options]


def sizes(tasks: int, rounds: int, folder: Path) -> None:
    """Compile and check over read."""
    source = written(folder, str(tasks), workload(tasks))
    commands = {
        "read": [*READ, source],
        "compile": compiling(source, folder / f"{tasks}"),
        "check": [*PROGRAM, "check", source, "-q"],
    }
    found = medians(commands, rounds)
    told(f"compile of {tasks} tasks / read", found["compile"].cpu_seconds / found["read"].cpu_seconds)
    told(f"check of {tasks} tasks / read", found["check"].cpu_seconds / found["read"].cpu_seconds)
    told(f"check / compile of {tasks} tasks", found["check"].cpu_seconds / found["compile"].cpu_seconds)
    told(f"compile of {tasks} tasks, MiB", found["compile"].peak_kib / 1024)
    told(f"check of {tasks} tasks, MiB", found["check"].peak_kib / 1024)


def every_feature(tasks: int, rounds: int, folder: Path) -> None:
    """Compile over read, of a workload and a policy file that ask for something everywhere."""
    source = written(folder, "everything", everything(tasks))
    policy = folder / "policy.yml"
    policy.write_text(POLICY)
    options = ("--policy", str(policy), "--today", "2027-01-01")
    commands = {"read": [*READ, source], "compile": compiling(source, folder / "everything", *options)}
    found = medians(commands, rounds)
    ratio = found["compile"].cpu_seconds / found["read"].cpu_seconds
    told(f"compile of {tasks} tasks, everything / read", ratio)
    told(f"compile of {tasks} tasks, everything, MiB", found["compile"].peak_kib / 1024)


def comparison(tasks: int, rounds: int, folder: Path) -> None:
    """Diff over compile, of two plans in which every third task has another run time."""
    lines = list(workload(tasks))
    old = written(folder, "old", lines)
    new = written(folder, "new", [line.replace("p99: 30s", "p99: 35s") for line in lines])
    cost(compiling(old, folder / "before"))
    cost(compiling(new, folder / "after"))
    commands = {
        "compile": compiling(new, folder / "again"),
        "diff": [*PROGRAM, "diff", str(folder / "before"), str(folder / "after")],
    }
    found = medians(commands, rounds)
    told(f"diff / compile of {tasks} tasks", found["diff"].cpu_seconds / found["compile"].cpu_seconds)
    told(f"diff of {tasks} tasks, MiB", found["diff"].peak_kib / 1024)


def few_workers(folder: Path) -> None:
    """What it takes to let queues share four workers, over a worker each; and how it grows."""
    policy = folder / "few.yml"
    policy.write_text("version: 1\nparameters: {consumers: {max_workers: 4}}\n")
    spent = {}
    for queues in QUEUES:
        source = written(folder, f"queues-{queues}", spread(queues))
        check = [*PROGRAM, "check", source, "-q"]
        found = medians({"each": check, "four": [*check, "--policy", str(policy)]}, ROUNDS[1_000])
        spent[queues] = found["four"].cpu_seconds
        told(
            f"check of {queues} queues on 4 workers / of one each", spent[queues] / found["each"].cpu_seconds
        )
    told("240 queues / 120 queues on 4 workers", spent[240] / spent[120])


def spread(queues: int) -> Iterator[str]:
    """The lines of a workload of so many queues with two tasks each."""
    for line in workload(2 * queues):
        yield line
        if line.startswith("  bench.module_"):
            yield f"    queue: q{int(line.rpartition('_')[2].rstrip(':')) % queues}"


APP = """\
from celery import Celery
app = Celery("bench", broker="memory://")
def nothing(): pass
for number in range(500):
    app.task(nothing, name=f"bench.t{number:03}", max_retries=4 + number % 7, queue=f"q{number % 9}")
    app.conf.beat_schedule[f"s{number:03}"] = {"task": f"bench.t{number:03}", "schedule": 60 + number}
"""


def adoption(folder: Path) -> None:
    """What it takes to import an application of 500 tasks and as many schedules, over loading it."""
    (folder / "bench.py").write_text(APP, encoding="utf-8")
    os.chdir(folder)
    load = [sys.executable, "-c", "import bench; bench.app.finalize()"]
    found = medians({"load": load, "import": [*PROGRAM, "import", "-A", "bench", "--report-only", "-q"]}, 5)
    told("import of 500 tasks / of the app itself", found["import"].cpu_seconds / found["load"].cpu_seconds)


def main() -> None:
    """Measure and print."""
    wanted = [int(each) for each in sys.argv[1:]] or [*ROUNDS]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for tasks in wanted:
            sizes(tasks, ROUNDS[tasks], folder)
        most = max(wanted)
        every_feature(most, ROUNDS[most], folder)
        comparison(most, ROUNDS[most], folder)
        few_workers(folder)
        adoption(folder)


if __name__ == "__main__":
    main()
