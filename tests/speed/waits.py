"""Waits on real workers, beside the computed ones: does the compiler find slots that keep a promise?

Each cell is a workload with one queue. It is compiled, and its own launch script starts the workers on a
private Redis or RabbitMQ. A publisher sends messages at random moments that were drawn before. Tasks sleep for
a drawn time. A wait lasts from the moment before the publish to the first line of the task: one machine, one
clock. Several cells run at once, as many as leave the machine half idle.

Prints for each cell whether the promise is kept, and for p95 and p99:
- the computed wait, with the 3 ms of Celery itself, and the measured one;
- computed / measured, which should be 0.75 to 1.25;
- computed / simulated: a long simulation of the same run times, without the chance of one run;
- measured / ideal: an ideal queue with the very arrivals and run times that were measured.

A workload declares p50 and p99, and the compiler assumes a log-normal distribution through both. Exponential
run times with these percentiles have a mean that is 4 % longer, so their computed waits are too short.

`waits.py` takes 45 minutes. `waits.py --seconds 20 --cells 2` tries two cells. On a machine with other work,
`chrt --rr 1 python tests/speed/waits.py` gives its processes the cores first; that needs root.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from heapq import heapreplace
from pathlib import Path
from subprocess import Popen
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))

import psutil
from cells import CELLS, Cell, policy, workload
from fleets import Send, compiled, cpu_seconds, publishing, runs, sends, sized, workers
from processes import wait_until
from servers import rabbitmq_server, redis_server

from policycompiler.sizing import CELERY_SECONDS
from policycompiler.sizing.simulation import Waits, measured, messages

SECONDS, WARM_UP_SECONDS = 1200, 30
AT_ONCE = 8
SHARES = (0.95, 0.99)
NEAR, NEAR_CELLS = (0.75, 1.25), 0.8
SIMULATED = 1_000_000
MOST_BUSY = 60
"""A machine with more work, in percent, makes tasks wait for a core. Alone, the cells take 45 % of two cores."""


class Started(NamedTuple):
    """A cell whose workers are ready: the messages that will come, and the computed waits by their share."""

    cell: Cell
    build: Path
    url: str
    arriving: Sequence[Send]
    computed: Mapping[float, float]
    processes: Sequence[Popen[bytes]]


class Result(NamedTuple):
    """The waits of a cell in seconds.

    `busy` is the busy share of the slots, as drawn. `late` is the p99 of the publisher's own delay. `cpu_ms`
    is the CPU time of the workers for each task.
    """

    cell: Cell
    computed: Mapping[float, float]
    real: Waits
    ideal: Waits
    busy: float
    late: float
    cpu_ms: float

    @property
    def kept(self) -> bool:
        """Whether the promise is kept."""
        return self.real.quantile(0.99) <= self.cell.promise

    @property
    def near(self) -> bool:
        """Whether both computed waits are near the measured ones."""
        return all(NEAR[0] <= self.computed[share] / self.real.quantile(share) <= NEAR[1] for share in SHARES)


def main() -> None:
    """Measure all cells, and print."""
    options = argparse.ArgumentParser()
    options.add_argument("--seconds", type=float, default=SECONDS)
    options.add_argument("--cells", type=int, default=len(CELLS))
    chosen = options.parse_args()
    cells = CELLS[: chosen.cells]
    waves = -(-len(cells) // AT_ONCE)
    found: list[Result] = []
    for wave in range(waves):
        # Each wave has cells of both brokers and of all kinds.
        found += measure(cells[wave::waves], chosen.seconds)
    table(sorted(found, key=lambda each: cells.index(each.cell)))


def measure(cells: Sequence[Cell], seconds: float) -> list[Result]:
    """Several cells at the same time, each with its own queue, and on Redis with its own database."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder, urls = Path(name), {}
        for broker, server in (("redis", redis_server), ("rabbitmq", rabbitmq_server)):
            (folder / broker).mkdir()
            urls[broker] = stack.enter_context(server(folder / broker))
        urls["redis"] = urls["redis"].rpartition("/")[0]
        started = []
        for number, cell in enumerate(cells):
            url = f"{urls['redis']}/{number}" if cell.broker == "redis" else urls["rabbitmq"]
            started.append(stack.enter_context(ready(cell, folder / f"cell{number}", url, seconds)))
        psutil.cpu_percent()
        with ExitStack() as publishers:
            for each in started:
                publishers.enter_context(publishing(each.build, each.url, each.arriving))
            for each in started:
                wait_until(lambda each=each: over(each), "all messages have run", seconds=2 * seconds + 120)
        busy = psutil.cpu_percent()
        say(f"{len(cells)} cells at once: the machine was {busy:.0f} % busy")
        if busy > MOST_BUSY:
            say("at normal priority, other programs delayed the workers, and these waits are too long")
        return [result(each) for each in started]


