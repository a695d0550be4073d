"""Executing the steps of a rollout as they are written in `steps.json`, and ignoring them."""

from __future__ import annotations

import re
from ast import literal_eval
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from processes import wait_until
from rollout.fleet import DEADLINE_SECONDS, INSTANCES, Fleet
from rollout.members import Version
from rollout.outputs import expected_queues, processes

Step = Mapping[str, Any]
"""As in `steps.json`."""


def execute(fleet: Fleet, steps: Sequence[Step], output: Path, old: Path, version: Version) -> None:
    """Carry out every step; `output` is the new compiled folder, `old` the one that runs at first.

    Whatever a step deploys takes the new code with it.
    """
    folder = old
    for step in steps:
        deployed = str(step["folder"])
        if deployed:
            folder = output / deployed
        carry_out(fleet, step, folder, version)


def carry_out(fleet: Fleet, step: Step, folder: Path, version: Version) -> None:
    """Processes first, then the commands, then what to wait for."""
    fleet.start(step["start"], folder, version)
    fleet.replace(step["restart"], folder, version, reload=step["reload"])
    fleet.stop(step["stop"])
    for command in step["run"]:
        _succeeds(fleet, command, folder, version)
    for wait in step["wait_for"]:
        _wait(fleet, wait, folder, version)


def _wait(fleet: Fleet, wait: Mapping[str, str], folder: Path, version: Version) -> None:
    """Poll a command that counts or asks the workers; a pause has to end."""
    command, done_when = wait["command"], wait["done"]
    if done_when == "ends":
        _succeeds(fleet, command, folder, version)
        return
    last = "nothing yet"

    def holds() -> bool:
        nonlocal last
        done = fleet.run(command, folder, version)
        last = f"{done.returncode} {done.stdout!r} {done.stderr!r}"
        if done_when == "prints-0":
            return done.stdout.strip() == "0"
        return done.returncode == 0 and _all_consume(folder, done.stdout)

    try:
        wait_until(holds, f"{wait['until']}: {command}", seconds=DEADLINE_SECONDS)
    except TimeoutError as late:
        late.add_note(f"last: {last}")
        raise


def _succeeds(fleet: Fleet, command: str, folder: Path, version: Version) -> None:
    done = fleet.run(command, folder, version)
    # Neither `rabbitmqctl` nor `celery amqp` fails whenever the broker refuses.
    refused = "ERROR" in done.stderr or "protocol_error" in done.stdout
    assert (done.returncode, refused) == (0, False), f"{command}\n{done.stdout}{done.stderr}"


def _all_consume(folder: Path, answers: str) -> bool:
    """Whether each instance of each worker of the plan consumes exactly its queues."""
    found = {
        answer.split(":", 1)[0].strip(): {
            literal_eval(queue)["name"] for queue in re.findall(r"^ *\* (\{.*\})$", answer, re.MULTILINE)
        }
        for answer in answers.split("-> ")[1:]
    }
    return all(
        any(node.startswith(f"{name}.{instance}.") and seen == queues for node, seen in found.items())
        for name, queues in expected_queues(folder).items()
        for instance in INSTANCES
    )


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
