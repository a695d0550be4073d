"""The picture has everything in its column, nothing over anything else, and a line for each way."""

from __future__ import annotations

import re
from functools import cache
from itertools import combinations
from xml.etree.ElementTree import Element

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pages import BEFORE, BUSY, page_of, page_of_plan, read, text, with_class, with_id
from plans import plan_of

from policycompiler.plan import Plan
from policycompiler.report.page.layout import CHARACTER
from policycompiler.report.page.picture import fitted
from policycompiler.report.text import width


def many(tasks: int, queues: int) -> Plan:
    """A plan of so many tasks in so many queues, two queues a worker."""
    return plan_of(
        {
            "app": {"broker_transport": "redis"},
            **{
                f"task:depot.task_{number:05}": {"queue": f"q{number % queues:03}"} for number in range(tasks)
            },
            **{f"queue:q{number:03}": {"workers": [f"w{number // 2:03}"]} for number in range(queues)},
            **{
                f"worker:w{number:03}": {"replicas": 1, "concurrency": 2}
                for number in range((queues + 1) // 2)
            },
        }
    )


def pictures(html: str) -> list[Element]:
    return list(with_class(read(html), "picture"))


def boxes(picture: Element) -> list[tuple[float, float, float, float]]:
    """Left, top, right and bottom of each box."""
    found = []
    for each in picture.iter("rect"):
        x, y, wide, high = (float(each.get(name)) for name in ("x", "y", "width", "height"))
        found.append((x, y, x + wide, y + high))
    return found


@cache
def html_of(case: str) -> str:
    """A page with one picture or two."""
    match case:
        case "hosts":
            return page_of(BUSY)
        case "comparison":
            return page_of(BUSY, BEFORE)
    tasks, queues = map(int, case.split(" tasks in "))
    return page_of_plan(many(tasks, queues))


CASES = ("hosts", "comparison", "3 tasks in 1", "300 tasks in 40", "0 tasks in 5")


@pytest.mark.parametrize("case", CASES)
def test_no_box_covers_another_and_all_are_inside(case):
    for picture in pictures(html_of(case)):
        left, top, wide, high = map(float, picture.get("viewBox").split())
        found = boxes(picture)
        for one, other in combinations(found, 2):
            apart = one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
            assert apart, (one, other)
        assert all(left <= x and top <= y and r <= left + wide and b <= top + high for x, y, r, b in found)


@pytest.mark.parametrize("case", CASES)
def test_each_text_is_in_a_box_or_names_a_column(case):
    for picture in pictures(html_of(case)):
        found = boxes(picture)
        for each in picture.iter("text"):
            x, y = float(each.get("x")), float(each.get("y"))
            own = "".join([each.text or "", *(child.tail or "" for child in each)])
            right = x + CHARACTER * width(own)
            inside = any(left <= x and top < y < bottom and right <= r for left, top, r, bottom in found)
            assert inside or each.get("class") == "column", own


@pytest.mark.parametrize("case", CASES)
def test_each_way_begins_and_ends_at_the_middle_of_a_box(case):
    for picture in pictures(html_of(case)):
        starts = {(right, (top + bottom) / 2) for _, top, right, bottom in boxes(picture)}
        ends = {(left, (top + bottom) / 2) for left, top, _, bottom in boxes(picture)}
        for each in with_class(picture, "way"):
            numbers = [float(number) for number in re.findall(r"[\d.]+", each.get("d"))]
            assert (numbers[0], numbers[1]) in starts
            assert (numbers[-2], numbers[-1]) in ends


def test_everything_is_in_the_picture_and_leads_to_its_section():
    (picture,) = pictures(html_of("hosts"))
    links = {each.get("href") for each in with_class(picture, "node")}
    for kind, names in {
        "queue": ("orders", "returns", "slow", "elsewhere", "depot.standard.io"),
        "worker": ("orders", "slow", "depot.standard.io"),
        "host": ("alpha", "beta"),
    }.items():
        assert {f"#{kind}:{name}" for name in names} <= links
    tasks = {text(each.find("text")) for each in with_class(picture, "task")}
    assert len(tasks) == 5
    # Five queues with a consumer each, of them one elsewhere; tasks in four; three placements.
    assert sum(1 for _ in with_class(picture, "way")) == 5 + 4 + 3
    assert "other apps" in text(picture)
    assert sum(1 for _ in with_class(picture, "clock")) == 4


def test_a_queue_that_nobody_consumes_is_told():
    plan = plan_of({"app": {"broker_transport": "redis"}, "queue:lost": {"workers": []}})
    assert "no worker" in text(pictures(page_of_plan(plan))[0])


def test_many_tasks_are_counted_and_none_is_missing():
    html = html_of("300 tasks in 40")
    (picture,) = pictures(html)
    named = sum(1 for _ in with_class(picture, "task"))
    others = sum(int(found) for found in re.findall(r"and (\d+) more", text(picture)))
    assert named + others == 300
    assert named <= 80
    assert "depot.task_00299" in text(with_id(read(html), "queues"))


def test_a_comparison_marks_what_changed_on_both_sides():
    before, after = pictures(html_of("comparison"))
    marks = {
        side: {
            (text(each[-1][0]), mark)
            for each in with_class(picture, "task")
            for mark in ("added", "removed", "changed")
            if mark in each.get("class").split()
        }
        for side, picture in (("before", before), ("after", after))
    }
    assert marks == {
        "before": {("depot.gone", "removed"), ("depot.orders.cancel", "removed")},
        "after": {("depot.orders.cancel", "added")},
    }
    changed = [each for each in with_class(after, "node") if "changed" in each.get("class").split()]
    assert {text(each.find("title")) for each in changed} == {"orders"}
    # A sign, so that no color is needed.
    assert [text(each) for each in with_class(changed[0], "sign")] == ["~"]


def test_a_reader_hears_what_the_picture_shows():
    (picture,) = pictures(html_of("hosts"))
    named = picture.get("aria-labelledby").split()
    assert [text(with_id(picture, each)) for each in named] == [
        "Tasks, queues and workers",
        "5 tasks in 5 queues, 3 workers on 2 hosts. The sections below list all of them.",
    ]


@given(st.text(max_size=60), st.integers(min_value=40, max_value=400))
def test_a_name_is_cut_to_its_room_and_keeps_both_ends(name, pixels):
    shown = fitted(name, pixels)
    assert width(shown) * CHARACTER <= pixels or width(shown) <= int(pixels / CHARACTER)
    if "…" in shown and "…" not in name:
        head, _, tail = shown.partition("…")
        assert head
        assert tail
