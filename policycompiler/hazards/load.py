"""Workers with too few slots for the declared load."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from policycompiler.diagnostics import Related, SpecPath
from policycompiler.hazards.hazard import Hazard
from policycompiler.plan import Plan, Scope
from policycompiler.plan.processes import sharing, slots_of

_PINS = ("concurrency", "autoscale", "replicas")


class Load(NamedTuple):
    """The declared load of workers that share queues, and their slots, some of which are pinned.

    `load` is the mean number of busy slots: rate times mean run time.
    """

    workers: tuple[Scope, ...]
    tasks: tuple[str, ...]
    load: float
    slots: float
    pin: SpecPath

    @property
    def busy(self) -> float:
        """The busy share of the slots."""
        return self.load / self.slots if self.slots else 0

    def hazard(self, plan: Plan, most_busy: float) -> Hazard:
        """The load as a hazard; `most_busy` is the target share of busy slots in the help."""
        who = f"worker {self.workers[0].name} has"
        if len(self.workers) > 1:
            who = f"the {len(self.workers)} workers of these queues have"
        grows = "the backlog grows without end" if self.busy >= 1 else "waits grow faster than the load"
        message = (
            f"the declared load keeps {self.load:.3g} slots busy on average (rate times mean run time), and "
            f"{who} {self.slots:g} slots: {self.busy:.0%} busy, so {grows}"
        )
        help_text = f"pin {math.ceil(self.load / most_busy)} slots or more, or remove the pin"
        related = (Related(("tasks", self.tasks[0], "rate"), "one of the rates"),)
        facts = ("rate_mean_per_second", "runtime_mean_seconds")
        settings = (
            *((worker, key) for worker in self.workers for key in _PINS if plan.find(worker, key)),
            *((Scope("task", name), key) for name in self.tasks for key in facts),
        )
        return Hazard("capacity-short", settings, message, help_text, self.pin, related, about=self.workers)


def overloaded(plan: Plan) -> Iterator[Hazard]:
    """Pinned workers with more load than slots."""
    return (found.hazard(plan, 1) for found in loads(plan) if found.busy >= 1)


def loads(plan: Plan) -> Iterator[Load]:
    """The load of each group of workers with a pinned worker."""
    for workers in sharing(plan):
        pins = (plan.written(worker, key) for worker in workers for key in _PINS)
        pin = next((path for path in pins if path is not None), None)
        if pin is None:
            continue
        load, tasks = _load(plan, workers)
        slots = sum(slots_of(plan, worker) * plan.number(worker, "replicas") for worker in workers)
        if tasks and slots:
            yield Load(tuple(workers), tuple(sorted(tasks)), load, slots, pin)


def _load(plan: Plan, workers: list[Scope]) -> tuple[float, set[str]]:
    """The mean number of busy slots, and the tasks that keep them busy."""
    load, tasks = 0.0, set()
    queues = sorted({name for worker in workers for name in plan.texts(worker, "queues")})
    for queue in (Scope("queue", name) for name in queues):
        for task in (Scope("task", name) for name in plan.texts(queue, "tasks")):
            # In a broadcast queue each worker gets every message, so the workers do not share the load.
            once = plan.value(task, "queue") == queue.name and not plan.value(queue, "broadcast")
            rate = plan.number_if_any(task, "rate_mean_per_second")
            runtime = plan.number_if_any(task, "runtime_mean_seconds")
            if once and rate is not None and runtime is not None and not plan.value(task, "external"):
                load += rate * runtime
                tasks.add(task.name)
    return load, tasks
