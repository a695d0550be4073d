"""Where the commands in compiled files say something else than the plan beside them.

Refuses:
    PC805 file-disagrees: compile again.
        when: a value in a compiled file differs from the plan, or a worker that is in the plan is missing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from policycompiler.diagnostics import Diagnostic, Place, error
from policycompiler.emitters import commands as planned_commands
from policycompiler.emitters.commands import Target
from policycompiler.plan import APP, BEAT, Plan, Scope, Value
from policycompiler.plan.node_names import most_exact, pattern
from policycompiler.reality import commands
from policycompiler.reality.commands import Command
from policycompiler.reality.commands.celery_words import commands_of
from policycompiler.reality.commands.invocation import Invocation
from policycompiler.verify.words import shown

FILE_DISAGREES = error("PC805", "file-disagrees")

_STARTING = ("launch/", "systemd/", "supervisor/")
"""The folders of text files that start processes; documents are compared value by value."""
_OF_THE_TARGET = frozenset({"schedule", "schedule_filename"})
"""Options that each target fills in by itself."""
_FIRST = {"INSTANCE": "1", "process_num": "1", "systemd_i": "1"}
"""How launch scripts, supervisor and systemd name the number of a process: each is read as the first one."""
_HELP = "compile again"


def findings(plan: Plan, folder: Path, names: Iterable[str]) -> Iterator[Diagnostic]:
    """The differences between the files of a compiled folder, by their names in it, and the plan."""
    told = plan.told()
    every = sorted(names)
    for target in _STARTING:
        own = [name for name in every if name.startswith(target) and _is_read(name)]
        if own:
            yield from _of_target(told, folder, target, own)
    for name in every:
        if name.startswith("systemd/") and name.endswith(".target"):
            yield from _started(told, folder, name)


def _is_read(name: str) -> bool:
    return name.endswith((".sh", ".service", ".conf"))


def _of_target(plan: Plan, folder: Path, target: str, names: list[str]) -> Iterator[Diagnostic]:
    sources = (str(plan.get(worker, "concurrency_source", "")) for worker in plan.scopes("worker"))
    slots = {source[2:-1]: "1" for source in sources if source.startswith("${")}
    found = commands.read([folder / name for name in names], root=folder, variables={**_FIRST, **slots})
    seen = set[Scope]()
    for command in found.commands:
        scope = BEAT if command.kind == "beat" else _worker(plan, command)
        if command.kind in ("worker", "beat") and (scope is None or not plan.keys(scope)):
            yield _finding(folder, command.place, f"starts a {command.kind} that the plan does not have")
        elif scope is not None and command.kind in ("worker", "beat"):
            seen.add(scope)
            for problem in _differences(plan, scope, command, target):
                yield _finding(folder, command.place, f"{_named(scope)}: {problem}")
    for scope in (*plan.scopes("worker"), *plan.scopes("beat")):
        if scope not in seen and names:
            yield _finding(folder, names[0] if len(names) == 1 else target, f"nothing starts {_named(scope)}")


def _worker(plan: Plan, command: Command) -> Scope | None:
    """The worker that a command starts: by its node name, otherwise by the name of its file or process."""
    workers = {scope.name: scope for scope in plan.scopes("worker")}
    node = str(command.options.get("hostname") or "")
    patterns = {pattern(plan, scope): scope for scope in workers.values() if plan.find(scope, "node_name")}
    if (fitting := most_exact(node, patterns)) is not None:
        return patterns[fitting]
    stem = Path(command.place.partition(" ")[0].rpartition(":")[0] or command.place).stem
    service = plan.text(APP, "service")
    known = {prefix + name: scope for name, scope in workers.items() for prefix in _prefixes(service)}
    return known.get(command.name) or workers.get(stem)


def _prefixes(service: str) -> tuple[str, ...]:
    """What stands before the name of a worker in the names of processes of systemd and supervisor."""
    return (f"{service}-worker-", f"{service}-")


def _differences(plan: Plan, scope: Scope, command: Command, target: str) -> Iterator[str]:
    expected = _expected(plan, scope)
    if command.app != expected.app:
        yield f"`--app` is `{command.app}`, planned `{expected.app}`"
    for option in sorted({*command.options, *expected.options} - _OF_THE_TARGET):
        found, planned = (each.options.get(option) for each in (command, expected))
        if found != planned:
            yield f"`--{option.replace('_', '-')}` is {_said(found)}, planned {_said(planned)}"
    if command.prefix != expected.prefix:
        yield f"`command_prefix` is {shown([*command.prefix])}, planned {shown([*expected.prefix])}"
    stop = planned_commands.whole_seconds(plan, scope, "stop_timeout_seconds")
    if target != "launch/" and command.stop_seconds != stop:
        yield f"a stop waits {_said(command.stop_seconds)} seconds, planned {stop}"
    if scope.kind == "worker":
        yield from _of_worker(plan, scope, command, target)


def _of_worker(plan: Plan, scope: Scope, command: Command, target: str) -> Iterator[str]:
    """Differences in the number of processes, where the file says it. Variables are compared as lines."""
    if target == "supervisor/":
        processes = int(plan.number(scope, "replicas"))
        placed = {int(str(_workers(plan, host).get(scope.name, processes))) for host in plan.scopes("host")}
        if command.replicas not in (placed or {processes}):
            yield f"{command.replicas} processes start, planned {processes}"


def _workers(plan: Plan, host: Scope) -> Mapping[str, Value]:
    found = plan.value(host, "workers")
    return found if isinstance(found, dict) else {}


def _expected(plan: Plan, scope: Scope) -> Command:
    """The command of the plan, read by the same parser."""
    target = Target(lambda before, after: f"{before}1{after}", lambda _: "1")
    lines = (
        planned_commands.beat_command(plan, "celery", "schedule")
        if scope == BEAT
        else planned_commands.worker_command(plan, scope, "celery", target)
    )
    words = tuple(str(word) for line in lines for word in line)
    (found,) = (each for each in commands_of(Invocation(words, "")) if isinstance(each, Command))
    return found


def _started(plan: Plan, folder: Path, name: str) -> Iterator[Diagnostic]:
    """The units that a target of systemd starts."""
    wanted = re.findall(r"(?m)^Wants=(\S+)", (folder / name).read_text("utf-8", errors="replace"))
    host = next((each for each in plan.scopes("host") if name.split("/")[1] == each.name), None)
    service = plan.text(APP, "service")
    units = [
        f"{service}-worker-{worker.name}@{instance}.service"
        for worker, number in planned_commands.processes(plan, host).items()
        for instance in range(1, number + 1)
    ]
    if planned_commands.runs_beat(plan, host):
        units.append(f"{service}-beat.service")
    for unit in sorted(set(units) - set(wanted)):
        yield _finding(folder, name, f"the target does not start `{unit}`")
    for unit in sorted(set(wanted) - set(units)):
        yield _finding(folder, name, f"the target starts `{unit}`, which is not planned here")


def _named(scope: Scope) -> str:
    return f"worker {scope.name}" if scope.name else scope.kind


def _said(value: object) -> str:
    return "not set" if value is None or value is False else f"`{value}`"


def _finding(folder: Path, where: str, message: str) -> Diagnostic:
    file, _, line = where.partition(" ")[0].rpartition(":")
    number = int(line) if file and line.isdigit() else 1
    path = file if file and line.isdigit() else where.partition(" ")[0]
    return FILE_DISAGREES.at((), message, help=_HELP, place=Place((folder / path).as_posix(), number, 1))
