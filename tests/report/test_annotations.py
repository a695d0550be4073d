"""Workflow commands of GitHub Actions and GitLab's code quality report."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from reported import EVIL, LATE, PAY, RETRY, TEXT, document_of, findings, hostile

from policycompiler.diagnostics import Place
from policycompiler.report import render


@pytest.fixture(autouse=True)
def _in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_github_gets_a_command_for_each_finding_that_counts_and_the_summary() -> None:
    error = "::error file=pay.yaml,line=6,col=33,title=PC204 retry-non-idempotent"
    assert render(findings(), document_of(), "github").splitlines() == [
        "::notice title=PC101 hint::about all",
        "::warning file=pay.yaml,line=2,col=30,title=PC401 late::100%25 late",
        f"{error}::would retry%0Ahelp: write `retry: none`",
        "1 error, 1 warning, 1 info in 1 file, 1 task (1 finding waived, next waiver expires 2027-03-31)",
    ]
    assert render([], document_of(), "github") == "1 file, 1 task: nothing to report\n"


def unescaped(text: str) -> str:
    """As the runner reads a property or a message."""
    signs = {"%0D": "\r", "%0A": "\n", "%3A": ":", "%2C": ",", "%25": "%"}
    return re.sub("%0D|%0A|%3A|%2C|%25", lambda sign: signs[sign[0]], text)


def test_nothing_that_is_quoted_becomes_a_command_or_a_property_of_github() -> None:
    command, _ = render(hostile(), document_of(), "github").splitlines()
    assert "s3cret" not in command
    found = re.fullmatch(r"::warning (?P<properties>[^:]*)::(?P<message>.*)", command)
    assert found is not None
    properties = dict(item.split("=", 1) for item in found["properties"].split(","))
    assert properties.keys() == {"file", "line", "col", "title"}
    assert unescaped(properties["file"]).startswith(r"a%0Ab,c:d]\r\n::error::e\x1b[2J\u202e")
    assert unescaped(found["message"]).startswith(r"a%0Ab,c:d]\r\n::error::e\x1b[2J\u202e")


def test_gitlab_gets_a_code_quality_report_of_the_findings_that_count() -> None:
    report = json.loads(render(findings(), document_of(), "gitlab"))
    assert [{key: issue[key] for key in issue if key != "fingerprint"} for issue in report] == [
        {
            "description": "PC101 hint: about all",
            "check_name": "hint",
            "severity": "info",
            "location": {"path": ".", "lines": {"begin": 1}},
        },
        {
            "description": "PC401 late: 100% late",
            "check_name": "late",
            "severity": "major",
            "location": {"path": "pay.yaml", "lines": {"begin": 2}},
        },
        {
            "description": "PC204 retry-non-idempotent: would retry\nhelp: write `retry: none`",
            "check_name": "retry-non-idempotent",
            "severity": "critical",
            "location": {"path": "pay.yaml", "lines": {"begin": 6}},
        },
    ]
    assert render([], document_of(), "gitlab") == "[]\n"


def fingerprints(text: str) -> list[str]:
    return [issue["fingerprint"] for issue in json.loads(text)]


def test_fingerprints_of_gitlab_stay_when_lines_move() -> None:
    before = fingerprints(render(findings(), document_of(), "gitlab"))
    assert fingerprints(render(findings(), document_of(f"# more\n\n{TEXT}"), "gitlab")) == before
    assert all(re.fullmatch("[0-9a-f]{32}", mark) for mark in before)


def test_fingerprints_of_gitlab_tell_findings_apart() -> None:
    # The same path in the files of two apps, two findings at one path, and one that only looks the same.
    found = [
        RETRY.at(PAY, "m", place=Place("a.yaml", 1, 1)),
        RETRY.at(PAY, "m", place=Place("b.yaml", 1, 1)),
        RETRY.at(PAY, "n", place=Place("b.yaml", 1, 1)),
        RETRY.at(("tasks.shop", "pay"), "m", place=Place("a.yaml", 2, 1)),
        LATE.at(PAY, "m", place=Place("a.yaml", 1, 1)),
    ]
    assert len(set(fingerprints(render(found, document_of(), "gitlab")))) == len(found)


def test_gitlab_gets_hostile_text_as_text() -> None:
    text = render(hostile(), document_of(), "gitlab")
    (issue,) = json.loads(text)
    assert "s3cret" not in text
    assert issue["description"].count("\n") == 1
    assert issue["location"]["path"] == EVIL.partition(" redis:")[0].replace("\x00", "")
