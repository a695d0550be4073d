"""A scenario, compiled on both sides and running on the old one under traffic."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from rollout.brokers import Broker
from rollout.evidence import Outcome
from rollout.fleet import Fleet
from rollout.members import Version
from rollout.scenarios import Scenario, compiled
from rollout.steps import Step, deploy_at_once, execute

# Where all has to be done, longer than a machine that is busy with other things needs for anything.
QUIET_SECONDS = 30
# On such a machine, what is only late still comes.
MARGIN_SECONDS = 4


class Rollout(NamedTuple):
    """A fleet on the old output, the new output, and the code that comes with it."""

    fleet: Fleet
    old: Path
    output: Path
    new_version: Version

    def steps(self) -> list[Step]:
        """As the compiler wrote them."""
        return json.loads((self.output / "rollout" / "steps.json").read_text("utf-8"))["steps"]


@contextmanager
def deployed(scenario: Scenario, broker: Broker, folder: Path, *, steps: bool = False) -> Iterator[Rollout]:
    """The fleet of the old side, sending and working; everything is stopped when the block is left.

    The new output has the steps from the old one where they are wanted.
    """
    old = compiled(scenario.workload(scenario.old), folder / "old")
    output = compiled(scenario.workload(scenario.new), folder / "new", old=old if steps else None)
    versions = [
        scenario.version(side, folder / "code" / name)
        for name, side in (("old", scenario.old), ("new", scenario.new))
    ]
    fleet = Fleet(folder, broker, once=scenario.once)
    try:
        fleet.start_all(old, versions[0])
        fleet.wait_for_traffic()
        yield Rollout(fleet, old, output, versions[1])
    finally:
        fleet.stop_all()


def after_the_steps(scenario: Scenario, broker: Broker, folder: Path) -> tuple[Outcome, str]:
    """What became of all work when the steps were followed, and the logs."""
    with deployed(scenario, broker, folder, steps=True) as rollout:
        execute(rollout.fleet, rollout.steps(), rollout.output, rollout.old, rollout.new_version)
        return rollout.fleet.settle(quiet_seconds=QUIET_SECONDS), rollout.fleet.logs()


def after_one_step(scenario: Scenario, broker: Broker, folder: Path) -> tuple[Outcome, str]:
    """What became of all work when everything was deployed at once, and the logs."""
    with deployed(scenario, broker, folder) as rollout:
        deploy_at_once(rollout.fleet, rollout.output, rollout.new_version)
        outcome = rollout.fleet.settle(quiet_seconds=scenario.longest + MARGIN_SECONDS)
        return outcome, rollout.fleet.logs()
