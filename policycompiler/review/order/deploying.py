"""The steps that deploy a folder: to workers that must accept both, to senders, to all at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple, TypeAlias

from policycompiler.plan import BEAT, Plan
from policycompiler.quantities import duration
from policycompiler.review.conditions import Action, Condition
from policycompiler.review.facts import fleet
from policycompiler.review.order import need, waits
from policycompiler.review.order.moving_beat import BEAT_PROCESS, is_moved
from policycompiler.review.order.need import told
from policycompiler.review.order.processes import Processes, beat_alike, moves, reads_alike
from policycompiler.review.order.way import PRODUCERS, Way, and_beat, names, none_left
from policycompiler.review.outcome import OUTPUT, Phase, Stage, Step

Word: TypeAlias = Literal["raise", "accept", "overlap"]
"""What the workers can do after the step: hold messages longer, read the new, or process both."""


def expand(way: Way, running: Stage, target: Stage, word: Word, why: str) -> Step:
    """Workers that can process new messages before any process sends them."""
    raising, readers = word == "raise", word == "accept" and bool(way.needs.find(need.NEW_RESULTS))
    processes = moves(running.plan, target.plan, new_code=not raising)
    undo = _undo_expand(way, running, target, processes, word)
    gone = sorted(way.needs.gone)
    told_of = [
        f"deploy {target.called}",
        "" if raising else " and the new code",
        " to the workers and to the producers, which read results" if readers else " to the workers",
        f", and keep the code of {told(gone)}" if gone and not raising else "",
        f"; first start {names(processes.start)}" if processes.start else "",
    ]
    return deploy(
        "expand",
        "".join(told_of),
        why,
        undo.sentence,
        target.folder,
        processes._replace(restart=(*processes.restart, PRODUCERS)) if readers else processes,
        answering(target, processes),
    )._replace(undo_wait_for=undo.wait_for, undo_run=undo.run)


def switch(way: Way, running: Stage, *, workers_too: bool = False) -> Step:
    """Every process now sends the new way; workers restart too, where they did not send so yet."""
    workers = moves(running.plan, way.new) if workers_too else Processes((), (), (), ())
    processes = _with_senders(way, workers)
    undo = undo_switch(way)
    if workers_too:
        undo = f"roll the workers back to {running.called}; {undo}"
    return deploy(
        "switch",
        f"deploy {way.end.called} and the new code to {_whom(processes)}",
        "the workers accept both old and new messages" if way.needs.receive_first else _why_stop_sending(way),
        undo,
        way.end.folder,
        processes,
        answering(way.end, workers) if workers_too else (),
    )


def at_once(way: Way, running: Stage) -> Iterator[Step]:
    """All processes that must change, in any order; none where no process reads the differences."""
    workers = moves(running.plan, way.new, new_code=running is not way.start)
    processes = _with_senders(way, workers)
    if not any(processes):
        if not is_moved(way.old, way.new):
            why = "only people and Prometheus read the differences; no process must restart"
            undo = f"put {way.start.called} in place"
            yield Step("switch", "put the output folder in place", why, undo, OUTPUT)
        return
    undo = f"roll back to {way.start.called}, in any order"
    if running is not way.start:
        seconds = fleet.longest_hold_seconds(way.new)
        undo = (
            f"roll the workers back to {running.called} and the other processes to {way.start.called}; "
            f"wait {duration(seconds)} before you roll back further: workers may hold messages that long"
        )
    yield deploy(
        "switch",
        f"deploy {way.end.called} to {_whom(processes)}",
        "old and new processes accept each other's messages",
        undo,
        way.end.folder,
        processes,
        answering(way.end, workers) if any(workers) else (),
    )


def deploy(
    phase: Phase,
    action: str,
    why: str,
    undo: str,
    folder: str,
    processes: Processes,
    wait_for: tuple[Condition, ...],
) -> Step:
    """A step that deploys a folder to some processes."""
    start, restart, reload, stop = processes
    return Step(phase, action, why, undo, folder, start, restart, reload, stop, wait_for)


def answering(stage: Stage, processes: Processes) -> tuple[Condition, ...]:
    """The workers of a stage answer; those that a step deploys have read its plan."""
    deployed = (*processes.start, *processes.restart, *processes.reload)
    return tuple(waits.until_workers_answer(stage, deployed))


def _with_senders(way: Way, processes: Processes) -> Processes:
    """These, with producers and beat where they change; a beat that moves has steps of its own."""
    start, restart, stop = processes.start, processes.restart, processes.stop
    if not reads_alike(way.old, way.new):
        restart = (*restart, PRODUCERS)
    had, has = bool(way.old.keys(BEAT)), bool(way.new.keys(BEAT))
    if had and has and not is_moved(way.old, way.new) and not beat_alike(way.old, way.new):
        restart = (*restart, BEAT_PROCESS)
    elif has and not had:
        start = (*start, BEAT_PROCESS)
    elif had and not has:
        stop = (*stop, BEAT_PROCESS)
    return Processes(start, restart, processes.reload, stop)


def _whom(processes: Processes) -> str:
    """The processes that get a folder, in words."""
    listed = [each for kind in processes for each in kind]
    kinds = ["workers"] if any(each.startswith("worker:") for each in listed) else []
    kinds += [each for each in (PRODUCERS, BEAT_PROCESS) if each in listed]
    order = ", in any order" if len(listed) > 1 else ""
    return " and ".join(filter(None, (", ".join(kinds[:-1]), *kinds[-1:]))) + order


class _Undo(NamedTuple):
    """How to go back from a step, the waits on the way, and what to do at its end."""

    sentence: str
    wait_for: tuple[Condition, ...] = ()
    run: tuple[Action, ...] = ()


def _undo_expand(way: Way, running: Stage, target: Stage, processes: Processes, word: Word) -> _Undo:
    """Workers send too: in an overlap they may have sent the new way already."""
    if word == "raise":
        return _Undo(f"roll the workers back to {running.called}: no message is held longer yet")
    # Queues that only the started workers consume: they drain once no other worker sends to them.
    drained = [
        queue
        for queue in sorted(way.needs.names(need.NEW_QUEUE))
        if _is_of(processes.start, target.plan, queue)
    ]
    sent = _new_under_way(way, but=drained, forms=word == "overlap")
    first = f"wait until {sent}: tasks may have sent some already; then " if sent else ""
    sentence = f"{first}roll the workers back to {running.with_code}"
    pauses: list[Condition] = []
    if drained:
        sentence += f"; wait until {none_left(drained)}"
        pauses += waits.until_empty(target, drained)
    overlap = word == "overlap"
    moved = [*waits.move_levels(way.new, way.start, fleet.consumed(way.old))] if overlap else []
    if moved:
        sentence += "; move the messages of the new levels"
    if pauses or moved:
        pauses[:0] = waits.until_workers_answer(running, (*processes.restart, *processes.reload))
    elif not sent:
        sentence += ": no message needs the new workers yet"
    if processes.start:
        sentence += f"; stop {names(processes.start)}"
    return _Undo(sentence, tuple(pauses), tuple(moved))


def _is_of(started: tuple[str, ...], plan: Plan, queue: str) -> bool:
    """Whether only these workers consume a queue."""
    takers = {f"worker:{name}" for name in fleet.consumers(plan).get(queue, ())}
    return bool(takers) and takers <= {*started}


def undo_switch(way: Way) -> str:
    """How to roll back once every process sends the new way."""
    sent = _new_under_way(way)
    further = f"; before you roll back further, wait until {sent}" if sent else ""
    back = f"roll producers{and_beat(way)} back to {way.start.with_code}"
    return f"{back}: the workers accept both{further}"


def _new_under_way(way: Way, *, but: Sequence[str] = (), forms: bool = True) -> str:
    """That no message is left that old workers cannot process; without `forms`, in queues only."""
    found = way.needs
    queues = found.names(need.NEW_QUEUE).difference(but)
    if not forms:
        return none_left(queues)
    messages = none_left(queues, found.names(need.NEW_TASK, need.NEW_NAME))
    form = "no message of the new content type is left" if found.find(need.NEW_FORM) else ""
    hasty = sorted(found.names(need.LONGER_RUN))
    longer = f"no long run is left in {told(hasty)}" if hasty else ""
    return " and ".join(filter(None, (messages, form, longer)))


def _why_stop_sending(way: Way) -> str:
    what = told(sorted(way.needs.names(need.LEAVING) | way.needs.gone))
    return (
        f"the current workers still process the remaining messages for {what}"
        if what
        else ("the current workers can process every message already sent")
    )
