"""`report` writes a page of whatever names a plan, and none where there is no plan."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from pages import BEFORE, BUSY, read, text, with_class, with_id

from policycompiler.cli import cli

WRONG = BUSY.replace("idempotent: true", "idempotent: false, retry: {on: [OSError], max: 3}")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("depot.yaml").write_text(BUSY, encoding="utf-8")
    Path("before.yaml").write_text(BEFORE, encoding="utf-8")
    return tmp_path


def report(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["report", *arguments], prog_name="policycompiler")


def test_it_writes_report_html_and_says_so(folder):
    done = report("depot.yaml")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "wrote report.html\n")
    assert text(next(read((folder / "report.html").read_text("utf-8")).iter("h1"))) == "depot"


def test_a_compiled_folder_and_its_plan_have_the_same_page_but_for_the_name(folder):
    assert CliRunner().invoke(cli, ["compile", "depot.yaml", "-q"]).exit_code == 0
    for name, source in (("a", "build"), ("b", "build/plan.json")):
        assert report(source, "-q", "-o", name).exit_code == 0
    pages = [(folder / name).read_text("utf-8").replace("build/plan.json", "build") for name in ("a", "b")]
    assert pages[0] == pages[1]
    assert "A compiled plan holds no findings" in pages[0]


def test_the_sources_of_the_project_file_are_the_default(folder):
    Path("policycompiler.toml").write_text('sources = ["depot.yaml"]\n', encoding="utf-8")
    assert report().exit_code == 0
    assert "depot.yaml" in text(read((folder / "report.html").read_text("utf-8")))


def test_against_shows_both_pictures_and_the_changes(folder):
    done = report("depot.yaml", "--against", "before.yaml")
    assert done.exit_code == 0
    tree = read((folder / "report.html").read_text("utf-8"))
    assert len(list(with_class(tree, "picture"))) == 2
    assert "moves from queue" in text(with_id(tree, "changes"))


def test_against_a_revision_of_git(folder):
    identity = ["-c", "user.name=depot", "-c", "user.email=depot@example.org"]
    for arguments in (
        ["init", "-q", "-b", "main"],
        ["add", "depot.yaml"],
        [*identity, "commit", "-qm", "depot"],
    ):
        subprocess.run(["git", *arguments], check=True)
    Path("depot.yaml").write_text(BEFORE, encoding="utf-8")
    assert report("depot.yaml", "--against", "git:main").exit_code == 0
    assert "compared with git:main" in text(read((folder / "report.html").read_text("utf-8")))


def test_findings_fail_the_command_and_the_page_shows_them(folder):
    Path("depot.yaml").write_text(WRONG, encoding="utf-8")
    done = report("depot.yaml")
    assert (done.exit_code, done.stderr) == (1, "wrote report.html\n")
    shown = text(with_id(read((folder / "report.html").read_text("utf-8")), "findings"))
    assert "PC204 retry-non-idempotent" in shown
    assert "depot.yaml:" in shown


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["gone.yaml"], 2, "gone.yaml does not exist"),
        (["depot.yaml", "--against", "gone"], 2, "gone does not exist"),
        (["depot.yaml", "-o", "gone/report.html"], 2, "gone/report.html: No such file or directory"),
        (["broken.yaml"], 1, "broken.yaml has errors, so it has no plan"),
        (["depot.yaml", "--against", "broken.yaml"], 1, "broken.yaml has errors, so it has no plan"),
        (["empty"], 3, "no workload files found"),
    ],
)
def test_without_a_plan_there_is_no_page(folder, arguments, code, told):
    Path("broken.yaml").write_text("version: 1\ntasks: 1\n", encoding="utf-8")
    Path("empty").mkdir()
    done = report(*arguments)
    assert done.exit_code == code
    assert told in done.stderr
    assert not (folder / "report.html").exists()
