"""A fix changes what it names and not a character more."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from workloads import document_of

from policycompiler.cli import cli
from policycompiler.diagnostics import Remove, Rename, Replace, info
from policycompiler.findings import fixes

FINDING = info("PC000", "for-tests")

BLOCK = """\
# the shop
tasks:
  # first
  shop.a:
    latency: batch   # slow
    options:
      acks_late: true
      # why this
      priority: 3  # gone with it

  # second
  shop.b: {work: cpu, options: {priority: 3, rate_limit: 1/s}, result: keep}
queues:
- one
- two   # the second
- three
"""

MENDED = {
    "a key of a block": (
        Remove(("tasks", "shop.a", "options", "priority")),
        "      priority: 3  # gone with it\n",
        "",
    ),
    "a key with all below it": (
        Remove(("tasks", "shop.a", "options")),
        "    options:\n      acks_late: true\n      # why this\n      priority: 3  # gone with it\n",
        "",
    ),
    "an entry, and the comments of the next one stay": (
        Remove(("tasks", "shop.a")),
        BLOCK[BLOCK.index("  shop.a:") : BLOCK.index("\n  # second")],
        "",
    ),
    "the first key of a flow": (
        Remove(("tasks", "shop.b", "work")),
        "{work: cpu, options",
        "{options",
    ),
    "the last key of a flow": (Remove(("tasks", "shop.b", "result")), ", result: keep}", "}"),
    "a flow inside a flow": (
        Remove(("tasks", "shop.b", "options")),
        "options: {priority: 3, rate_limit: 1/s}, ",
        "",
    ),
    "an item of a list": (Remove(("queues", 1)), "- two   # the second\n", ""),
    "the last item": (Remove(("queues", 2)), "- three\n", ""),
    "another name": (Rename(("tasks", "shop.a", "latency"), "work"), "latency: batch", "work: batch"),
    "a name that needs quotes": (
        Rename(("tasks", "shop.a", "latency"), "a: b"),
        "latency: batch",
        '"a: b": batch',
    ),
    "a number": (
        Replace(("tasks", "shop.a", "options", "priority"), 4),
        "priority: 3  # gone",
        "priority: 4  # gone",
    ),
    "a flag": (
        Replace(("tasks", "shop.a", "options", "acks_late"), value=False),
        "acks_late: true",
        "acks_late: false",
    ),
    "a text": (Replace(("tasks", "shop.a", "latency"), "standard"), "latency: batch", "latency: standard"),
    "a text that looks like something else": (
        Replace(("tasks", "shop.a", "latency"), "5.7"),
        "latency: batch",
        'latency: "5.7"',
    ),
}
LEFT_ALONE = {
    "the only key of a block": ("tasks:\n  shop.a:\n    work: cpu\n", Remove(("tasks", "shop.a", "work"))),
    "an anchor": ("tasks:\n  a: &x {work: cpu, result: keep}\n  b: *x\n", Remove(("tasks", "a", "work"))),
    "a name that is there": (
        "tasks:\n  a: {work: cpu, latency: batch}\n",
        Rename(("tasks", "a", "work"), "latency"),
    ),
    "what is not there": ("tasks:\n  a: {work: cpu}\n", Replace(("tasks", "a", "latency"), "batch")),
    "a mapping that would be a scalar": ("tasks:\n  a: {work: cpu}\n", Replace(("tasks", "a"), "batch")),
    "a key that shares its line": ("tasks:\n- work: cpu\n  result: keep\n", Remove(("tasks", 0, "work"))),
    "a folded text": ("tasks:\n  a: >\n    long\n    text\n", Replace(("tasks", "a"), "short")),
}


def fixed(text: str, *edits: fixes.Edit) -> str:
    document = document_of(text)
    findings = [FINDING.at(edit.path, "", fix=(edit,)) for edit in edits]
    (new,) = fixes.fixed(document, findings).texts.values() or [text]
    return new


@pytest.mark.parametrize(("edit", "before", "after"), MENDED.values(), ids=MENDED)
def test_it_changes_only_what_it_names(edit, before, after):
    assert BLOCK.count(before) == 1
    assert fixed(BLOCK, edit) == BLOCK.replace(before, after)


@pytest.mark.parametrize(("edit", "before", "after"), MENDED.values(), ids=MENDED)
def test_the_ends_of_lines_stay_as_they_are(edit, before, after):
    windows = BLOCK.replace("\n", "\r\n")
    assert fixed(windows, edit) == BLOCK.replace(before, after).replace("\n", "\r\n")


@pytest.mark.parametrize(("text", "edit"), LEFT_ALONE.values(), ids=LEFT_ALONE)
def test_what_it_cannot_do_without_harm_it_leaves_alone(text, edit):
    assert fixed(text, edit) == text


def test_several_are_made_together():
    changed = fixed(
        BLOCK,
        Remove(("tasks", "shop.a", "options", "priority")),
        Remove(("tasks", "shop.b", "options", "priority")),
        Rename(("tasks", "shop.b", "work"), "latency"),
        Remove(("queues", 0)),
    )
    assert "priority" not in changed
    assert "{latency: cpu, options: {rate_limit: 1/s}, result: keep}" in changed
    assert "- one" not in changed


IN_DEFAULTS = """\
version: 1
service: shop
app: shop:app
broker: {transport: redis, url: "${U}"}
defaults:
  retry: {on: [OSError], max: 3}
