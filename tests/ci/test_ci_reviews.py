"""The pipelines of docs/ci.md that review a change, run on a merge and on what runners check out of it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple
from urllib.parse import parse_qs

import pytest
import yaml
from places import ROOT

PAGE = (ROOT / "docs" / "ci.md").read_text()
RECIPES: list[Any] = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]
WORKFLOWS = [recipe for recipe in RECIPES if isinstance(recipe, dict) and "jobs" in recipe]
(REVIEW,) = (job for workflow in WORKFLOWS for name, job in workflow["jobs"].items() if name == "review")
(GITLAB,) = (recipe["workload review"] for recipe in RECIPES if "workload review" in recipe)


def workload(runtime: str, expires: str = "", prod: str = "") -> str:
    task = f"{{idempotent: true, runtime: {runtime}{expires}}}"
    return (
        "version: 1\nservice: shop\napp: shop:app\nowner: shop\n"
        f"broker: {{transport: redis, url: '${{U}}'}}\ntasks: {{shop.a: {task}}}\n"
        f"environments: {{staging: {{}}, prod: {{{prod}}}}}\n"
    )


IN_PROD = "tasks: {shop.a: {idempotent: false}}"


class Merge(NamedTuple):
    """A repository whose `main` has moved on since a branch began; `result` merges the branch into it."""

    url: str
    began: str
    main: str
    branch: str
    result: str


def git(*arguments: str, folder: Path) -> str:
    name = ["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "init.defaultBranch=main"]
    command = ["git", *name, *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def merge(tmp_path: Path) -> Merge:
    """The branch makes messages expire, and others in prod; meanwhile another task of `main` is removed."""
    folder = tmp_path / "origin"
    (folder / "workloads").mkdir(parents=True)
    other = workload("2s").replace("shop.a", "shop.b").partition("environments")[0]

    def commit(message: str) -> str:
        git("add", "--all", folder=folder)
        git("commit", "--quiet", "--message", message, folder=folder)
        return git("rev-parse", "HEAD", folder=folder)

    git("init", "--quiet", folder=folder)
    (folder / "workloads" / "a.yaml").write_text(workload("2s"))
    (folder / "workloads" / "b.yaml").write_text(other)
    began = commit("both")
    git("checkout", "--quiet", "-b", "branch", folder=folder)
    (folder / "workloads" / "a.yaml").write_text(workload("2s", ", expires: 10m", IN_PROD))
    branch = commit("one expires")
    git("checkout", "--quiet", "main", folder=folder)
    (folder / "workloads" / "b.yaml").unlink()
    main = commit("the other goes")
    git("checkout", "--quiet", "-b", "result", folder=folder)
    git("merge", "--quiet", "--no-ff", "--message", "merged", "branch", folder=folder)
    return Merge(folder.as_uri(), began, main, branch, git("rev-parse", "HEAD", folder=folder))


def clone(merge: Merge, branch: str, depth: int, folder: Path) -> Path:
    """What a runner checks out."""
    arguments = ("clone", "--quiet", f"--depth={depth}", "--branch", branch, merge.url, "checkout")
    git(*arguments, folder=folder)
    return folder / "checkout"


def step(script: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a script as a runner does, with our program and no other installation of it."""
    programs = folder.parent / "bin"
    programs.mkdir(exist_ok=True)
    starts = {
        "policycompiler": f'exec "{sys.executable}" -m policycompiler "$@"',
        "python": f'exec "{sys.executable}" "$@"',
    }
    for name, line in starts.items():
        (programs / name).write_text(f"#!/bin/sh\n{line}\n")
        (programs / name).chmod(0o755)
    environment = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "HOME": str(folder.parent),
        "REVIEWS": REVIEW["env"]["REVIEWS"],
        **variables,
    }
    command = ["bash", "-e", "-o", "pipefail", "-c", script]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def ours(lines: list[str]) -> list[str]:
    """All but what installs us."""
    return [line for line in lines if not line.startswith("pip install ")]


