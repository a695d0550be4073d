"""The rollout to another broker: nothing passes between the two, so both run until the old one is empty."""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.plan import APP, BEAT, Plan
from policycompiler.review.commands import waits
from policycompiler.review.facts import fleet
from policycompiler.review.facts.message_places import ADDRESS
from policycompiler.review.order.moving_beat import BEAT_PROCESS, is_moved, moving
from policycompiler.review.order.way import PRODUCERS
from policycompiler.review.outcome import OUTPUT, Step


def second_fleet(old: Plan, new: Plan) -> Iterator[Step]:
    """Another broker: nothing passes between the two, so both run until the old one is empty."""
    start, stop = (
        tuple(f"worker:{name}" for name in fleet.named(fleet.running(plan))) for plan in (new, old)
    )
    moves = any(old.get(APP, key) != new.get(APP, key) for key in ADDRESS)
    what = "address" if moves else "options of the broker"
    ask = ", and ask by that" if moves else ""
    had, has = bool(old.keys(BEAT)), bool(new.keys(BEAT))
    moved = is_moved(old, new)
    beat = (BEAT_PROCESS,) if had and has and not moved else ()
    starts, stops = has and not had, had and not has
    forth, back = ("; start beat", "; stop beat") if starts else ("; stop beat", "; start beat")
    yield Step(
        "expand",
        "start the workers of the output beside the old ones, with units of other names "
        f"and the new {what}{ask}",
        "neither fleet sees the other's messages",
        "stop the new workers",
        OUTPUT,
        start=start,
        wait_for=tuple(waits.until_workers_answer(new)),
    )
    yield Step(
        "switch",
        f"deploy the output, with the new {what}, to producers{' and beat' if beat else ''}"
        f"{forth if starts or stops else ''}",
        "from now on everything new goes to the new place",
        f"deploy the old output, with the old {what}, to them again; the new workers empty their place"
        f"{back if starts or stops else ''}",
        OUTPUT,
        start=(BEAT_PROCESS,) if starts else (),
        restart=(PRODUCERS, *beat),
        stop=(BEAT_PROCESS,) if stops else (),
    )
    if moved:
        yield from moving(old, new, OUTPUT, "the output")
    yield Step(
        "drain",
        "wait until the old broker is empty: ask it by the old address, as the new one is empty too"
        if moves
        else "wait until nothing is left where the old options lead",
        "the old workers run what was sent before the switch, their retries included",
        f"deploy the old output, with the old {what}, to producers again: both fleets run",
        wait_for=tuple(waits.until_empty(old, fleet.consumed(old))),
    )
    yield Step(
        "contract",
        "stop the old workers, and give the new ones the usual names of units",
        "nothing is left for the old ones",
        "start them again",
        stop=stop,
    )
