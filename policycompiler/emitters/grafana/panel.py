"""Panels of Grafana as plain data. Each has a title, a unit, and queries of one data source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

Data: TypeAlias = dict[str, object]

WIDTH = 24
"""The columns of a dashboard."""
HEIGHT = 8
ROW_HEIGHT = 1
DATASOURCE: Mapping[str, object] = {"type": "prometheus", "uid": "${datasource}"}
_GREEN, _ORANGE, _RED = "green", "orange", "red"


class Query(NamedTuple):
    """A query, and the name of its series."""

    expression: str
    legend: str


class Panel(NamedTuple):
    """A panel. `kind` is `timeseries`, `stat` or `table`.

    `lines` are thresholds, best first. A value is bad from the last one on; if `rising`, below the only one.
    """

    kind: str
    title: str
    says: str
    unit: str
    queries: Sequence[Query]
    lines: Sequence[float] = ()
    rising: bool = False
    width: int = WIDTH // 2


class Row(NamedTuple):
    """A row of panels below a title."""

    title: str
    panels: Sequence[Panel]


def laid_out(rows: Sequence[Row]) -> list[Data]:
    """The rows and their panels with ids and places, from left to right and from top to bottom."""
    found: list[Data] = []
    top = 0
    for row in rows:
        place = {"h": ROW_HEIGHT, "w": WIDTH, "x": 0, "y": top}
        found.append(
            {
                "type": "row",
                "id": len(found) + 1,
                "title": row.title,
                "collapsed": False,
                "gridPos": place,
                "panels": [],
            }
        )
        top += ROW_HEIGHT
        left = 0
        for panel in row.panels:
            if left + panel.width > WIDTH:
                left, top = 0, top + HEIGHT
            place = {"h": HEIGHT, "w": panel.width, "x": left, "y": top}
            found.append({"id": len(found) + 1, "gridPos": place, **_data(panel)})
            left += panel.width
        top += HEIGHT
    return found


def _data(panel: Panel) -> Data:
    instant = panel.kind == "table"
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.says,
        "datasource": DATASOURCE,
        "targets": [
            {
                "datasource": DATASOURCE,
                "refId": _name_of(number),
                "expr": query.expression,
                "legendFormat": query.legend,
                "editorMode": "code",
                "format": "table" if instant else "time_series",
                "instant": instant,
                "range": not instant,
            }
            for number, query in enumerate(panel.queries)
        ],
        "options": _OPTIONS[panel.kind],
        "fieldConfig": {
            "defaults": {
                "unit": panel.unit,
                "thresholds": _thresholds(panel),
                "color": {"mode": "thresholds" if panel.kind == "stat" else "palette-classic"},
                "custom": _custom(panel),
            },
            "overrides": [],
        },
    }


def _name_of(number: int) -> str:
    """`A`, `B`, …, `Z`, `AA`, as Grafana names queries."""
    letters = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def _thresholds(panel: Panel) -> Data:
    colors = (_ORANGE, _RED)[-len(panel.lines) :] if panel.lines else ()
    first, *others = (_RED, _GREEN) if panel.rising else (_GREEN, *colors)
    steps: list[Data] = [{"color": first, "value": 0}]
    steps += [{"color": color, "value": line} for color, line in zip(others, panel.lines, strict=True)]
    return {"mode": "absolute", "steps": steps}


def _custom(panel: Panel) -> Data:
    if panel.kind != "timeseries":
        return {"align": "auto", "inspect": False} if panel.kind == "table" else {}
    return {
        "drawStyle": "line",
        "fillOpacity": 10,
        "lineWidth": 1,
        "showPoints": "never",
        "spanNulls": False,
        "thresholdsStyle": {"mode": "dashed" if panel.lines else "off"},
    }


_OPTIONS: Mapping[str, Data] = {
    "timeseries": {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    "stat": {
        "graphMode": "none",
        "colorMode": "background",
        "justifyMode": "auto",
        "textMode": "value_and_name",
        "wideLayout": True,
        "showPercentChange": False,
        "percentChangeColorMode": "standard",
        "orientation": "auto",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    },
    "table": {"frameIndex": 0, "showHeader": True, "cellHeight": "sm"},
}
