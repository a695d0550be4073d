"""A JUnit report that every reader takes: well-formed, counted right, nothing lost in escaping."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from reported import document_of, findings, hostile

from policycompiler.diagnostics import Diagnostic, Severity
from policycompiler.report import render
from policycompiler.report.located import printable


@pytest.fixture(autouse=True)
def _in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def suite_of(found: list[Diagnostic], fail_on: Severity = Severity.ERROR) -> ET.Element:
    text = render(found, document_of(), "junit", fail_on=fail_on)
    assert text.startswith('<?xml version="1.0" encoding="UTF-8"?>\n')
    assert text.isascii()
    suites = ET.fromstring(text)
    (suite,) = suites
    assert (suites.tag, suite.tag, suites.get("name")) == ("testsuites", "testsuite", "policycompiler")
    cases = suite.findall("testcase")
    counts = {
        "tests": len(cases),
        "failures": len(suite.findall("testcase/failure")),
        "errors": 0,
        "skipped": len(suite.findall("testcase/skipped")),
    }
    assert {key: int(suite.get(key, "")) for key in counts} == counts
    assert {key: suites.get(key) for key in ("tests", "failures")} == {
        key: str(counts[key]) for key in ("tests", "failures")
    }
    assert [child.tag for child in suite] == ["testcase"] * len(cases) + ["system-out"]
    return suite


def test_a_finding_is_a_case_that_fails_passes_or_is_skipped() -> None:
    suite = suite_of(findings())
    cases = [(case.get("classname"), case.get("name"), [part.tag for part in case]) for case in suite[:-1]]
    assert cases == [
        ("policycompiler", "PC101 hint", ["system-out"]),
        ("pay.yaml", "PC401 late at broker.visibility_timeout", ["system-out"]),
        ("pay.yaml", "PC204 retry-non-idempotent at tasks.shop.pay.retry.max", ["failure"]),
        ("pay.yaml", "PC204 retry-non-idempotent at tasks.shop.pay.retry", ["skipped"]),
    ]
    (failure,) = suite.findall("testcase/failure")
    assert failure.attrib == {"type": "error", "message": "would retry"}
    assert failure.text == "pay.yaml:6:33: would retry\nhelp: write `retry: none`"
    (skipped,) = suite.findall("testcase/skipped")
    assert skipped.get("message") == "waived by storefront until 2027-03-31: charges carry a key"
    assert [out.text for out in suite.findall("testcase/system-out")] == [
        "info: about all",
        "warning: pay.yaml:2:30: 100% late",
    ]
    assert suite[-1].text == (
        "1 error, 1 warning, 1 info in 1 file, 1 task (1 finding waived, next waiver expires 2027-03-31)"
    )


@pytest.mark.parametrize(("fail_on", "failures"), [("error", 1), ("warning", 2), ("info", 3)])
def test_a_case_fails_where_the_command_does(fail_on: str, failures: int) -> None:
    suite = suite_of(findings(), Severity(fail_on))
    assert len(suite.findall("testcase/failure")) == failures


def test_a_clean_run_has_one_case_that_passed() -> None:
    suite = suite_of([])
    (case,) = suite.findall("testcase")
    assert (case.attrib, list(case)) == ({"classname": "policycompiler", "name": "check"}, [])
    assert suite[-1].text == "1 file, 1 task: nothing to report"


def test_hostile_text_reads_back_as_it_is_printed_elsewhere() -> None:
    suite = suite_of(hostile(), Severity.INFO)
    (failure,) = suite.findall("testcase/failure")
    message = printable(hostile()[0].message)
    assert failure.get("message") == message
    assert failure.text is not None
    assert failure.text.endswith(f"{message}\nhelp: {message}")
    assert "s3cret" not in ET.tostring(suite, "unicode")
