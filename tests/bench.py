"""Speed and memory of a compile, as ratios to reading the same file with PyYAML's fastest loader.

Prints JSON: for each number of tasks, and for the largest once more with every feature and a policy file, the
whole-process CPU time (user and system, imports and all) and the peak memory of `policycompiler compile`,
each divided by that of `python -c 'yaml.load(…, CSafeLoader)'`. Runs alternate, so that other load on the
machine falls on both; the figure is the ratio of the medians. The last figure is that of a `diff` of two
plans of the largest number, divided by one compile of them.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

ROUNDS = {100: 9, 1_000: 7, 10_000: 3}
MOST = max(ROUNDS)

READ = "import sys, yaml; yaml.load(open(sys.argv[1]), yaml.CSafeLoader)"

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


def ratios(name: str, lines: Iterable[str], rounds: int, folder: Path, *options: str) -> dict[str, float]:
    """Compile over read, for a workload of these lines."""
    source = folder / f"{name}.yaml"
    source.write_text("\n".join(lines) + "\n")
    read = [sys.executable, "-c", READ, str(source)]
    run = [sys.executable, "-m", "policycompiler", "compile", str(source), "-q", *options]
    reads, compiles = [], []
    for round_number in range(rounds):
        reads.append(cost(read))
        compiles.append(cost([*run, "-o", str(folder / f"{name}-{round_number}")]))
    return {
        "cpu": _ratio([c.cpu_seconds for c in compiles], [r.cpu_seconds for r in reads]),
        "peak_memory": _ratio([c.peak_kib for c in compiles], [r.peak_kib for r in reads]),
    }


def comparison(tasks: int, rounds: int, folder: Path) -> dict[str, float]:
    """Diff over compile, of two plans in which every third task has another run time."""
    program = [sys.executable, "-m", "policycompiler"]
    lines = list(workload(tasks))
    texts = {"old": lines, "new": [line.replace("p99: 30s", "p99: 35s") for line in lines]}
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text("\n".join(text) + "\n")
        cost([*program, "compile", str(folder / f"{name}.yaml"), "-q", "-o", str(folder / name)])
    compiles, diffs = [], []
    for _ in range(rounds):
        compiles.append(
            cost([*program, "compile", str(folder / "new.yaml"), "-q", "-o", str(folder / "again")])
        )
        diffs.append(cost([*program, "diff", str(folder / "old"), str(folder / "new")]))
    return {
        "cpu": _ratio([d.cpu_seconds for d in diffs], [c.cpu_seconds for c in compiles]),
        "peak_memory": _ratio([d.peak_kib for d in diffs], [c.peak_kib for c in compiles]),
    }


def _ratio(measured: list[float], base: list[float]) -> float:
    return round(statistics.median(measured) / statistics.median(base), 2)


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        policy = Path(folder, "policy.yml")
        policy.write_text(POLICY)
        ratios_of = {
            str(tasks): ratios(str(tasks), workload(tasks), rounds, Path(folder))
            for tasks, rounds in ROUNDS.items()
        }
        name, options = f"{MOST}, everything", ("--policy", str(policy), "--today", "2027-01-01")
        ratios_of[name] = ratios(name, everything(MOST), ROUNDS[MOST], Path(folder), *options)
        ratios_of[f"{MOST}, diff over compile"] = comparison(MOST, ROUNDS[MOST], Path(folder))
    sys.stdout.write(json.dumps(ratios_of, indent=2) + "\n")


if __name__ == "__main__":
    main()
