"""Going back from the first step of a rollout, as it says, under traffic that never stops."""

from __future__ import annotations

import pytest
from rollout.deployed import QUIET_SECONDS, deployed
from rollout.members import Version
from rollout.outputs import guide
from rollout.scenarios import BOTH, ONCE, USUAL, Scenario, Side, on, tasks, workers
from rollout.steps import carry_out, follow

pytestmark = pytest.mark.server


def to_a_new_worker(transport):
    """A task moves to a queue with a worker of its own, which is started first."""
    old = tasks(mail="stays", pay="slow") + workers(main=["stays"], slow=["slow"])
    new = tasks(mail="stays", pay="fast") + workers(main=["stays"], fast=["fast"])
    return Scenario("move-to-a-new-worker", transport, Side(old, USUAL), Side(new, USUAL), (), ONCE)


CASES = [*map(to_a_new_worker, BOTH), *(each for each in on("redis") if each.name == "priority-steps")]


@pytest.mark.parametrize("scenario", CASES, ids=str)
def test_who_goes_back_from_the_first_step_loses_and_doubles_nothing(scenario, empty_broker, tmp_path):
    with deployed(scenario, empty_broker(scenario.transport), tmp_path, steps=True) as rollout:
        first, *_ = rollout.steps()
        carry_out(rollout.fleet, first, rollout.output / first["folder"], rollout.new_version)
        rollout.fleet.wait_for_traffic()
        follow(rollout.fleet, guide(rollout.output)[0].forward, rollout.output)
        old_version = Version(tmp_path / "code" / "old", scenario.old.calls)
        carry_out(rollout.fleet, {**first, "start": []}, rollout.old, old_version)
        undo = guide(rollout.output)[0].undo
        assert undo, first["undo"]
        follow(rollout.fleet, undo, rollout.output)
        rollout.fleet.stop(first["start"])
        rollout.fleet.wait_for_traffic()
        outcome = rollout.fleet.settle(quiet_seconds=QUIET_SECONDS)
        assert outcome.clean, (outcome, rollout.fleet.logs())
