"""What real exporters answered: `tests/data/scrapes`, recorded by `.ci/scrapes.py`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

SCRAPES = Path(__file__).parents[1] / "data/scrapes"
_SAMPLE = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:{(.*)})? (\S+)$")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"(?:,|$)')


class Sample(NamedTuple):
    """One series of an answer, and its value."""

    metric: str
    labels: Mapping[str, str]
    value: float


def jobs() -> dict[str, list[str]]:
    """The jobs of Prometheus, each with its variants, such as the release of the broker."""
    found: dict[str, list[str]] = {}
    for file in sorted(SCRAPES.glob("*.txt")):
        job, _, variant = file.stem.partition(".")
        found.setdefault(job, []).append(variant)
    return found


def samples(job: str, variant: str) -> Iterator[Sample]:
    """All series of one answer; the names of metrics are those that Prometheus stores."""
    for line in (SCRAPES / f"{job}.{variant}.txt").read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            found = _SAMPLE.match(line)
            assert found, line
            metric, labels, value = found.groups()
            yield Sample(metric, dict(_LABEL.findall(labels or "")), float(value))


def value(job: str, variant: str, metric: str, **labels: str) -> float | None:
    """The sum of the series with these labels; None without one."""
    found = [
        each.value
        for each in samples(job, variant)
        if each.metric == metric and labels.items() <= each.labels.items()
    ]
    return sum(found) if found else None
