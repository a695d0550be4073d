"""The manual pages for a terminal and for machines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from textwrap import fill, indent

from policycompiler.diagnostics import Finding, Profile, Severity
from policycompiler.manual import (
    FindingPage,
    Page,
    Parameter,
    all_findings,
    can_be_waived,
    policy_pages,
    said,
)

FORMAT = 1
WIDTH = 100
_MARGIN = "    "


def policy_list() -> str:
    """One line for each policy."""
    return _lines((page.name, page.summary) for page in policy_pages())


def finding_list() -> str:
    """One line for each finding, by code, below a header."""
    head = ("code", "finding", "severity", "profile", "remedy")
    rows = (
        (own.code, own.name, "fatal" if own.fatal else own.severity, own.profile, entry.mend)
        for _, entry in all_findings()
        for own in [entry.finding]
    )
    return _lines([head, *rows])


def policy_text(page: Page) -> str:
    """A policy's page."""
    blocks = [
        fill(f"{page.name}: {page.summary}", WIDTH),
        _block("Decides", page.decides),
        _block("Because", page.because),
        _block("Example", page.example),
        _block("Finds", "\n\n".join(map(_in_short, page.findings)) or "Nothing."),
        _block("Parameters", parameters_text(page) or "None."),
        _block(
            "Names in expressions",
            "\n".join(_filled(f"{kind}, {each}: {names}") for kind, each, names in page.names),
        ),
    ]
    return "\n\n".join(filter(None, blocks)) + "\n"


def finding_text(page: Page, entry: FindingPage) -> str:
    """A finding's page."""
    own = entry.finding
    example = said(entry)
    told = fill(example.message, WIDTH - len(_MARGIN)) if example else ""
    blocks = [
        f"{own.code} {own.name}: {severity_words(entry)}",
        _block("Message", told),
        _block("To do", _filled(mend_words(entry))),
        _block("Found when", entry.when and _filled(entry.when)),
        _block("Under the policy file", entry.policy),
        _block("Fires", entry.fires),
        _block("Does not fire", entry.silent),
        _block("Because", page.because),
        _block("Policy", f"{page.name}: {page.summary}" if page.is_policy else ""),
        _block("Parameters", parameters_text(page)),
        _block("If you accept it", if_it_stays(entry)),
    ]
    return "\n\n".join(filter(None, blocks)) + "\n"


def severity_words(entry: FindingPage) -> str:
    """The severity of a finding, and its profiles."""
    own = entry.finding
    if own.fatal:
        return "error; a policy file cannot change it"
    where = {
        Profile.MINIMAL: "in every profile",
        Profile.STANDARD: "in the profiles as-is, standard and strict",
        Profile.STRICT: "in the profile strict",
    }
    milder = "" if own.severity is not Severity.ERROR else "; a warning in the profile as-is"
    return f"{own.severity} {where[own.profile]}{milder}"


def mend_words(entry: FindingPage) -> str:
    """What to do, and whether `check --fix` can do it."""
    example = said(entry)
    by_itself = " `policycompiler check --fix` can do this." if example and example.fix else ""
    return f"{entry.mend}{by_itself}"


def if_it_stays(entry: FindingPage) -> str:
    """How to accept a finding: the waiver and the line of the policy file, or why neither is possible."""
    own = entry.finding
    if own.fatal:
        return "The finding prevents output: it cannot be waived, and its severity is fixed."
    by_workload = ["Waive it in the workload until a date:", "", indent(waiver(entry), _MARGIN), ""]
    return "\n".join(
        [
            *(by_workload if can_be_waived(entry) else ()),
            "Change its severity for every workload in the policy file:",
            "",
            indent(severity_line(own), _MARGIN),
        ]
    )


def waiver(entry: FindingPage) -> str:
    """The entry for a workload, with placeholders for reason, owner and date."""
    example = said(entry)
    path = ".".join(map(str, example.path)) if example else ""
    return "\n".join(
        [
            "waivers:",
            f"  - finding: {entry.finding.name}",
            f"    at: {json.dumps(path or '*')}",
            "    reason: why this is acceptable",
            "    owner: team-that-answers",
            "    expires: YYYY-MM-DD",
        ]
    )


def severity_line(finding: Finding) -> str:
    """The line of a policy file that lowers the severity of a finding."""
    return f"severities: {{{finding.name}: {'warning' if finding.severity == 'error' else 'off'}}}"


def parameters_text(page: Page) -> str:
    """Each parameter, and how a policy file sets it; empty without parameters."""
    if not page.parameters:
        return ""
    told = [
        f"{each.name}, {each.kind}; {each.default} by default\n{indent(_filled(each.description), _MARGIN)}"
        for each in page.parameters
    ]
    return "\n".join([*told, "", "In the policy file:", "", indent(parameters_line(page), _MARGIN)])


def parameters_line(page: Page) -> str:
    """The defaults in the form of a policy file."""
    values = "".join(f"\n    {each.name}: {each.default}" for each in page.parameters)
    return f"parameters:\n  {page.name}:{values}"


def policies_json(pages: Sequence[Page]) -> str:
    """Policies for machines, ending with a newline."""
    return _json("policies", [_policy_data(page) for page in pages])


def findings_json(found: Iterable[tuple[Page, FindingPage]]) -> str:
    """Findings for machines, ending with a newline."""
    return _json("findings", [_finding_data(page, entry) for page, entry in found])


def _policy_data(page: Page) -> dict[str, object]:
    return {
        "name": page.name,
        "summary": page.summary,
        "decides": page.decides,
        "because": page.because,
        "example": page.example,
        "findings": [entry.finding.code for entry in page.findings],
        "parameters": _parameters_data(page.parameters),
        "names": [name for _, _, names in page.names for name in names.split(", ")],
    }


def _finding_data(page: Page, entry: FindingPage) -> dict[str, object]:
    own = entry.finding
    example = said(entry)
    return {
        "code": own.code,
        "name": own.name,
        "severity": {profile: level or "off" for profile, level in entry.levels.items()},
        "can_be_waived": can_be_waived(entry),
        "can_be_lowered": not own.fatal,
        "says": example.message if example else None,
        "mend": entry.mend,
        "can_be_fixed": bool(example and example.fix),
        "when": entry.when or None,
        "policy_file": entry.policy or None,
        "fires": entry.fires or None,
        "silent": entry.silent or None,
        "because": page.because or None,
        "policy": page.name if page.is_policy else None,
        "parameters": _parameters_data(page.parameters),
        "waiver": waiver(entry) if can_be_waived(entry) else None,
    }


def _parameters_data(parameters: Iterable[Parameter]) -> list[dict[str, object]]:
    return [each._asdict() for each in parameters]


def _json(key: str, data: list[dict[str, object]]) -> str:
    return json.dumps({"format": FORMAT, key: data}, indent=2) + "\n"


def _in_short(entry: FindingPage) -> str:
    own = entry.finding
    return f"{own.code} {own.name}: {severity_words(entry)}\n{indent(_filled(entry.mend), _MARGIN)}"


def _block(heading: str, text: str) -> str:
    return f"{heading}\n{indent(text, _MARGIN)}" if text else ""


def _filled(text: str) -> str:
    return fill(text, WIDTH - 2 * len(_MARGIN), break_long_words=False, break_on_hyphens=False)


def _lines(rows: Iterable[Sequence[str]]) -> str:
    """Aligned columns, except the last one."""
    found = [tuple(map(str, row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(*found, strict=True)][:-1]
    return "".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]) + "\n"
        for row in found
    )
