"""Findings of a repeated look as metrics, in the text format of Prometheus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from policycompiler.diagnostics import Diagnostic, Severity
from policycompiler.report.text import clean


def metrics_text(service: str, findings: Iterable[Diagnostic], *, now: float, seconds: float) -> str:
    """The findings that count, with the time of the look and its length; waived findings are not in it.

    `now` is in seconds since 1970. A finding has a series while it exists, so an alert on it ends with it.
    """
    counting = [each for each in findings if each.waived is None]
    own = {"service": service}
    at = sorted(Counter(_labels(service, each) for each in counting).items())
    by_severity = Counter(each.severity for each in counting)
    lines = [
        *_family("policycompiler_verify_finding", "Findings with this code at this path of the workload."),
        *(_sample("policycompiler_verify_finding", dict(labels), count) for labels, count in at),
        *_family("policycompiler_verify_findings", "Findings of a severity."),
        *(
            _sample("policycompiler_verify_findings", {**own, "severity": each.value}, by_severity[each])
            for each in Severity
        ),
        *_family("policycompiler_verify_last_look_timestamp_seconds", "Time of the last look."),
        _sample("policycompiler_verify_last_look_timestamp_seconds", own, round(now, 3)),
        *_family("policycompiler_verify_look_duration_seconds", "Length of the last look."),
        _sample("policycompiler_verify_look_duration_seconds", own, round(seconds, 3)),
    ]
    return "\n".join(lines) + "\n"


def _labels(service: str, finding: Diagnostic) -> tuple[tuple[str, str], ...]:
    return (
        ("service", service),
        ("code", finding.code),
        ("name", finding.name),
        ("severity", finding.severity.value),
        ("path", clean(".".join(str(part) for part in finding.path))),
    )


def _family(name: str, text: str) -> Iterator[str]:
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} gauge"


def _sample(name: str, labels: dict[str, str], value: float) -> str:
    inner = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
    return f"{name}{{{inner}}} {value}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
