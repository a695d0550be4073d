"""Workers with their numbers and reasons, their capacity, and the budgets of hosts."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from policycompiler.plan import BEAT, Plan, Scope
from policycompiler.quantities import duration, number
from policycompiler.quantities import size as bytes_text
from policycompiler.report.page.graph import placed
from policycompiler.report.page.html import (
    Part,
    anchor,
    code,
    figures,
    joined,
    link,
    more,
    section,
    table,
    tag,
)
from policycompiler.report.page.settings import settings
from policycompiler.report.page.subject import Subject
from policycompiler.report.text import counted
from policycompiler.review.facts.sizes import NOTHING, Size, size, total

_UNKNOWN = "–"  # noqa: RUF001 - a dash for people
_HEAD = ("worker", "pool", "processes", "slots each", "slots", "memory", "stops within")


def capacity(plan: Plan) -> Element:
    """The processes, slots and memory of each worker, all together, and on each host."""
    rows = [_row(plan, worker) for worker in plan.scopes("worker")]
    whole = total(plan, plan).after
    last = ("all workers", "", str(whole.replicas), "", str(whole.slots), _memory(whole.memory_bytes), "")
    told = (
        "Memory is the declared budget of the processes, or the limit at which child processes are replaced."
    )
    hosts = [_host(plan, host) for host in plan.scopes("host")]
    return section(
        "capacity",
        "Capacity",
        table("Capacity of the workers", _HEAD, [*rows, last]),
        tag("p", told, " A dash means that nothing limits it.", css="note"),
        [tag("h3", "Hosts"), tag("ul", hosts, css="cards")] if hosts else None,
    )


def _row(plan: Plan, worker: Scope) -> tuple[Part, ...]:
    found = size(plan, worker)
    stop = plan.number_if_any(worker, "stop_timeout_seconds")
    return (
        link("worker", worker.name),
        str(plan.get(worker, "pool", "prefork")),
        str(found.replicas),
        str(_share(found).slots),
        str(found.slots),
        _memory(found.memory_bytes),
        _UNKNOWN if stop is None else duration(stop),
    )


def _share(found: Size, processes: int = 1) -> Size:
    """The part of a worker that so many of its processes are."""
    each = max(found.replicas, 1)
    memory = None if found.memory_bytes is None else found.memory_bytes * processes // each
    return Size(processes, found.slots * processes // each, memory)


def _memory(count: int | None) -> str:
    return bytes_text(count) if count is not None else _UNKNOWN


def _host(plan: Plan, host: Scope) -> Element:
    """The processes of a host, and what its declared cores and memory have to carry."""
    those = placed(plan, host)
    found = NOTHING
    for name, processes in those:
        found = found.plus(_share(size(plan, Scope("worker", name)), processes))
    cores, memory = plan.number_if_any(host, "cores"), plan.number_if_any(host, "memory_bytes")
    names = joined(tag("span", link("worker", name), f" ({processes})") for name, processes in those)
    facts: list[tuple[Part, Part]] = [
        ("processes", str(found.replicas) + (" and beat" if plan.get(host, "beat") else "")),
        ("slots", f"{found.slots} on {number(cores)} cores" if cores is not None else str(found.slots)),
        ("memory", _budget(found.memory_bytes, memory)),
    ]
    return tag(
        "li",
        tag("h4", code(host.name)),
        figures(facts, css="facts"),
        tag("p", names),
        id=anchor("host", host.name),
    )


def _budget(used: int | None, declared: float | None) -> Element:
    """The memory of the processes beside that of their host, as words and as a bar."""
    known = used is not None and declared
    words = _memory(used) if used is not None else "unlimited"
    words += f" of {bytes_text(int(declared))}" if declared else ""
    label = {"aria-label": f"memory: {words}"}
    bar = tag("meter", value=str(used), max=f"{declared:.0f}", data=label) if known else None
    return tag("span", words, bar)


def workers(subject: Subject) -> Element:
    """Each worker with its settings, and beat with its own."""
    plan = subject.plan
    parts = [_worker(subject, worker) for worker in plan.scopes("worker")]
    beat = [_beat(subject)] if plan.scopes("schedule") and plan.keys(BEAT) else []
    told = "Each number with the policy that decided it, its reason, and where it comes from."
    return section("workers", "Workers", tag("p", told, css="note"), parts or tag("p", "None."), beat)


def _worker(subject: Subject, worker: Scope) -> Element:
    plan = subject.plan
    found = size(plan, worker)
    words = f"{plan.get(worker, 'pool', 'prefork')}, {counted(found.slots, 'slot')}"
    summary = [code(worker.name), tag("span", words, css="aside")]
    return more(summary, _parts(plan, worker), settings(subject, worker), at=anchor("worker", worker.name))


def _parts(plan: Plan, worker: Scope) -> Iterator[Element]:
    if told := plan.get(worker, "description"):
        yield tag("p", f"Runs {told}.")
    queues = plan.get(worker, "queues")
    named = [link("queue", str(each)) for each in queues] if isinstance(queues, list) else []
    yield tag("p", "Consumes ", *(joined(named) or ["no queue"]), ".")


def _beat(subject: Subject) -> Element:
    words = counted(len(subject.plan.scopes("schedule")), "schedule")
    return more([code("beat"), tag("span", words, css="aside")], settings(subject, BEAT), at="beat")