def test_every_recipe_is_yaml_and_none_has_more_rights_than_it_needs() -> None:
    assert len(RECIPES) == PAGE.count("```yaml")
    assert [workflow["permissions"] for workflow in WORKFLOWS] == [
        {"contents": "read", "security-events": "write"},
        {},
    ]
    assert REVIEW["permissions"] == {"contents": "read", "pull-requests": "write"}
    assert "\non: pull_request_target" not in PAGE
    assert GITLAB["variables"] == REVIEW["env"]


def test_what_a_script_runs_is_on_the_page_and_nothing_is_pasted_into_it() -> None:
    steps = [each for workflow in WORKFLOWS for job in workflow["jobs"].values() for each in job["steps"]]
    assert [each for each in steps if "${{" in each.get("run", "")] == []
    said = {value for each in steps for value in each.get("env", {}).values()}
    assert said == {"${{ github.token }}", "${{ github.event.pull_request.html_url }}"}


def test_the_review_of_a_pull_request_is_of_the_merge_and_its_base(merge: Merge, tmp_path: Path) -> None:
    checkout = next(each for each in REVIEW["steps"] if each.get("uses", "").startswith("actions/checkout"))
    folder = clone(merge, "result", checkout["with"]["fetch-depth"], tmp_path)
    lines = ours([each["run"] for each in REVIEW["steps"] if "run" in each])
    assert [line.split()[0] for line in lines] == ["while", "cat", "head", "failed=0"]
    summary = tmp_path / "summary"
    for line in lines[:2]:
        assert step(line, folder, GITHUB_STEP_SUMMARY=str(summary)).returncode == 0
    assert summary.read_text() == (folder / "review.md").read_text()
    assert re.findall(r"(?m)^\*\*(policycompiler: .*?) —", summary.read_text()) == [
        "policycompiler: shop (staging): lossy",
        "policycompiler: shop (prod): lossy",
    ]
    # Nothing of one is below the fold of the other: HTML ends with an empty line.
    assert "</details>\n\n**policycompiler: shop (prod)" in summary.read_text()
    # What `main` did in the meantime is not in it.
    assert "shop.b" not in summary.read_text()
    decided = step(lines[-1], folder)
    assert (decided.returncode, decided.stderr) == (0, "")
    assert decided.stdout.startswith("::warning file=workloads/a.yaml,line=6,")
    assert "::warning file=workloads/a.yaml,line=7," in decided.stdout
    (folder / "policycompiler.toml").write_text('policy = "policy.yaml"\n')
    (folder / "policy.yaml").write_text("version: 1\nseverities: {lossy-change: error}\n")
    assert [step(line, folder).returncode for line in (lines[0], lines[-1])] == [0, 1]


def test_a_branch_with_an_error_is_commented_as_such_and_fails(merge: Merge, tmp_path: Path) -> None:
    folder = clone(merge, "result", 2, tmp_path)
    wrong = workload("2s") + "schedules: {daily: {task: shop.a, cron: 30 6 * * 7}}\n"
    (folder / "workloads" / "a.yaml").write_text(wrong)
    lines = ours([each["run"] for each in REVIEW["steps"] if "run" in each])
    step(lines[0], folder)
    assert (folder / "review.md").read_text().startswith("⚠ **workloads has 1 error ")
    decided = step(lines[-1], folder)
    assert decided.returncode == 1
    assert decided.stdout.startswith("::error file=workloads/a.yaml,line=8,")
    base = "\n".join(GITLAB["script"][-3:])
    assert step(base, folder, base="HEAD^1").returncode == 1
    found = json.loads((folder / "review.json").read_text())
    assert {(each["check_name"], each["severity"]) for each in found} == {("schedule-cron", "critical")}


def test_a_checkout_without_the_base_says_how_to_get_it(merge: Merge, tmp_path: Path) -> None:
    folder = clone(merge, "result", 1, tmp_path)
    refused = step(ours([each["run"] for each in REVIEW["steps"] if "run" in each])[-1], folder)
    assert refused.returncode == 2
    assert "the clone is shallow" in refused.stderr


