"""Draws the waits of workers against their traffic, with matplotlib, as SVG or PNG.

The same plan gives the same bytes with the same version of matplotlib. An SVG follows the light or dark
scheme of its reader; a PNG is light.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from policycompiler.interrupts import importing
from policycompiler.quantities import duration, percent
from policycompiler.report.curves import Curves
from policycompiler.report.sizes import SHARES, about, times
from policycompiler.report.text import clean, clipped, counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_Style: TypeAlias = Literal["-", "--", ":"]
Format: TypeAlias = Literal["svg", "png"]
FORMATS: tuple[Format, ...] = ("svg", "png")
MOST_WORKERS = 60
"""More plots in one picture are hard to read, and a PNG has a largest height."""
_INCHES = (4.1, 2.75)
"""The size of the plot of one worker, with its share of the margins."""
_HEAD_INCHES, _FOOT_INCHES, _SIDE_INCHES = 1.25, 0.05, 0.25
_DOTS_PER_INCH = 144
_COLUMNS = 3
_TICKS = 4
_CHARACTER = 0.021
"""The width of a character of a label, as a share of a plot."""
_LONGEST_NAME, _LONGEST_NOTE = 36, 110

_BACK, _TEXT, _CALM, _GRID = "#ffffff", "#1c2430", "#566173", "#d9dee6"
_WAITS = ("#5b93dd", "#2f6fc6", "#123f85")
"""Of p50, p95 and p99: one color, from light to strong, which also differ in gray."""
_PROMISE, _BROKEN = "#8a5300", "#fbeeec"
_BREAKS = "#b02318"
_DARK: Mapping[str, str] = {
    _BACK: "#12161d",
    _TEXT: "#e3e8ef",
    _CALM: "#a3aebd",
    _GRID: "#323b48",
    _WAITS[0]: "#5878ad",
    _WAITS[1]: "#7fa8e8",
    _WAITS[2]: "#c3d9ff",
    _PROMISE: "#e9b65a",
    _BROKEN: "#2b1c20",
    _BREAKS: "#ff9488",
}
"""The colors of readers with a dark scheme."""
_SETTINGS: Mapping[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "policycompiler",
    "svg.id": "plot",
    "text.parse_math": False,
    "font.family": ["DejaVu Sans"],
    "font.size": 9,
    "text.color": _TEXT,
    "axes.edgecolor": _GRID,
    "axes.labelcolor": _CALM,
    "xtick.color": _CALM,
    "ytick.color": _CALM,
    "axes.facecolor": "none",
    "figure.facecolor": _BACK,
}


class MissingLibraryError(Exception):
    """matplotlib is not installed."""


def plot(found: Sequence[Curves], title: str, notes: Sequence[str], kind: Format) -> bytes:
    """The picture of these workers, with notes below the title. Raises `MissingLibraryError`."""
    mpl = importing(_matplotlib)
    with mpl.rc_context(), warnings.catch_warnings():
        # A name may have letters that the font lacks: an SVG has them as text, a PNG as boxes.
        warnings.simplefilter("ignore", UserWarning)
        # The settings of a user must not change the picture.
        mpl.rcdefaults()
        mpl.rcParams.update(_SETTINGS)
        figure = _figure(found, title, notes)
        written = BytesIO()
        # Nothing that differs between two runs or machines.
        absent = {"Date": None, "Creator": None} if kind == "svg" else {"Software": None}
        metadata = {"Title": clean(title), **absent}
        figure.savefig(written, format=kind, dpi=_DOTS_PER_INCH, metadata=metadata)
    return _with_scheme(written.getvalue()) if kind == "svg" else written.getvalue()


def _matplotlib() -> Any:  # noqa: ANN401 - a module
    try:
        import matplotlib as mpl  # noqa: PLC0415 - an extra, and slow to load
        import matplotlib.figure  # noqa: PLC0415
    except ImportError as problem:
        raise MissingLibraryError from problem
    return mpl


def _figure(found: Sequence[Curves], title: str, notes: Sequence[str]) -> Figure:
    """All workers in a grid, below a title and the meaning of lines."""
    from matplotlib.figure import Figure as NewFigure  # noqa: PLC0415 - as above

    # Four are a square.
    columns = 2 if len(found) == 4 else min(_COLUMNS, len(found))  # noqa: PLR2004
    rows = -(-len(found) // columns)
    wide = max(columns, 2) * _INCHES[0] + 2 * _SIDE_INCHES
    high = rows * _INCHES[1] + _HEAD_INCHES + _FOOT_INCHES
    figure = NewFigure(figsize=(wide, high))
    _head(figure, title, notes, wide, high)
    for number, each in enumerate(found):
        row, column = divmod(number, columns)
        cell = (wide - 2 * _SIDE_INCHES) / columns
        left = _SIDE_INCHES + column * cell + 0.62
        bottom = high - _HEAD_INCHES - (row + 1) * _INCHES[1] + 0.5
        size = (cell - 0.85, _INCHES[1] - 1.25)
        axes = figure.add_axes((left / wide, bottom / high, size[0] / wide, size[1] / high))
        _panel(axes, each)
    return figure


def _head(figure: Figure, title: str, notes: Sequence[str], wide: float, high: float) -> None:
    left = _SIDE_INCHES / wide
    figure.text(left, 1 - 0.34 / high, clean(title), fontsize=14, fontweight="bold", va="center")
    x = _SIDE_INCHES
    usual = "How long messages wait if the traffic changes and the slots do not; 1 x is the declared peak"
    told = clipped(clean("; ".join(notes)), _LONGEST_NOTE) or usual
    figure.text(left, 1 - 0.64 / high, told, color=_CALM, va="center")
    y = 1 - 0.96 / high
    for color, style, text in _legend():
        figure.add_artist(_stroke((x / wide, (x + 0.3) / wide), (y, y), color, style))
        figure.text((x + 0.38) / wide, y, text, color=_CALM, va="center")
        x += 0.38 + 0.078 * len(text) + 0.3


def _legend() -> Iterator[tuple[str, _Style, str]]:
    for color, share in zip(_WAITS, SHARES, strict=True):
        yield color, "-", f"wait p{100 * share:.0f}"
    yield _PROMISE, "--", "promise for p99"
    yield _BREAKS, ":", "the promise breaks"


def _stroke(x: tuple[float, float], y: tuple[float, float], color: str, style: _Style) -> Any:  # noqa: ANN401
    from matplotlib.lines import Line2D  # noqa: PLC0415 - as above

    return Line2D(x, y, color=color, linestyle=style, linewidth=2)


def _panel(axes: Axes, each: Curves) -> None:
    axes.set_xlim(0, each.most_traffic)
    axes.set_ylim(0, each.longest)
    axes.set_gid(f"worker-{clean(each.worker)}")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(length=0, labelsize=8)
    axes.grid(visible=True, axis="y", color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    _names(axes, each)
    _ticks(axes, each)
    if each.breaks_at is not None and each.breaks_at < each.most_traffic:
        axes.axvspan(each.breaks_at, each.most_traffic, color=_BROKEN, linewidth=0, zorder=0)
        axes.axvline(each.breaks_at, color=_BREAKS, linestyle=":", linewidth=1.5)
    if each.promise is not None:
        axes.axhline(each.promise, color=_PROMISE, linestyle="--", linewidth=1.5)
    axes.axvline(1, color=_CALM, linewidth=1)
    for color, points, width in zip(_WAITS, each.percentiles, (1.4, 1.6, 2.2), strict=True):
        axes.plot([x for x, _ in points], [y for _, y in points], color=color, linewidth=width)
    if each.today <= each.longest:
        axes.plot(
            [1], [each.today], "o", color=_WAITS[-1], markersize=6, markeredgecolor=_BACK, clip_on=False
        )
    _labels(axes, each)


def _names(axes: Axes, each: Curves) -> None:
    """The worker, and in a few words how it does today."""
    axes.set_title(_short(clean(each.worker)), loc="left", fontsize=10, fontweight="bold", pad=29)
    told = f"{counted(each.slots, 'slot')}, {percent(each.busy)} busy; p99 today: {about(each.today)}"
    axes.text(0, 1.15, told, transform=axes.transAxes, color=_CALM, fontsize=8)


def _short(name: str) -> str:
    """A name that fits above its plot; long names often differ at their ends."""
    half = _LONGEST_NAME // 2
    return name if len(name) <= _LONGEST_NAME else f"{name[: half - 1]}…{name[-half:]}"


def _ticks(axes: Axes, each: Curves) -> None:
    """Parts of the promise as waits, and a few factors of the traffic."""
    step = each.promise / 2 if each.promise else each.longest / 3
    waits = [step * number for number in range(_TICKS)]
    axes.set_yticks(waits, [duration(float(f"{wait:.3g}")) for wait in waits])
    rough = each.most_traffic / _TICKS
    unit = 10 ** math.floor(math.log10(rough))
    wide = next(unit * factor for factor in (1, 2, 2.5, 5, 10) if unit * factor >= rough)
    factors = [wide * number for number in range(int(each.most_traffic / wide) + 1)]
    axes.set_xticks(factors, [f"{factor:g} x" for factor in factors])


def _labels(axes: Axes, each: Curves) -> None:
    """What the vertical lines mean, each beside its line, away from the other one."""
    breaks = each.breaks_at
    other = math.inf if breaks is None else breaks
    _beside(axes, 1, "today", _CALM, right=other < 1, most=each.most_traffic)
    if breaks is not None and breaks < each.most_traffic:
        _beside(
            axes, breaks, f"breaks at {times(breaks)}", _BREAKS, right=breaks >= 1, most=each.most_traffic
        )


def _beside(axes: Axes, x: float, text: str, color: str, *, right: bool, most: float) -> None:
    # Near the left edge there is room on the right only.
    right = right or x < most * _CHARACTER * len(text)
    gap = most * 0.012 * (1 if right else -1)
    axes.text(
        x + gap,
        1.02,
        text,
        color=color,
        fontsize=8,
        va="bottom",
        ha="left" if right else "right",
        transform=axes.get_xaxis_transform(),
    )


def _with_scheme(svg: bytes) -> bytes:
    """The SVG with the colors of a dark scheme, for readers who want one."""
    rules = "".join(
        f'[style*="{name}: {light}"] {{ {name}: {dark} !important; }}\n'
        for light, dark in _DARK.items()
        for name in ("fill", "stroke")
    )
    style = f"<style>@media (prefers-color-scheme: dark) {{\n{rules}}}</style>"
    head, tag, rest = svg.partition(b"<defs>")
    return head + style.encode() + b"\n " + tag + rest
