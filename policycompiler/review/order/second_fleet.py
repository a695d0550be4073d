"""The rollout to another broker: old and new workers both run until the old broker is empty."""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.plan import APP, BEAT, Plan
from policycompiler.review.facts import fleet
from policycompiler.review.facts.message_places import ADDRESS
from policycompiler.review.order import waits
from policycompiler.review.order.moving_beat import BEAT_PROCESS, is_moved, moving
from policycompiler.review.order.way import PRODUCERS
from policycompiler.review.outcome import OUTPUT, Stage, Step


def second_fleet(old: Plan, new: Plan) -> Iterator[Step]:
    """Another broker: the two share no messages, so both run until the old broker is empty."""
    start, stop = (
        tuple(f"worker:{name}" for name in fleet.named(fleet.running(plan))) for plan in (new, old)
    )
    moves = any(old.get(APP, key) != new.get(APP, key) for key in ADDRESS)
    what = "address" if moves else "broker options"
    ask = "; run the command with that address" if moves else ""
    had, has = bool(old.keys(BEAT)), bool(new.keys(BEAT))
    moved = is_moved(old, new)
    beat = (BEAT_PROCESS,) if had and has and not moved else ()
    starts, stops = has and not had, had and not has
    forth, back = ("; start beat", "; stop beat") if starts else ("; stop beat", "; start beat")
    yield Step(
        "expand",
        f"start the new workers beside the old workers, with other unit names and the new {what}{ask}",
        "old and new workers cannot see each other's messages",
        "stop the new workers",
        OUTPUT,
        start=start,
        wait_for=tuple(waits.until_workers_answer(Stage(new, OUTPUT), start)),
    )
    yield Step(
        "switch",
        f"deploy the output folder, with the new {what}, to producers{' and beat' if beat else ''}"
        f"{forth if starts or stops else ''}",
        f"every new message now uses the new {what}",
        f"roll producers{' and beat' if beat else ''} back to the previous output with the old {what}; "
        f"keep the new workers until no message is left for them"
        f"{back if starts or stops else ''}",
        OUTPUT,
        start=(BEAT_PROCESS,) if starts else (),
        restart=(PRODUCERS, *beat),
        stop=(BEAT_PROCESS,) if stops else (),
    )
    if moved:
        yield from moving(old, new, OUTPUT, "the output folder")
    yield Step(
        "drain",
        "wait until the old broker is empty; run the commands with the old address"
        if moves
        else "wait until no message is left under the old broker options",
        "the old workers process messages sent before the switch, including retries",
        f"roll producers back to the previous output with the old {what}: old and new workers still run",
        wait_for=tuple(waits.until_empty(Stage(old, ""), fleet.consumed(old))),
    )
    yield Step(
        "contract",
        "stop the old workers; give the new workers the usual unit names",
        "no message is left for the old workers",
        "start the old workers again",
        stop=stop,
    )
