"""A deployment under traffic: two processes of each worker, two producers that never stop, and beat.

Each process has a folder with two links, `output` (the compiled folder that it runs from) and `code` (the
version of the app). A deployment switches the links and then restarts or reloads the process, so that old and
new run side by side, as they do in a real one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from processes import tail, wait_until
from rollout.brokers import Broker
from rollout.evidence import Evidence, Outcome
from rollout.members import Member, Version, stop_together
from rollout.outputs import beat_host, processes

INSTANCES = (1, 2)
# How many further tasks make a traffic: some of each call.
SOME = 8
# So many that each worker meets some of each call, in any order.
MANY = 40
DEADLINE_SECONDS = 120


class Fleet:
    """All processes of a deployment. `once` are the tasks that must not run twice."""

    def __init__(self, folder: Path, broker: Broker, *, once: frozenset[str]) -> None:
        self.folder = folder
        self.broker = broker
        self.once = once
        self.evidence = Evidence(folder / "published.jsonl", folder / "witness.jsonl")
        self.members: dict[str, list[Member]] = {}
        self.beats: list[int] = []
        self._producers = 0

    @property
    def environment(self) -> dict[str, str]:
        """Of processes and commands alike; nothing is inherited but the search path."""
        variables = dict(self.broker.environment)
        path = variables.pop("PATH", os.environ["PATH"])
        return {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), path]),
            "LANG": "C.UTF-8",
            "PUBLISHED": str(self.evidence.published),
            "WITNESS": str(self.evidence.witness),
            **variables,
        }

    def start_all(self, output: Path, version: Version) -> None:
        """The fleet as it is before a rollout."""
        self.start([*processes(output), "producers"], output, version)
        self.wait_for_traffic()

    def start(self, names: Sequence[str], output: Path, version: Version, *, tolerant: bool = False) -> None:
        """Start what does not run yet: every instance at once, and what sends once there is who works."""
        for name in names:
            assert name not in self.members, f"{name} runs already"
            self.members[name] = self._new(name, output)
        workers = [member for name in names if _is_worker(name) for member in self.members[name]]
        self._bring_up([(member, False) for member in workers], output, version, tolerant=tolerant)
        senders = [name for name in names if not _is_worker(name)]
        self._start_senders([member for name in senders for member in self.members[name]], output, version)

    def replace(
        self, names: Sequence[str], output: Path, version: Version, *, reload: Sequence[str] = ()
    ) -> None:
        """Restart, or reload, what runs: half of the workers, traffic, the other half; then the others."""
        everything = [*names, *reload]
        workers = [name for name in everything if _is_worker(name)]
        for index in range(len(INSTANCES) if workers else 0):
            half = [(self.members[name][index], name in reload) for name in workers]
            self._bring_up(half, output, version)
            self.wait_for_traffic()
        if "beat" in everything:
            self.stop(["beat"])
            self.start(["beat"], output, version)
        if "producers" in everything:
            for index in range(len(INSTANCES)):
                self.replace_producer(index, output, version)
                self.wait_for_traffic()

    def replace_producer(self, index: int, output: Path, version: Version) -> None:
        """Start the new one, and only then stop the old one."""
        new = self._new_producer()
        self._start_senders([new], output, version)
        self.members["producers"][index].stop()
        self.members["producers"][index] = new

    def replace_one(self, name: str, index: int, output: Path, version: Version) -> None:
        """Restart one instance of a worker, whether or not it comes up."""
        self._bring_up([(self.members[name][index], False)], output, version, tolerant=True)

    def move_beat_carelessly(self, output: Path, version: Version) -> None:
        """Start beat where it now belongs before the old one is stopped; until both have sent."""
        (old,) = self.members.pop("beat")
        self.start(["beat"], output, version)
        self._wait_for_more(lambda: self.evidence.sends_of(old.pid), "the old beat sends", 1)
        old.stop()

    def stop(self, names: Sequence[str]) -> None:
        """Warm, all instances at once; nothing for what does not run."""
        stop_together([member for name in names for member in self.members.pop(name, ())])

    def wait_for_traffic(self) -> None:
        """Until some further tasks have been done."""
        self._wait_for_more(self.evidence.ended, "further tasks are done", SOME)

    def wait_for_sends(self) -> None:
        """Until producers have tried to send some more, done or not."""
        self._wait_for_more(lambda: len(self.evidence.attempts()), "producers go on", MANY)

    def run(self, command: str, output: Path) -> subprocess.CompletedProcess[str]:
        """A command as a person would run it in the output folder, on a machine of the deployment."""
        return subprocess.run(
            ["sh", "-c", command],
            env=self.environment,
            cwd=output,
            capture_output=True,
            text=True,
            check=False,
            timeout=DEADLINE_SECONDS,
        )

    def settle(self, *, quiet_seconds: float) -> Outcome:
        """Stop what sends; once all is done, or nothing has moved for so long, what became of the work."""
        self.stop(["producers", "beat"])
        last: list[tuple[Outcome, int]] = []
        since = time.monotonic()

        def over() -> bool:
            nonlocal since
            seen = (self.outcome(), self.evidence.ended())
            if last != [seen]:
                last[:], since = [seen], time.monotonic()
            return seen[0].settled or time.monotonic() - since > quiet_seconds

        wait_until(over, "the work is over", seconds=2 * DEADLINE_SECONDS)
        return last[0][0]

    def outcome(self) -> Outcome:
        """Of the work up to now."""
        return self.evidence.outcome(self.once, self.beats, self.broker.left())

    def stop_all(self) -> None:
        """Whatever happened."""
        self.stop(list(self.members))

    def logs(self) -> str:
        """The ends of all logs, for the message of a failure."""
        logs = sorted((self.folder / "processes").glob("*/log"))
        return "\n".join(f"== {log.parent.name}\n{tail(log)}" for log in logs)

    def _new(self, name: str, output: Path) -> list[Member]:
        if name == "producers":
            return [self._new_producer() for _ in INSTANCES]
        if _is_worker(name):
            names = [f"{name.partition(':')[2]}.{instance}" for instance in INSTANCES]
        else:
            names = [f"beat@{beat_host(output)}"]
        return [Member(self.folder / "processes" / each) for each in names]

    def _new_producer(self) -> Member:
        self._producers += 1
        return Member(self.folder / "processes" / f"producer.{self._producers}")

    def _bring_up(
        self, which: Sequence[tuple[Member, bool]], output: Path, version: Version, *, tolerant: bool = False
    ) -> None:
        """(Re)start workers, or reload those with True, and wait until they take messages.

        A tolerant start is content with a worker that has ended.
        """
        stop_together([member for member, reload in which if not reload])
        before = [member.times_ready() for member, _ in which]
        for member, reload in which:
            member.deploy(output, version.code)
            if reload:
                member.reload()
            else:
                name, _, instance = member.folder.name.rpartition(".")
                command = [member.output / "launch" / f"{name}.sh", "-I", "witness"]
                member.start(command, {**self.environment, "INSTANCE": instance})
        for (member, _), times in zip(which, before, strict=True):
            wait_until(
                lambda member=member, times=times: (
                    member.times_ready() > times or (tolerant and member.ended())
                ),
                f"{member.folder.name} is ready",
                seconds=DEADLINE_SECONDS,
                process=None if tolerant else member.process,
                log=member.log,
            )

    def _start_senders(self, members: Sequence[Member], output: Path, version: Version) -> None:
        """Producers and beat, by the name of the folder; until each has tried to send."""
        for member in members:
            member.deploy(output, version.code)
            if member.folder.name.startswith("beat@"):
                member.start([member.output / "launch" / "beat.sh"], self.environment)
                self.beats.append(member.pid)
            else:
                program = Path(__file__).parent / "producer.py"
                member.start([sys.executable, program, json.dumps(version.calls)], self.environment)
        for member in members:
            wait_until(
                lambda member=member: self.evidence.sends_of(member.pid) > 0,
                f"{member.folder.name} sends",
                seconds=DEADLINE_SECONDS,
                process=member.process,
                log=member.log,
            )

    def _wait_for_more(self, count: Callable[[], int], what: str, some: int) -> None:
        enough = count() + some
        wait_until(lambda: count() >= enough, what, seconds=DEADLINE_SECONDS)


def _is_worker(name: str) -> bool:
    return name.startswith("worker:")