tasks:
  shop.a: {idempotent: true, runtime: 1s}
  shop.b: {external: true, queue: theirs}
"""

WORKLOAD = """\
version: 1
service: shop
app: shop:app
broker: {transport: redis, url: "${U}"}
schedules:
  often: # every minute
    task: shop.a
    every: 1m
    expires: 50s
    timezone: Europe/Paris  # has no effect on an interval
tasks: {shop.a: {idempotent: true, runtime: 1s}}
"""


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = Path("workload.yaml")
    path.write_bytes(WORKLOAD.encode())
    return path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["check", "workload.yaml", *arguments])


def test_check_fix_mends_the_file_and_reports_what_is_left(source):
    assert "timezone-unused" in run().stdout
    result = run("--fix")
    assert result.exit_code == 0
    assert result.stderr == "fixed 1 finding: workload.yaml\n"
    assert "timezone-unused" not in result.stdout
    line = "    timezone: Europe/Paris  # has no effect on an interval\n"
    assert source.read_bytes() == WORKLOAD.replace(line, "").encode()
    assert run("--fix").stderr == "nothing to fix\n"


def test_fix_diff_shows_it_and_writes_nothing(source):
    result = run("--fix", "--diff")
    assert result.stdout == (
        "--- workload.yaml\n+++ workload.yaml\n@@ -7,5 +7,4 @@\n"
        "     task: shop.a\n     every: 1m\n     expires: 50s\n"
        "-    timezone: Europe/Paris  # has no effect on an interval\n"
        " tasks: {shop.a: {idempotent: true, runtime: 1s}}\n"
    )
    assert source.read_bytes() == WORKLOAD.encode()


def test_mode_link_and_byte_order_mark_stay(source):
    Path("real").mkdir()
    source.rename("real/w.yaml")
    source.symlink_to("real/w.yaml")
    source.write_bytes(b"\xef\xbb\xbf" + WORKLOAD.encode())
    source.chmod(0o640)
    assert run("--fix").exit_code == 0
    assert source.is_symlink()
    assert source.read_bytes().startswith(b"\xef\xbb\xbfversion")
    assert source.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in Path("real").iterdir()] == ["w.yaml"]


def test_a_waived_finding_is_not_mended(source):
    waiver = "waivers: [{finding: timezone-unused, at: '*', reason: r, owner: o, expires: 2099-01-01}]\n"
    source.write_text(WORKLOAD + waiver)
    run("--fix")
    assert source.read_text() == WORKLOAD + waiver


def test_diff_without_fix_is_wrong_use(source):
    assert run("--diff").exit_code == 2
    assert source.read_bytes() == WORKLOAD.encode()


def test_what_stands_for_several_tasks_is_left_alone(source):
    source.write_text(IN_DEFAULTS)
    assert run("--fix").stderr == "nothing to fix\n"
    assert source.read_text() == IN_DEFAULTS


@pytest.mark.parametrize("arguments", [["--fix"], ["--fix", "--env", "prod"]])
def test_what_an_environment_needs_is_left_alone(source, arguments):
    other = "environments: {prod: {schedules: {often: {every: null, cron: '0 3 * * *'}}}}\n"
    source.write_text(WORKLOAD + other)
    run(*arguments)
    assert source.read_text() == WORKLOAD + other


def test_what_no_environment_needs_is_mended(source):
    source.write_text(WORKLOAD + "environments: {prod: {schedules: {often: {every: 2m}}}}\n")
    assert run("--fix").stderr == "fixed 1 finding: workload.yaml\n"


def test_the_diff_shows_no_secret(source):
    source.write_text(
        WORKLOAD.replace("# has no effect on an interval", "# token: hunter2 redis://u:hunter2@h")
    )
    shown = run("--fix", "--diff").stdout
    assert "-    timezone" in shown
    assert "hunter2" not in shown
