"""Pages of `report` for tests: made from workloads, and read back with an HTML parser that accepts no error."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import chdir
from datetime import date
from functools import cache, lru_cache
from pathlib import Path
from xml.etree.ElementTree import Element

from html5lib import HTMLParser
from reported import document_of

from policycompiler.comparison import compare
from policycompiler.diagnostics import Diagnostic
from policycompiler.load import load
from policycompiler.plan import APP, Plan
from policycompiler.report.page import Before, Subject, page
from policycompiler.sides import Side, read_side

TODAY = date(2026, 11, 21)

BUSY = """\
version: 1
service: depot
app: depot.app:app
owner: stock
broker: {transport: redis, url: '${CELERY_BROKER_URL}'}
hosts:
  alpha: {cores: 8, memory: 16GiB, workers: {orders: 2, slow: 1}}
  beta: {cores: 8, memory: 4GiB, workers: {orders: 1}}
queues:
  elsewhere: {external: true}
workers:
  orders: {queues: [orders, returns], concurrency: 2, memory: 1GiB}
  slow: {queues: [slow]}
defaults: {latency: standard, work: io, idempotent: true, runtime: 1s, rate: 1/m, result: ignore}
tasks:
  depot.orders.place: {queue: orders}
  depot.orders.cancel: {queue: orders}
  depot.returns.accept: {queue: returns}
  depot.slow.count: {queue: slow}
  depot.billing.pay: {queue: elsewhere, external: true}
schedules:
  early: {task: depot.orders.place, cron: "0 6 * * *", expires: 5m}
  early-too: {task: depot.orders.cancel, cron: "0 6,18 * * 1-5", expires: 5m}
  weekend: {task: depot.orders.cancel, cron: "0 18 * * 0,6", expires: 5m}
  far: {task: depot.orders.place, cron: "0 6 * * *", timezone: Asia/Tokyo, expires: 5m}
  other-queue: {task: depot.returns.accept, cron: "0 6 * * *", expires: 5m}
  often: {task: depot.slow.count, every: 5m, expires: 4m}
waivers: []
"""
"""Hosts, a queue of another app, schedules that meet and schedules that do not."""

BEFORE = (
    BUSY.replace("  depot.orders.cancel: {queue: orders}", "  depot.orders.cancel: {queue: slow}")
    .replace(
        "  depot.slow.count: {queue: slow}", "  depot.slow.count: {queue: slow}\n  depot.gone: {queue: slow}"
    )
    .replace("concurrency: 2", "concurrency: 4")
)
"""The same before a task moved, another one was removed, and a worker shrank."""


def side(text: str) -> Side:
    """A workload as a side that has a plan."""
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        Path("depot.yaml").write_text(text, encoding="utf-8")
        found = read_side("depot.yaml", today=TODAY)
    assert found.plan is not None, found.compilation
    return found


def subject(found: Side) -> Subject:
    """What the page of a side is about."""
    assert found.plan is not None
    assert found.document is not None
    made = found.compilation.diagnostics if found.compilation else None
    return Subject(found.label, found.plan.text(APP, "service"), found.plan, found.document, made)


@cache
def page_of(text: str, before: str = "") -> str:
    """The page of a workload, compared with another one where there is one."""
    new = side(text)
    if not before:
        return page(subject(new))
    old = side(before)
    assert old.plan is not None
    return page(subject(new), Before(old.plan, compare(old, new, environment=None, today=TODAY).reviewed))


def page_of_plan(plan: Plan, findings: Sequence[Diagnostic] | None = None) -> str:
    """The page of a plan without sources, or with findings about the file of `reported`."""
    document = load([])[0] if findings is None else document_of()
    return page(Subject("plan.json", "depot", plan, document, findings))


@lru_cache(maxsize=8)
def read(html: str) -> Element:
    """The tree that a browser would make of a page, without namespaces; a mistake in the page raises.

    Tests share it, so they do not change it.
    """
    tree = HTMLParser(strict=True).parse(html)
    for element in tree.iter():
        element.tag = str(element.tag).rpartition("}")[2]
    return tree


def text(element: Element) -> str:
    """The text in an element, in one line."""
    return " ".join("".join(element.itertext()).split())


def with_class(tree: Element, name: str) -> Iterator[Element]:
    """The elements of a class."""
    return (each for each in tree.iter() if name in (each.get("class") or "").split())


def with_id(tree: Element, name: str) -> Element:
    """The one element with an id."""
    (found,) = (each for each in tree.iter() if each.get("id") == name)
    return found
