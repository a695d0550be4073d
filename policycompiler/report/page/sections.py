"""The sections about queues with their tasks, schedules, alerts and findings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from xml.etree.ElementTree import Element

from policycompiler.diagnostics import Severity
from policycompiler.plan import Plan, Scope, vocabulary
from policycompiler.quantities import duration
from policycompiler.report.located import (
    Located,
    Program,
    Report,
    answered,
    located,
    more_command,
    printable,
    verdict,
)
from policycompiler.report.overview import row
from policycompiler.report.page.day_line import day_lines
from policycompiler.report.page.graph import NO_QUEUE, queue_of
from policycompiler.report.page.html import (
    Part,
    anchor,
    code,
    figures,
    joined,
    link,
    more,
    prose,
    section,
    table,
    tag,
)
from policycompiler.report.page.subject import Subject
from policycompiler.report.text import counted
from policycompiler.report.values import value_text

MOST_ALERTS = 200
"""Alerts of one name that the page shows."""
_TASK_HEAD = ("task", "owner", "delivery", "limits", "retries")
_ORDER = ("critical", "warning", "info")
_TOLD = ("alert", "severity", "summary", "description", "team")
"""Keys of an alert that have their own place; every other key is a line of the list below."""


def queues(plan: Plan) -> Element:
    """Each queue with its latency target, its workers and its tasks."""
    tasks: dict[Scope, list[Scope]] = {}
    for task in plan.scopes("task"):
        tasks.setdefault(queue_of(plan, task), []).append(task)
    parts = [_queue(plan, queue, tasks.get(queue, ())) for queue in plan.scopes("queue")]
    if NO_QUEUE in tasks:
        parts.append(more([tag("span", "Tasks without a queue")], _tasks(plan, tasks[NO_QUEUE])))
    return section("queues", "Queues and tasks", parts)


def _queue(plan: Plan, queue: Scope, tasks: Sequence[Scope]) -> Element:
    promise = plan.number_if_any(queue, "queue_wait_seconds")
    words = [counted(len(tasks), "task"), f"start within {duration(promise)}" if promise is not None else ""]
    summary = [code(queue.name), tag("span", ", ".join(filter(None, words)), css="aside")]
    parts = (_consumers(plan, queue), _tasks(plan, tasks) if tasks else None)
    return more(summary, *parts, at=anchor("queue", queue.name))


def _consumers(plan: Plan, queue: Scope) -> Element:
    if plan.get(queue, "external"):
        return tag("p", "Another app consumes this queue.")
    workers = plan.get(queue, "workers")
    names = [link("worker", str(each)) for each in workers] if isinstance(workers, list) else []
    dead = plan.get(queue, "dead_letter_queue")
    kept: list[Part] = [" Dead letters wait in ", code(str(dead)), "."] if dead else []
    by: list[Part] = ["Consumed by ", *joined(names), "."] if names else ["No worker consumes it."]
    return tag("p", *by, *kept)


def _tasks(plan: Plan, tasks: Sequence[Scope]) -> Element:
    rows: list[tuple[Part, ...]] = []
    for task in tasks:
        name, _, _, *others = row(plan, task)
        rows.append((code(name), str(plan.get(task, "owner", "")), *others))
    return table("Tasks", _TASK_HEAD, rows)


def schedules(plan: Plan) -> Element:
    """The schedules on lines of a day, and those that are disabled."""
    disabled = plan.scopes("disabled_schedule")
    if not plan.scopes("schedule") and not disabled:
        return section("schedules", "Schedules", tag("p", "None."))
    names = joined(code(each.name) for each in disabled)
    told = (
        "Each stroke is a minute at which beat sends the task, in the time zone that the workload declares. "
        "A schedule may be due on some days only."
    )
    return section(
        "schedules",
        "Schedules",
        tag("p", told, css="note"),
        list(day_lines(plan)),
        tag("p", "Disabled: ", *names, ".") if names else None,
    )


def alerts(plan: Plan) -> Element:
    """The alerts by name, the most severe first."""
    found = sorted(plan.scopes("alert"), key=lambda each: (_severity(plan, each), _named(plan, each), each))
    groups = groupby(found, key=lambda each: (_severity(plan, each), _named(plan, each)))
    parts = [_alerts(plan, name, list(those)) for (_, name), those in groups]
    return section("alerts", "Alerts", parts or tag("p", "None."))


def _severity(plan: Plan, alert: Scope) -> int:
    found = str(plan.get(alert, "severity"))
    return _ORDER.index(found) if found in _ORDER else len(_ORDER)


def _named(plan: Plan, alert: Scope) -> str:
    return str(plan.get(alert, "alert", alert.name))


def _alerts(plan: Plan, name: str, found: Sequence[Scope]) -> Element:
    severity = str(plan.get(found[0], "severity", ""))
    number = tag("span", f"{len(found)} alerts", css="aside") if len(found) > 1 else None
    shown = [_alert(plan, each) for each in found[:MOST_ALERTS]]
    told = f"And {len(found) - MOST_ALERTS} more, which `policycompiler explain SOURCE alert:NAME` shows."
    rest = tag("p", *prose(told), css="note") if len(found) > MOST_ALERTS else None
    return more([_badge(severity), " ", code(name), number], shown, rest)


def _badge(word: str) -> Element | None:
    return (
        tag("span", word, css=f"badge {word}" if word in (*_ORDER, *Severity) else "badge") if word else None
    )


def _alert(plan: Plan, alert: Scope) -> Element:
    """An alert with all its settings: those that this page does not know are listed, too."""
    keys = [each.name for each in vocabulary.declared("alert")]
    listed = sorted(
        plan.keys(alert).keys() - {*_TOLD}, key=lambda key: keys.index(key) if key in keys else len(keys)
    )
    team = plan.get(alert, "team")
    facts = [(_label(key), _fact(plan, alert, key)) for key in listed]
    return tag(
        "article",
        tag("h3", str(plan.get(alert, "summary", alert.name))),
        tag("p", str(plan.get(alert, "description", ""))),
        figures(
            [
                (key, fact)
                for key, fact in [("team", str(team) if team else None), *facts]
                if fact is not None
            ],
            css="facts",
        ),
        id=anchor("alert", alert.name),
    )


def _fact(plan: Plan, alert: Scope, key: str) -> Part:
    value = plan.get(alert, key)
    if value is None or value in ("", []):
        return None
    if key in {"queue", "worker", "schedule"} and plan.keys(Scope(key, str(value))):
        return link(key, str(value))
    text = str(value)
    if key == "runbook" and text.startswith(("https://", "http://")):
        return tag("a", text, href=text)
    return ", ".join(map(str, value)) if isinstance(value, list) else value_text(alert, key, value)


def _label(key: str) -> str:
    """The name of a fact in words: its value shows the unit."""
    return key.removesuffix("_seconds").replace("_", " ")


def findings(subject: Subject, program: Program) -> Element:
    """The findings of the sources; a plan from a file has none to show."""
    if subject.findings is None:
        told = "A compiled plan holds no findings. To see them, make the report from the sources."
        return section("findings", "Findings", tag("p", told))
    found = located(subject.findings, subject.document)
    open_ = [each for each in found if each.diagnostic.waived is None]
    waived = [each for each in found if each.diagnostic.waived is not None]
    report = Report(open_, waived, subject.document, subject.plan, subject.hidden, Severity.ERROR, program)
    return section("findings", "Findings", *_findings(report))


def _findings(report: Report) -> Iterator[Element]:
    told = f"{verdict(report)[:1].upper()}{verdict(report)[1:]}."
    hidden = f" A baseline hides {counted(report.hidden, 'finding')}." if report.hidden else ""
    yield tag("p", told, hidden)
    if report.findings:
        worst = sorted(report.findings, key=lambda each: each.diagnostic.severity.rank)
        yield tag("ul", [_finding(each) for each in worst], css="cards findings")
    if report.waived:
        cards = tag("ul", [_finding(each) for each in report.waived], css="cards findings")
        yield more([counted(len(report.waived), "waived finding")], cards)


def _finding(found: Located) -> Element:
    each = found.diagnostic
    places = [(found.place, ""), *((other.place, other.note) for other in found.related)]
    shown = [
        tag("li", code(f"{place.file}:{place.line}:{place.column}"), f" {note}" if note else None)
        for place, note in places
        if place.file
    ]
    command = more_command(each)
    return tag(
        "li",
        tag("h3", _badge(each.severity), " ", code(each.code), f" {each.name}"),
        tag("p", *prose(printable(each.message))),
        tag("p", tag("strong", "Help: "), *prose(printable(each.help))) if each.help else None,
        tag("p", f"Waived {answered(each.waived)}") if each.waived else None,
        tag("ul", shown, css="places") if shown else None,
        tag("p", "More: ", code(command), css="note") if command else None,
    )