@pytest.mark.parametrize("merged", [True, False])
def test_the_review_of_a_merge_request_fetches_its_base(
    merge: Merge, tmp_path: Path, *, merged: bool
) -> None:
    folder = clone(merge, "result" if merged else "branch", 1, tmp_path)
    known = {"CI_MERGE_REQUEST_DIFF_BASE_SHA": merge.began}
    if merged:
        known["CI_MERGE_REQUEST_TARGET_BRANCH_SHA"] = merge.main
    done = step("\n".join(ours(GITLAB["script"])), folder, **known)
    assert done.returncode == 0, done.stderr
    assert (folder / "review.md").read_text().startswith("**policycompiler: shop (staging): lossy")
    assert "\n**policycompiler: shop (prod): lossy" in (folder / "review.md").read_text()
    assert "shop.b" not in (folder / "review.md").read_text()
    found = json.loads((folder / GITLAB["artifacts"]["reports"]["codequality"]).read_text())
    assert {(each["check_name"], each["location"]["path"]) for each in found} == {
        ("lossy-change", "workloads/a.yaml")
    }
    assert {each["location"]["lines"]["begin"] for each in found} == {6, 7}


def reviews(folder: Path, what: str, **variables: str) -> tuple[int, str, str]:
    """What the recipe for GitHub ends with, its log, and the comment."""
    lines = ours([each["run"] for each in REVIEW["steps"] if "run" in each])
    (folder / "review.md").unlink(missing_ok=True)
    step(lines[0], folder, REVIEWS=what, **variables)
    decided = step(lines[-1], folder, REVIEWS=what, **variables)
    comment = (folder / "review.md").read_text() if (folder / "review.md").exists() else ""
    return decided.returncode, decided.stdout + decided.stderr, comment


def test_what_the_page_says_a_review_fails_on(merge: Merge, tmp_path: Path) -> None:
    folder = clone(merge, "result", 2, tmp_path)
    text = (folder / "workloads" / "a.yaml").read_text()
    (folder / "workloads" / "a.yaml").write_text(text.replace("prod: {", "new: {"))
    brought, deleted = (reviews(folder, f"workloads --env {name}") for name in ("new", "prod"))
    assert "git:HEAD^1 has no environment `new`" in brought[1]
    assert (brought[0], brought[2]) == (2, "")
    assert deleted[0] == 1
    assert "no file has an environment `prod`" in deleted[1]
    (folder / "workloads").rename(folder / "jobs")
    moved = reviews(folder, "jobs")
    assert "if it had another path then, write `git:HEAD^1:PATH`" in moved[1]
    assert (moved[0], moved[2]) == (2, "")
    gone = reviews(folder, "workloads")
    assert "workloads does not exist" in gone[1]
    assert gone[0] == 2
    told = step("policycompiler diff git:HEAD^1:workloads jobs", folder)
    assert (told.returncode, "lossy" in told.stdout) == (0, True)


def test_a_service_below_the_root_is_reviewed_with_what_its_base_has(merge: Merge, tmp_path: Path) -> None:
    folder = clone(merge, "result", 2, tmp_path)
    (folder / "platform").mkdir()
    (folder / "platform" / "policy.yaml").write_text("version: 1\n")
    told = "git:HEAD^1 has no platform/policy.yaml: it is compared without a policy file"
    code, log, comment = reviews(folder, "workloads --policy platform/policy.yaml --env prod")
    assert (code, told in log) == (0, True)
    assert f"\n\n{told}\n\n" in comment
    text = step("policycompiler diff git:HEAD^1 workloads --policy platform/policy.yaml", folder).stdout
    assert f"\n{told}\n" in text
    # No project file says where the sources are: the other side does.
    beside = step("policycompiler diff git:HEAD^1 git:HEAD:workloads", folder)
    assert (beside.returncode, "git:HEAD^1:workloads → git:HEAD:workloads" in beside.stdout) == (0, True)


