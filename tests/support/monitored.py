"""A real Prometheus with the counters of hours, whose numbers the test decides."""

from __future__ import annotations

import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from processes import running, wait_until
from servers import HOST, free_port
from tools import needs

HOURS = 4
SCRAPE_SECONDS = 30
PEAK_MINUTES = 10
"""How long the peak lasts that each counter has an hour before now."""


class Counted(NamedTuple):
    """A task as an exporter counts it: its rate, that of its peak, and the share of its runs up to each bound."""

    rate: float
    peak: float
    shares: Mapping[str, float]


def _happened(counted: Counted, second: int) -> float:
    """The events up to a second after the first scrape."""
    start = (HOURS - 1) * 3600
    within = min(max(second - start, 0), PEAK_MINUTES * 60)
    return counted.rate * (second - within) + counted.peak * within


def mean(counted: Counted, hours: float) -> float:
    """The mean rate of the last hours, by hand."""
    busy = PEAK_MINUTES * 60
    return (counted.rate * (hours * 3600 - busy) + counted.peak * busy) / (hours * 3600)


def of_exporter(tasks: Mapping[str, Counted], *, instances: Sequence[str] = ("e:9808",)) -> Iterator[str]:
    """The lines of celery-exporter, for `promtool tsdb create-blocks-from openmetrics`."""
    now = int(time.time()) // SCRAPE_SECONDS * SCRAPE_SECONDS
    begin = now - HOURS * 3600
    families: dict[str, list[str]] = {
        "celery_task_sent": [],
        "celery_task_started": [],
        "celery_task_runtime": [],
    }
    for second in range(0, HOURS * 3600 + 1, SCRAPE_SECONDS):
        for name, counted in tasks.items():
            for instance in instances:
                own = f'name="{name}",hostname="h",queue_name="q",job="celery-exporter",instance="{instance}"'
                number = _happened(counted, second)
                for event in ("sent", "started"):
                    families[f"celery_task_{event}"].append(
                        f"celery_task_{event}_total{{{own}}} {number:.3f} {begin + second}"
                    )
                for bound, share in counted.shares.items():
                    families["celery_task_runtime"].append(
                        f'celery_task_runtime_bucket{{{own},le="{bound}"}} {number * share:.3f} {begin + second}'
                    )
    for family, lines in families.items():
        yield f"# TYPE {family} {'histogram' if family.endswith('runtime') else 'counter'}"
        yield from lines
    yield "# EOF"


def of_telemetry(services: Mapping[str, Mapping[str, Counted]]) -> Iterator[str]:
    """The lines of the telemetry of several services."""
    now = int(time.time()) // SCRAPE_SECONDS * SCRAPE_SECONDS
    begin = now - HOURS * 3600
    starts, runs = "policycompiler_task_starts", "policycompiler_task_run_seconds"
    families: dict[str, list[str]] = {starts: [], runs: []}
    for second in range(0, HOURS * 3600 + 1, SCRAPE_SECONDS):
        for service, tasks in services.items():
            for name, counted in tasks.items():
                own = f'task="{name}",queue="q",service="{service}",instance="w:9541"'
                number, at = _happened(counted, second), begin + second
                families[starts].append(f"{starts}_total{{{own}}} {number:.3f} {at}")
                for bound, share in counted.shares.items():
                    families[runs].append(f'{runs}_bucket{{{own},le="{bound}"}} {number * share:.3f} {at}')
    yield f"# TYPE {starts} counter"
    yield from families[starts]
    yield f"# TYPE {runs} histogram"
    yield from families[runs]
    yield "# EOF"


@contextmanager
def prometheus(folder: Path, lines: Iterator[str]) -> Iterator[str]:
    """The address of a Prometheus that has these samples."""
    (folder / "metrics.txt").write_text("\n".join(lines) + "\n", "utf-8")
    data = folder / "data"
    made = subprocess.run(
        [needs("promtool"), "tsdb", "create-blocks-from", "openmetrics", folder / "metrics.txt", data],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert made.returncode == 0, made.stderr
    (folder / "prometheus.yml").write_text("global: {}\n", "utf-8")
    port = free_port()
    command = [
        needs("prometheus"),
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={data}",
        "--storage.tsdb.retention.time=30d",
        f"--web.listen-address={HOST}:{port}",
    ]
    address = f"http://{HOST}:{port}"
    with running(command, log=folder / "prometheus.log") as process:
        wait_until(
            lambda: _ready(address), "Prometheus is ready", process=process, log=folder / "prometheus.log"
        )
        yield address


def _ready(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/-/ready", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
