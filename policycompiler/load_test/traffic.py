"""The messages of a load test: which tasks, how many a second, in which bursts, with which run times."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from policycompiler.knowledge import rate_limits
from policycompiler.load_test.fleet import Fleet
from policycompiler.load_test.wish import Wish
from policycompiler.plan import APP, Plan, Scope
from policycompiler.plan.lines import Flow as DeclaredFlow
from policycompiler.plan.lines import WorkerLine, worker_lines
from policycompiler.runs import run_times
from policycompiler.sizing.simulation import Burst, Flow, LogNormal, Message, Poisson, messages

LIMIT_SHARE = 0.95
"""A stand-in ends before the time limit of its task: a killed process would be a fault of the test."""


class Driven(NamedTuple):
    """A task that gets messages: a registered name of it, whether it computes, and its longest run."""

    flow: Flow
    name: str
    computes: bool
    limit: float | None


class Traffic(NamedTuple):
    """All messages of a load test, in `seconds`; the place of a message among them is its number."""

    driven: tuple[Driven, ...]
    seconds: float
    messages: tuple[Message, ...]

    @property
    def flows(self) -> tuple[Flow, ...]:
        """As the simulator takes them."""
        return tuple(each.flow for each in self.driven)


def driven(
    plan: Plan, fleet: Fleet, lines: Sequence[WorkerLine], shares: Mapping[str, float], wish: Wish
) -> tuple[Driven, ...]:
    """The tasks of these queues that have a rate, a run time, and a stand-in."""
    found = []
    for flow in _flows(lines, shares):
        name = _registered(plan, flow, fleet)
        if drivable(plan, flow) and name:
            found.append(_driven(plan, flow, name, shares[flow.queue], wish))
    bursts = [place for place, each in enumerate(found) if each.flow.arrivals[1:]]
    for number, place in enumerate(bursts):
        # Each burst finds the slots as the messages at random leave them.
        second = wish.seconds * (number + 1) / (len(bursts) + 1)
        found[place] = _moved(found[place], second)
    return tuple(found)


def _moved(each: Driven, second: float) -> Driven:
    first, *bursts = each.flow.arrivals
    later = tuple(burst._replace(second=second) for burst in bursts if isinstance(burst, Burst))
    return each._replace(flow=each.flow._replace(arrivals=(first, *later)))


def drivable(plan: Plan, flow: DeclaredFlow) -> bool:
    """Whether a task declares enough, and one process runs each of its messages."""
    return bool(flow.rate and flow.service and not plan.get(Scope("queue", flow.queue), "broadcast"))


def not_driven(plan: Plan, fleet: Fleet, queues: Sequence[str]) -> Iterator[str]:
    """Why a task of these queues gets no messages; no queues are all."""
    lines = worker_lines(plan)
    for flow in _flows(lines, queues or {flow.queue for line in lines for flow in line.flows}):
        fields = [f"tasks.{flow.task}.{field}" for field in flow.undeclared]
        if fields:
            yield f"{flow.task}: declare {' and '.join(fields)}"
        elif not flow.rate:
            yield f"{flow.task}: its rate is 0"
        elif not drivable(plan, flow):
            yield f"{flow.task}: each process of `{flow.queue}` would run every message"
        elif not _registered(plan, flow, fleet):
            yield f"{flow.task}: not every worker of `{flow.queue}` has registered it"


def traffic(tasks: Sequence[Driven], wish: Wish) -> Traffic:
    """The messages, which end early if there would be too many."""
    flows = tuple(each.flow for each in tasks)
    found = tuple(islice(messages(flows, wish.seconds, wish.seed), wish.most + 1))
    if len(found) <= wish.most:
        return Traffic(tuple(tasks), wish.seconds, found)
    # A burst at this moment is left out as a whole.
    seconds = found[-1].arrived
    return Traffic(tuple(tasks), seconds, tuple(each for each in found if each.arrived < seconds))


def _flows(lines: Sequence[WorkerLine], queues: Iterable[str]) -> list[DeclaredFlow]:
    """The declared messages of these queues, each task once."""
    wanted = {*queues}
    return sorted({flow.task: flow for line in lines for flow in line.flows if flow.queue in wanted}.values())


def _registered(plan: Plan, flow: DeclaredFlow, fleet: Fleet) -> str:
    """A name under which all workers of the queue know the task; empty if there is none."""
    known = fleet.tasks[flow.queue]
    if "*" not in flow.task:
        return flow.task if flow.task in known else ""
    return next((name for name in sorted(known) if plan.entry(name) == Scope("task", flow.task)), "")


def _driven(plan: Plan, flow: DeclaredFlow, name: str, share: float, wish: Wish) -> Driven:
    task = Scope("task", flow.task)
    p99 = plan.number(task, "runtime_p99_seconds")
    p50 = plan.number_if_any(task, "runtime_p50_seconds")
    if p50 is None:
        p50 = run_times(None, p99).exceeded_by(0.5)
    limit = _limit(plan, task)
    runs = LogNormal(p50, p99, limit)
    arrivals: tuple[Poisson | Burst, ...] = (Poisson((flow.rate or 0) * share * wish.rate_factor),)
    if burst := plan.number_if_any(task, "burst"):
        arrivals += (Burst(max(1, round(burst * share))),)
    apart = rate_limits.seconds_apart(plan.get(task, "options.rate_limit"))
    priority = plan.get(task, "options.priority", plan.get(APP, "task_default_priority"))
    simulated = Flow(
        flow.task,
        flow.queue,
        arrivals,
        runs,
        priority=int(priority) if isinstance(priority, int | float) else 0,
        rate_limit=1 / apart if apart else None,
    )
    return Driven(simulated, name, plan.get(task, "work") == "cpu", limit)


def _limit(plan: Plan, task: Scope) -> float | None:
    """The longest run of a stand-in: a part of the first time limit that the task meets."""
    limits = []
    for option in ("soft_time_limit", "time_limit"):
        limit = plan.get(task, f"options.{option}", plan.get(APP, f"task_{option}"))
        if isinstance(limit, int | float) and limit:
            limits.append(limit)
    return LIMIT_SHARE * min(limits) if limits else None