def test_the_repair_of_a_base_that_makes_no_plan_stays_red(merge: Merge, tmp_path: Path) -> None:
    folder = clone(merge, "result", 2, tmp_path)
    right = (folder / "workloads" / "a.yaml").read_text()
    for text in (right.replace("runtime", "runtme"), right):
        (folder / "workloads" / "a.yaml").write_text(text)
        git("commit", "--quiet", "--all", "--message", "a", folder=folder)
    code, log, comment = reviews(folder, "workloads")
    assert code == 1
    told = "git:HEAD^1 has errors, so there is no plan to compare with"
    assert comment == f"**policycompiler: shop: {told}**\n\n"
    assert "git:HEAD^1: workloads/a.yaml:6:" in log
    assert "::" not in log
    (folder / "policy.yaml").write_text("version: 2\n")
    git("add", "--all", folder=folder)
    git("commit", "--quiet", "--message", "a", folder=folder)
    (folder / "policy.yaml").write_text("version: 1\n")
    git("commit", "--quiet", "--all", "--message", "a", folder=folder)
    code, log, comment = reviews(folder, "workloads --policy policy.yaml")
    assert (code, "git:HEAD^1: policy.yaml:1:" in log) == (2, True)
    assert "has errors, so there is no plan to compare with" in comment


class Notes(BaseHTTPRequestHandler):
    """As much of GitLab's interface as a comment needs."""

    notes: dict[int, tuple[int, str]]
    mine = 7

    def do_GET(self) -> None:
        """Who is asking, or all notes."""
        if self.path == "/api/user":
            self.answer({"id": self.mine})
        else:
            assert self.path == "/api/projects/1/merge_requests/2/notes?sort=asc&per_page=100"
            self.answer([{"id": key, "author": {"id": who}} for key, (who, _) in self.notes.items()])

    def do_POST(self) -> None:
        """A new note."""
        assert self.path == "/api/projects/1/merge_requests/2/notes"
        self.notes[max(self.notes) + 1] = (self.mine, self.body())
        self.answer({})

    def do_PUT(self) -> None:
        """Another text for a note."""
        key = int(self.path.removeprefix("/api/projects/1/merge_requests/2/notes/"))
        assert self.notes[key][0] == self.mine
        self.notes[key] = (self.mine, self.body())
        self.answer({})

    def body(self) -> str:
        """The text that was sent."""
        length = int(self.headers["Content-Length"])
        return parse_qs(self.rfile.read(length).decode(), strict_parsing=True)["body"][0]

    def answer(self, data: object) -> None:
        """Whoever has no token gets none."""
        self.send_response(200 if self.headers["PRIVATE-TOKEN"] == "s3cret" else 401)
        self.end_headers()
        self.wfile.write(json.dumps(data).encode())

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def gitlab() -> Iterator[str]:
    Notes.notes = {1: (3, "looks good")}
    with HTTPServer(("127.0.0.1", 0), Notes) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/api"
        server.shutdown()
        thread.join()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_a_merge_request_has_one_comment_which_is_kept_up_to_date(gitlab: str, tmp_path: Path) -> None:
    (script,) = GITLAB["after_script"]
    folder = tmp_path / "checkout"
    folder.mkdir()
    variables = {
        "CI_API_V4_URL": gitlab,
        "CI_MERGE_REQUEST_PROJECT_ID": "1",
        "CI_MERGE_REQUEST_IID": "2",
        "POLICYCOMPILER_TOKEN": "s3cret",
    }
    texts = ["**policycompiler: safe** & `$(date)` 100 %\n\n/close\n", "another\n"]
    for text in texts:
        (folder / "review.md").write_text(text)
        done = step(script, folder, **variables)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        assert Notes.notes == {1: (3, "looks good"), 2: (7, text)}
    refused = step(script, folder, **{**variables, "POLICYCOMPILER_TOKEN": "wrong"})
    assert refused.returncode == 1
    assert Notes.notes[2] == (7, texts[-1])
    assert step(script, folder, CI_API_V4_URL=gitlab).returncode == 0