@contextmanager
def ready(cell: Cell, folder: Path, url: str, seconds: float) -> Iterator[Started]:
    """The compiled workers of a cell, and the messages that its publisher will send."""
    name = folder.name
    build = compiled(folder, workload(cell, name), policy(cell))
    size = sized(folder)[name]
    assert (size["slots"], size["replicas"]) == (cell.slots, cell.processes), (
        f"{cell} has other slots: {size}"
    )
    computed = {share: size[f"wait_p{100 * share:.0f}_seconds"] + CELERY_SECONDS for share in SHARES}
    arriving = [
        Send(each.arrived, cell.flows[each.flow].name, each.run)
        for each in messages(cell.flows, seconds + WARM_UP_SECONDS, CELLS.index(cell))
    ]
    with workers(build, name, cell.processes, url) as processes:
        yield Started(cell, build, url, arriving, computed, processes)


def over(started: Started) -> bool:
    """Whether all messages of a cell have run."""
    return (started.build / "sent").exists() and len(runs(started.build)) >= len(started.arriving)


def result(started: Started) -> Result:
    """The waits of a cell after the warm-up."""
    cell, ran, sent = started.cell, runs(started.build), sends(started.build)
    arrived = [now for _, now in sent]
    lasted = [ran[number].ended - ran[number].began for number in range(len(sent))]
    cold = sum(due < sent[0][0] + WARM_UP_SECONDS for due, _ in sent)
    real = [ran[number].began - now for number, now in enumerate(arrived)]
    return Result(
        cell,
        started.computed,
        measured(real[cold:]),
        measured(ideal(arrived, lasted, cell.slots)[cold:]),
        sum(lasted[cold:]) / cell.slots / (arrived[-1] - arrived[cold]),
        measured(now - due for due, now in sent[cold:]).quantile(0.99),
        1000 * cpu_seconds(started.processes) / len(sent),
    )


def ideal(arrived: Sequence[float], lasted: Sequence[float], slots: int) -> list[float]:
    """The waits if each free slot takes the oldest message at once."""
    free, waits = [0.0] * slots, []
    for now, seconds in zip(arrived, lasted, strict=True):
        start = max(now, free[0])
        heapreplace(free, start + seconds)
        waits.append(start - now)
    return waits


def table(found: Sequence[Result]) -> None:
    """Print the figures."""
    figures = "computed  real  comp./real  comp./sim.  real/ideal"
    say(f"{'':83}  {'wait p95, ms':^50}  {'wait p99, ms':^50}")
    say(
        f"{'broker':8} {'pool':8} {'processes x slots':>17} {'run times':34} {'busy':>4} {'promise':>8}"
        f" kept  {figures}  {figures}"
    )
    for each in found:
        cell = each.cell
        shape = f"{cell.processes} x {cell.slots // cell.processes}"
        line = f"{cell.broker:8} {cell.pool:8} {shape:>17} {cell.runs:34} {each.busy:4.0%}"
        line += f" {1000 * cell.promise:5.0f} ms {'yes' if each.kept else 'NO':>4}"
        simulated = cell.case.waits(cell.slots, SIMULATED, seed=0)
        for share in SHARES:
            computed, real = each.computed[share], each.real.quantile(share)
            simulation, queue = simulated.quantile(share) + CELERY_SECONDS, each.ideal.quantile(share)
            line += f"  {1000 * computed:8.0f}  {1000 * real:4.0f}  {computed / real:10.2f}"
            line += f"  {computed / simulation:10.2f}  {real / (queue + CELERY_SECONDS):10.2f}"
        say(line)
    late, cpu = max(each.late for each in found), max(each.cpu_ms for each in found)
    say(
        f"p99 of the publishers' own delay: at most {1000 * late:.1f} ms; a task takes up to {cpu:.1f} ms of CPU"
    )
    kept, near = sum(each.kept for each in found), sum(each.near for each in found)
    say(f"promise kept: {kept} of {len(found)} cells; all is the aim")
    say(f"p95 and p99 both within 25 %: {near} of {len(found)} cells; {NEAR_CELLS:.0%} is the aim")


def say(text: str) -> None:
    """Print at once: a run takes long."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
