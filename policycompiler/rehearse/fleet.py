"""The compiled processes on a stage: workers, beat, and the program that sends probes."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from subprocess import Popen
from typing import Any, NamedTuple

from policycompiler.plan import BEAT, Plan, Scope
from policycompiler.rehearse import commands, scenery
from policycompiler.rehearse.brokers import PrivateBroker
from policycompiler.rehearse.probes import Probe
from policycompiler.rehearse.processes import Stage, until

_DRIVER = Path(__file__).with_name("driver.py")


class Application(NamedTuple):
    """The real app: its name, its interpreter, and the folder that has it. Without one, a stand-in runs."""

    app: str
    python: str
    folder: Path


class Fleet:
    """One process of each worker, what they note, and what is sent to them.

    `slots` are those of a worker here.
    """

    def __init__(
        self,
        plan: Plan,
        on: Stage,
        broker: PrivateBroker,
        real: Application | None,
        slots: Mapping[str, int],
    ) -> None:
        self.plan, self.stage, self.broker, self.real, self.slots = plan, on, broker, real, slots
        self.workers = [Scope("worker", name) for name in slots]
        self._records = on.folder / "records.jsonl"
        self._drivers = 0

    @property
    def python(self) -> str:
        """The interpreter that has the app."""
        return self.real.python if self.real else sys.executable

    def _environment(self) -> dict[str, str]:
        modules = [self.real.folder] if self.real else []
        found = commands.environment(self.plan, self.broker, self.stage.folder, modules)
        return found | {"REHEARSAL_RECORDS": str(self._records)}

    def records(self) -> list[dict[str, Any]]:
        """What the processes have noted so far."""
        if not self._records.exists():
            return []
        # The last line may be half written.
        whole = self._records.read_text("utf-8").rpartition("\n")[0]
        return [json.loads(line) for line in whole.splitlines()]

    def start_worker(self, name: str) -> None:
        """Start the process of a worker, as its launch script does."""
        worker, here = Scope("worker", name), self.slots[name]
        words = commands.worker_words(self.plan, worker, f"{name}@rehearsal", here, included=scenery.RECORDER)
        environment = self._environment() | {"REHEARSAL_WORKER": name}
        if variable := commands.slots_variable(self.plan, worker):
            environment.setdefault(variable, str(here))
        self.stage.start(_process(name), words, environment)

    def start_beat(self) -> None:
        """Start beat, as its launch script does."""
        self.stage.start(BEAT.kind, ["sh", "launch/beat.sh"], self._environment())

    def ready(self) -> Counter[str]:
        """How often each worker has got ready."""
        return Counter(str(each["worker"]) for each in self.records() if each["event"] == "ready")

    def ended(self, worker: str) -> bool:
        """Whether its process has ended."""
        return self.stage.processes[_process(worker)].poll() is not None

    def kill(self, worker: str) -> None:
        """Kill a worker and the processes of its pool, as the kernel does when memory is used up."""
        self.stage.kill(_process(worker))

    def log(self, worker: str) -> str:
        """What a worker said at last."""
        return self.stage.log(_process(worker))

    def stop_workers(self, seconds: float) -> list[str]:
        """Stop all workers as a deployment does; the names of those that did not end in time."""
        names = {_process(name): name for name in self.slots if _process(name) in self.stage.processes}
        return [names[each] for each in self.stage.stop(list(names), seconds)]

    def send(self, probes: Sequence[Probe]) -> Popen[bytes]:
        """Start a program that sends probes, each at its time."""
        self._drivers += 1
        lines = self.stage.folder / f"probes-{self._drivers}.jsonl"
        ordered = sorted(probes, key=lambda each: each.after)
        lines.write_text("".join(each.line() for each in ordered), encoding="utf-8")
        app = self.real.app if self.real else scenery.APP
        return self.stage.start("driver", [self.python, str(_DRIVER), app, str(lines)], self._environment())

    def why_not_sent(self, driver: Popen[bytes], seconds: float) -> str:
        """Why the program has not sent all probes within so many seconds; empty if it has."""
        if driver.poll() is None:
            loaded = any(each["event"] == "loaded" for each in self.records())
            late = "not all probes were sent" if loaded else "the application did not load to send the probes"
            return f"{late} within {seconds:.0f} s; its log: {self.stage.log('driver')}"
        return f"the probes were not sent: {self.stage.log('driver')}" if driver.returncode else ""

    def until_ready(self, seconds: float) -> Counter[str]:
        """Wait until each worker is ready or has ended; how often each has got ready."""
        until(lambda: all(self.ready()[name] or self.ended(name) for name in self.slots), seconds)
        return self.ready()


def _process(worker: str) -> str:
    return f"worker-{worker}"
