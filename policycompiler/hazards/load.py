"""Workers with too few slots for the declared load."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from policycompiler.diagnostics import Related, SpecPath
from policycompiler.hazards.hazard import Hazard
from policycompiler.knowledge import pools
from policycompiler.plan import Plan, Scope
from policycompiler.plan.lines import Limit
from policycompiler.plan.processes import sharing
from policycompiler.plan.teams import teams
from policycompiler.quantities import counted, figure

_PINS = ("concurrency", "autoscale", "replicas")
_PINNED = (Limit.PINNED, Limit.POOL)


class Load(NamedTuple):
    """The declared load of workers that share queues, and their slots, some of which are pinned.

    `load` is the mean number of busy slots: rate times mean run time. Both are those of one process if the
    worker has a broadcast queue.
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

    def hazard(self, plan: Plan, most_busy: float, least: int = 0) -> Hazard:
        """The load as a hazard.

        The help names the slots of which at most the share `most_busy` is busy, and at `least` so many.
        """
        who = f"worker {self.workers[0].name} has"
        if alike(plan, self.workers) and plan.number(self.workers[0], "replicas") > 1:
            who = f"each process of {who}"
        if len(self.workers) > 1:
            who = f"the {len(self.workers)} workers of these queues have"
        grows = "the backlog grows without end" if self.busy >= 1 else "waits grow faster than the load"
        message = (
            f"the declared load keeps {figure(self.load, 3)} slots busy on average (rate times mean run "
            f"time), and {who} {counted(self.slots, 'slot')}: {self.busy:,.0%} busy, so {grows}"
        )
        enough = max(least, math.ceil(self.load / most_busy))
        help_text = f"{pin_slots(plan, self.workers, enough)}, or remove the pin"
        related = (Related(("tasks", self.tasks[0], "rate"), "one of the rates"),)
        facts = ("rate_mean_per_second", "runtime_mean_seconds")
        settings = (
            *((worker, key) for worker in self.workers for key in _PINS if plan.find(worker, key)),
            *((Scope("task", name), key) for name in self.tasks for key in facts),
        )
        return Hazard("capacity-short", settings, message, help_text, self.pin, related, about=self.workers)


def pin_slots(plan: Plan, workers: Sequence[Scope], slots: int) -> str:
    """What to pin so that workers have so many slots together, or each process of a broadcast queue."""
    if len(workers) > 1:
        return f"pin {counted(slots, 'slot')} or more for these workers together"
    (worker,) = workers
    if not pools.pool(plan.text(worker, "pool")).slots:
        if alike(plan, workers):
            return f"choose a pool with slots, and pin {counted(slots, 'slot')} or more in each process"
        return f"pin {counted(slots, 'process')} or more (`replicas`)"
    processes = int(plan.number(worker, "replicas"))
    if processes > 1 and alike(plan, workers):
        return f"pin {counted(slots, 'slot')} or more in each process"
    if processes > 1:
        return f"pin {counted(math.ceil(slots / processes), 'slot')} or more in each process"
    return f"pin {counted(slots, 'slot')} or more"


def overloaded(plan: Plan) -> Iterator[Hazard]:
    """Pinned workers with more load than slots."""
    return (found.hazard(plan, 1) for found in loads(plan) if found.busy >= 1)


def alike(plan: Plan, workers: Sequence[Scope]) -> bool:
    """Whether a worker has a broadcast queue: each process runs all of it, so its line is that of one."""
    names = (name for worker in workers for name in plan.texts(worker, "queues"))
    return len(workers) == 1 and any(_broadcast(plan, name) for name in names)


def _broadcast(plan: Plan, queue: str) -> bool:
    return bool(plan.get(Scope("queue", queue), "broadcast"))


def loads(plan: Plan) -> Iterator[Load]:
    """The load of each group of workers with a pinned worker."""
    for group in sharing(plan):
        load, tasks = _loads(plan, group)
        found = {team.workers: team for team in teams(plan, group, load).values()}
        for team in found.values():
            # All of a larger team are as busy.
            if any({*team.workers} < {*other} for other in found):
                continue
            # Slots that a policy sized keep their promise, or another hazard says why not.
            pinned = [each for each in team.workers if plan.get(each, "sized_by", Limit.PINNED) in _PINNED]
            pins = (plan.written(worker, key) for worker in pinned for key in _PINS)
            pin = next((path for path in pins if path is not None), None)
            busy = sum(load[queue] * copies for queue, copies in team.copies.items() if queue in load)
            names = sorted({name for queue in team.copies for name in tasks.get(queue, ())})
            # More processes carry no more broadcasts: if there is nothing else, the promise says enough.
            once = any(queue in tasks and not _broadcast(plan, queue) for queue in team.copies)
            if pin is not None and once and team.slots:
                yield Load(team.workers, tuple(names), busy, team.slots, pin)


def _loads(plan: Plan, workers: Sequence[Scope]) -> tuple[dict[str, float], dict[str, list[str]]]:
    """The mean number of slots that each queue keeps busy, and the tasks that do so."""
    load: dict[str, float] = {}
    tasks: dict[str, list[str]] = {}
    for name in sorted({name for worker in workers for name in plan.texts(worker, "queues")}):
        for task in (Scope("task", each) for each in plan.texts(Scope("queue", name), "tasks")):
            rate = plan.number_if_any(task, "rate_mean_per_second")
            runtime = plan.number_if_any(task, "runtime_mean_seconds")
            once = plan.value(task, "queue") == name and not plan.value(task, "external")
            if once and rate is not None and runtime is not None:
                load[name] = load.get(name, 0) + rate * runtime
                tasks.setdefault(name, []).append(task.name)
    return load, tasks
