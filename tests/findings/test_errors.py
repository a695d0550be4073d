"""Every bad workload of `errors/`, and some that only code can write: found, named, placed; none written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from error_cases import NEEDED, Case, Expected, cases

from policycompiler.cli import cli
from policycompiler.compiler import compile_workload
from policycompiler.diagnostics import Severity
from policycompiler.report import FORMATS
from policycompiler.report.findings import located

CASES = cases()
WORKLOAD = "\n".join([*NEEDED.values(), ""])
LINE_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")

ODD_BYTES = {
    "not UTF-8": (b"version: 1\nservice: caf\xe9\n", "2:13 PC001 unreadable-file"),
    "UTF-16": (WORKLOAD.encode("utf-16"), "1:1 PC001 unreadable-file"),
    "a surrogate in UTF-8": (b"service: \xed\xa0\x80", "1:10 PC001 unreadable-file"),
    "an overlong slash": (b"service: \xc0\xaf", "1:10 PC001 unreadable-file"),
    "a cut character at the end": (b"service: \xf0\x9f", "1:10 PC001 unreadable-file"),
    "a picture": (b"\x89PNG\r\n\x1a\n\x00", "1:1 PC001 unreadable-file"),
    "a null byte": (b"version: 1\x00", "1:11 PC007 control-character"),
    "a bell": (b"version: 1 # \x07", "1:14 PC007 control-character"),
    "a terminal sequence": (b"# \x1b[2J", "1:3 PC007 control-character"),
    "a vertical tab": (b"a: 1\n\x0b", "2:1 PC007 control-character"),
    "a form feed": (b"a: 1\n\x0c", "2:1 PC007 control-character"),
    "a delete": (b"a: \x7f", "1:4 PC007 control-character"),
    "a next-line sign": ("a: 1\x85b: 2".encode(), "1:5 PC007 control-character"),
    "a line separator": ("a: x\u2028y".encode(), "1:5 PC007 control-character"),
    "a paragraph separator": ("a: x\u2029y".encode(), "1:5 PC007 control-character"),
    "a byte order mark in the middle": ("a: \ufeffx".encode(), "1:4 PC007 control-character"),
    "no character at all": ("a: \uffff".encode(), "1:4 PC007 control-character"),
    "old line breaks before an error": (b"version: 1\rtasks: [\r", "3:1 PC002 invalid-yaml"),
}

BOMBS = {
    "deep flow lists": "[" * 100_000,
    "deep flow mappings": "{a: " * 100_000,
    "deep block mappings": "".join(f"{' ' * level}a:\n" for level in range(1000)),
    "deep block lists": "- " * 1000 + "a",
    "deep arguments": f"{WORKLOAD}schedules: {{s: {{args: {'[' * 40}{']' * 40}}}}}",
    "deep keys": "? " * 1000 + "a",
    "ten to the ninth laughs": "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)),
    "many anchors": "".join(f"a{number}: &a{number} x\n" for number in range(101)),
    "a file too large": "# " + "x" * (16 * 1024 * 1024),
    "a section too long": f"{WORKLOAD}tasks:\n" + "".join(f"  t{number}:\n" for number in range(20_001)),
    "a list too long": f"{WORKLOAD}waivers: [{'1, ' * 20_001}]",
}


def errors(paths: list[Path], environment: str | None = None) -> list[tuple[Expected, str]]:
    """Every error with its place, its message, and its help."""
    compilation = compile_workload(paths, environment=environment)
    assert compilation.failed
    assert compilation.files == []
    found = []
    for finding in located(compilation.diagnostics, compilation.document):
        diagnostic, place = finding.diagnostic, finding.place
        assert_is_a_place(place.file, place.line, place.column)
        if diagnostic.severity is Severity.ERROR:
            at = (Path(place.file).name, place.line, place.column)
            found.append((Expected(*at, diagnostic.code, diagnostic.name, ""), diagnostic.message))
    return found


def assert_is_a_place(file: str, line: int, column: int) -> None:
    """Whether a position is one of the file: of a character, or of the end of a line."""
    text = Path(file).read_bytes().decode("utf-8-sig", "replace")
    lines = LINE_BREAK.split(text)
    assert 1 <= line <= len(lines)
    assert 1 <= column <= len(lines[line - 1]) + 1


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_every_error_of_a_bad_workload_is_found_where_it_is(case: Case, tmp_path):
    assert case.expected, "a bad workload expects an error"
    found = errors(case.written(tmp_path), case.environment)
    assert sorted(at for at, _ in found) == sorted(each._replace(words="") for each in case.expected)
    for expected in case.expected:
        at = expected._replace(words="")
        assert any(expected.words in message for place, message in found if place == at), found


def test_there_are_hundreds_of_bad_workloads_each_with_a_title_of_its_own():
    assert len(CASES) > 300


@pytest.mark.parametrize(("data", "expected"), ODD_BYTES.values(), ids=ODD_BYTES)
def test_bytes_that_are_no_text_are_refused_where_they_are(data, expected, tmp_path):
    path = tmp_path / "workload.yaml"
    path.write_bytes(data)
    ((found, _),) = errors([path])
    assert f"{found.line}:{found.column} {found.code} {found.name}" == expected


@pytest.mark.parametrize("text", BOMBS.values(), ids=BOMBS)
def test_what_is_too_much_is_refused_in_few_words(text, tmp_path):
    path = tmp_path / "workload.yaml"
    path.write_text(text, "utf-8")
    ((found, message),) = errors([path])
    assert (found.code, found.name) in {
        ("PC006", "document-too-large"),
        ("PC004", "unsupported-yaml"),
    }
    assert len(message) < 100


def test_no_more_errors_are_reported_than_anybody_reads(tmp_path):
    path = tmp_path / "workload.yaml"
    path.write_text(
        WORKLOAD + "tasks:\n" + "".join(f"  t{number}: {{x: 1}}\n" for number in range(5000)), "utf-8"
    )
    assert len(errors([path])) == 1000


def test_an_endless_word_is_not_repeated_in_full(tmp_path):
    path = tmp_path / "workload.yaml"
    path.write_text(f"? {'x' * 100_000}\n: 1\n{WORKLOAD}", "utf-8")
    for output_format in FORMATS:
        found = CliRunner().invoke(cli, ["check", str(path), "--output-format", output_format])
        assert found.exit_code == 1
        assert re.search(r"unknown key \\?`xxx", found.stdout)
        assert len(found.stdout.replace("x" * 100_000, "", 1)) < 5000


@pytest.mark.parametrize("case", list(CASES.values())[::5], ids=list(CASES)[::5])
def test_a_compile_of_a_bad_workload_writes_nothing_and_ends_with_1(case: Case, tmp_path, monkeypatch):
    paths = case.written(tmp_path)
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    arguments = ["compile", *(path.name for path in paths), "--output", "out/deep"]
    if case.environment is not None:
        arguments += ["--env", case.environment]
    found = CliRunner().invoke(cli, arguments)
    assert found.exit_code == 1, found.output
    assert f"error[{case.expected[0].code}] {case.expected[0].name}: " in found.stdout
    assert found.stderr == "nothing was written\n"
    assert sorted(tmp_path.rglob("*")) == before
