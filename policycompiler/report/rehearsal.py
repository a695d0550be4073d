"""What a rehearsal showed, as tables for people and as JSON for machines."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from policycompiler.quantities import duration
from policycompiler.rehearse.outcome import Arrival, Kill, Outage, Outcome, Pace
from policycompiler.report.colors import Style, painted
from policycompiler.report.text import clean, counted, table

FORMAT = 1


def rehearsal_text(found: Outcome, *, color: bool = False) -> str:
    """The tables of probes and of waits, then what went wrong, then the verdict. Ends with a newline."""
    lines = [painted(clean(f"rehearsed on {found.broker}"), Style.HEADING, color=color)]
    if found.arrivals:
        lines += ["", *_probes(found.arrivals)]
    if found.waits:
        lines += ["", *_waits(found)]
    if found.guards:
        lines += ["", *_guards(found.guards)]
    lines += ["", *(clean(f"not rehearsed: {each}") for each in found.notes)]
    lines += [clean(f"problem: {each}") for each in found.problems]
    return "\n".join([*lines, painted(_verdict(found), Style.HEADING, color=color)]) + "\n"


def _probes(arrivals: Sequence[Arrival]) -> list[str]:
    rows = (
        (each.kind, each.name, each.worker or "-", _limits(each.limits), each.problem or "as planned")
        for each in arrivals
    )
    return table([("probe", "of", "ran on", "limits", "result"), *rows])


def _limits(limits: tuple[float | None, float | None]) -> str:
    return " / ".join("none" if each is None else duration(each) for each in limits)


def _waits(found: Outcome) -> list[str]:
    rows = [("burst", "sent", "ran", "wait p50", "p99", "latency target")]
    for each in found.waits:
        numbers = (_short(each.p50_seconds), _short(each.p99_seconds), duration(each.promise_seconds))
        rows.append((each.latency, str(each.sent), str(each.ran), *numbers))
    return table(rows)


def _short(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _guards(shown: Sequence[Outage | Pace | Kill]) -> list[str]:
    rows = [("guard", "of", "what happened", "result")]
    rows += [(*_shown(each), each.problem or "as planned") for each in shown]
    return table(rows)


def _shown(found: Outage | Pace | Kill) -> tuple[str, str, str]:
    if isinstance(found, Outage):
        said = f"down for {duration(found.seconds)}: {found.sent} messages made {found.calls} calls, and "
        said += f"{found.failed or 'none'} failed"
        if found.failed and not found.retries:
            said += ", which are not retried"
        return "breaker", found.dependency, said
    if isinstance(found, Pace):
        said = f"at most {counted(found.calls, 'call')} in a second, at {found.rate_per_second:g} per second"
        return "rate", found.dependency, said
    where = f"{found.worker} killed in {counted(found.running, 'run')}: " if found.running else ""
    said = f"{where}{found.sent} messages with {found.keys} keys, "
    once = found.keys - found.missing - found.repeated
    said += f"{once} effects happened once"
    if found.unguarded:
        said += f", {found.unguarded} again after a kill between effect and record"
    return "key", found.task, said


def _verdict(found: Outcome) -> str:
    return "; ".join(_findings(found)) or "everything ran as planned, and nothing was lost"


def _findings(found: Outcome) -> Iterator[str]:
    astray = sum(1 for each in found.arrivals if each.problem)
    if astray:
        yield f"{counted(astray, 'probe')} did not run as planned"
    shown = sum(1 for each in found.guards if each.problem)
    if shown:
        yield f"{counted(shown, 'guard')} did not do what was planned"
    if found.left:
        yield f"{counted(found.left, 'message')} did not end before the workers stopped"
    if found.problems:
        yield counted(len(found.problems), "problem")


def rehearsal_json(found: Outcome) -> str:
    """The same for machines. Ends with a newline."""
    report = {
        "format": FORMAT,
        "broker": found.broker,
        "workers": {
            name: {"slots": here, "planned": planned} for name, (here, planned) in found.workers.items()
        },
        "probes": [each._asdict() for each in found.arrivals],
        "waits": [each._asdict() for each in found.waits],
        "guards": [
            {"guard": _shown(each)[0], **each._asdict(), "problem": each.problem} for each in found.guards
        ],
        "left": found.left,
        "problems": list(found.problems),
        "notes": list(found.notes),
        "succeeded": found.succeeded,
    }
    return json.dumps(report, indent=2) + "\n"
