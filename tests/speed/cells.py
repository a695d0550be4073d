"""The queues of `waits.py`, each with its worker: a workload and a policy file, and the slots that follow."""

from __future__ import annotations

import math
from typing import NamedTuple

from sizing_cases import Case

from policycompiler.sizing import Promise
from policycompiler.sizing.simulation import Constant, Exponential, Flow, LogNormal, Poisson, RunTime

CEILING = 0.9
"""The largest busy share of slots in the policy file: more than the default, so that the promise decides."""
CLASS = "promised"


class Cell(NamedTuple):
    """A queue with one or two tasks, each with its rate per second and its run times in seconds.

    `promise` is the `queue_wait_p99` of its latency class in seconds, and `slots` the number of slots that
    the compiler must find for it, in all its `processes` together.
    """

    broker: str
    pool: str
    processes: int
    slots: int
    tasks: tuple[tuple[float, RunTime], ...]
    promise: float

    @property
    def flows(self) -> tuple[Flow, ...]:
        """What arrives, by the names of the tasks."""
        return tuple(
            Flow(f"stand_in.task{place}", "", (Poisson(rate),), runs)
            for place, (rate, runs) in enumerate(self.tasks)
        )

    @property
    def case(self) -> Case:
        """The same for simulations."""
        return Case(self.tasks, Promise(self.promise, 0.99, CEILING))

    @property
    def runs(self) -> str:
        """The shapes of its run times."""
        return " + ".join(
            f"{_SHAPES[type(runs)]} {1000 * runs.service.mean:.0f} ms" for _, runs in self.tasks
        )


_SHAPES = {Constant: "constant", Exponential: "exponential", LogNormal: "long tail"}

CELLS = (
    Cell("redis", "prefork", 1, 2, ((11, Constant(0.12)),), 0.5),
    Cell("redis", "prefork", 1, 4, ((21, Constant(0.15)),), 0.5),
    Cell("rabbitmq", "prefork", 1, 8, ((34, Constant(0.2)),), 0.5),
    Cell("rabbitmq", "threads", 1, 4, ((19, Constant(0.15)),), 0.3),
    Cell("redis", "prefork", 1, 2, ((8.5, Exponential(0.12)),), 0.7),
    Cell("rabbitmq", "prefork", 1, 4, ((16, Exponential(0.15)),), 0.5),
    Cell("redis", "threads", 1, 8, ((28, Exponential(0.2)),), 0.4),
    Cell("rabbitmq", "prefork", 2, 4, ((18, Exponential(0.15)),), 0.7),
    Cell("redis", "prefork", 1, 4, ((16, LogNormal(0.12, 0.6)),), 0.5),
    Cell("redis", "prefork", 2, 8, ((32, LogNormal(0.15, 0.7)),), 0.5),
    Cell("rabbitmq", "prefork", 1, 3, ((16, LogNormal(0.1, 0.5)),), 0.7),
    Cell("rabbitmq", "threads", 1, 8, ((37, LogNormal(0.15, 0.6)),), 0.7),
    Cell("redis", "prefork", 1, 2, ((6, Constant(0.1)), (1.5, LogNormal(0.3, 0.9))), 0.7),
    Cell("redis", "threads", 2, 4, ((11, LogNormal(0.08, 0.24)), (4.5, LogNormal(0.3, 0.9))), 0.5),
    Cell("rabbitmq", "prefork", 1, 4, ((12, Constant(0.1)), (4.5, LogNormal(0.3, 0.9))), 0.7),
    Cell("rabbitmq", "threads", 1, 6, ((20, LogNormal(0.08, 0.24)), (8.5, LogNormal(0.3, 0.9))), 0.7),
)


def workload(cell: Cell, name: str) -> str:
    """The workload of a cell, whose queue and worker have this name."""
    tasks = "".join(
        f"  {flow.name}: {{queue: {name}, latency: {CLASS}, work: io, idempotent: true, retry: none, "
        f"result: ignore, runtime: {_declared(flow.run_time)}, rate: {{mean: {rate}/s, peak: {rate}/s}}}}\n"
        for flow, (rate, _) in zip(cell.flows, cell.tasks, strict=True)
    )
    return (
        f"version: 1\nservice: {name}\napp: stand_in:app\n"
        f'broker: {{transport: {cell.broker}, url: "${{CELERY_BROKER_URL}}"}}\n'
        f"tasks:\n{tasks}"
        f"workers: {{{name}: {{pool: {cell.pool}, replicas: {cell.processes}}}}}\n"
    )


def policy(cell: Cell) -> str:
    """The policy file with the promise."""
    return (
        f"version: 1\nparameters: {{concurrency: {{busy_at_peak: {CEILING}}}}}\n"
        f"latency_classes: {{{CLASS}: {{queue_wait_p99: {1000 * cell.promise:g}ms, runtime_p99_limit: 10s}}}}\n"
    )


def _declared(runs: RunTime) -> str:
    """The median and the 99th percentile: all that a workload can say about run times."""
    match runs:
        case Constant(seconds):
            median = p99 = seconds
        case Exponential(mean):
            median, p99 = mean * math.log(2), mean * math.log(100)
        case LogNormal(median, p99):
            pass
    return f"{{p50: {1000 * median:.3g}ms, p99: {1000 * p99:.3g}ms}}"
