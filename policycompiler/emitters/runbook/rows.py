"""The rows of the tables of a runbook: processes, and the alerts of one kind."""

from __future__ import annotations

from collections.abc import Sequence
from string import Formatter

from policycompiler.emitters.commands import hosts, name, processes, runs_beat
from policycompiler.emitters.kubernetes.objects import part_name
from policycompiler.emitters.markdown import code, joined, markdown_text
from policycompiler.emitters.runbook.about import workers_of
from policycompiler.emitters.runbook.facts import Book
from policycompiler.emitters.runbook.on_hosts import all_units
from policycompiler.knowledge.kubernetes import BEAT as BEAT_PART
from policycompiler.knowledge.runbook import Fact
from policycompiler.plan import APP, Plan, Scope
from policycompiler.quantities import duration

HEAD = ("about", "fires when", "for", "severity", "team", "measured by", "runbook of the task")


def of_alerts(plan: Plan, scopes: Sequence[Scope], limit: str) -> list[tuple[str, ...]]:
    """The table of the alerts of one kind; the last column is there if a task has a runbook of its own."""
    found = [_of_alert(plan, scope, limit) for scope in scopes]
    width = len(HEAD) if any(row[-1] for row in found) else len(HEAD) - 1
    return [row[:width] for row in (HEAD, ("---",) * len(HEAD), *found)]


def _of_alert(plan: Plan, scope: Scope, limit: str) -> tuple[str, ...]:
    team, patience = plan.get(scope, "team"), plan.number(scope, "for_seconds")
    return (
        subject(plan, scope),
        _filled(plan, scope, limit),
        duration(patience) if patience else "at once",
        plan.text(scope, "severity"),
        "no team" if team is None else markdown_text(str(team)),
        ", ".join(plan.texts(scope, "sources")),
        _own_runbook(plan, scope),
    )


def subject(plan: Plan, scope: Scope) -> str:
    """What an alert is about: a schedule, a task, a queue with its workers, or the service."""
    names = {key: plan.get(scope, key) for key in ("schedule", "task", "dependency", "queue")}
    about = [f"{key} {code(str(name))}" for key, name in names.items() if name is not None]
    workers = workers_of(plan, str(names["queue"]))
    return ", ".join((*about, *(f"worker {code(each.name)}" for each in workers))) or "the service"


_SECONDS = {"seconds": "threshold", "bound": "bound_seconds", "window": "window_seconds"}


def _filled(plan: Plan, scope: Scope, limit: str) -> str:
    """The limit with the numbers of an alert in its holes."""
    filled = {}
    for _, hole, _, _ in Formatter().parse(limit):
        if hole == "share":
            filled[hole] = f"{100 * plan.number(scope, 'threshold'):.4g}%"
        elif hole == "silence":
            # An alert on silence either looks back so far, or waits so long.
            spans = (plan.number(scope, key) for key in ("window_seconds", "for_seconds"))
            filled[hole] = duration(max(spans))
        elif hole is not None and (key := _SECONDS.get(hole)):
            filled[hole] = duration(plan.number(scope, key))
        elif hole is not None:
            filled[hole] = f"{plan.number(scope, hole):.15g}"
    return limit.format_map(filled)


def _own_runbook(plan: Plan, scope: Scope) -> str:
    """The runbook that the tasks declare, unless it is a section of this file."""
    address = str(plan.get(scope, "runbook", ""))
    return "" if address.endswith(f"#{plan.text(scope, 'alert').lower()}") else markdown_text(address)


def of_processes(book: Book) -> list[tuple[str, ...]]:
    """Each worker, and beat: its queues, its processes, its slots, and what starts it."""
    plan, rows = book.plan, [_worker(book, worker) for worker in book.plan.scopes("worker")]
    if plan.scopes("beat"):
        where = [markdown_text(host.name) for host in hosts(plan) if host and runs_beat(plan, host)]
        rows.append(("beat", "", "1", "", f"{_beat(book)}{_on(where)}"))
    return rows


def _worker(book: Book, worker: Scope) -> tuple[str, ...]:
    plan = book.plan
    pool, slots = plan.get(worker, "pool", "prefork"), plan.get(worker, "concurrency")
    bounds = plan.get(worker, "autoscale")
    if isinstance(bounds, dict):
        slots = f"{bounds['min']} to {bounds['max']}"
    told = "slots of the host" if slots is None else f"{slots} slots"
    where = [
        f"{markdown_text(host.name)} ({processes(plan, host)[worker]})"
        for host in hosts(plan)
        if host and processes(plan, host).get(worker)
    ]
    return (
        code(worker.name),
        joined(plan.texts(worker, "queues")),
        _replicas(plan, worker),
        markdown_text(f"{pool}, {told}"),
        f"{_place(book, worker)}{_on(where)}",
    )


def _replicas(plan: Plan, worker: Scope) -> str:
    scaling = plan.get(worker, "scaling")
    if isinstance(scaling, dict):
        return f"{scaling['min']} to {scaling['max']}"
    return f"{plan.number(worker, 'replicas'):g}"


def _on(where: list[str]) -> str:
    return f" on {', '.join(where)}" if where else ""


def _place(book: Book, worker: Scope) -> str:
    plan = book.plan
    if book.applies(Fact.CONTAINERS):
        deployment = plan.text(worker, "kubernetes_name")
        return joined([f"deployment/{deployment}", f"worker-{name(worker.name)}"])
    return code(all_units(name(plan.text(APP, "service")), worker))


def _beat(book: Book) -> str:
    plan = book.plan
    if book.applies(Fact.CONTAINERS):
        return joined([f"deployment/{part_name(plan, BEAT_PART)}", "beat"])
    return code(f"{name(plan.text(APP, 'service'))}-beat.service")
