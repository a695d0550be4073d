"""Compiled files, judged by their real readers: what they refuse is a finding with its file and line."""

from __future__ import annotations

import json
import shutil
from hashlib import sha256
from pathlib import Path

import pytest
from places import EXAMPLES
from tools import needs

from policycompiler import __version__
from policycompiler.compiler import compile_workload
from policycompiler.output import manifest_file, write
from policycompiler.plan import Plan
from policycompiler.verify import files

TOOLS = ("promtool", "shellcheck", "sh", "systemd-analyze", "supervisord", "redis-server")


@pytest.fixture(scope="module")
def compiled(tmp_path_factory) -> tuple[Plan, Path]:
    made = compile_workload([EXAMPLES / "shop"])
    folder = tmp_path_factory.mktemp("verify") / "build"
    write(folder, [*made.files, manifest_file(made.files, made.sources, "0")])
    assert made.plan is not None
    return made.plan, folder


@pytest.fixture
def build(compiled, tmp_path) -> Path:
    """A copy without the tests of the rules: they take most of the time, and say nothing about other files."""
    return shutil.copytree(compiled[1], tmp_path / "build", ignore=shutil.ignore_patterns("*.tests.yaml"))


def told(plan: Plan, folder: Path, **more) -> set[tuple[str, str]]:
    found = files.findings(plan, folder, __version__, **more)
    return {(each.name, Path(each.place.file).relative_to(folder).as_posix()) for each in found}


def test_every_reader_accepts_what_was_compiled(compiled):
    for tool in TOOLS:
        needs(tool)
    assert told(*compiled) == set()


@pytest.mark.parametrize(
    ("tool", "file", "old", "new"),
    [
        ("sh", "celeryconfig.py", "task_routes = {", "task_routes = {{"),
        ("sh", "celeryconfig.py", "task_routes = {", "import nothing_like_this\ntask_routes = {"),
        ("sh", "launch/search.sh", "exec celery", "if celery"),
        ("shellcheck", "launch/search.sh", "exec celery", "cd $HOME\nexec celery"),
        ("systemd-analyze", "systemd/shop-beat.service", "Restart=", "Restrat="),
        ("supervisord", "supervisor/shop.conf", "autorestart=true", "autorestart=perhaps"),
        ("promtool", "prometheus/shop.queues.rules.yaml", "expr: ", "exrp: "),
    ],
)
def test_each_reader_refuses_a_broken_file(compiled, build, tool, file, old, new):
    needs(tool)
    path = build / file
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    assert {("file-changed", file), ("file-refused", file)} <= told(compiled[0], build)


def test_a_failing_unit_test_of_the_rules_is_a_finding(compiled, build):
    needs("promtool")
    shutil.copy(compiled[1] / "prometheus/shop.queues.tests.yaml", build / "prometheus")
    path = build / "prometheus/shop.queues.rules.yaml"
    text = path.read_text("utf-8")
    path.write_text(text.replace("expr: ", "expr: vector(1) or ", 1), encoding="utf-8")
    assert "file-refused" in {name for name, file in told(compiled[0], build) if file.endswith("tests.yaml")}


def test_a_missing_file_and_a_missing_reader_are_named(compiled, build, monkeypatch):
    (build / "Procfile").unlink()
    monkeypatch.setattr("policycompiler.reality.checkers.shutil.which", lambda *_, **__: None)
    found = told(compiled[0], build)
    assert ("file-missing", "Procfile") in found
    assert ("checker-missing", ".") in found
    assert ("checker-required", ".") in told(compiled[0], build, require_all=True)


BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40))


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("prometheus/shop.queues.rules.yaml", BOMB.encode(), "aliases of YAML"),
        ("systemd/shop-celery.target", b"[Unit]\n\xff\xfe", "not UTF-8 text"),
        ("manifest.json", b"\xff", "`manifest.json` is not readable"),
        ("manifest.json", b"[]", "`manifest.json` is not readable"),
        ("manifest.json", b'{"files": ["a"]}', "`manifest.json` is not readable"),
    ],
)
def test_a_file_that_no_reader_should_get_is_a_finding(compiled, build, file, content, message):
    (build / file).write_bytes(content)
    found = [each for each in files.findings(compiled[0], build, __version__) if each.name == "file-refused"]
    assert [message in each.message for each in found] == [True]


@pytest.mark.parametrize(("version", "expected"), [("0", set()), (__version__, {"routing.json"})])
def test_an_unchanged_file_of_another_version_may_have_another_form(
    compiled, build, version, expected, monkeypatch
):
    monkeypatch.setattr("policycompiler.reality.checkers.CHECKERS", ())
    manifest = json.loads((build / "manifest.json").read_text("utf-8"))
    text = (build / "routing.json").read_text("utf-8").replace('"format": 1', '"format": 0')
    (build / "routing.json").write_text(text, "utf-8")
    manifest["version"] = version
    manifest["files"]["routing.json"] = sha256(text.encode()).hexdigest()
    (build / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    assert {file for name, file in told(compiled[0], build) if name == "file-disagrees"} == expected
