"""A comparison on the page: the pictures before and after, each change, and the steps of the rollout."""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree.ElementTree import Element

from policycompiler.plan import Scope
from policycompiler.report.change_titles import following, likewise, silent, title
from policycompiler.report.page.graph import Graph, Mark, Node, graph
from policycompiler.report.page.html import Part, more, prose, scroll, section, table, tag
from policycompiler.report.page.picture import picture
from policycompiler.report.page.subject import Before, Subject
from policycompiler.report.review import Shown, answer_line, doubts, shown, verdict, where
from policycompiler.report.size_changes import size_rows
from policycompiler.report.sizes import HEADER
from policycompiler.report.text import counted
from policycompiler.review import Step


def pictures(subject: Subject, before: Before | None) -> Element:
    """The picture of the plan; in a comparison also that of the plan before, with what changed in both."""
    now = graph(subject.plan)
    told = tag(
        "p", "A clock marks a task that beat sends. Each queue and worker leads to its section.", css="note"
    )
    if before is None:
        return section(
            "topology", "From task to host" if now.hosts else "From task to worker", _drawn(now, "now"), told
        )
    old = graph(before.plan)
    changed = {change.scope for change in before.reviewed.review.changes if not silent(change)}
    signs = [
        tag("li", tag("span", mark.sign, css=f"sign {mark}"), f" {mark}", css=mark)
        for mark in (Mark.ADDED, Mark.REMOVED, Mark.CHANGED)
    ]
    return section(
        "topology",
        "Before and after",
        tag("ul", signs, css="legend"),
        tag("h3", "Before: ", before.reviewed.old.label),
        _drawn(marked(old, now, changed, Mark.REMOVED), "before"),
        tag("h3", "After: ", subject.label),
        _drawn(marked(now, old, changed, Mark.ADDED), "after"),
        told,
    )


def _drawn(found: Graph, name: str) -> list[Element]:
    hint = tag("p", "The picture scrolls sideways.", css="note hint")
    return [hint, scroll("Picture of the plan", picture(found, name, "Tasks, queues and workers"))]


def marked(found: Graph, other: Graph, changed: Iterable[Scope], absent: Mark) -> Graph:
    """The graph with a mark on what the other does not have (`absent`), and on what changed.

    A task that moves to another queue is absent from its queue in the other graph.
    """
    those = {*changed}
    nodes = {node.scope for each in (other.queues, other.workers, other.hosts) for node in each}
    tasks = {(queue, task.scope) for queue, each in other.tasks.items() for task in each}
    ways = {(way.start, way.end) for way in other.ways}

    def mark(scope: Scope, *, known: bool) -> Mark:
        return absent if not known else Mark.CHANGED if scope in those else Mark.SAME

    def all_of(found: Iterable[Node]) -> list[Node]:
        return [node._replace(mark=mark(node.scope, known=node.scope in nodes)) for node in found]

    return Graph(
        {
            queue: [task._replace(mark=mark(task.scope, known=(queue, task.scope) in tasks)) for task in each]
            for queue, each in found.tasks.items()
        },
        all_of(found.queues),
        all_of(found.workers),
        all_of(found.hosts),
        [way if (way.start, way.end) in ways else way._replace(mark=absent) for way in found.ways],
    )


def changes(before: Before) -> Element:
    """Each change with its risk and reason, and what deploys them."""
    reviewed = before.reviewed
    words, counts = verdict(reviewed.review, reviewed.new.errors)
    risky, safe, silent_ones = shown(reviewed)
    more_of_them = tag("p", f"{following(silent_ones)}.", css="note") if silent_ones else None
    steps = [_step(step) for step in reviewed.review.steps]
    return section(
        "changes",
        "Changes",
        tag("p", tag("strong", words), f" · {counts}" if counts else None),
        [tag("p", each, css="note") for each in doubts(reviewed) if each],
        tag("ul", [_change(before, each) for each in (*risky, *safe)], css="cards"),
        more_of_them,
        _sizes(before),
        more([counted(len(steps), "rollout step")], tag("ol", steps)) if steps else None,
    )


def _sizes(before: Before) -> Element | None:
    """The workers whose sizes differ, before → after."""
    rows = size_rows(before.reviewed.review)
    if not rows:
        return None
    return tag("div", tag("h3", "Sizes"), table("Sizes before and after", HEADER, rows))


def _change(before: Before, each: Shown) -> Element:
    change = each.change
    place = where(before.reviewed.new, change.new_path) or where(before.reviewed.old, change.old_path)
    badge = tag("span", change.risk, css=f"badge {change.risk}")
    answer = answer_line(each.answer)
    others: list[Part] = prose(likewise(each.alike))
    return tag(
        "li",
        tag("h3", badge, " ", *prose(title(change)), *others),
        tag("p", *prose(change.because)) if change.because else None,
        tag("p", answer) if answer else None,
        tag("ul", tag("li", tag("code", place)), css="places") if place else None,
    )


def _step(step: Step) -> Element:
    return tag("li", tag("strong", *prose(step.action)), f" ({step.phase}). ", *prose(step.why))
