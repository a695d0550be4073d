"""Elements of HTML and SVG: all text in them is escaped, printable and without secrets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias
from urllib.parse import quote
from xml.etree.ElementTree import Element, tostring

from policycompiler.report.text import clean

Part: TypeAlias = "Element | str | None"
"""A child of an element; None is left out."""

_RULES = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""No script, no image, no font, no request: a browser refuses what the page itself never asks for."""


def tag(
    name: str,
    *parts: Part | Iterable[Part],
    css: str = "",
    data: Mapping[str, str] | None = None,
    **more: str,
) -> Element:
    """An element. `css` are its classes; `data` are attributes whose names are not names in Python.

    An attribute without text is left out.
    """
    attributes = {"class": css, **more, **(data or {})}
    found = Element(name, {key: clean(value) for key, value in attributes.items() if value})
    for part in parts:
        for each in (part,) if part is None or isinstance(part, str | Element) else part:
            _add(found, each)
    return found


def _add(parent: Element, part: Part) -> None:
    if isinstance(part, Element):
        parent.append(part)
    elif part:
        last = parent[-1] if len(parent) else None
        if last is None:
            parent.text = (parent.text or "") + clean(part)
        else:
            last.tail = (last.tail or "") + clean(part)


def anchor(kind: str, name: str) -> str:
    """The id of the part about a thing: whatever its name holds, a link finds it."""
    return f"{kind}:{quote(clean(name), safe='.:')}"


def link(kind: str, name: str, *parts: Part) -> Element:
    """A link to the part about a thing; without parts, it shows the name."""
    return tag("a", *(parts or (code(name),)), href=f"#{anchor(kind, name)}")


def code(text: str) -> Element:
    """A name or a value, as a program writes it."""
    return tag("code", text)


def prose(text: str) -> list[Part]:
    """A sentence whose names and values stand between backticks."""
    parts = clean(text).split("`")
    # A backtick without its partner is a backtick.
    parts[len(parts) - 2 :] = ["`".join(parts[len(parts) - 2 :])] if len(parts) % 2 == 0 else parts[-2:]
    return [code(part) if number % 2 else part for number, part in enumerate(parts)]


def joined(parts: Iterable[Part], between: str = ", ") -> list[Part]:
    """The parts with a text between each two."""
    return [each for part in parts for each in (between, part)][1:]


def figures(pairs: Iterable[tuple[Part, Part | Iterable[Part]]], *, css: str) -> Element:
    """Names with their values."""
    return tag("dl", [tag("div", tag("dt", name), tag("dd", value)) for name, value in pairs], css=css)


def more(summary: Iterable[Part], *parts: Part | Iterable[Part], at: str = "") -> Element:
    """A part that opens by a click, or by Enter; `at` is its id."""
    return tag("details", tag("summary", summary), *parts, id=at)


def table(label: str, head: Iterable[Part], rows: Iterable[Iterable[Part]]) -> Element:
    """A table that scrolls in its own box; the first cell of a row names it."""
    top = tag("thead", tag("tr", [tag("th", each, scope="col") for each in head]))
    body = tag("tbody", [_row(row) for row in rows])
    return scroll(label, tag("table", top, body))


def _row(cells: Iterable[Part]) -> Element:
    first, *others = cells
    return tag("tr", tag("th", first, scope="row"), [tag("td", each) for each in others])


def scroll(label: str, part: Element) -> Element:
    """A box of its own for what may be wider than a phone; the keyboard can scroll it."""
    return tag("div", part, css="scroll", role="group", tabindex="0", data={"aria-label": label})


def section(name: str, title: str, *parts: Part | Iterable[Part]) -> Element:
    """A section with a heading that the table of contents links to."""
    heading = tag("h2", title, id=f"{name}-title")
    return tag("section", heading, *parts, id=name, data={"aria-labelledby": f"{name}-title"})


def document(title: str, style: str, body: Element) -> str:
    """A whole page. `style` is our own text: it is not escaped."""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", content=_RULES, data={"http-equiv": "Content-Security-Policy"}),
        tag("meta", data={"name": "viewport", "content": "width=device-width, initial-scale=1"}),
        tag("meta", data={"name": "color-scheme", "content": "light dark"}),
        tag("title", title),
    )
    sheet = Element("style")
    sheet.text = style
    head.append(sheet)
    root = tag("html", head, body, lang="en")
    return f"<!doctype html>\n{tostring(root, encoding='unicode', method='html')}\n"
