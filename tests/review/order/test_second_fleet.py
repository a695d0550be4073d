"""The rollout to another broker: two fleets, and one beat."""

from __future__ import annotations

import pytest
from review_of import reviewed
from rollout_cases import TICKS, redis, tasks

from policycompiler.review import OUTPUT, Step

OLD, NEW = (f"broker: {{transport: redis, url: '${{{name}}}'}}\n" + tasks(a="q") for name in ("ONE", "TWO"))


def steps(old: str, new: str) -> list[Step]:
    """Those that deploy or stop something; the address itself is settled by hand."""
    by_hand, *others = reviewed(OLD + old, NEW + new).steps
    assert by_hand.by_hand
    return others


def words(found: list[Step], process: str) -> list[tuple[str, str]]:
    """What is done with a process, each with the phase of its step."""
    return [
        (step.phase, kind)
        for step in found
        for kind in ("start", "restart", "stop")
        if process in getattr(step, kind)
    ]


@pytest.mark.parametrize(
    ("old", "new", "done"),
    [
        ("", "", []),
        (TICKS, TICKS, [("switch", "restart")]),
        (TICKS, "", [("switch", "stop")]),
        ("", TICKS, [("switch", "start")]),
        (
            TICKS + "beat: {host: one}\n",
            TICKS + "beat: {host: two}\n",
            [("switch", "stop"), ("switch", "start")],
        ),
    ],
    ids=["none", "stays", "goes", "comes", "moves"],
)
def test_one_beat_sends_and_that_to_the_new_broker(old, new, done):
    found = steps(old, new)
    assert words(found, "beat") == done
    phases = [step.phase for step in found]
    assert phases == sorted(phases, key=["expand", "switch", "drain", "contract"].index)


def test_a_beat_that_moves_ends_on_its_host_before_it_starts_on_the_other():
    expand, producers, stop, start, *_ = steps(TICKS + "beat: {host: one}\n", TICKS + "beat: {host: two}\n")
    assert (expand.phase, producers.restart) == ("expand", ("producers",))
    assert "beat" not in producers.action
    assert stop.action.startswith("stop and disable beat on host `one`")
    assert start.action == "start beat on host `two` with the output folder"
    assert (stop.folder, start.folder) == ("", OUTPUT)


def test_a_beat_that_comes_or_goes_is_spoken_of_and_comes_back_with_the_undo():
    for old, new, forth, back in ((TICKS, "", "stop", "start"), ("", TICKS, "start", "stop")):
        switch = steps(old, new)[1]
        assert switch.action.endswith(f"to producers; {forth} beat")
        assert switch.undo.endswith(f"; {back} beat")


def test_beat_is_with_the_producers_where_it_stays():
    (switch,) = (step for step in steps(TICKS, TICKS) if step.phase == "switch")
    assert switch.action.endswith("to producers and beat")


def test_other_options_of_the_broker_are_another_place_too():
    prefixed = redis("options: {global_keyprefix: p.}") + tasks(a="q") + TICKS
    found = reviewed(redis("options: {}") + tasks(a="q") + TICKS, prefixed).steps
    assert words([*found], "beat") == [("switch", "restart")]
