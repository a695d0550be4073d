"""A plan as one page: a picture, numbers with reasons, schedules, alerts and findings.

The page has no script and loads nothing. The same plan and sources give the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from xml.etree.ElementTree import Element

from policycompiler.plan import APP, Plan
from policycompiler.report.findings import UNKNOWN
from policycompiler.report.located import Program
from policycompiler.report.page import sections, workers
from policycompiler.report.page.changes import changes, pictures
from policycompiler.report.page.html import Part, code, document, figures, tag
from policycompiler.report.page.subject import Before, Subject
from policycompiler.report.text import clean
from policycompiler.review.facts.sizes import total

__all__ = ["Before", "Subject", "page"]


def page(subject: Subject, before: Before | None = None, program: Program = UNKNOWN) -> str:
    """The page of a plan, ending with a newline; with `before`, of its changes too."""
    plan = subject.plan
    parts = [
        *([changes(before)] if before else []),
        pictures(subject, before),
        sections.findings(subject, program),
        workers.capacity(plan),
        workers.workers(subject),
        sections.queues(plan),
        sections.schedules(plan),
        sections.alerts(plan),
    ]
    body = tag(
        "body",
        tag("a", "Skip to the content", href="#content", css="skip"),
        tag("header", tag("h1", subject.name), tag("p", *_from(subject, before), css="note"), _numbers(plan)),
        tag("nav", tag("ul", [_entry(part) for part in parts]), data={"aria-label": "Contents"}),
        tag("main", parts, id="content", tabindex="-1"),
        tag("footer", tag("p", f"Made by policycompiler {program.version}.".replace("  ", " "))),
    )
    return document(f"{clean(subject.name)}: deployment report", _style(), body)


def _from(subject: Subject, before: Before | None) -> Iterator[Part]:
    yield "Deployment report of "
    yield code(subject.label)
    if before is not None:
        yield ", compared with "
        yield code(before.reviewed.old.label)


def _entry(part: Element) -> Element:
    return tag("li", tag("a", "".join(part[0].itertext()), href=f"#{part.get('id')}"))


def _numbers(plan: Plan) -> Element:
    """What the service consists of, in a few figures."""
    whole = total(plan, plan).after
    kinds = ("task", "queue", "worker", "schedule", "alert")
    counts: list[tuple[Part, Part]] = [(f"{kind}s", str(len(plan.scopes(kind)))) for kind in kinds]
    counts[3:3] = [("processes", str(whole.replicas)), ("slots", str(whole.slots))]
    broker = plan.broker.label if plan.get(APP, "broker_transport") is not None else ""
    return figures([*counts, *([("broker", broker)] if broker else [])], css="numbers")


@cache
def _style() -> str:
    return (files(__name__) / "page.css").read_text(encoding="utf-8")
