"""Runs what was compiled on a private broker: its workers, its beat, and a probe through every way.

The compiled launch scripts start real workers with the real settings, one process of each. A probe goes
through every route and every entry of the schedule, then a burst for each latency class. Guards meet an
outage and a killed worker. Then the workers stop, and what was sent is compared with what ran.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from math import ceil
from pathlib import Path
from typing import Any

from policycompiler.emitters.base import OutputFile
from policycompiler.knowledge import pools
from policycompiler.plan import APP, BEAT, Plan, Scope
from policycompiler.rehearse import brokers, guarded, probes, scenery, scenes
from policycompiler.rehearse.brokers import PrivateBroker
from policycompiler.rehearse.fleet import Application, Fleet
from policycompiler.rehearse.outcome import Arrival, Kill, Outage, Outcome, Pace, Waits
from policycompiler.rehearse.probes import Burst, Probe
from policycompiler.rehearse.processes import Stage, stage, until

_MOST_SLOTS = 4
"""Slots of a pool of processes: a rehearsal must fit into a laptop."""
_READY_SECONDS, _RUN_SECONDS, _STOP_SECONDS = 40.0, 20.0, 20.0
_FOR_RUN_SECONDS, _FOR_STOP_SECONDS = 10.0, 5.0
"""What the phases before leave for these at least."""
_ALL_SECONDS = 50.0
"""With the start and the end, a rehearsal takes less than a minute."""
_NOT_RUN = "no worker ran it"
_HERE = Path(__file__).parent


class RehearsalError(Exception):
    """A rehearsal that cannot begin; the text says why."""


def rehearse(plan: Plan, files: Sequence[OutputFile], real: Application | None, url: str | None) -> Outcome:
    """Run what was compiled, and return what it showed. Raises `RehearsalError`."""
    try:
        with ExitStack() as stack:
            if url:
                # The stage ends first, with all that could use the broker.
                stack.enter_context(brokers.emptied(plan, url))
            guards = scenes.SECONDS if plan.find(APP, "parking") is not None else 0
            found = stack.enter_context(stage(_ALL_SECONDS + guards))
            python = real.python if real else sys.executable
            broker = brokers.own(url, found) if url else brokers.private(found, python)
            show = _Show(plan, found, broker, real)
            show.set_up(files)
            return show.run()
    except OSError as problem:
        raise RehearsalError(str(problem)) from None


class _Show:
    """One rehearsal on its stage."""

    def __init__(self, plan: Plan, on: Stage, broker: PrivateBroker, real: Application | None) -> None:
        self._plan, self._stage, self._broker, self._real = plan, on, broker, real
        workers = [each for each in plan.scopes("worker") if plan.number(each, "replicas")]
        self._slots = {each.name: _slots(plan, each) for each in workers}
        here = {name: slots for name, (slots, _) in self._slots.items()}
        self._fleet = Fleet(plan, on, broker, real, here)
        self._guards = plan.find(APP, "parking") is not None and broker.has_store
        self._notes = list(_notes(plan, broker, real, self._slots, guards=self._guards))
        self._problems: list[str] = []
        self._registered: set[str] = set()

    def set_up(self, files: Sequence[OutputFile]) -> None:
        """Write the compiled files, and what the rehearsal adds."""
        folder = self._stage.folder
        on = scenery.Guards.OF_APPLICATION if self._real else scenery.Guards.OF_STAND_IN
        guards = on if self._guards else scenery.Guards.OFF
        scenery.write(self._plan, files, self._broker, folder, self._fleet.python, guards=guards)
        shutil.copy(_HERE / "recorder.py", folder / f"{scenery.RECORDER}.py")
        if self._guards:
            shutil.copy(_HERE / "guarded.py", folder / f"{scenery.GUARDED}.py")
        if self._real is None:
            scenery.write_stand_in(self._plan, folder)

    def run(self) -> Outcome:
        """Start, send, wait, stop, compare."""
        started = self._start_workers()
        self._start_beat()
        self._registered = {
            name for each in self._fleet.records() if each["event"] == "tasks" for name in each["names"]
        }
        route: list[Probe] = []
        entries: list[Probe] = []
        bursts: list[Burst] = []
        guards: list[Outage | Pace | Kill] = []
        # Without a worker, nothing that is sent says anything.
        if len(started) == len(self._slots):
            route += probes.routes(self._plan, self._names())
            entries += probes.schedules(self._plan, start=1.0)
            bursts += probes.bursts(self._plan, self._share(), start=2.0)
            self._send([*route, *entries, *(each for burst in bursts for each in burst.probes)])
        if self._guards and not self._problems:
            guards += scenes.play(
                self._fleet, scenes.guarded_tasks(self._plan, self._registered, self._slots)
            )
        self._stop()
        records = [each for each in self._fleet.records() if not _of_guards(each)]
        ran = {each["id"]: each for each in records if each["event"] == "run"}
        refused = {each["id"]: each["why"] for each in records if each["event"] == "refused"}
        times = {each["id"]: each["at"] for each in records if each["event"] == "sent"}
        done = {each["id"] for each in records if each["event"] == "done"}
        return Outcome(
            self._broker.kind,
            {name: self._slots[name] for name in sorted(started)},
            [self._arrival(probe, ran, refused) for probe in (*route, *entries)],
            [_waits(burst, ran, times) for burst in bursts],
            len(set(times) - done),
            self._problems,
            self._notes,
            guards,
        )

    def _share(self) -> float:
        """The part of the planned slots that the rehearsal has."""
        here = sum(here for here, _ in self._slots.values())
        planned = sum(planned for _, planned in self._slots.values())
        return min(1.0, here / max(1, planned))

    # The processes -----------------------------------------------------------------------------------------

    def _start_workers(self) -> set[str]:
        """Start one process of each worker; the names of those that consume."""
        fleet = self._fleet
        for name in self._slots:
            fleet.start_worker(name)
        seconds = self._stage.allowed(_READY_SECONDS, reserved=_FOR_RUN_SECONDS + _FOR_STOP_SECONDS)
        ready = set(fleet.until_ready(seconds))
        loaded = {str(each["worker"]) for each in fleet.records() if each["event"] == "tasks"}
        for name in sorted(set(self._slots) - ready):
            late = "" if name in loaded else f"the application did not load within {seconds:.0f} s; "
            why = fleet.log(name) if fleet.ended(name) else f"{late}its log: {fleet.log(name)}"
            self._problems.append(f"worker `{name}` did not start: {why}")
        if self._real and not loaded:
            self._notes.append(
                f"`--workdir` is the folder in which `celery -A {self._real.app}` finds the application, and "
                "`--python` its interpreter"
            )
        return ready

    def _start_beat(self) -> None:
        if not self._plan.scopes("beat"):
            return
        if self._plan.get(BEAT, "store", "file") != "file":
            self._notes.append("beat was not started: its scheduler needs the application's store")
            return
        self._fleet.start_beat()

    def _names(self) -> list[str]:
        """The names that patterns may declare: those of other entries are their own."""
        return [str(self._plan.get(each, "task")) for each in self._plan.scopes("schedule")]

    def _send(self, sent: Sequence[Probe]) -> None:
        driver = self._fleet.send(sent)
        awaited = {each.id for each in sent if self._why_not(each) == _NOT_RUN}

        def all_over() -> bool:
            over = {each["id"] for each in self._fleet.records() if each["event"] in ("done", "refused")}
            return driver.poll() is not None and (awaited <= over or driver.returncode != 0)

        seconds = self._stage.allowed(_RUN_SECONDS, reserved=_FOR_STOP_SECONDS)
        until(all_over, seconds)
        if why := self._fleet.why_not_sent(driver, seconds):
            self._problems.append(why)

    def _stop(self) -> None:
        """Stop beat, then the workers, as a deployment does."""
        if "beat" in self._stage.processes:
            ended = self._stage.processes["beat"].poll()
            if ended is not None:
                self._problems.append(f"beat ended with {ended}: {self._stage.log('beat')}")
            self._stage.stop(["beat"], self._stage.allowed(_STOP_SECONDS, reserved=_FOR_STOP_SECONDS / 2))
        for name in self._fleet.stop_workers(_STOP_SECONDS):
            self._problems.append(f"worker `{name}` did not stop in time")

    def _why_not(self, probe: Probe) -> str:
        """Why no worker runs a probe."""
        entry = self._plan.entry(probe.task)
        if entry and not self._plan.texts(entry, "workers"):
            return f"no worker of the plan consumes `{self._plan.get(entry, 'queue')}`"
        known = probe.task in self._registered
        return _NOT_RUN if known else "no worker has registered it: its message is discarded"

    # What it showed ----------------------------------------------------------------------------------------

    def _arrival(self, probe: Probe, ran: Mapping[str, Any], refused: Mapping[str, str]) -> Arrival:
        entry = self._plan.entry(probe.task)
        queue = str(self._plan.get(entry, "queue")) if entry else ""
        record = ran.get(probe.id)
        name = probe.schedule or probe.task
        if record is None:
            problem = refused.get(probe.id) or self._why_not(probe)
            return Arrival(probe.kind, name, probe.task, "", queue, (None, None), problem)
        worker = str(record["worker"])
        hard, soft = record["limits"]
        planned = self._plan.texts(entry, "workers") if entry else []
        astray = probe.kind == "route" and planned and worker not in planned
        problem = f"planned for {', '.join(planned)}" if astray else ""
        return Arrival(probe.kind, name, probe.task, worker, queue, (soft, hard), problem)


def _slots(plan: Plan, worker: Scope) -> tuple[int, int]:
    """The slots of a worker here, and in the plan."""
    scale = plan.get(worker, "autoscale")
    planned = int(scale["max"]) if isinstance(scale, dict) else int(plan.number(worker, "concurrency"))  # type: ignore[arg-type]
    processes = pools.pool(plan.text(worker, "pool")).processes
    return (min(planned, _MOST_SLOTS) if processes else planned), planned * int(
        plan.number(worker, "replicas")
    )


def _notes(
    plan: Plan,
    broker: PrivateBroker,
    real: Application | None,
    slots: Mapping[str, tuple[int, int]],
    *,
    guards: bool,
) -> Iterator[str]:
    if plan.broker.server not in broker.url:
        yield f"the plan is for {plan.broker.label}; this was rehearsed on {broker.kind}"
    fewer = sorted(name for name, (here, planned) in slots.items() if here < planned)
    if fewer:
        yield f"all slots of {', '.join(fewer)}; fewer ran, with as much less load"
    if guards:
        yield "the declared times, slow rates and bounds of guards; here all fits into a minute"
    elif plan.find(APP, "parking") is not None:
        yield (
            "the guards of tasks: they need `redis-server` and the package `redis`; "
            "install `policycompiler[redis]`, and leave out --broker"
        )
    yield (
        "the code of no task ran" if real else "a stand-in ran instead of the application; name it with --app"
    )


def _of_guards(record: Mapping[str, Any]) -> bool:
    return str(record.get("id")).startswith(guarded.PREFIX)


def _waits(burst: Burst, ran: Mapping[str, Any], sent: Mapping[str, float]) -> Waits:
    ids = [probe.id for probe in burst.probes]
    waits = sorted(max(0.0, ran[each]["at"] - sent[each]) for each in ids if each in ran and each in sent)
    p50, p99 = (waits[ceil(share * len(waits)) - 1] if waits else 0.0 for share in (0.5, 0.99))
    return Waits(burst.latency, len(ids), len(waits), p50, p99, burst.promise_seconds)
