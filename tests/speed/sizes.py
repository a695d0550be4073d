"""How the formulas of `policycompiler.sizing` compare with simulations.

First, it prints the simulated mean wait divided by the computed one, over a grid of slots, utilization and run
times. Second, for random queues, how often the computed number of slots is the smallest that the simulation
finds, one above it, more than one above it, or below it. Last, the CPU time of many computed sizes. All is
seeded, and takes some 20 minutes.

`sizes.py 100` compares 100 queues and leaves out the grid.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))

from sizing_cases import Case, random_case

from policycompiler.sizing import Promise, smallest_slots
from policycompiler.sizing.simulation import Constant, Exponential, LogNormal

CASES = 500
SIZED, SIZED_SECONDS = 10_000, 1.0
SLOTS = (1, 2, 4, 8)
UTILIZATIONS = (0.5, 0.6, 0.7, 0.8, 0.9)
RUN_TIMES = {
    "constant": Constant(1.0),
    "exponential": Exponential(1.0),
    "log-normal, p99 = 3 p50": LogNormal(1.0, 3.0),
    "log-normal, p99 = 5 p50": LogNormal(1.0, 5.0),
    "log-normal, p99 = 10 p50": LogNormal(1.0, 10.0),
    "log-normal, p99 = 20 p50, limit 1.5 p99": LogNormal(1.0, 20.0, 30.0),
}
MESSAGES = 1_500_000
"""Of each simulation of the grid: the precision is then some 1 or 2 %."""


def main(arguments: list[str]) -> None:
    """Print both tables."""
    if not arguments:
        grid()
    sizes(int(arguments[0]) if arguments else CASES)
    speed()


def grid() -> None:
    """Print simulated by computed mean waits."""
    say("simulated / computed mean wait".ljust(45) + "".join(f"{busy:8.0%}" for busy in UTILIZATIONS))
    for name, runs in RUN_TIMES.items():
        for slots in SLOTS:
            ratios = []
            for busy in UTILIZATIONS:
                case = Case(((slots * busy / runs.service.mean, runs),), Promise(1, 0.99, 1))
                waits = case.waits(slots, MESSAGES, seed=slots)
                ratios.append(waits.mean / case.line(slots).mean_wait)
            say(f"{name}, {slots} slots".ljust(45) + "".join(f"{ratio:8.3f}" for ratio in ratios))


def sizes(count: int) -> None:
    """Print how the computed sizes compare."""
    found: Counter[str] = Counter()
    for seed in range(count):
        case = random_case(seed)
        slots = smallest_slots(case.rate, case.service, case.promise)
        assert slots is not None
        if not case.holds(slots, seed):
            outcome = "below"
        elif slots == 1 or not case.holds(slots - 1, seed):
            outcome = "equal"
        else:
            outcome = "more than one above" if slots > 2 and case.holds(slots - 2, seed) else "one above"
        found[outcome] += 1
        if outcome in ("below", "more than one above"):
            say(f"{outcome}: seed {seed}, {slots} slots, {case}")
    say(f"computed sizes of {count} queues, compared with the smallest of a simulation: {dict(found)}")


def speed() -> None:
    """Print the CPU time of computed sizes."""
    cases = [random_case(seed) for seed in range(SIZED)]
    lines = [(case.rate, case.service, case.promise) for case in cases]
    before = time.process_time()
    for line in lines:
        smallest_slots(*line)
    say(
        f"{SIZED} sizes: {time.process_time() - before:.2f} s of CPU time; at most {SIZED_SECONDS} s is the aim"
    )


def say(text: str) -> None:
    """Print at once: a run takes minutes."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
