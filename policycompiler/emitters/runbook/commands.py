"""The commands of a runbook, with the names of a plan.

Units are started by systemd. In containers, each command is written for Kubernetes and for Compose.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from urllib.parse import urlencode

from policycompiler.emitters.commands import comment
from policycompiler.emitters.prometheus import scrapes
from policycompiler.emitters.runbook.about import About
from policycompiler.emitters.runbook.facts import Book
from policycompiler.emitters.runbook.in_containers import compose, kubernetes
from policycompiler.emitters.runbook.on_hosts import schedule_file, units
from policycompiler.knowledge.runbook import Command, Deed, Fact
from policycompiler.plan import APP, BEAT, Scope

MOST_WORKERS = 5
"""A section names so many workers; the table of processes has all."""
_SHOW_STATUS = "--silent --show-error --output /dev/null --write-out '%{http_code}\\n'"
_FOLDER = '"$BUILD"'

_OWN: Mapping[Deed, str] = {
    Deed.STATUS: "status {}",
    Deed.DIFFERENCES: "verify {} --live",
    Deed.LETTERS: "dead-letters list {}",
    Deed.SHOW: "dead-letters show {} --limit 10",
    Deed.REPLAY: "dead-letters replay {} --all --dry-run",
    Deed.DROP: "dead-letters drop {} --reason expired --dry-run",
}
_OF_LETTERS = (Deed.LETTERS, Deed.SHOW, Deed.REPLAY, Deed.DROP)
INSPECT: Mapping[Deed, str] = {
    Deed.ANSWERS: "inspect ping",
    Deed.RUNS: "inspect active",
    Deed.RESERVED: "inspect reserved",
    Deed.SCHEDULED: "inspect scheduled",
    Deed.CONSUMED: "inspect active_queues",
    Deed.REGISTERED: "inspect registered",
}
"""Commands of Celery that need remote control."""
_CHOICE = (Deed.PROCESSES, Deed.LOGS, Deed.FAILURES, Deed.START, Deed.MORE, Deed.RESTART)
"""Commands with a line for each worker."""


def shell(book: Book, commands: Sequence[Command], about: About) -> list[str]:
    """Lines for the shell; each command of the plan is below a comment that says what it does."""
    lines: list[str] = []
    for command in commands:
        if not isinstance(command, Deed):
            lines.append(book.filled(command))
        elif found := [*_of(book, command, about)]:
            chosen = command in _CHOICE and _several(about)
            lines += [f"# {command.value}{' (only the lines of your queue)' if chosen else ''}", *found]
    return lines


def _several(about: About) -> bool:
    """Whether the section is about queues of several workers."""
    return len(about.workers) > 1 and any(about.workers.values())


def _of(book: Book, deed: Deed, about: About) -> Iterator[str]:
    plan, workers = book.plan, [*about.workers][:MOST_WORKERS]
    if deed in _OWN:
        if deed not in _OF_LETTERS or book.applies(Fact.LETTERS):
            yield f"policycompiler {_OWN[deed].format(_FOLDER)}"
    elif deed in _WRITTEN:
        yield from _WRITTEN[deed](book, about)
    elif deed in INSPECT:
        if book.applies(Fact.CONTROL):
            yield from _celery(book, INSPECT[deed], about)
    elif book.applies(Fact.CONTAINERS):
        label = _labels(about)
        yield from _both(lambda each: each(plan, deed, about, workers, label))
    else:
        yield from units(plan, deed, about, workers, _labels(about))


def _labels(about: About) -> Callable[[Scope], str]:
    """The queues of a worker as a comment, where a section is about several workers."""
    if not _several(about):
        return lambda _: ""
    return lambda worker: f"  # {', '.join(map(comment, about.workers[worker]))}"


def _broker(book: Book, _: About) -> Iterator[str]:
    if book.plan.broker.metrics is not None:
        yield book.filled(book.plan.broker.metrics.ping)


def _breakers(book: Book, about: About) -> Iterator[str]:
    """The records of the breakers; the package of guards names them so."""
    service = book.plan.text(APP, "service")
    for dependency in about.dependencies:
        key = shlex.quote(f"{service}:breaker:{{{dependency}}}")
        yield book.filled(f"redis-cli -u {{store}} HGETALL {key}")


def _schedules(book: Book, _: About) -> Iterator[str]:
    """The status with the last sends; beat's own file is only read where the plan knows its place."""
    plan = book.plan
    if not plan.scopes("beat"):
        return
    in_file = book.applies(Fact.UNITS) and plan.get(BEAT, "store", "file") == "file"
    option = f" --schedule-file {schedule_file(plan)}  # beat writes it every 3 min" if in_file else ""
    yield f"policycompiler status {_FOLDER}{option}"


def _sends(book: Book, about: About) -> Iterator[str]:
    for schedule in about.schedules[:MOST_WORKERS]:
        yield from _celery(book, _call(book, schedule), about, f"  # schedule {comment(schedule.name)}")


def _call(book: Book, schedule: Scope) -> str:
    """The words of `celery` that send the task of a schedule: to the same queue, with the same arguments."""
    plan, task = book.plan, book.plan.text(schedule, "task")
    words = ["call", task]
    for key in ("args", "kwargs"):
        if given := plan.get(schedule, key):
            words += [f"--{key}", json.dumps(given, sort_keys=True)]
    # Only what the line shows is read.
    if queue := book.chosen.get(schedule):
        plan.find(schedule, "options")
    else:
        queue = str(plan.get(Scope("task", task), "queue", ""))
    return shlex.join([*words, "--queue", queue] if queue else words)


def _sources(book: Book, about: About) -> Iterator[str]:
    """A request to each address that Prometheus scrapes; a worker has many, so only the first few."""
    plan = book.plan
    for source in about.sources:
        for scrape in source.scrapes:
            query = urlencode([("family", family) for family in scrape.families])
            path = f"{scrape.path}?{query}" if query else scrape.path
            for target in scrapes.targets(plan, source)[:MOST_WORKERS]:
                address = shlex.quote(f"http://{target}{path}")
                yield f"curl {_SHOW_STATUS} --max-time 15 {address}  # {source.label}"


def _celery(book: Book, words: str, about: About, end: str = "") -> Iterator[str]:
    """A command of Celery, which any process of the application may run."""
    plan, workers = book.plan, [*about.workers]
    celery = f"celery --app {shlex.quote(str(plan.get(APP, 'app', 'APP')))} {words}{end}"
    if book.applies(Fact.CONTAINERS) and workers:
        yield from _both(lambda each: each(plan, celery, about, workers, lambda _: ""))
    else:
        yield celery


def _both(write: Callable[[Callable[..., list[str]]], list[str]]) -> Iterator[str]:
    for label, each in (("Kubernetes", kubernetes), ("Compose", compose)):
        if lines := write(each):
            yield f"# {label}:"
            yield from lines


_WRITTEN: Mapping[Deed, Callable[[Book, About], Iterator[str]]] = {
    Deed.BREAKERS: _breakers,
    Deed.BROKER: _broker,
    Deed.SCHEDULES: _schedules,
    Deed.SEND: _sends,
    Deed.SOURCES: _sources,
}
"""What writes the lines of a command that is of no worker."""
