"""The smallest list of steps from one deployment to the next: expand, switch, drain, contract."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from policycompiler.plan import Plan, Scope
from policycompiler.review import commands, fleet, phases, schedule_rows
from policycompiler.review.beat import is_moved, moving
from policycompiler.review.deploy import Processes, moves
from policycompiler.review.deployments import (
    at_once,
    deploy,
    expand,
    switch,
    undo_switch,
    why_accept,
    why_receive,
)
from policycompiler.review.leg import Leg, Stage, leg_from, names, told
from policycompiler.review.needs import Needs, needs
from policycompiler.review.rollout import Change, Class, Step, WaitFor
from policycompiler.review.second_fleet import second_fleet


class Rollout(NamedTuple):
    """Steps, and the plans that they deploy by folder; the output itself is not among those."""

    steps: tuple[Step, ...]
    phases: dict[str, Plan]


def rollout(old: Plan, new: Plan, found: Needs) -> Rollout:
    """The steps from the old plan to the new one."""
    if found.elsewhere:
        steps = (*second_fleet(old, new), *schedule_rows.delete(new, found.rows))
        return Rollout(steps, {})
    start = Stage(old, "")
    rows = schedule_rows.delete(new, found.rows)
    if not found.replaced:
        way = leg_from(start, new, found)
        return Rollout((*_steps(way), *rows), way.phases)
    between = phases.renamed_queues(old, new, found.replaced)
    there = leg_from(start, between, needs(old, between), stand_in=True)
    back = leg_from(there.end, new, needs(between, new), first=1 + len(there.phases))
    return Rollout((*_steps(there), *_steps(back), *rows), there.phases | back.phases)


def by_hand(changes: Iterable[Change], found: Needs) -> Iterator[Step]:
    """What somebody has to do or to decide before anything is deployed."""
    later = {(Scope("queue", queue), "dead_letter_arguments") for queue in found.replaced}
    manual = [each for each in changes if each.risk is Class.MANUAL and (each.scope, each.key) not in later]
    if manual:
        yield Step(
            "expand",
            f"by hand: settle {told(change.address for change in manual)}",
            "; ".join(dict.fromkeys(change.because for change in manual)),
            "as it was done",
        )


def _steps(leg: Leg) -> Iterator[Step]:
    found, running = leg.needs, leg.start
    if leg.raised is not None:
        why = (
            "Redis gives a message back by the timeout of whichever worker looks: "
            "all have the longer one before anything is held for longer"
        )
        yield expand(leg, running, leg.raised, "raise", why)
        running = leg.raised
    if leg.accepting is not None:
        yield expand(leg, running, leg.accepting, "accept", why_accept(found))
        running = leg.accepting
        if leg.both not in (leg.accepting, leg.end):
            # New processes do not read the old form: it has to end before they come.
            why = "every worker reads both now, and may send the new"
            yield expand(leg, running, leg.both, "overlap", why)
        yield from _unless_idle(switch(leg, running, workers_too=leg.both is leg.end))
        running = leg.both
    elif found.receive_first or found.overlap:
        yield expand(leg, running, leg.both, "overlap", why_receive(leg))
        yield from _unless_idle(switch(leg, running))
        running = leg.both
    elif found.drain:
        yield from _unless_idle(switch(leg, running))
    else:
        yield from at_once(leg, running)
        running = leg.end
    if is_moved(leg.old, leg.new):
        yield from moving(leg.old, leg.new, leg.end.folder, leg.end.called)
    if found.drain:
        yield from _end(leg, running)


def _unless_idle(step: Step) -> Iterator[Step]:
    """A step, unless no process has anything to do in it."""
    if step.start or step.restart or step.reload or step.stop:
        yield step


def _end(leg: Leg, running: Stage) -> Iterator[Step]:
    """What is left when everybody sends the new way."""
    waits = tuple(_drained(leg))
    if waits:
        what = told(sorted(leg.needs.leaving | leg.needs.gone)) or "what was sent the old way"
        yield Step(
            "drain",
            f"wait until nothing is left of {what}",
            "what is still under way was sent before the switch, and only these workers take it",
            undo_switch(leg),
            wait_for=waits,
        )
    if running is not leg.end:
        processes = moves(running.plan, leg.new)
        gone = f"; from now on the code does without {told(sorted(leg.needs.gone))}" if leg.needs.gone else ""
        left = [*commands.until_levels_moved(leg.old, leg.new, fleet.consumed(leg.new))]
        yield deploy(
            "contract",
            _contracting(leg, processes) + gone,
            _why_contract(leg, drained=bool(waits), moved=bool(left)),
            f"deploy {running.called} to the workers again",
            leg.end.folder,
            processes,
            (*commands.until_workers_answer(leg.new), *left),
        )
    yield from _deleted(leg)


def _deleted(leg: Leg) -> Iterator[Step]:
    """What RabbitMQ keeps of the queues that go; what the new plan declares does not go."""
    queues = leg.new.scopes("queue")
    kept = {str(leg.new.get(scope, key)) for scope in queues for key in ("exchange", "dead_letter_queue")}
    gone = sorted(leg.needs.leaving - {scope.name for scope in queues} - kept)
    # An exchange is refused while the other queues behind it are there.
    exchanges = {leg.old.text(Scope("queue", queue), "exchange") for queue in gone} - kept
    deleted = [each for queue in gone for each in commands.delete_queue(leg.old, queue)]
    deleted += [
        each for exchange in sorted(exchanges) for each in commands.delete_exchange(leg.old, exchange)
    ]
    if deleted:
        yield Step(
            "contract",
            f"delete {told(gone)}",
            "nobody sends to it or takes from it any more; what is not empty or still in use is not deleted",
            "nothing to undo: a worker that consumes it declares it again",
            run=tuple(deleted),
        )
    yield from _dead_letters(leg, gone)


def _dead_letters(leg: Leg, gone: Iterable[str]) -> Iterator[Step]:
    """What has failed of the queues that go: somebody decides about it, and no process declares its queue."""
    queues = leg.new.scopes("queue")
    kept = {None, *(leg.new.get(scope, "dead_letter_queue") for scope in queues)}
    dead = {leg.old.get(Scope("queue", queue), "dead_letter_queue") for queue in gone} - kept
    names = sorted({str(each) for each in dead} - {scope.name for scope in queues})
    deleted = [each for name in names for each in commands.delete_queue(leg.old, name)]
    if deleted:
        them = "it" if len(names) == 1 else "them"
        yield Step(
            "contract",
            f"look into {told(names)}; delete {them} once what is in {them} is run again or saved",
            f"nothing comes to {them} any more, and nobody declares {them}; what is not empty is not deleted",
            f"nothing to undo: a process that sends to the queue of such letters declares {them} again",
            run=tuple(deleted),
        )


def _why_contract(leg: Leg, *, drained: bool, moved: bool) -> str:
    if leg.needs.impatient and not (drained or moved):
        return "what may run for longer than the new stop timeout has ended with the processes that ran it"
    if not moved:
        return "nothing of the old way is under way any more"
    levels = "a worker that stops gives back by its own levels; the wait moves that to the new ones"
    return f"what was waited for is gone; {levels}" if drained else levels


def _contracting(leg: Leg, processes: Processes) -> str:
    if not (processes.start or processes.restart or processes.reload):
        return f"stop {names(processes.stop)}" if processes.stop else "nothing is left to do"
    return f"deploy {leg.end.called} to the workers, in any order"


def _drained(leg: Leg) -> Iterator[WaitFor]:
    found, old = leg.needs, leg.old
    stored = [name for name in found.leaving if not old.get(Scope("queue", name), "broadcast")]
    yield from commands.until_empty(old, stored)
    staying = fleet.consumed(old) - found.leaving
    in_canvas = [name for name in found.gone if _is_in_canvas(leg, name)]
    if in_canvas:
        # A message of any task may carry what comes after it.
        yield from commands.until_old_is_gone(old, staying, fleet.longest_way_seconds(old))
    for name in sorted(found.gone.difference(in_canvas)):
        if queues := found.before.queues(name) & staying:
            yield from commands.until_none_of(old, name, queues)
    # Workers may have sent the old form to queues that are new.
    sent_to = staying | found.arriving
    if found.old_content:
        yield from commands.until_none_in_form(old, sent_to, found.old_content)
    if found.lowered or found.lasting:
        yield from commands.until_old_is_gone(old, sent_to, fleet.longest_way_seconds(old))


def _is_in_canvas(leg: Leg, name: str) -> bool:
    entry = leg.needs.before.entry(name)
    return entry is not None and bool(leg.old.get(entry, "canvas"))
