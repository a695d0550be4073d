"""Declared rates and run times beside measured ones: where they disagree, and what to declare instead.

A value disagrees if three things hold. It is beyond the tolerance. For a run time, it is also outside the
bucket in which the measured percentile lies. And chance does not explain it: random arrivals of the declared
rate, or runs with the declared percentile, would hardly give these numbers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from math import ceil, floor, log10, sqrt
from typing import NamedTuple

from policycompiler.knowledge.metric_sources import SOURCES
from policycompiler.plan import Plan, Scope
from policycompiler.reality.measurements import Measured
from policycompiler.reality.prometheus import WINDOW_SECONDS
from policycompiler.sizing import Histogram, Quantile, mixed

TOO_LOW = 1.2
"""A declared value that is lower than the measured one by more than this factor makes waits longer."""
TOO_HIGH = 1.5
"""A declared value that is higher by more than this factor only costs slots."""
FEWEST_RUNS = 20
"""Fewer runs say nothing about the slowest of a hundred."""
_CHANCE = 2.0
"""How far the roots of two numbers of events may differ by chance: four standard deviations."""
_DIGITS = 2
_SHOWN_DIGITS = 6
_NOTHING = 1e-9
_UNITS = (("s", 1), ("m", 60), ("h", 3600), ("d", 86400))
_NAMELESS = frozenset({"", *(source.nameless for source in SOURCES.values())})
_OF_CELERY = "celery."


class Fact(StrEnum):
    """A declared number, as a plan and a workload name it."""

    MEAN = "rate.mean"
    PEAK = "rate.peak"
    P50 = "runtime.p50"
    P99 = "runtime.p99"

    @property
    def path(self) -> tuple[str, str]:
        """Its field and key in a task of a workload."""
        field, _, key = self.value.partition(".")
        return field, key

    @property
    def setting(self) -> str:
        """Its key in a plan."""
        field, key = self.path
        return f"{field}_{key}_{'per_second' if field == 'rate' else 'seconds'}"


_SHARES = {Fact.P50: 0.5, Fact.P99: 0.99}


class Compared(NamedTuple):
    """A declared and a measured number, None if there is none. `mended` is the number to declare, if another.

    If `at_least`, only a lower bound was measured.
    """

    fact: Fact
    declared: float | None
    measured: float | None
    mended: float | None = None
    at_least: bool = False

    @property
    def best(self) -> float | None:
        """The number to declare, or the declared one."""
        return self.declared if self.mended is None else self.mended


class TaskCompared(NamedTuple):
    """An entry below `tasks:`, and the measured tasks that it declares."""

    task: str
    seen: tuple[str, ...]
    facts: Mapping[Fact, Compared]

    @property
    def mended(self) -> list[Compared]:
        """The numbers to declare otherwise."""
        return [each for each in self.facts.values() if each.mended is not None]


class Declarations(NamedTuple):
    """The declared tasks, and the mean rates of measured tasks that are not declared."""

    tasks: tuple[TaskCompared, ...]
    undeclared: Mapping[str, float | None]

    @property
    def unseen(self) -> list[str]:
        """The declared tasks of which nothing was measured."""
        return [each.task for each in self.tasks if not each.seen]


def declarations(plan: Plan, found: Mapping[str, Measured], over_seconds: float) -> Declarations:
    """Compare what the tasks of a plan declare with what was measured over a time."""
    of_entry: defaultdict[Scope, list[str]] = defaultdict(list)
    undeclared: dict[str, float | None] = {}
    former = {
        str(name): task for task in plan.scopes("task") for name in _names(plan.get(task, "renamed_from"))
    }
    for name in sorted(name for name, each in found.items() if _happened(each)):
        entry = former.get(name) or plan.entry(name)
        if entry is not None:
            of_entry[entry].append(name)
        elif name not in _NAMELESS and not name.startswith(_OF_CELERY):
            undeclared[name] = found[name].mean
    tasks = [
        _compared(plan, task, of_entry[task], found, over_seconds)
        for task in plan.scopes("task")
        if not plan.value(task, "external")
    ]
    return Declarations(tuple(tasks), undeclared)


def _happened(each: Measured) -> bool:
    """Whether a message or a run was seen: a counter may exist that never counted."""
    return bool(each.mean or each.peak or (each.runs and each.runs.total))


def _names(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else ()


def _compared(
    plan: Plan, task: Scope, names: Sequence[str], found: Mapping[str, Measured], over_seconds: float
) -> TaskCompared:
    those = [found[name] for name in names]
    declared = {fact: plan.number_if_any(task, fact.setting) for fact in Fact}
    runs = mixed(each.runs for each in those if each.runs is not None)
    queue = Scope("queue", str(plan.get(task, "queue")))
    # Each process of a broadcast queue starts each message, so starts are no arrivals.
    rates = [] if plan.get(queue, "broadcast") else those
    mean, peak = _sum(each.mean for each in rates), _sum(each.peak for each in rates)
    facts = [*_rates(declared, mean, peak, over_seconds), *_run_times(declared, runs)]
    return TaskCompared(task.name, tuple(names), {each.fact: each for each in facts})


def _sum(values: Iterator[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _rates(
    declared: Mapping[Fact, float | None], mean: float | None, peak: float | None, over_seconds: float
) -> Iterator[Compared]:
    told, top = declared[Fact.MEAN], declared[Fact.PEAK]
    new_mean = new_peak = None
    if mean and (told is None or (_beyond(told, mean) and not _chance(told, mean, over_seconds))):
        new_mean = _rate_up(mean)
    best = new_mean or told
    if peak and best is not None:
        # A rate without a peak is meant for the peak too.
        usual = top if top is not None else best
        if _beyond(usual, peak) and not _chance(usual, peak, WINDOW_SECONDS):
            # The peak of a task is not below its mean.
            new_peak = max(_rate_up(peak), best)
        elif top is not None and top < best:
            new_peak = best
        if new_peak is not None and top is None and new_peak <= best:
            new_peak = None
    yield Compared(Fact.MEAN, told, mean, new_mean)
    yield Compared(Fact.PEAK, top, peak, new_peak)


def _run_times(declared: Mapping[Fact, float | None], runs: Histogram) -> Iterator[Compared]:
    found = {fact: runs.quantile(share) for fact, share in _SHARES.items()}
    usable = {fact: each for fact, each in found.items() if each is not None and each.seconds > 0}
    undeclared = declared[Fact.P99] is None and runs.total >= FEWEST_RUNS
    mended = {
        fact: _rounded(fact, each.seconds)
        for fact, each in usable.items()
        if ((told := declared[fact]) is None and undeclared)
        or (told is not None and _off(told, each, runs, _SHARES[fact]))
    }
    p50, p99 = (mended.get(fact, declared[fact]) for fact in (Fact.P50, Fact.P99))
    if p50 is not None and p99 is not None and p50 > p99 and len(usable) == len(found):
        # A corrected number does not fit to the declared other one.
        mended = {fact: _rounded(fact, each.seconds) for fact, each in usable.items()}
    for fact in found:
        each = usable.get(fact)
        measured = None if each is None else each.seconds
        yield Compared(fact, declared[fact], measured, mended.get(fact), each is not None and each.at_least)


def _off(told: float, quantile: Quantile, runs: Histogram, share: float) -> bool:
    """Whether a declared run time disagrees with a measured percentile."""
    if quantile.low <= told <= quantile.high or not _beyond(told, quantile.seconds):
        return False
    longer = runs.longer(told) if told < quantile.low else runs.total - runs.up_to(told)
    return abs(sqrt(longer) - sqrt((1 - share) * runs.total)) > _CHANCE


def _beyond(told: float, measured: float) -> bool:
    """Whether a declared number is too low or too high by more than the tolerance."""
    return measured > told * TOO_LOW or told > measured * TOO_HIGH


def _chance(told: float, measured: float, seconds: float) -> bool:
    """Whether random arrivals of the declared rate may give the measured one."""
    return abs(sqrt(measured * seconds) - sqrt(told * seconds)) <= _CHANCE


def _rate_unit(per_second: float) -> tuple[str, int]:
    """The first unit in which the rate is at least 1."""
    return next((unit for unit in _UNITS if per_second * unit[1] >= 1), _UNITS[-1])


def _rate_up(per_second: float) -> float:
    """A rate rounded up to two digits in the unit in which it is written."""
    _, seconds = _rate_unit(per_second)
    return _up(per_second * seconds) / seconds


def _rounded(fact: Fact, seconds: float) -> float:
    """A run time rounded to two digits; p99 up, because limits follow from it."""
    return _up(seconds) if fact is Fact.P99 else float(f"{seconds:.{_DIGITS}g}")


def _up(value: float) -> float:
    """The number rounded up to two digits."""
    unit = 10.0 ** (floor(log10(value)) - _DIGITS + 1)
    # A number that has two digits stays, whatever its last bits are.
    return float(f"{ceil(value / unit - _NOTHING) * unit:.{_DIGITS + 1}g}")


def as_written(fact: Fact, value: float) -> str:
    """A number as a workload writes it: `40/s`, `300ms`."""
    if fact.path[0] == "rate":
        unit, seconds = _rate_unit(value * (1 + _NOTHING))
        return f"{_plain(value * seconds)}/{unit}"
    if value < 1:
        return f"{_plain(value * 1000)}ms"
    unit, size = next(
        unit for unit in reversed(_UNITS) if (value >= unit[1] and value % unit[1] == 0) or unit[1] == 1
    )
    return f"{_plain(value / size)}{unit}"


def _plain(value: float) -> str:
    """A number without an exponent."""
    text = f"{float(f'{value:.{_SHOWN_DIGITS}g}'):.9f}"
    return text.rstrip("0").rstrip(".")
