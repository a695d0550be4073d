"""The smallest list of steps from one deployment to the next: expand, switch, drain, contract."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from policycompiler.plan import Plan, Scope
from policycompiler.review.conditions import Condition
from policycompiler.review.facts import fleet
from policycompiler.review.order import need, schedule_rows, waits
from policycompiler.review.order.deploying import (
    answering,
    at_once,
    deploy,
    expand,
    switch,
    undo_switch,
)
from policycompiler.review.order.moving_beat import is_moved, moving
from policycompiler.review.order.need import Asks, told
from policycompiler.review.order.needs import Needs, needs
from policycompiler.review.order.processes import Processes, moves
from policycompiler.review.order.second_fleet import second_fleet
from policycompiler.review.order.standing_in import renamed_queues
from policycompiler.review.order.way import Way, names, none_left, way_from
from policycompiler.review.outcome import Change, Class, Stage, Step


class Rollout(NamedTuple):
    """Steps, and the plans that they deploy by folder; the output itself is not among those."""

    steps: tuple[Step, ...]
    phases: dict[str, Plan]


def rollout(old: Plan, new: Plan, found: Needs) -> Rollout:
    """The steps from the old plan to the new one."""
    if found.facts.elsewhere:
        steps = (*second_fleet(old, new), *schedule_rows.delete(new, found.find(need.LEFT_ROW)))
        return Rollout(steps, {})
    start = Stage(old, "")
    rows = schedule_rows.delete(new, found.find(need.LEFT_ROW))
    if not found.facts.replaced:
        way = way_from(start, new, found)
        return Rollout((*_steps(way), *rows), way.phases)
    between = renamed_queues(old, new, found.facts.replaced)
    there = way_from(start, between, needs(old, between), stand_in=True)
    back = way_from(there.end, new, needs(between, new), first=1 + len(there.phases))
    return Rollout((*_steps(there), *_steps(back), *rows), there.phases | back.phases)


def by_hand(old: Plan, changes: Iterable[Change], found: Needs) -> Iterator[Step]:
    """What a person must do or decide before the first deployment."""
    forgotten = {(Scope("task", name), "idempotency_key") for name in found.names(need.FORGOTTEN)}
    yield from _emptied(Stage(old, ""), found)
    later = {(Scope("queue", queue), "dead_letter_arguments") for queue in found.facts.replaced}
    aside = later | forgotten
    manual = [each for each in changes if each.risk is Class.MANUAL and (each.scope, each.key) not in aside]
    if manual:
        yield Step(
            "expand",
            f"decide or act by hand, as each change says: {told(change.address for change in manual)}",
            "; ".join(dict.fromkeys(change.because for change in manual)),
            "revert it by hand",
            by_hand=True,
        )


def _emptied(start: Stage, found: Needs) -> Iterator[Step]:
    """Messages that new workers would run without their records."""
    if (forgotten := found.find(need.FORGOTTEN)) is None:
        return
    names, consumed = sorted(forgotten.names), fleet.consumed(start.plan)
    left = [
        each
        for name in names
        for each in waits.until_none_of(start, name, found.facts.before.queues(name) & consumed)
    ]
    yield Step(
        "expand",
        f"stop what publishes {told(names)} until the switch; wait until no message of them is left",
        f"{forgotten.sentence}; calls that repeat an earlier one still do",
        "start the publishers again",
        wait_for=tuple(dict.fromkeys(left)),
        by_hand=True,
    )


def _steps(way: Way) -> Iterator[Step]:
    found, running = way.needs, way.start
    if way.raised is not None:
        yield expand(way, running, way.raised, "raise", found.why(Asks.RAISE))
        running = way.raised
    if way.accepting is not None:
        yield expand(way, running, way.accepting, "accept", found.why(Asks.ACCEPT))
        running = way.accepting
        if way.both not in (way.accepting, way.end):
            # New processes reject the old content type, so its messages must be gone before they start.
            why = "every worker now accepts both content types, so workers may send the new one"
            yield expand(way, running, way.both, "overlap", why)
        yield from _unless_idle(switch(way, running, workers_too=way.both is way.end))
        running = way.both
    elif found.receive_first or found.overlap:
        yield expand(way, running, way.both, "overlap", found.why(Asks.RECEIVE, Asks.KEEP))
        yield from _unless_idle(switch(way, running))
        running = way.both
    elif found.drain:
        yield from _unless_idle(switch(way, running))
    else:
        yield from at_once(way, running)
        running = way.end
    if is_moved(way.old, way.new):
        yield from moving(way.old, way.new, way.end.folder, way.end.called)
    if found.drain:
        yield from _end(way, running)


def _unless_idle(step: Step) -> Iterator[Step]:
    """A step, unless no process has anything to do in it."""
    if step.start or step.restart or step.reload or step.stop:
        yield step


def _end(way: Way, running: Stage) -> Iterator[Step]:
    """The last steps, once every process sends the new way."""
    drained = tuple(_drained(way))
    if drained:
        what = (
            none_left(way.needs.names(need.LEAVING), way.needs.gone)
            or "no message from before the switch is left"
        )
        yield Step(
            "drain",
            f"wait until {what}",
            "only these workers accept messages that were sent before the switch",
            undo_switch(way),
            wait_for=drained,
        )
    if running is not way.end:
        processes = moves(running.plan, way.new)
        gone = f"; the code may now drop {told(sorted(way.needs.gone))}" if way.needs.gone else ""
        left = tuple(waits.move_levels(way.old, way.end, fleet.consumed(way.new)))
        yield deploy(
            "contract",
            _contracting(way, processes) + gone,
            _why_contract(way, drained=bool(drained), moved=bool(left)),
            f"roll the workers back to {running.called}",
            way.end.folder,
            processes,
            answering(way.end, processes),
        )._replace(run=left)
    yield from _deleted(way)


def _deleted(way: Way) -> Iterator[Step]:
    """Delete what RabbitMQ keeps of removed queues, except what the new plan declares."""
    queues = way.new.scopes("queue")
    kept = {str(way.new.get(scope, key)) for scope in queues for key in ("exchange", "dead_letter_queue")}
    gone = sorted(way.needs.names(need.LEAVING) - {scope.name for scope in queues} - kept)
    # RabbitMQ refuses to delete an exchange that other queues are bound to.
    exchanges = {way.old.text(Scope("queue", queue), "exchange") for queue in gone} - kept
    deleted = [each for queue in gone for each in waits.delete_queue(way.start, queue)]
    deleted += [each for exchange in sorted(exchanges) for each in waits.delete_exchange(way.start, exchange)]
    if deleted:
        yield Step(
            "contract",
            f"delete {'queue' if len(gone) == 1 else 'queues'} {told(gone)}",
            "no process publishes to it or consumes it; the actions keep what is not empty or still in use",
            "nothing to undo: a worker that consumes the queue declares it again",
            run=tuple(deleted),
        )
    yield from _dead_letters(way, gone)


def _dead_letters(way: Way, gone: Iterable[str]) -> Iterator[Step]:
    """The dead letters of removed queues: a person decides about them; no process declares their queue."""
    queues = way.new.scopes("queue")
    kept = {None, *(way.new.get(scope, "dead_letter_queue") for scope in queues)}
    dead = {way.old.get(Scope("queue", queue), "dead_letter_queue") for queue in gone} - kept
    names = sorted({str(each) for each in dead} - {scope.name for scope in queues})
    deleted = [each for name in names for each in waits.delete_queue(way.start, name)]
    if deleted:
        them = "it" if len(names) == 1 else "them"
        yield Step(
            "contract",
            f"rerun or save the dead letters in {told(names)}; then delete {them}",
            f"no dead letters arrive there and no process declares {them}; the action keeps messages",
            f"nothing to undo: a process that publishes to the original queue declares {them} again",
            run=tuple(deleted),
        )


def _why_contract(way: Way, *, drained: bool, moved: bool) -> str:
    if way.needs.names(need.LASTING, need.HURRIED) and not (drained or moved):
        return "runs that may last longer than the new stop timeout ended with their processes"
    if not moved:
        return "no old message is left"
    levels = "a stopping worker returns messages to its own levels; the action moves them to the new levels"
    return f"no old message is left; {levels}" if drained else levels


def _contracting(way: Way, processes: Processes) -> str:
    if not (processes.start or processes.restart or processes.reload):
        return f"stop {names(processes.stop)}" if processes.stop else "nothing is left to do"
    return f"deploy {way.end.called} to the workers, in any order"


def _drained(way: Way) -> Iterator[Condition]:
    found, old, start = way.needs, way.old, way.start
    leaving = found.names(need.LEAVING)
    yield from waits.until_empty(start, leaving)
    staying = fleet.consumed(old) - leaving
    in_canvas = [name for name in found.gone if _is_in_canvas(way, name)]
    if in_canvas:
        # A message of any task may carry the next tasks of a canvas.
        yield from waits.until_old_is_gone(start, staying, fleet.longest_way_seconds(old))
    for name in sorted(found.gone.difference(in_canvas)):
        if queues := found.facts.before.queues(name) & staying:
            yield from waits.until_none_of(start, name, queues)
    # Workers may have sent the old content type to new queues.
    sent_to = staying | found.names(need.NEW_QUEUE)
    if form := found.names(need.OLD_FORM):
        yield from waits.until_none_in_form(start, sent_to, form)
    if found.names(need.SHORTER_HOLD, need.LASTING):
        yield from waits.until_old_is_gone(start, sent_to, fleet.longest_way_seconds(old))


def _is_in_canvas(way: Way, name: str) -> bool:
    entry = way.needs.facts.before.entry(name)
    return entry is not None and bool(way.old.get(entry, "canvas"))
