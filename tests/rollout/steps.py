"""Executing the steps of a rollout as `steps.json` and ROLLOUT.md have them, and ignoring them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rollout.fleet import INSTANCES, Fleet
from rollout.members import Version
from rollout.outputs import guide, processes

Step = Mapping[str, Any]
"""As in `steps.json`."""


def execute(fleet: Fleet, steps: Sequence[Step], output: Path, old: Path, version: Version) -> None:
    """Carry out every step; `output` is the new compiled folder, `old` the one that runs at first.

    Whatever a step deploys takes the new code with it.
    """
    folder = old
    for step, commands in zip(steps, guide(output), strict=True):
        deployed = str(step["folder"])
        if deployed:
            folder = output / deployed
        carry_out(fleet, step, folder, version)
        follow(fleet, commands.forward, output)


def carry_out(fleet: Fleet, step: Step, folder: Path, version: Version) -> None:
    """Start, restart, reload and stop the processes of a step."""
    fleet.start(step["start"], folder, version)
    fleet.replace(step["restart"], folder, version, reload=step["reload"])
    fleet.stop(step["stop"])


def follow(fleet: Fleet, commands: Sequence[str], output: Path) -> None:
    """Run the commands of ROLLOUT.md in order; each must hold or be done."""
    for command in commands:
        done = fleet.run(command, output)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"


def deploy_at_once(fleet: Fleet, output: Path, version: Version) -> None:
    """The new output on machine after machine, as they come: workers and a producer, and then the others.

    In between, new producers meet old workers and old producers meet new ones, for some sends.
    """
    wanted = [*processes(output), "producers"]
    running = list(fleet.members)
    kept = [name for name in running if name in wanted and name.startswith("worker:")]
    for index in range(len(INSTANCES)):
        for name in kept:
            fleet.replace_one(name, index, output, version)
        if index == 0:
            fleet.start([name for name in wanted if name not in running], output, version, tolerant=True)
            fleet.stop([name for name in running if name not in wanted])
            fleet.wait_for_sends()
        fleet.replace_producer(index, output, version)
        fleet.wait_for_sends()
    if "beat" in running and "beat" in wanted:
        fleet.move_beat_carelessly(output, version)
