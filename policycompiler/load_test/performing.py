"""A load test from start to end: on workers that it starts, or on those of a running deployment."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack

from policycompiler.emitters.base import OutputFile
from policycompiler.load_test import driving, fleet, measuring, started, traffic
from policycompiler.load_test.fleet import Fleet
from policycompiler.load_test.outcome import Outcome
from policycompiler.load_test.place import Tell, place, refusing
from policycompiler.load_test.trial import Trial
from policycompiler.load_test.wish import Access, LoadTestError, Wish
from policycompiler.plan import Plan
from policycompiler.plan.lines import WorkerLine, worker_lines
from policycompiler.reality import connection
from policycompiler.rehearse import brokers
from policycompiler.rehearse.fleet import Application
from policycompiler.rehearse.processes import stage

_REST_SECONDS = 120.0
"""What a load test takes at most besides its start, the sending and the drain."""
_MOST_QUEUES = 5
_BUSY_SHARE = 0.8


def on_own_workers(
    plan: Plan,
    files: Sequence[OutputFile],
    wish: Wish,
    *,
    real: Application | None,
    url: str | None,
    most_slots: int | None,
    tell: Tell,
) -> Outcome:
    """Start what was compiled on a private broker, or on the empty one at `url`, and drive it.

    Raises `LoadTestError`.
    """
    lines = _lines(plan, wish)
    wanted = started.processes(plan, lines, most_slots)
    nodes = [each.node for each in wanted]
    try:
        with ExitStack() as stack:
            if url:
                stack.enter_context(brokers.emptied(plan, url))
            on = stack.enter_context(stage(started.ready_seconds(wanted) + _allowed(wish)))
            python = real.python if real else sys.executable
            broker = brokers.own(url, on) if url else brokers.private(on, python)
            server = plan.broker.server if url else broker.url.partition(":")[0]
            trial = Trial(plan, lines, wish, place(plan, server, broker.url, broker.kind), on, tell)
            started.start(plan, files, wanted, broker, on, real)
            with refusing():
                started.await_all(trial.place, wanted, on, tell)
            found = fleet.look(trial.place, plan, _queues(plan, lines, wish))
            shares = measuring.shares_of(found, lines, _queues(plan, lines, wish))
            return _driven(
                trial,
                found,
                shares,
                lambda: [node for node in nodes if on.processes[node].poll() is not None],
            )
    except OSError as problem:
        raise LoadTestError(str(problem)) from None


def _busy(before: tuple[float, float], after: tuple[float, float]) -> Iterator[str]:
    """A note if something else than the slots was short."""
    busy, all_ = (later - earlier for earlier, later in zip(before, after, strict=True))
    if all_ > 0 and busy > _BUSY_SHARE * all_:
        yield (
            f"the processors of this machine were {busy / all_:.0%} busy, so waits are longer than the slots "
            "explain; use a machine with more cores, or fewer queues with --queue"
        )


def on_running_workers(plan: Plan, wish: Wish, access: Access, tell: Tell) -> Outcome:
    """Drive the workers of a running deployment that have stand-ins. Raises `LoadTestError`."""
    lines = _lines(plan, wish)
    queues = _queues(plan, lines, wish)
    with refusing():
        url = connection.broker_url(plan, access.broker, os.environ)
    where = place(plan, plan.broker.server, url, "the running deployment", access.management)
    tell("looking at the workers")
    found = fleet.look(where, plan, queues)
    fleet.refuse_other_consumers(where, found, queues)
    if not access.beside_other_work:
        fleet.refuse_other_messages(where, plan, queues)
    try:
        with stage(_allowed(wish)) as on:
            trial = Trial(plan, lines, wish, where, on, tell)
            return _driven(trial, found, dict.fromkeys(queues, 1.0), list)
    except OSError as problem:
        raise LoadTestError(str(problem)) from None


def _allowed(wish: Wish) -> float:
    return wish.seconds + wish.drain_seconds + _REST_SECONDS


def _lines(plan: Plan, wish: Wish) -> list[WorkerLine]:
    """The lines of the queues that are to be driven, with the workers that share them."""
    found = worker_lines(plan)
    known = sorted({name for line in found for name in line.queues})
    if unknown := [name for name in wish.queues if name not in known]:
        message = f"no worker of the plan consumes {_named(unknown)}; it consumes {_named(known)}"
        raise LoadTestError(message)
    queues = {*_queues(plan, found, wish)}
    if not queues:
        fields = {
            f"tasks.{flow.task}.{each}" for line in found for flow in line.flows for each in flow.undeclared
        }
        message = f"there is nothing to send: {_missing(sorted(fields))}"
        raise LoadTestError(message)
    workers = {name for line in found if queues & {*line.queues} for name in (line.worker, *line.beside)}
    return [line for line in found if line.worker in workers and line.slots]


def _missing(fields: Sequence[str]) -> str:
    if fields:
        return f"declare the rate and the run time of tasks, such as {fields[0]}"
    return "no task of these queues has a rate above 0 and a run time, and is run by one worker"


def _queues(plan: Plan, lines: Sequence[WorkerLine], wish: Wish) -> list[str]:
    """The queues with a task that can be driven, of those that the user wants."""
    found = {flow.queue for line in lines for flow in line.flows if traffic.drivable(plan, flow)}
    return sorted(found & {*wish.queues} if wish.queues else found)


def _named(names: Sequence[str]) -> str:
    more = [f"{len(names) - _MOST_QUEUES} more"] if len(names) > _MOST_QUEUES else []
    return ", ".join([*(f"`{name}`" for name in names[:_MOST_QUEUES]), *more]) or "no queue"


def _driven(
    trial: Trial, found: Fleet, shares: Mapping[str, float], ended: Callable[[], list[str]]
) -> Outcome:
    """Send, and compare. A queue gets a share of its rates."""
    tasks = traffic.driven(trial.plan, found, trial.lines, shares, trial.wish)
    if not tasks:
        raise LoadTestError("the workers have registered no task of the plan that has a rate and a run time")
    sent = traffic.traffic(tasks, trial.wish)
    records = driving.drive(trial, sent, [node.name for node in found.nodes], ended)
    measured = measuring.measure(trial, found, sent, records)
    return Outcome(
        trial.place.label,
        records.seconds,
        measured.warm_up,
        trial.wish.rate_factor,
        trial.wish.seed,
        len(records.sent),
        measuring.late_p99(records),
        measuring.by_class(measured),
        measuring.by_queue(measured),
        records.ended_by,
        records.problems,
        [*_notes(trial, found, shares, sent)],
    )


def _notes(trial: Trial, found: Fleet, shares: Mapping[str, float], sent: traffic.Traffic) -> Iterator[str]:
    """What a reader must know about the figures."""
    plan, lines, wish = trial.plan, trial.lines, trial.wish
    if plan.broker.server != trial.place.server:
        yield f"the plan is for {plan.broker.label}; this ran on {trial.place.label}"
    for queue, share in shares.items():
        here = found.slots(measuring.line_of(lines, queue))
        planned = next(each for each in lines if queue in each.queues).all_slots
        if here != planned:
            scaled = f", and {share:.0%} of its rates were sent" if share < 1 else ""
            yield f"queue `{queue}`: {here} of {planned} planned slots ran{scaled}"
    if sent.seconds < wish.seconds:
        yield f"{wish.most} messages are the most, so the test ended after {sent.seconds:.1f} s"
    yield from (f"not sent: {each}" for each in traffic.not_driven(plan, found, wish.queues))
    yield from fleet.clocks(found)
    yield from (
        f"{line.worker} scales its slots; the predicted waits are those of the most"
        for line in lines
        if line.autoscale
    )
