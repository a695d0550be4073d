"""The same commands for units of systemd, below the name of their host if the plan has hosts."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence

from policycompiler.emitters import exporters
from policycompiler.emitters.commands import hosts, name, processes, runs_beat
from policycompiler.emitters.runbook.about import About
from policycompiler.knowledge.runbook import Deed
from policycompiler.plan import APP, Plan, Scope

_MOST_INSTANCES = 3
_VERBS = {
    Deed.PROCESSES: "status --no-pager",
    Deed.START: "start",
    Deed.RESTART: "restart",
    Deed.BEAT_STATE: "status --no-pager",
    Deed.BEAT_RESTART: "restart",
    Deed.EXPORTER_STATE: "status --no-pager",
    Deed.EXPORTER_RESTART: "restart",
}
_SINCE = {Deed.SENDS: "-1d", Deed.FAILURES: "-1h", Deed.LOGS: "-1h", Deed.BEAT_LOGS: "-1h"}
SEARCHED = {
    Deed.SENDS: "Sending due task|scheduled task",
    Deed.FAILURES: "raised unexpected|raised expected|retry: |WorkerLostError|time limit",
}
"""What is searched in a log (celery/beat.py, celery/app/trace.py and celery/concurrency of 5.7)."""

Label = Callable[[Scope], str]
"""The end of a line about a worker: a comment with its queues."""


def units(plan: Plan, deed: Deed, about: About, workers: Sequence[Scope], label: Label) -> Iterator[str]:
    """The commands for units of `workers`, of beat, or of the exporters that a section is about."""
    service = name(plan.text(APP, "service"))
    beat = f"{service}-beat.service"
    if deed is Deed.KILLS:
        yield "journalctl --dmesg --since=-1d | grep --ignore-case --extended-regexp 'out of memory|oom-kill'"
    elif deed in (Deed.EXPORTER_STATE, Deed.EXPORTER_RESTART):
        yield from (
            f"systemctl {_VERBS[deed]} {service}-{each.part}.service"
            for each in about.among(exporters.on_hosts(plan))
        )
    elif deed in (Deed.BEAT_LOGS, Deed.SENDS):
        yield from _on_hosts(plan, lambda host: [_log(deed, beat)] if runs_beat(plan, host) else [])
    elif deed in (Deed.BEAT_STATE, Deed.BEAT_RESTART):
        line = f"systemctl {_VERBS[deed]} {beat}"
        yield from _on_hosts(plan, lambda host: [line] if runs_beat(plan, host) else [])
    else:
        yield from _on_hosts(
            plan,
            lambda host: [
                _of_worker(service, worker, deed, counts[worker]) + label(worker)
                for counts in [processes(plan, host)]
                for worker in workers
                if counts.get(worker)
            ],
        )


def schedule_file(plan: Plan) -> str:
    """The file in which the unit of beat keeps the times of its last sends."""
    return f"/var/lib/{name(plan.text(APP, 'state_directory'))}/schedule"


def all_units(service: str, worker: Scope) -> str:
    """A pattern for the units of a worker: `journalctl` finds stopped ones by it, `systemctl` does not."""
    return f"{service}-worker-{name(worker.name)}@*.service"


def _of_worker(service: str, worker: Scope, deed: Deed, count: int) -> str:
    unit = f"{service}-worker-{name(worker.name)}@"
    if deed in _SINCE:
        return _log(deed, shlex.quote(all_units(service, worker)))
    if deed is Deed.MORE:
        return f"systemctl start {unit}{count + 1}.service"
    return f"systemctl {_VERBS[deed]} {_numbered(unit, count)}"


def _log(deed: Deed, unit: str) -> str:
    found = f" --grep={shlex.quote(SEARCHED[deed])}" if deed in SEARCHED else ""
    return f"journalctl --unit={unit} --since={_SINCE[deed]}{found} --no-pager"


def _numbered(unit: str, count: int) -> str:
    if count > _MOST_INSTANCES:
        return f"{unit}{{1..{count}}}.service"
    return " ".join(f"{unit}{number}.service" for number in range(1, count + 1))


def _on_hosts(plan: Plan, lines: Callable[[Scope | None], list[str]]) -> Iterator[str]:
    """Lines for each host, below its name if the plan has hosts."""
    for host in hosts(plan):
        if found := lines(host):
            if host is not None:
                yield f"# on {name(host.name)}:"
            yield from found
