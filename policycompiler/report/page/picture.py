"""A plan as a picture: columns of tasks, queues, workers and hosts, with the ways between them, as SVG."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple
from xml.etree.ElementTree import Element

from policycompiler.plan import Scope
from policycompiler.report.page.graph import Graph, Mark, Node, Task, Way
from policycompiler.report.page.html import anchor, tag
from policycompiler.report.text import clean, counted, width

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
_WIDTHS = {3: (400, 270, 270), 4: (280, 220, 220, 190)}
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


def picture(graph: Graph, name: str, title: str) -> Element:
    """The picture of a plan. `name` is unlike that of any other picture of the page."""
    columns = _columns(graph)
    lines = _lines(graph)
    boxes = _boxes(graph, columns, lines)
    groups = {queue: _group_box(boxes[queue], len(lines[queue]), columns[0]) for queue in lines}
    drawn = [*boxes.values(), *groups.values()]
    marks = {node.scope: node.mark for node in graph.queues}
    right = columns[-1].x + columns[-1].width + 1
    height = int(max((box.y + box.height for box in drawn), default=HEAD)) + 2
    return tag(
        "svg",
        tag("title", title, id=f"{name}-t"),
        tag("desc", _description(graph), id=f"{name}-d"),
        [tag("text", each.title, css="column", x=str(each.x), y="14") for each in columns],
        [_curve(groups[queue], boxes[queue], "", marks[queue]) for queue in groups],
        [_way(way, boxes) for way in graph.ways],
        [_group(queue, lines[queue], groups[queue]) for queue in groups],
        [_node(node, boxes[node.scope]) for node in _nodes(graph)],
        css="picture",
        width=str(right),
        height=str(height),
        viewBox=f"-1 0 {right + 1} {height}",
        role="group",
        data={"aria-labelledby": f"{name}-t {name}-d"},
    )


def _nodes(graph: Graph) -> list[Node]:
    return [*graph.queues, *graph.workers, *graph.hosts]


def _description(graph: Graph) -> str:
    number = sum(map(len, graph.tasks.values()))
    hosts = f" on {counted(len(graph.hosts), 'host')}" if graph.hosts else ""
    told = f"{counted(number, 'task')} in {counted(len(graph.queues), 'queue')}"
    return f"{told}, {counted(len(graph.workers), 'worker')}{hosts}. The sections below list all of them."


def _columns(graph: Graph) -> list[Column]:
    found: list[Column] = []
    for title, wide in zip(_TITLES, _WIDTHS[4 if graph.hosts else 3], strict=False):
        x = found[-1].x + found[-1].width + BETWEEN if found else 0
        found.append(Column(x, wide, title))
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


def _group(queue: Scope, lines: Sequence[Task | str], box: Box) -> Element:
    """The tasks of a queue in one box."""
    return tag("g", _frame(box, "tasks"), _rows(queue, lines, box))


def _rows(queue: Scope, lines: Sequence[Task | str], box: Box) -> Iterator[Element]:
    for number, line in enumerate(lines):
        x, y = box.x + PAD + SIGN, box.y + PAD / 2 + LINE * number + 13
        if isinstance(line, str):
            text = tag("text", line, css="note", x=_n(x), y=_n(y))
            yield tag("a", text, href=f"#{anchor('queue', queue.name)}") if queue.kind == "queue" else text
            continue
        room = box.width - 2 * PAD - SIGN
        name = tag("text", fitted(line.scope.name, room), tag("title", line.scope.name), x=_n(x), y=_n(y))
        sign = tag("text", line.mark.sign, css="sign", x=_n(box.x + PAD), y=_n(y)) if line.mark else None
        clock = _clock(box.x + PAD + 4, y - 4) if line.scheduled and not line.mark else None
        yield tag("g", sign, clock, name, css=f"task {line.mark}".strip())


def _clock(x: float, y: float) -> Element:
    hands = tag("path", d=f"M{_n(x)} {_n(y - 3)}V{_n(y)}H{_n(x + 2.5)}")
    return tag(
        "g", tag("title", "beat sends it"), tag("circle", cx=_n(x), cy=_n(y), r="5"), hands, css="clock"
    )


def _node(node: Node, box: Box) -> Element:
    """A queue, a worker or a host, with a link to its section."""
    x = box.x + PAD
    room = box.width - 2 * PAD - (SIGN if node.mark else 0)
    name = fitted(node.scope.name, room)
    middle = box.y + (18 if node.note else 26)
    drawn = (
        _frame(box, node.scope.kind),
        tag("title", node.scope.name),
        tag("text", name, css="name", x=_n(x), y=_n(middle)),
        tag("text", node.note, css="note", x=_n(x), y=_n(box.y + 34)) if node.note else None,
        tag("text", node.mark.sign, css="sign", x=_n(box.x + box.width - PAD - 8), y=_n(middle))
        if node.mark
        else None,
    )
    css = f"node {node.mark} {'elsewhere' if node.elsewhere else ''}".strip()
    if node.elsewhere or node.mark is Mark.REMOVED:
        return tag("g", *drawn, css=css)
    return tag("a", *drawn, css=css, href=f"#{anchor(node.scope.kind, node.scope.name)}")


def _frame(box: Box, css: str) -> Element:
    return tag(
        "rect",
        css=css,
        x=_n(box.x),
        y=_n(box.y),
        rx="7",
        width=_n(box.width),
        height=_n(box.height),
    )


def _way(way: Way, boxes: Mapping[Scope, Box]) -> Element | None:
    start, end = boxes.get(way.start), boxes.get(way.end)
    return _curve(start, end, way.note, way.mark) if start and end else None


def _curve(start: Box, end: Box, note: str, mark: Mark) -> Element:
    left, right = start.x + start.width, end.x
    half = _n((left + right) / 2)
    above, below = _n(start.middle), _n(end.middle)
    path = f"M{left} {above}C{half} {above} {half} {below} {right} {below}"
    return tag("path", tag("title", note) if note else None, css=f"way {mark}".strip(), d=path)


def fitted(text: str, pixels: float) -> str:
    """A name that fits, without its middle if it is too long: both ends tell names apart."""
    room = int(pixels / CHARACTER)
    shown = clean(text)
    if width(shown) <= room:
        return shown
    head, tail = shown[: room // 3], ""
    for character in reversed(shown):
        if width(f"{head}…{character}{tail}") > room:
            break
        tail = character + tail
    return f"{head}…{tail}"


def _n(value: float) -> str:
    return f"{value:g}"
