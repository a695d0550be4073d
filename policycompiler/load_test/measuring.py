"""The figures of a load test: what was measured, and what a simulation of the same messages predicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, exp, fsum, lgamma, log, log1p
from typing import NamedTuple

from policycompiler.load_test.fleet import Fleet
from policycompiler.load_test.outcome import Figures, Verdict, Wait
from policycompiler.load_test.place import ORDERS
from policycompiler.load_test.records import Records
from policycompiler.load_test.traffic import Traffic
from policycompiler.load_test.trial import Trial
from policycompiler.load_test.wish import WARM_UP_SHARE
from policycompiler.plan import Plan, Scope
from policycompiler.plan.lines import PROMISED_SHARE, WorkerLine
from policycompiler.sizing import CELERY_SECONDS
from policycompiler.sizing.simulation import Fleet as SimulatedFleet
from policycompiler.sizing.simulation import Outcome as Simulated
from policycompiler.sizing.simulation import measured, simulate

SHARES = (0.5, 0.95, PROMISED_SHARE)
"""The percentiles of a wait."""
_CHANCE = 0.05
"""A promise is broken if less likely than this so many messages would be late by chance."""


class Measured(NamedTuple):
    """What the figures are made from; `warm_up` is in seconds from the begin."""

    plan: Plan
    lines: Sequence[WorkerLine]
    fleet: Fleet
    traffic: Traffic
    records: Records
    warm_up: float
    predicted: Simulated


def measure(trial: Trial, fleet: Fleet, traffic: Traffic, records: Records) -> Measured:
    """Predict: simulate the messages that were sent on the workers that answered."""
    warm_up = records.seconds * WARM_UP_SHARE
    queues = list(dict.fromkeys(flow.queue for flow in traffic.flows))
    simulated = SimulatedFleet(ORDERS[trial.place.server], fleet.simulated(trial.plan, queues))
    predicted = simulate(
        traffic.flows, simulated, seconds=records.seconds, seed=trial.wish.seed, warm_up=warm_up
    )
    return Measured(trial.plan, trial.lines, fleet, traffic, records, warm_up, predicted)


def by_queue(found: Measured) -> list[Figures]:
    """The figures of each queue that is driven, by name."""
    queues = sorted({flow.queue for flow in found.traffic.flows})
    return [_figures(found, name, (name,)) for name in queues]


def by_class(found: Measured) -> list[Figures]:
    """The figures of each latency class that is driven, by name."""
    classes: dict[str, list[str]] = {}
    for name in sorted({flow.queue for flow in found.traffic.flows}):
        latency = str(found.plan.get(Scope("queue", name), "latency", default=""))
        classes.setdefault(latency, []).append(name)
    return [_figures(found, name, queues) for name, queues in sorted(classes.items()) if name]


def _figures(found: Measured, name: str, queues: Sequence[str]) -> Figures:
    records, traffic = found.records, found.traffic
    flows = {place for place, flow in enumerate(traffic.flows) if flow.queue in queues}
    numbers = [each for each in sorted(records.sent) if traffic.messages[each].flow in flows]
    missing = [each for each in numbers if each not in records.started]
    lost = sum(_is_lost(records, traffic.flows[traffic.messages[each].flow].queue) for each in missing)
    waits = _waits(records, [each for each in numbers if traffic.messages[each].arrived >= found.warm_up])
    promises = (found.plan.number_if_any(Scope("queue", each), "queue_wait_seconds") for each in queues)
    promise = min((each for each in promises if each is not None), default=None)
    late = sum(wait.seconds > promise for wait in waits) if promise is not None else 0
    workers = {line.worker for line in found.lines if {*line.queues} & {*queues}}
    predicted = measured(
        wait for flow in flows for wait in found.predicted.flows[traffic.flows[flow].name].seconds
    )
    p50, p95, p99 = (predicted.quantile(share) + CELERY_SECONDS for share in SHARES)
    return Figures(
        name,
        tuple(sorted(workers)),
        found.fleet.slots(queues),
        len(numbers),
        len(numbers) - len(missing),
        sum(each in records.failed for each in numbers),
        sum(len(records.started.get(each, ())) > 1 for each in numbers),
        len(missing) - lost,
        lost,
        _per_second(records, numbers, found.warm_up),
        sum(_predicted_per_second(found, each) for each in queues),
        len(waits),
        _percentiles(waits),
        (p50, p95, p99),
        promise,
        late,
        verdict(len(waits), late) if promise is not None else Verdict.NONE,
    )


def _is_lost(records: Records, queue: str) -> bool:
    """Whether a message of this queue that did not start is lost: nobody has it, and nobody kept silent."""
    return not records.silent and records.left.get(queue) is False


def _waits(records: Records, numbers: Sequence[int]) -> list[Wait]:
    """The wait of each message, sorted; one that did not start waited at least until the end."""
    found = []
    for each in numbers:
        sent = records.sent[each].at
        started = records.started.get(each)
        wait = Wait(min(started) - sent) if started else Wait(records.ended - sent, at_least=True)
        found.append(wait._replace(seconds=max(0.0, wait.seconds)))
    return sorted(found)


def _percentiles(waits: Sequence[Wait]) -> tuple[Wait, Wait, Wait] | None:
    if not waits:
        return None
    first_open = next((place for place, wait in enumerate(waits) if wait.at_least), len(waits))
    p50, p95, p99 = (
        Wait(waits[place].seconds, at_least=place >= first_open)
        for place in (max(ceil(share * len(waits)) - 1, 0) for share in SHARES)
    )
    return p50, p95, p99


def verdict(count: int, late: int) -> Verdict:
    """Whether a promise was kept, if so many of the measured messages were late."""
    if not count:
        return Verdict.NONE
    allowed = 1 - PROMISED_SHARE
    if late <= allowed * count:
        return Verdict.KEPT
    # How likely it is that so many or more are late, if exactly as many are late as promised.
    # By logarithms, because the numbers of ways are too large.
    fewer = fsum(
        exp(
            lgamma(count + 1)
            - lgamma(k + 1)
            - lgamma(count - k + 1)
            + k * log(allowed)
            + (count - k) * log1p(-allowed)
        )
        for k in range(late)
    )
    return Verdict.BROKEN if 1 - fewer < _CHANCE else Verdict.UNCLEAR


def _per_second(records: Records, numbers: Sequence[int], warm_up: float) -> float:
    """The runs that began after the warm-up, while messages were sent."""
    first, last = records.begun + warm_up, records.begun + records.seconds
    if last <= first:
        return 0.0
    starts = sum(first <= at < last for each in numbers for at in records.started.get(each, ()))
    return starts / (last - first)


def _predicted_per_second(found: Measured, queue: str) -> float:
    """The messages that come in the same time; fewer if the slots cannot run as many."""
    seconds = found.records.seconds - found.warm_up
    if seconds <= 0:
        return 0.0
    arrived = [
        each for each in found.traffic.messages if found.warm_up <= each.arrived < found.records.seconds
    ]
    queue_of = [flow.queue for flow in found.traffic.flows]
    own = sum(queue_of[each.flow] == queue for each in arrived) / seconds
    line = line_of(found.lines, queue)
    load = sum(each.run for each in arrived if queue_of[each.flow] in line) / seconds
    return own / max(1.0, load / found.fleet.slots(line))


def late_p99(records: Records) -> float:
    """How late 1 of 100 messages was sent."""
    late = sorted(each.late for each in records.sent.values())
    return max(0.0, late[ceil(0.99 * len(late)) - 1]) if late else 0.0


def shares_of(fleet: Fleet, lines: Sequence[WorkerLine], queues: Sequence[str]) -> Mapping[str, float]:
    """The share of the planned slots that take the messages of each queue; never more than all."""
    found = {}
    for name in queues:
        planned = next(each for each in lines if name in each.queues).all_slots
        found[name] = min(1.0, fleet.slots(line_of(lines, name)) / planned) if planned else 1.0
    return found


def line_of(lines: Sequence[WorkerLine], queue: str) -> frozenset[str]:
    """The queues that share slots with a queue, and itself."""
    line = next(each for each in lines if queue in each.queues)
    workers = {line.worker, *line.beside}
    return frozenset(name for each in lines if each.worker in workers for name in each.queues)
