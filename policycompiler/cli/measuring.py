"""The options of `size` about measured rates and run times, and the comparison that they ask for."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import click
from pydantic_core import PydanticCustomError

from policycompiler import report
from policycompiler.cli import options, running
from policycompiler.compiler import Compilation
from policycompiler.findings.declaring import declared
from policycompiler.load import read_bounded
from policycompiler.model import WhatIf
from policycompiler.model.units import parse_positive_duration, parse_positive_rate
from policycompiler.plan import Plan
from policycompiler.plan.lines import Flow, WorkerLine, worker_lines
from policycompiler.reality import prometheus
from policycompiler.reality.measured import MeasuredError
from policycompiler.reality.measurements import measurements
from policycompiler.report.measured import Measurement, edits, measured_json, measured_text
from policycompiler.report.text import sentence
from policycompiler.review.facts.lines import Relined
from policycompiler.verify.declarations import Declarations, as_written, declarations

Command: TypeAlias = Callable[..., None]

_LARGEST_BYTES = 64 * 1024 * 1024
LEAST_SECONDS, MOST_SECONDS = 600, 400 * 86400


class Measuring(NamedTuple):
    """Where the measured numbers are, and over which time; `query` only asks for the text of the query."""

    places: tuple[str, ...]
    over_seconds: float
    query: bool

    @property
    def wanted(self) -> bool:
        """Whether any of this is asked for."""
        return bool(self.places) or self.query


def _seconds(context: click.Context, parameter: click.Parameter, given: str) -> float:
    try:
        seconds = parse_positive_duration(given)
    except PydanticCustomError as problem:
        raise click.BadParameter(problem.message(), context, parameter) from None
    if not LEAST_SECONDS <= seconds <= MOST_SECONDS:
        raise click.BadParameter("the time is 10m to 400d", context, parameter)
    return seconds


_places = click.option(
    *("--measured", "places"),
    multiple=True,
    metavar="FILE|URL",
    help="Compare with measured rates and run times: answers of Prometheus, or its URL; repeatable.",
)
_over = click.option(
    *("--over", "over_seconds"),
    default="7d",
    show_default=True,
    metavar="DURATION",
    callback=_seconds,
    help="With --measured: the time over which rates and run times are measured.",
)
_query = click.option(
    "--query", is_flag=True, help="Print the query for Prometheus whose answer --measured reads, and end."
)


def measured(command: Command) -> Command:
    """The command gets what to compare with as `measured`."""

    @wraps(command)
    def with_measured(**given: Any) -> None:  # noqa: ANN401 - each option has its own type
        asked = Measuring(given.pop("places"), given.pop("over_seconds"), given.pop("query"))
        command(measured=asked, **given)

    return _places(_over(_query(with_measured)))


def text(
    asked: Measuring,
    compilation: Compilation,
    lines: list[WorkerLine],
    run: options.Run,
    recompiled: Callable[[WhatIf], Compilation],
) -> str:
    """The comparison as text or JSON, or the query. Ends the program if nothing can be compared.

    `recompiled` compiles the workload with other values.
    """
    plan = compilation.plan
    assert plan is not None
    if asked.query:
        source = prometheus.sources_of(plan)[0]
        return prometheus.query(plan, source, asked.over_seconds) + "\n"
    try:
        sources, documents = _documents(asked, plan)
        found = declarations(plan, measurements(documents), asked.over_seconds)
        _refuse_strangers(found, sources)
        _refuse_undeclarable(found)
        edited = _edited(found, compilation, recompiled)
    except MeasuredError as problem:
        running.tell(report.clean(sentence(f"nothing is compared: {problem}")))
        sys.exit(running.EXIT_FINDINGS)
    measurement = Measurement(
        asked.over_seconds,
        sources,
        found,
        compilation.document,
        _on_the_same_slots(lines, edited),
        edited,
        declared(compilation.document, edits(found)),
    )
    if run.output_format == "json":
        return measured_json(measurement, lines)
    return measured_text(measurement)


def _documents(asked: Measuring, plan: Plan) -> tuple[tuple[str, ...], list[object]]:
    """The names of what was read, and the answers in it."""
    names: list[str] = []
    documents: list[object] = []
    for place in asked.places:
        if place.lower().startswith(("http://", "https://")):
            queries = {
                each.label: prometheus.query(plan, each, asked.over_seconds)
                for each in prometheus.sources_of(plan)
            }
            answer = prometheus.ask(place, queries)
            names += answer.sources
            documents += answer.documents
        else:
            names.append(place)
            documents += _answers(Path(place))
    return tuple(names), documents


def _answers(path: Path) -> list[object]:
    """The answers in a file, one behind the other."""
    decode = json.JSONDecoder().raw_decode
    found: list[object] = []
    try:
        raw = read_bounded(path, _LARGEST_BYTES + 1)
        if len(raw) > _LARGEST_BYTES:
            message = f"{path} is larger than {_LARGEST_BYTES // 2**20} MiB"
            raise MeasuredError(message)
        rest = raw.decode("utf-8-sig").strip()
        while rest or not found:
            document, end = decode(rest)
            found.append(document)
            rest = rest[end:].lstrip()
    except (OSError, ValueError, RecursionError) as problem:
        why = getattr(problem, "strerror", None) or "it is not JSON; save the answer of Prometheus as it is"
        message = f"{path}: {why}"
        raise MeasuredError(message) from None
    return found


def _refuse_strangers(found: Declarations, sources: tuple[str, ...]) -> None:
    """Numbers of another service say nothing about this one."""
    if any(each.seen for each in found.tasks):
        return
    names = [*found.undeclared]
    other = f"; it has {', '.join(names[:3])}" if names else ""
    message = f"{', '.join(sources)} measured no task that this workload declares{other}"
    raise MeasuredError(message)


def _refuse_undeclarable(found: Declarations) -> None:
    """Numbers that no workload can have are mistakes of the measurement."""
    for task in found.tasks:
        for each in task.mended:
            assert each.best is not None
            text = as_written(each.fact, each.best)
            field, key = each.fact.path
            try:
                (parse_positive_rate if field == "rate" else parse_positive_duration)(text)
            except PydanticCustomError as problem:
                most = "; a rate is at most 999999999999/s" if field == "rate" else ""
                message = f"the measured {field} {key} of {task.task} is {each.measured:.6g}"
                message += f"{'/s' if field == 'rate' else ' s'}: {problem.message()}{most}"
                raise MeasuredError(message) from None


def _edited(
    found: Declarations, compilation: Compilation, recompiled: Callable[[WhatIf], Compilation]
) -> list[WorkerLine]:
    """The workers of the workload with the measured numbers."""
    values = [(f"tasks.{each.task}.{each.field}", json.dumps({**each.values})) for each in edits(found)]
    after = recompiled(WhatIf(values=tuple(values))) if values else compilation
    if after.plan is None:
        message = "with the measured numbers the workload is not valid: "
        message += "; ".join(each.message for each in after.diagnostics[:1])
        raise MeasuredError(message)
    return worker_lines(after.plan)


def _on_the_same_slots(lines: Sequence[WorkerLine], edited: Sequence[WorkerLine]) -> list[Relined]:
    """The workers on the slots of today, with declared numbers, and with the measured ones."""
    numbers = {flow.task: flow for each in edited for flow in each.flows}

    def measured_flow(flow: Flow) -> Flow:
        new = numbers.get(flow.task, flow)
        return flow._replace(rate=new.rate, service=new.service, limit=new.limit)

    after = [each._replace(flows=tuple(map(measured_flow, each.flows))) for each in lines]
    return [Relined(old.worker, old, new) for old, new in zip(lines, after, strict=True)]
