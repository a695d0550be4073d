"""A plan as a picture: columns of tasks, queues, workers and hosts, with the ways between them, as SVG."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from xml.etree.ElementTree import Element

from policycompiler.plan import Scope
from policycompiler.report.page.graph import Graph, Mark, Node, Task, Way
from policycompiler.report.page.html import anchor, tag
from policycompiler.report.page.layout import CHARACTER, LINE, PAD, SIGN, Box, layout
from policycompiler.report.text import clean, counted, width


def picture(graph: Graph, name: str, title: str) -> Element:
    """The picture of a plan. `name` is unlike that of any other picture of the page."""
    columns, boxes, groups, lines = found = layout(graph)
    marks = {node.scope: node.mark for node in graph.queues}
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
        width=str(found.width),
        height=str(found.height),
        viewBox=f"-1 0 {found.width + 1} {found.height}",
        role="group",
        data={"aria-labelledby": f"{name}-t {name}-d"},
    )


def _nodes(graph: Graph) -> list[Node]:
    return [*graph.queues, *graph.workers, *graph.hosts]


def _description(graph: Graph) -> str:
    queues, workers, hosts = (
        counted(sum(not node.elsewhere for node in nodes), noun)
        for nodes, noun in ((graph.queues, "queue"), (graph.workers, "worker"), (graph.hosts, "host"))
    )
    tasks = counted(sum(map(len, graph.tasks.values())), "task")
    told = f"{tasks} in {queues}, {workers}" + (f" on {hosts}" if graph.hosts else "")
    return f"{told}. The sections below list all of them."


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
