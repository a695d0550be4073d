"""Where each part of a picture stands: columns as wide as their names, nothing over anything else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from policycompiler.plan import Scope
from policycompiler.report.page.graph import Graph, Node, Task, Way
from policycompiler.report.text import clean, width

CHARACTER = 7.3
"""Pixels of a character in a name: the font has one width."""
LINE, PAD, HEAD = 18, 10, 28
"""Pixels: of a line of text, of the margin of a box, of the titles of the columns."""
NODE_HEIGHT, GAP, BETWEEN = 42, 14, 52
"""Pixels: of a box, between two boxes, between two columns."""
SIGN = 16
"""Pixels of the margin with the sign of a change, or the clock of a task that beat sends."""
MOST_LINES = 60
"""Lines of tasks in a picture; with more tasks, each queue shows fewer of them, and their number."""
LEAST_OF_A_QUEUE, MOST_OF_A_QUEUE = 2, 8
_TITLES = ("tasks", "queues", "workers", "hosts")
_NARROWEST = 160
_WIDEST = {3: (400, 270, 270), 4: (280, 220, 220, 190)}
"""Pixels, by the number of columns: all of them fit into the page of a desktop."""


class Box(NamedTuple):
    """Where something is drawn, in pixels."""

    x: int
    y: float
    width: int
    height: int

    @property
    def middle(self) -> float:
        """The height of its middle."""
        return self.y + self.height / 2


class Column(NamedTuple):
    """The left edge and the width of a column, in pixels, and its title."""

    x: int
    width: int
    title: str


class Layout(NamedTuple):
    """The columns, the boxes of queues, workers and hosts, and the box of the tasks of each queue.

    `lines` are its tasks, or some of them and the number of the others.
    """

    columns: Sequence[Column]
    boxes: Mapping[Scope, Box]
    groups: Mapping[Scope, Box]
    lines: Mapping[Scope, Sequence[Task | str]]

    @property
    def width(self) -> int:
        """Pixels."""
        return self.columns[-1].x + self.columns[-1].width + 1

    @property
    def height(self) -> int:
        """Pixels."""
        drawn = (*self.boxes.values(), *self.groups.values())
        return int(max((box.y + box.height for box in drawn), default=HEAD)) + 2


def layout(graph: Graph) -> Layout:
    """The layout of a picture."""
    lines = _lines(graph)
    columns = _columns(graph, lines)
    boxes = _boxes(graph, columns, lines)
    groups = {queue: _group_box(boxes[queue], len(lines[queue]), columns[0]) for queue in lines}
    return Layout(columns, boxes, groups, lines)


def _columns(graph: Graph, lines: Mapping[Scope, Sequence[Task | str]]) -> list[Column]:
    tasks = (each if isinstance(each, str) else each.scope.name for found in lines.values() for each in found)
    nodes = [graph.queues, graph.workers, *([graph.hosts] if graph.hosts else [])]
    texts = [tasks, *((text for node in each for text in (node.scope.name, node.note)) for each in nodes)]
    found: list[Column] = []
    for title, each, widest in zip(_TITLES, texts, _WIDEST[len(texts)], strict=False):
        x = found[-1].x + found[-1].width + BETWEEN if found else 0
        wanted = CHARACTER * max((width(clean(text)) for text in each), default=0) + 2 * PAD + SIGN + 2
        found.append(Column(x, round(min(max(wanted, _NARROWEST), widest)), title))
    return found


def _boxes(
    graph: Graph, columns: Sequence[Column], lines: Mapping[Scope, Sequence[Task | str]]
) -> dict[Scope, Box]:
    """The boxes of queues, workers and hosts; each worker stands beside its queues, each host likewise."""
    boxes: dict[Scope, Box] = {}
    top: float = HEAD
    for node in graph.queues:
        band = max(NODE_HEIGHT, LINE * len(lines.get(node.scope, ())) + PAD)
        boxes[node.scope] = Box(columns[1].x, top + (band - NODE_HEIGHT) / 2, columns[1].width, NODE_HEIGHT)
        top += band + GAP
    boxes |= _beside(graph.workers, graph.ways, boxes, columns[2])
    if graph.hosts:
        boxes |= _beside(graph.hosts, graph.ways, boxes, columns[3])
    return boxes


def _beside(
    nodes: Sequence[Node], ways: Iterable[Way], boxes: Mapping[Scope, Box], column: Column
) -> dict[Scope, Box]:
    """The boxes of a column, each as close to the middle of where its ways start as the others allow."""
    starts: dict[Scope, list[float]] = {}
    for way in ways:
        if way.start in boxes:
            starts.setdefault(way.end, []).append(boxes[way.start].middle)
    last = max((box.middle for box in boxes.values()), default=HEAD)
    wanted = {
        node.scope: sum(found) / len(found) if (found := starts.get(node.scope)) else last for node in nodes
    }
    placed: dict[Scope, Box] = {}
    top: float = HEAD
    for scope in sorted(wanted, key=lambda each: (wanted[each], each)):
        top = max(top, wanted[scope] - NODE_HEIGHT / 2)
        placed[scope] = Box(column.x, top, column.width, NODE_HEIGHT)
        top += NODE_HEIGHT + GAP
    return placed


def _lines(graph: Graph) -> dict[Scope, list[Task | str]]:
    """The lines of each queue: its tasks, or some of them and the number of the others."""
    number = sum(map(len, graph.tasks.values()))
    each = MOST_LINES // max(len(graph.tasks), 1)
    most = number if number <= MOST_LINES // 2 else max(LEAST_OF_A_QUEUE, min(MOST_OF_A_QUEUE, each))
    return {queue: _shortened(tasks, most) for queue, tasks in graph.tasks.items()}


def _shortened(tasks: Sequence[Task], most: int) -> list[Task | str]:
    if len(tasks) <= most:
        return list(tasks)
    # Those that a comparison is about come first.
    shown = sorted(tasks, key=lambda task: not task.mark)[: most - 1]
    marks = Counter(task.mark.value for task in tasks if task.mark and task not in shown)
    told = ", ".join(f"{number} {mark}" for mark, number in sorted(marks.items()))
    return [*sorted(shown), f"and {len(tasks) - len(shown)} more" + (f" ({told})" if told else "")]


def _group_box(queue: Box, lines: int, column: Column) -> Box:
    height = LINE * lines + PAD
    return Box(column.x, queue.middle - height / 2, column.width, height)
