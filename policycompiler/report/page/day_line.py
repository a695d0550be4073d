"""Schedules on lines of a day: one lane each, with the minutes at which several reach one queue."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from xml.etree.ElementTree import Element

from policycompiler.plan import Plan, Scope
from policycompiler.report.change_titles import when
from policycompiler.report.page.due import DAY, Collision, Lane, across, collisions, lanes
from policycompiler.report.page.html import Part, anchor, code, joined, link, tag
from policycompiler.report.text import counted

SPARSE = 150
"""Strokes on a line that stay apart at full width."""
MOST_TIMES = 6
"""Times of day that a sentence names."""
MOST_COLLISIONS = 50
_HEIGHT = 20


def day_lines(plan: Plan) -> Iterator[Element]:
    """For each time zone: a heading, a lane for each schedule, and its collisions."""
    zones = lanes(plan)
    for zone, found in zones.items():
        met = collisions(found)
        hit: dict[Scope, set[int]] = {}
        for each in met:
            for schedule in each.schedules:
                hit.setdefault(schedule, set()).update(each.minutes)
        yield tag("h3", f"Times of day in {zone}" if zone else "Without a time of day")
        if not zone:
            yield tag(
                "p", "Beat counts intervals from its start, and the sun decides solar events.", css="note"
            )
        lines = [_item(plan, lane, hit.get(lane.schedule, set())) for lane in found]
        yield tag("ol", _hours() if zone else None, lines, css="lanes")
        if zone:
            yield from _collisions(met)
    yield from _across(across(zones))


def _hours() -> Element:
    marks = [tag("span", f"{hour:02}", css="hour") for hour in range(0, 25, 3)]
    return tag("li", tag("span", marks, css="hours"), css="lane axis", data={"aria-hidden": "true"})


def _item(plan: Plan, lane: Lane, hit: set[int]) -> Element:
    schedule = lane.schedule
    values = {key: plan.get(schedule, key) for key in ("every_seconds", "cron", "solar")}
    task = str(plan.get(schedule, "task"))
    return tag(
        "li",
        tag("span", code(schedule.name), " ", tag("small", when(values)), css="who"),
        tag("span", code(task), " in ", _queue(lane.queue), css="what"),
        _line(lane, hit),
        css="lane",
        id=anchor("schedule", schedule.name),
    )


def _queue(queue: Scope) -> Part:
    return link("queue", queue.name) if queue.kind == "queue" else queue.name


def _line(lane: Lane, hit: set[int]) -> Element:
    """A day as a line. It stretches with the page, and a run is as wide on a phone."""
    alone = [minute for minute in lane.minutes if minute not in hit]
    told = f"{counted(len(lane.minutes), 'time')} a day" if lane.minutes else "at any time of day"
    return tag(
        "svg",
        tag("title", told + (f", {counted(len(hit), 'time')} together with others" if hit else "")),
        tag("path", css="grid", d="".join(f"M{60 * hour} 0V{_HEIGHT}" for hour in range(0, 25, 3))),
        tag("path", css="any", d=f"M0 {_HEIGHT // 2}H{DAY}") if not lane.minutes else None,
        _marks(alone, "run", 4),
        _marks(sorted(hit), "hit", 0),
        role="img",
        viewBox=f"0 0 {DAY} {_HEIGHT}",
        preserveAspectRatio="none",
    )


def _marks(minutes: Sequence[int], css: str, top: int) -> Element | None:
    """A stroke for each minute; consecutive minutes are one band."""
    runs = [
        [minute for _, minute in found] for _, found in groupby(enumerate(minutes), lambda e: e[1] - e[0])
    ]
    path = "".join(
        f"M{run[0]} {top}V{_HEIGHT - top}" + (f"H{run[-1] + 1}V{top}Z" if len(run) > 1 else "")
        for run in runs
    )
    dense = " dense" if len(runs) > SPARSE else ""
    return tag("path", css=css + dense, d=path) if path else None


def _collisions(met: Sequence[Collision]) -> Iterator[Element]:
    if not met:
        yield tag("p", "No two of them reach one queue at the same minute.", css="note")
        return
    yield tag("p", "These reach one queue at the same minute, on all days or on some:", css="note")
    yield tag("ul", [tag("li", _told(each)) for each in met[:MOST_COLLISIONS]], css="collisions")
    if len(met) > MOST_COLLISIONS:
        yield tag("p", f"And {len(met) - MOST_COLLISIONS} more with fewer schedules or as many.", css="note")


def _across(met: Sequence[tuple[Collision, list[str]]]) -> Iterator[Element]:
    if met:
        yield tag("h3", "Across time zones")
        yield tag(
            "p", "These reach one queue at the same minute, with the clocks of these months:", css="note"
        )
        told = [tag("li", _told(each, f" UTC ({' and '.join(months)})")) for each, months in met]
        yield tag("ul", told[:MOST_COLLISIONS], css="across")


def _told(each: Collision, zone: str = "") -> list[Part]:
    names = joined([link("schedule", schedule.name) for schedule in each.schedules])
    number = counted(len(each.schedules), "schedule")
    return [_queue(each.queue), f" gets {number} at {_times(each.minutes)}{zone}: ", *names]


def _times(minutes: Sequence[int]) -> str:
    shown = ", ".join(f"{minute // 60:02}:{minute % 60:02}" for minute in minutes[:MOST_TIMES])
    others = len(minutes) - MOST_TIMES
    return f"{shown} and {others} more" if others > 0 else shown
