"""`RUNBOOK.md`: what people see and why, and a section for each kind of alert in the plan.

A heading is the name of an alert, so the address of its section follows from the name.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from policycompiler.emitters.base import OutputFile, Raw
from policycompiler.emitters.markdown import markdown_text
from policycompiler.emitters.prometheus.alert import measured
from policycompiler.emitters.prometheus.kinds import KINDS
from policycompiler.emitters.runbook import place, rows
from policycompiler.emitters.runbook.about import everything, of_alerts
from policycompiler.emitters.runbook.commands import MOST_WORKERS, shell
from policycompiler.emitters.runbook.facts import Book, opened
from policycompiler.emitters.templates import render
from policycompiler.knowledge.runbook import ENTRIES, SYMPTOMS, Deed, Symptom
from policycompiler.plan import APP, Plan, Scope

ID = "runbook"
PATH = "RUNBOOK.md"


class _Section(NamedTuple):
    """The section of one kind of alert."""

    name: Raw
    means: Raw
    table: list[Raw]
    query: Raw
    several: bool
    looks: Raw
    causes: list[Raw]
    fixes: Raw
    never: list[Raw]
    resolves: Raw


class _Table(NamedTuple):
    """The triage table of one symptom."""

    name: str
    anchor: Raw
    looks: Raw
    rows: list[Raw]


def emit(plan: Plan) -> Iterator[OutputFile]:
    """One file, if the plan has alerts."""
    if plan.scopes("alert"):
        yield _file(opened(plan))


def missing(plan: Plan) -> str:
    """What the target needs and the plan lacks."""
    return "" if plan.scopes("alert") else "the plan has no alerts"


def _file(book: Book) -> OutputFile:
    plan, kinds = book.plan, dict[str, list[Scope]]()
    for scope in plan.scopes("alert"):
        kinds.setdefault(plan.text(scope, "alert"), []).append(scope)
    sections = [_section(book, name, kinds[name]) for name in KINDS if name in kinds]
    workers = plan.scopes("worker")
    context = {
        "service": plan.text(APP, "service"),
        "sources": ", ".join(plan.texts(APP, "metric_sources")),
        "where": place.where(book),
        "prepare": _block([*place.prepare(book), "export BUILD=build"]),
        "answers": _block(shell(book, [Deed.ANSWERS, Deed.STATUS], everything(plan))),
        "most": MOST_WORKERS if len(workers) > MOST_WORKERS else 0,
        "symptoms": [found for symptom in SYMPTOMS if (found := _symptom(book, symptom)).rows],
        "processes": [_cells(*each) for each in rows.of_processes(book)],
        "index": [_index(plan, section.name, kinds[section.name]) for section in sections],
        "sections": sections,
    }
    return plan.file(PATH, render("runbook/RUNBOOK.md.j2", markdown_text, context))


def _block(lines: list[str]) -> Raw:
    """Lines of a block of code."""
    return Raw("\n".join(lines))


def _cells(*cells: str) -> Raw:
    return Raw(f"| {' | '.join(cells)} |")


def _symptom(book: Book, symptom: Symptom) -> _Table:
    rows = [
        _cells(*map(book.text, (f"{each.text}.", each.see, each.fix)))
        for each in symptom.reasons
        if book.applies(each.only)
    ]
    looks = shell(book, symptom.looks, everything(book.plan))
    return _Table(symptom.name, Raw(symptom.name.lower().replace(" ", "-")), _block(looks), rows)


def _index(plan: Plan, name: str, scopes: list[Scope]) -> Raw:
    severities = sorted({plan.text(scope, "severity") for scope in scopes})
    return _cells(f"[{name}](#{name.lower()})", ", ".join(severities), str(len(scopes)))


def _section(book: Book, name: str, scopes: list[Scope]) -> _Section:
    plan, entry = book.plan, ENTRIES[name]
    about = of_alerts(plan, scopes)
    book = book.of(about.sources)
    first = measured(plan, scopes[0])
    return _Section(
        name=Raw(name),
        means=book.text(entry.means),
        table=[_cells(*cells) for cells in rows.of_alerts(plan, scopes, entry.limit)],
        query=Raw(KINDS[name].expression(first)),
        several=len(scopes) > 1,
        looks=_block(shell(book, entry.looks, about)),
        causes=[
            Raw(f"**{book.text(cause.text)}** {book.text(cause.fix)}")
            for cause in entry.causes
            if book.applies(cause.only)
        ],
        fixes=_block(shell(book, entry.fixes, about)),
        never=[book.text(each.text) for each in entry.never if book.applies(each.only)],
        resolves=book.text(entry.resolves),
    )
