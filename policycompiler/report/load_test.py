"""What a load test showed: tables for people, JSON for machines, and reports for CI."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any
from xml.etree import ElementTree as ET

from policycompiler.load_test.outcome import Figures, Outcome, Verdict, Wait
from policycompiler.quantities import duration, figure
from policycompiler.report import junit
from policycompiler.report.colors import Style, painted
from policycompiler.report.located import printable
from policycompiler.report.markdown import LONGEST, fitting, literal
from policycompiler.report.sizes import about
from policycompiler.report.text import clean, counted, table

FORMAT = 1
_HEADER = (
    *("slots", "sent", "ran", "lost", "per second (predicted)"),
    *("wait p50 (predicted)", "p95", "p99", "promise", "result"),
)
_LATE_SECONDS = 0.05
"""Messages that are sent later than this are worth a word."""
_DIGITS = 6


def load_test_text(found: Outcome, *, color: bool = False) -> str:
    """Tables of latency classes and of queues, what to know, and the verdict. Ends with a newline."""
    lines = [painted(clean(_heading(found)), Style.HEADING, color=color)]
    for name, figures in (("latency class", found.classes), ("queue", found.queues)):
        if figures:
            lines += ["", *table([(name, *_HEADER), *((each.name, *_row(each)) for each in figures)])]
    lines += ["", *map(clean, _remarks(found))]
    lines += [clean(f"problem: {each}") for each in found.problems]
    return "\n".join([*lines, painted(clean(_verdict(found)), Style.HEADING, color=color)]) + "\n"


def _heading(found: Outcome) -> str:
    times = f", {figure(found.rate_factor)} times the declared rates" if found.rate_factor != 1 else ""
    sent = f"{counted(found.sent, 'message')} in {duration(round(found.seconds, 1))}{times}"
    warm_up = duration(round(found.warm_up_seconds, 1))
    return f"load test on {found.where}: {sent}; the first {warm_up} not measured"


def _row(each: Figures) -> tuple[str, ...]:
    waits = ["-"] * 3
    if each.waits is not None:
        pairs = zip(each.waits, each.predicted, strict=True)
        waits = [f"{_wait(wait)} ({about(predicted)})" for wait, predicted in pairs]
    return (
        str(each.slots),
        str(each.sent),
        str(each.run),
        str(each.lost),
        f"{figure(each.per_second, 3)} ({figure(each.predicted_per_second, 3)})",
        *waits,
        "-" if each.promise_seconds is None else duration(each.promise_seconds),
        _result(each),
    )


def _wait(wait: Wait) -> str:
    return f"over {about(wait.seconds)}" if wait.at_least else about(wait.seconds)


def _result(each: Figures) -> str:
    """The result in a few words."""
    told = [f"{each.lost} lost"] if each.lost else []
    told += [f"{each.twice} ran twice"] if each.twice else []
    told += [f"{each.failed} failed"] if each.failed else []
    told += [f"{each.waiting} did not start"] if each.waiting else []
    if each.verdict in (Verdict.BROKEN, Verdict.UNCLEAR):
        told.append(f"{each.verdict}: {each.late} of {each.measured} late")
    elif each.verdict is Verdict.KEPT:
        told.append("kept")
    return ", ".join(told) or ("not measured" if not each.measured else "no promise")


def _remarks(found: Outcome) -> Iterator[str]:
    """What a reader must know about the numbers."""
    if found.ended_by:
        yield f"the test was stopped after {duration(round(found.seconds, 1))}"
    if found.late_p99_seconds > _LATE_SECONDS:
        yield (
            f"1 of 100 messages was sent {about(found.late_p99_seconds)} late or later: this machine or the "
            "broker could not send as fast, so real peaks are higher and waits can be longer"
        )
    for each in found.queues:
        if each.verdict is Verdict.UNCLEAR:
            yield (
                f"{each.name}: more than 1 of 100 messages were late, but that can be chance with "
                f"{counted(each.measured, 'message')}; a longer --duration shows it"
            )
    yield from found.notes


def _verdict(found: Outcome) -> str:
    return "; ".join(_findings(found)) or "no promise was broken, and nothing was lost"


def _findings(found: Outcome) -> Iterator[str]:
    broken = sum(each.verdict is Verdict.BROKEN for each in found.queues)
    if broken:
        yield f"{counted(broken, 'queue')} broke the promise"
    for what, number in (
        ("lost", sum(each.lost for each in found.queues)),
        ("run twice", sum(each.twice for each in found.queues)),
        ("failed", sum(each.failed for each in found.queues)),
    ):
        if number:
            yield f"{counted(number, 'message')} {what}"
    if found.problems:
        yield counted(len(found.problems), "problem")


def load_test_json(found: Outcome) -> str:
    """The same for machines. Ends with a newline."""
    report = {
        "format": FORMAT,
        "where": clean(found.where),
        "seconds": round(found.seconds, _DIGITS),
        "warm_up_seconds": round(found.warm_up_seconds, _DIGITS),
        "rate_factor": found.rate_factor,
        "seed": found.seed,
        "sent": found.sent,
        "late_p99_seconds": round(found.late_p99_seconds, _DIGITS),
        "stopped": bool(found.ended_by),
        "classes": [*map(_data, found.classes)],
        "queues": [*map(_data, found.queues)],
        "problems": [*map(clean, found.problems)],
        "notes": [*map(clean, found.notes)],
        "succeeded": found.succeeded,
    }
    return json.dumps(report, indent=2) + "\n"


def _data(each: Figures) -> dict[str, Any]:
    return {
        "name": each.name,
        "workers": [*each.workers],
        "slots": each.slots,
        "sent": each.sent,
        "run": each.run,
        "failed": each.failed,
        "twice": each.twice,
        "waiting": each.waiting,
        "lost": each.lost,
        "runs_per_second": round(each.per_second, _DIGITS),
        "predicted_runs_per_second": round(each.predicted_per_second, _DIGITS),
        "measured": each.measured,
        "late": each.late,
        "waits": None
        if each.waits is None
        else dict(zip(_PERCENTILES, map(_wait_data, each.waits), strict=True)),
        "predicted_wait_seconds": {
            name: round(seconds, _DIGITS) for name, seconds in zip(_PERCENTILES, each.predicted, strict=True)
        },
        "promise_seconds": each.promise_seconds,
        "promise": str(each.verdict),
    }


_PERCENTILES = ("p50", "p95", "p99")


def _wait_data(wait: Wait) -> dict[str, Any]:
    return {"seconds": round(wait.seconds, _DIGITS), "at_least": wait.at_least}


def load_test_junit(found: Outcome) -> str:
    """A test case for each queue, which fails for a broken promise or lost messages, and one for the rest."""
    cases = [_case(each) for each in found.queues]
    whole = ET.Element("testcase", classname=junit.NAME, name="load test")
    if found.problems:
        message = printable("; ".join(found.problems))
        ET.SubElement(whole, "failure", type="error", message=message).text = message
    return junit.suites_of([*cases, whole], load_test_text(found))


def _case(each: Figures) -> ET.Element:
    case = ET.Element("testcase", classname="load", name=printable(f"queue {each.name}"))
    told = clean(", ".join(_described(each)))
    if each.verdict is Verdict.BROKEN or not each.intact:
        ET.SubElement(case, "failure", type="error", message=clean(_result(each))).text = told
    elif not each.measured:
        ET.SubElement(case, "skipped", message="no message was measured")
    else:
        ET.SubElement(case, "system-out").text = told
    return case


def _described(each: Figures) -> Iterator[str]:
    """The row of a queue as words."""
    for name, cell in zip(_HEADER, _row(each), strict=True):
        yield f"{name}: {cell}"


def load_test_markdown(found: Outcome) -> str:
    """The same as a comment for a pull request. Ends with a newline."""
    blocks = [
        f"**policycompiler load:** {literal(printable(_verdict(found)))}",
        literal(printable(_heading(found))),
    ]
    for name, figures in (("latency class", found.classes), ("queue", found.queues)):
        if figures:
            blocks.append(_markdown_table(name, figures))
    told = [*_remarks(found), *(f"problem: {each}" for each in found.problems)]
    blocks.append(
        "\n".join(fitting([f"- {literal(printable(each))}" for each in told], LONGEST // 2, "remark"))
    )
    return "\n\n".join(filter(None, blocks)) + "\n"


def _markdown_table(name: str, figures: Sequence[Figures]) -> str:
    rows = [(name, *_HEADER), ("---",) * (len(_HEADER) + 1)]
    rows += [(literal(printable(each.name)), *map(literal, map(printable, _row(each)))) for each in figures]
    shown = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([*shown[:2], *fitting(shown[2:], LONGEST // 5, name)])
