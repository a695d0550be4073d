"""Compiled workers on this machine: as many processes and slots as fit, until all of them answer."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from policycompiler.emitters.base import OutputFile
from policycompiler.knowledge import pools
from policycompiler.load_test.place import Place, Tell
from policycompiler.load_test.wish import LoadTestError
from policycompiler.plan import Plan, Scope
from policycompiler.plan.lines import WorkerLine
from policycompiler.plan.processes import slots_of
from policycompiler.rehearse import commands, scenery
from policycompiler.rehearse.brokers import PrivateBroker
from policycompiler.rehearse.fleet import Application
from policycompiler.rehearse.processes import Stage
from policycompiler.runtime import stand_ins

MODULE = "celery_load_test"
"""The module with the stand-ins, as workers include it."""
_MEMORY_SHARE = 0.7
"""Of the free memory; the rest is for the broker, the sender, and everybody else."""
_PROCESS_BYTES = 100 * 2**20
"""The first process of a worker with an application."""
_COMPUTING_SHARE = 0.75
"""Of the cores; the rest is for Celery itself, the broker and the sender."""
_READY_SECONDS, _EACH_SECONDS = 60.0, 5.0


class Process(NamedTuple):
    """A worker process that is to be started."""

    worker: Scope
    node: str
    slots: int


def processes(plan: Plan, lines: Sequence[WorkerLine], most_slots: int | None) -> list[Process]:
    """The processes of the workers of these lines; scaled down if not all slots fit."""
    share = _share(plan, lines, most_slots)
    found = []
    for line in lines:
        worker = Scope("worker", line.worker)
        # Rounding errors must not take a slot.
        wanted = max(1, int(line.slots * share + 1e-9)) if line.slots else 0
        count = min(line.processes, wanted)
        for number in range(count):
            slots = wanted // count + (number < wanted % count)
            found.append(Process(worker, f"{line.worker}.{number + 1}@load", slots))
    return found


def _share(plan: Plan, lines: Sequence[WorkerLine], most_slots: int | None) -> float:
    """The share of the planned slots that this machine can have."""
    planned = sum(line.slots for line in lines)
    memory = sum(
        line.processes * (_PROCESS_BYTES + line.slots_each * pools.pool(line.pool).slot_bytes)
        for line in lines
    )
    flows = {flow for line in lines for flow in line.flows}
    computing = sum(
        flow.runs * flow.service.mean
        for flow in flows
        if flow.service and plan.get(Scope("task", flow.task), "work") == "cpu"
    )
    shares = [1.0, _COMPUTING_SHARE * _cores() / computing if computing else 1.0]
    if memory and (free := _free_bytes()):
        shares.append(_MEMORY_SHARE * free / memory)
    if planned and most_slots:
        shares.append(most_slots / planned)
    return min(shares)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _free_bytes() -> int | None:
    """The memory that the system could give; None if it does not say so."""
    with suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/meminfo").read_text("utf-8").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return None


def processor_seconds() -> tuple[float, float]:
    """The busy seconds and all seconds of the processors of this machine; both 0 if it does not say so."""
    with suppress(OSError, ValueError, IndexError):
        first = Path("/proc/stat").read_text("utf-8").partition("\n")[0]
        # user nice system idle iowait irq softirq steal; what follows is a part of the first ones.
        ticks = [float(word) for word in first.split()[1:9]]
        return sum(ticks) - ticks[3] - ticks[4], sum(ticks)
    return 0.0, 0.0


def start(
    plan: Plan,
    files: Sequence[OutputFile],
    wanted: Sequence[Process],
    broker: PrivateBroker,
    stage: Stage,
    real: Application | None,
) -> None:
    """Start the processes, with a stand-in for each task."""
    python = real.python if real else sys.executable
    # Workers say by remote control what they ran.
    settings = {"worker_enable_remote_control": True}
    scenery.write(plan, files, broker, stage.folder, python, settings, app=real.app if real else None)
    shutil.copy(Path(stand_ins.__file__), stage.folder / f"{MODULE}.py")
    if real is None:
        scenery.write_stand_in(plan, stage.folder)
    modules = [real.folder] if real else []
    environment = commands.environment(plan, broker, stage.folder, modules)
    for each in wanted:
        words = commands.worker_words(plan, each.worker, each.node, each.slots, included=MODULE)
        scale = plan.get(each.worker, "autoscale")
        if isinstance(scale, dict) and each.slots < slots_of(plan, each.worker):
            words += ["--autoscale", f"{each.slots},{min(each.slots, int(str(scale['min'])))}"]
        own = dict(environment)
        if variable := commands.slots_variable(plan, each.worker):
            own.setdefault(variable, str(each.slots))
        stage.start(each.node, words, own)


def await_all(place: Place, wanted: Sequence[Process], stage: Stage, tell: Tell) -> None:
    """Wait until all processes consume. Raises `LoadTestError` if one ends or the time is over."""
    nodes = [each.node for each in wanted]
    end = time.monotonic() + stage.allowed(ready_seconds(wanted))
    answered: set[str] = set()
    while missing := [node for node in nodes if node not in answered]:
        tell(f"starting {len(nodes)} worker processes: {len(nodes) - len(missing)} are ready")
        for node in missing:
            if stage.processes[node].poll() is not None:
                message = f"worker process {node} did not start: {stage.log(node)}"
                raise LoadTestError(message)
        if time.monotonic() > end:
            message = f"{', '.join(missing)} did not start in time; its log: {stage.log(missing[0])}"
            raise LoadTestError(message)
        answered |= {each.node for each in place.ask({"active_queues": {}}, missing, 1.0) if each.answer}
        time.sleep(0.1)


def ready_seconds(wanted: Sequence[Process]) -> float:
    """How long so many processes may take to start: they share the cores."""
    return _READY_SECONDS + _EACH_SECONDS * len(wanted)
