"""The commands of a runbook, with the names of a plan.

Units are started by systemd. In containers, each command is written for Kubernetes and for Compose.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from urllib.parse import urlencode

from policycompiler.emitters.commands import hosts, name, processes, runs_beat
from policycompiler.emitters.prometheus import scrapes
from policycompiler.emitters.runbook.facts import Book
from policycompiler.emitters.runbook.in_containers import compose, kubernetes
from policycompiler.knowledge.metric_sources import SOURCES
from policycompiler.knowledge.runbook import Command, Deed, Fact
from policycompiler.plan import APP, Plan, Scope

MOST_WORKERS = 5
"""A section names so many workers; the table of processes has all."""
_MOST_INSTANCES = 3
_SHOW_STATUS = "--silent --show-error --output /dev/null --write-out '%{http_code}\\n'"
_FOLDER = '"$BUILD"'

_OWN: Mapping[Deed, str] = {
    Deed.STATUS: "status {}",
    Deed.DIFFERENCES: "verify {} --live",
    Deed.LETTERS: "dead-letters list {}",
    Deed.REPLAY: "dead-letters replay {} --all --dry-run",
}
_OF_EXPORTER = (Deed.EXPORTER_STATE, Deed.EXPORTER_RESTART)
INSPECT: Mapping[Deed, str] = {
    Deed.ANSWERS: "inspect ping",
    Deed.RUNS: "inspect active",
    Deed.RESERVED: "inspect reserved",
    Deed.SCHEDULED: "inspect scheduled",
    Deed.CONSUMED: "inspect active_queues",
    Deed.REGISTERED: "inspect registered",
}
"""Commands of Celery that need remote control."""


def shell(book: Book, commands: Sequence[Command], workers: Sequence[Scope]) -> list[str]:
    """Lines for the shell; each command of the plan is below a comment that says what it does."""
    lines: list[str] = []
    for command in commands:
        if not isinstance(command, Deed):
            lines.append(command)
        elif found := [*_of(book, command, workers[:MOST_WORKERS])]:
            lines += [f"# {command.value}", *found]
    return lines


def _of(book: Book, deed: Deed, workers: Sequence[Scope]) -> Iterator[str]:
    plan, needs_letters = book.plan, deed in (Deed.LETTERS, Deed.REPLAY)
    if deed in _OWN:
        if not needs_letters or book.applies(Fact.LETTERS):
            yield f"policycompiler {_OWN[deed].format(_FOLDER)}"
    elif deed is Deed.BROKER:
        if plan.broker.metrics is not None:
            yield plan.broker.metrics.ping
    elif deed is Deed.SOURCES:
        yield from _sources(plan)
    elif deed in _OF_EXPORTER and not book.applies(Fact.EXPORTER):
        return
    elif deed in INSPECT:
        yield from _inspect(book, INSPECT[deed], workers)
    elif book.applies(Fact.CONTAINERS):
        yield from _both(lambda each: each(plan, deed, workers))
    else:
        yield from _units(plan, deed, workers)


def _sources(plan: Plan) -> Iterator[str]:
    """A request to each address that Prometheus scrapes; a worker has many, so only the first few."""
    for name_ in plan.texts(APP, "metric_sources"):
        source = SOURCES[name_]
        for scrape in source.scrapes:
            query = urlencode([("family", family) for family in scrape.families])
            path = f"{scrape.path}?{query}" if query else scrape.path
            for target in scrapes.targets(plan, source)[:MOST_WORKERS]:
                address = shlex.quote(f"http://{target}{path}")
                yield f"curl {_SHOW_STATUS} --max-time 15 {address}  # {source.label}"


def _inspect(book: Book, words: str, workers: Sequence[Scope]) -> Iterator[str]:
    """A question to all workers, which any process of the application may ask."""
    if not book.applies(Fact.CONTROL):
        return
    plan = book.plan
    celery = f"celery --app {shlex.quote(str(plan.get(APP, 'app', 'APP')))} {words}"
    if book.applies(Fact.CONTAINERS) and workers:
        yield from _both(lambda each: each(plan, celery, workers))
    else:
        yield celery


def _both(write: Callable[[Callable[..., list[str]]], list[str]]) -> Iterator[str]:
    for label, each in (("Kubernetes", kubernetes), ("Compose", compose)):
        if lines := write(each):
            yield f"# {label}:"
            yield from lines


def _units(plan: Plan, deed: Deed, workers: Sequence[Scope]) -> Iterator[str]:
    service = name(plan.text(APP, "service"))
    beat, every = f"{service}-beat.service", [shlex.quote(all_units(service, each)) for each in workers]
    if deed is Deed.KILLS:
        yield "journalctl --dmesg --since=-1d | grep --ignore-case --extended-regexp 'out of memory|oom-kill'"
    elif deed is Deed.PROCESSES:
        yield from (f"systemctl status {each}" for each in every)
    elif deed is Deed.LOGS:
        yield from (f"journalctl --unit={each} --since=-1h --no-pager" for each in every)
    elif deed is Deed.BEAT_LOGS:
        yield f"journalctl --unit={beat} --since=-1h --no-pager"
    elif deed in _OF_EXPORTER:
        verb = "status" if deed is Deed.EXPORTER_STATE else "restart"
        yield f"systemctl {verb} {service}-exporter.service"
    elif deed in (Deed.BEAT_STATE, Deed.BEAT_RESTART):
        verb = "status" if deed is Deed.BEAT_STATE else "restart"
        yield from _on_hosts(plan, lambda host: [f"systemctl {verb} {beat}"] if runs_beat(plan, host) else [])
    elif deed is Deed.MORE:
        yield from _on_hosts(plan, lambda host: _one_more(plan, host, workers))
    else:
        verb = "start" if deed is Deed.START else "restart"
        yield from _on_hosts(plan, lambda host: _instances(plan, host, verb, workers))


def _one_more(plan: Plan, host: Scope | None, workers: Sequence[Scope]) -> list[str]:
    service, counts = name(plan.text(APP, "service")), processes(plan, host)
    units = ((f"{service}-worker-{name(each.name)}@", counts.get(each)) for each in workers)
    return [f"systemctl start {shlex.quote(f'{unit}{count + 1}.service')}" for unit, count in units if count]


def all_units(service: str, worker: Scope) -> str:
    """A pattern for the units of a worker."""
    return f"{service}-worker-{name(worker.name)}@*.service"


def _instances(plan: Plan, host: Scope | None, verb: str, workers: Sequence[Scope]) -> list[str]:
    service, counts = name(plan.text(APP, "service")), processes(plan, host)
    return [
        f"systemctl {verb} {_numbered(f'{service}-worker-{name(worker.name)}@', counts[worker])}"
        for worker in workers
        if counts.get(worker)
    ]


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
