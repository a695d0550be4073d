"""Findings as a JUnit report, for servers that show test results."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from policycompiler.report.annotations import told_with_help
from policycompiler.report.located import Located, Report, answered, printable, summary
from policycompiler.report.text import clean

NAME = "policycompiler"


def junit(report: Report) -> str:
    """One test case per finding: failed when it fails the command, skipped when it is waived, else passed.

    Without findings there is one case, which passes.
    """
    cases = [_case(report, finding) for finding in (*report.findings, *report.waived)]
    if not cases:
        cases = [ET.Element("testcase", classname=NAME, name="check")]
    return suites_of(cases, summary(report))


def suites_of(cases: Sequence[ET.Element], said: str) -> str:
    """Test cases as a document, with a summary."""
    counts = {
        "name": NAME,
        "tests": str(len(cases)),
        "failures": str(sum(case.find("failure") is not None for case in cases)),
        "errors": "0",
    }
    suites = ET.Element("testsuites", counts)
    skipped = sum(case.find("skipped") is not None for case in cases)
    suite = ET.SubElement(suites, "testsuite", {**counts, "skipped": str(skipped)})
    suite.extend(cases)
    ET.SubElement(suite, "system-out").text = said
    ET.indent(suites)
    # ASCII, so that no control or bidirectional character reaches a terminal.
    text = ET.tostring(suites, encoding="us-ascii", xml_declaration=False).decode("ascii")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _case(report: Report, finding: Located) -> ET.Element:
    diagnostic, place = finding.diagnostic, finding.place
    at = ".".join(str(part) for part in diagnostic.path)
    name = printable(f"{diagnostic.code} {diagnostic.name}{at and f' at {at}'}")
    case = ET.Element("testcase", classname=clean(place.file) or NAME, name=name)
    where = f"{clean(place.file)}:{place.line}:{place.column}: " if place.file else ""
    told = f"{where}{told_with_help(finding)}"
    if diagnostic.waived:
        ET.SubElement(case, "skipped", message=f"waived {answered(diagnostic.waived)}")
    elif diagnostic.severity.rank <= report.fail_on.rank:
        message = printable(diagnostic.told)
        failure = ET.SubElement(case, "failure", type=diagnostic.severity.value, message=message)
        failure.text = told
    else:
        ET.SubElement(case, "system-out").text = f"{diagnostic.severity}: {told}"
    return case
