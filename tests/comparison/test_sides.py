"""The sides of a comparison: what each text names, and what is said where it cannot be read."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner
from places import DATA, EVERYTHING, EXAMPLES
from plan_data import told
from tools import needs

from policycompiler import __version__, output, sides
from policycompiler.cli import cli
from policycompiler.compiler import compile_workload
from policycompiler.load import find_sources
from policycompiler.plan import APP, Plan
from policycompiler.plan.file import to_json
from policycompiler.sides import Side, SideError, read_side, with_path_of

SHOP = EXAMPLES / "shop"
PLANS = sorted((DATA / "plans").glob("*.json"))
WORKLOAD = """\
version: 1
service: shop
app: shop.celery_app:app
owner: storefront
broker: {transport: redis, url: "${CELERY_BROKER_URL}"}
tasks:
  shop.mail.send: {runtime: %s, idempotent: true}
"""


def refusal(text: str, **how: Path) -> str:
    with pytest.raises(SideError) as refused:
        read_side(text, **how)
    return str(refused.value)


def made(side: Side) -> Plan:
    assert side.plan is not None
    return side.plan


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.stem)
def test_the_plans_that_earlier_states_of_this_program_wrote_are_read(path: Path) -> None:
    side = read_side(str(path))
    expected = json.loads(path.read_text())
    for scope, keys in expected["settings"].items():
        keys.pop("longest_delay_seconds", None)
        together = keys.pop("arguments", None) if scope.startswith("queue:") else None
        if together is not None:
            arguments = together["value"]
            keys["type"] = {**together, "value": arguments.get("x-queue-type", "classic")}
            keys.update({f"arguments.{name}": {**together, "value": arguments[name]} for name in arguments})
    assert told(made(side)) == expected["settings"]
    assert side[2:] == (None, None, "", "")


def test_every_plan_that_is_made_today_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    for source in (SHOP, *EVERYTHING.glob("*.yaml")):
        plan = compile_workload([source], targets=()).plan
        assert plan is not None
        path.write_text(to_json(plan))
        assert read_side(str(path)).plan == plan, source


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """A folder that a compile wrote."""
    files = compile_workload([SHOP]).files
    manifest = output.manifest_file(files, {}, "0.0.7")
    assert output.write(tmp_path / "build", [*files, manifest]).problems == ()
    return tmp_path / "build"


def test_a_compiled_folder_is_its_plan_and_knows_the_version(built: Path) -> None:
    side = read_side(str(built))
    assert (side.plan, side.version) == (compile_workload([SHOP], targets=()).plan, "0.0.7")
    assert read_side(f"{built}/plan.json").version == "0.0.7"
    shutil.copy(built / "plan.json", built / "other.json")
    assert read_side(f"{built}/other.json").version == ""


def test_a_folder_of_a_phase_is_a_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, queue in (("old", "one"), ("new", "two")):
        Path(f"{name}.yaml").write_text(WORKLOAD.replace("runtime", f"queue: {queue}, runtime") % "1s")
    compiled = CliRunner().invoke(cli, ["compile", "new.yaml", "--rollout", "old.yaml"])
    assert compiled.exit_code == 0
    phase = read_side("build/rollout/1-overlap")
    assert made(phase) == made(read_side("build/rollout/1-overlap/plan.json"))
    assert made(phase) != made(read_side("build"))
    assert phase.version == __version__
    assert find_sources([Path("build/rollout/1-overlap")]) == []


@pytest.mark.parametrize("manifest", ["", "[]", "{}", '{"version": 7}', "[" * 100_000, "\0"])
def test_a_damaged_manifest_costs_the_version_only(built: Path, manifest: str) -> None:
    (built / "manifest.json").write_text(manifest)
    side = read_side(str(built))
    assert (side.version, bool(side.plan)) == ("", True)


def test_a_folder_and_a_file_are_sources() -> None:
    side = read_side(str(SHOP))
    assert side.plan == compile_workload([SHOP], targets=()).plan
    assert side.compilation is not None
    assert side.document is side.compilation.document
    assert side.version == ""
    assert read_side(None, default_paths=[SHOP])[1] == side.plan


def test_sources_that_make_no_plan_say_why_and_sources_that_are_none_say_that(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.yaml").write_text("version: 1\n")
    bad, empty = (read_side(str(tmp_path / name)) for name in ("bad.yaml", "empty"))
    assert [side.plan for side in (bad, empty)] == [None] * 2
    assert bad.compilation
    assert bad.compilation.failed
    assert empty.compilation
    assert empty.compilation.nothing_read
    with pytest.raises(SideError, match=r"a\.yaml does not exist"):
        read_side(str(tmp_path / "a.yaml"))


def plan_data() -> dict:
    return json.loads((DATA / "plans" / "first-minimal.json").read_text())


def nested(levels: int) -> list:
    value: list = []
    for _ in range(levels):
        value = [value]
    return value


def changed(**entry: object) -> str:
    data = plan_data()
    data["settings"]["task:hello.greet"]["queue"] |= entry
    return json.dumps(data)


def in_format_2(why: object = "as-written 0", origins: object = ({"spec": ["service"]},)) -> str:
    """A plan of one setting."""
    reason = {"policy": "as-written", "because": "", "origins": origins}
    settings = {"app": {"service": {"value": "shop", "why": why}}}
    return json.dumps({"format": 2, "reasons": {"as-written 0": reason}, "settings": settings})


def with_value(address: str, value: object) -> str:
    """A plan with another value, or a setting more."""
    data = plan_data()
    scope, _, key = address.rpartition("/")
    one = {"policy": "as-written", "because": "", "origins": [{"spec": ["tasks"]}]}
    data["settings"].setdefault(scope, {}).setdefault(key, one)["value"] = value
    return json.dumps(data)


NO_PLANS = {
    "empty": "",
    "yaml": "version: 1",
    "a list": "[]",
    "a text": '"plan"',
    "null": "null",
    "no settings": '{"format": 1}',
    "settings in a list": '{"format": 1, "settings": []}',
    "nothing in it": '{"format": 1, "settings": {}}',
    "a scope of numbers": '{"format": 1, "settings": {"app": {"service": 7}}}',
    "a scope in a list": '{"format": 1, "settings": {"app": ["service"]}}',
    "no format": '{"settings": {}}',
    "format of another kind": '{"format": "1", "settings": {}}',
    "another program's": '{"format": 3, "plan": {}}',
    "not finite": changed(value=[float("inf")]),
    "a number too long": changed(value=0).replace('"value": 0', '"value": ' + "9" * 5000),
    "half a character": changed(value="\ud800"),
    "half a character in a name": changed(because="x").replace("task:hello.greet", "task:\\uDC00"),
    "no origin": changed(origins=[]),
    "origins of text": changed(origins="spec"),
    "an origin of nothing": changed(origins=[{}]),
    "a path of text": changed(origins=[{"spec": "tasks"}]),
    "an empty path": changed(origins=[{"spec": []}]),
    "a reason of no text": changed(because=None),
    "a policy of no text": changed(policy=["placement"]),
    "a queue of no text": changed(value=5),
    "a task of no queue": changed(value=None),
    "a serializer in a list": with_value("app/task_serializer", [1]),
    "results in a list": with_value("app/result_serializer", [1]),
    "a task's serializer in a list": with_value("task:hello.greet/options.serializer", [1]),
    "a compression in a list": with_value("task:hello.greet/options.compression", [1]),
    "a schedule's serializer in a list": with_value("schedule:s/options", {"serializer": [1]}),
    "a schedule's queue is a number": with_value("schedule:s/options", {"queue": 7}),
    "more replicas than there are atoms": with_value("worker:w/replicas", 10**400),
    "more processes than there are atoms": with_value("worker:w/concurrency", 10**400),
    "more replicas than one can name": with_value("worker:w/replicas", 10**18),
    "fewer replicas than none": with_value("worker:w/replicas", -1),
    "retries without number": with_value("task:hello.greet/options.max_retries", 1e308),
    "a threshold of text": with_value("alert:a/threshold", "1"),
    "a path of a number": with_value("app/working_directory", 1),
    "an expiry after the end of time": with_value("task:hello.greet/options.expires", 10**400),
    "a number too large, in a list": with_value("app/x", [{"a": -(10**400)}]),
    "a reason of no name": in_format_2(why="placement 0"),
    "a reason that is a list": in_format_2(why=[]),
    "a setting without reason": '{"format": 2, "reasons": {}, "settings": {"app": {"app": {"value": "a"}}}}',
    "no reasons": '{"format": 2, "settings": {"app": {"service": {"value": 1, "why": "x 0"}}}}',
    "a field of the app": in_format_2(origins=[{"field": ["service"]}]),
    "no origin of a reason": in_format_2(origins=[]),
    "deep in a value": changed(value=nested(500)),
    "deep": "[" * 200_000,
    "deep in settings": '{"format": 1, "settings": ' + '{"a":' * 200_000,
}


@pytest.mark.parametrize("text", NO_PLANS.values(), ids=NO_PLANS)
def test_what_is_no_plan_is_refused_in_one_plain_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.json").write_text(text)
    advice = "name a `plan.json` that a compile wrote, its folder, or sources"
    assert refusal("a.json") == f"a.json is not a plan; {advice}"


def test_an_alert_may_have_no_queue_and_a_letter_may_take_two_halves(tmp_path: Path) -> None:
    for text in (in_format_2(), with_value("alert:a/queue", None), changed(value="\U0001f600")):
        (tmp_path / "a.json").write_text(text)
        assert made(read_side(str(tmp_path / "a.json")))


@pytest.mark.parametrize("settings", [{}, [], {"app": {"service": {"worth": "shop"}}}])
def test_a_plan_of_another_format_says_what_to_compare_instead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: object
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("next.json").write_text(json.dumps({"format": 3, "settings": settings}))
    assert refusal("next.json") == (
        "next.json is a plan of format 3, but this version reads formats 1 and 2; "
        "name its sources or `git:REV` instead, which this version compiles"
    )


def test_what_cannot_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe.json")
    Path("bytes.json").write_bytes(b'{"format": \xff}')
    Path("loop.json").symlink_to("loop.json")
    monkeypatch.setattr(sides, "LARGEST_PLAN_BYTES", 20)
    Path("large.json").write_bytes(b" " * 21)
    assert refusal("missing.json") == "missing.json cannot be read: No such file or directory"
    assert refusal("loop.json") == "loop.json cannot be read: Too many levels of symbolic links"
    assert refusal("pipe.json") == "pipe.json cannot be read: it is a pipe, not a file"
    assert refusal("bytes.json").startswith("bytes.json is not a plan;")
    assert refusal("large.json") == "large.json is larger than 20 B, so it is not a plan"
    assert refusal("x" * 5000 + ".json").endswith("cannot be read: File name too long")
    assert refusal("").startswith("a side is empty")
    assert refusal("a\0.json").startswith("a side is empty")


def test_a_refusal_is_one_line_without_passwords(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert refusal("\x1b[31m\n.json").startswith(r"\x1b[31m\n.json cannot be read")
    assert "hunter2" not in refusal("redis://me:hunter2@host/a.json")


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two commits of a workload and a policy file; the current folder is one of the repository."""
    needs("git")
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Somebody")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "somebody@example.org")
    folder = tmp_path / "repository"
    (folder / "jobs").mkdir(parents=True)
    monkeypatch.chdir(folder)
    subprocess.run(["git", "init", "--quiet"], check=True)
    for runtime, hard_over_soft in (("1s", "1.5"), ("40s", "2")):
        (folder / "jobs" / "w.yaml").write_text(WORKLOAD % runtime)
        rules = f"version: 1\nparameters: {{time-limits: {{hard_over_soft: {hard_over_soft}}}}}\n"
        (folder / "policy.yaml").write_text(rules)
        subprocess.run(["git", "add", "--all"], check=True)
        subprocess.run(["git", "commit", "--quiet", "--message", runtime], check=True)
    return folder


@pytest.mark.usefixtures("repository")
def test_a_revision_is_compiled_as_its_files_would_be(tmp_path: Path) -> None:
    subprocess.run(["git", "worktree", "add", "--quiet", "--detach", tmp_path / "old", "HEAD~1"], check=True)
    for text, paths in (("git:HEAD~1", [Path("jobs")]), ("git:HEAD~1:jobs", []), ("git:HEAD~1:", [])):
        side = read_side(text, default_paths=paths, policy=Path("policy.yaml"))
        expected = compile_workload(
            [tmp_path / "old" / "jobs"], policy=tmp_path / "old" / "policy.yaml", targets=()
        )
        assert made(side) == expected.plan, text
        assert side.label == text
        assert side.document is not None
        assert set(side.document.texts) == {"jobs/w.yaml", "policy.yaml"}
        assert side.compilation is not None
        assert side.compilation.sources == {
            "jobs/w.yaml": side.compilation.sources["jobs/w.yaml"],
            **{name: hashed for name, hashed in side.compilation.sources.items() if name == "policy.yaml"},
        }
        assert side.compilation.policy.parameters == {"time-limits": {"hard_over_soft": 1.5}}


@pytest.mark.usefixtures("repository")
def test_a_revision_without_the_policy_file_is_compiled_without_and_known_as_such() -> None:
    assert read_side("git:HEAD", default_paths=[Path("jobs")], policy=Path("policy.yaml")).lacks == ""
    assert read_side("git:HEAD", default_paths=[Path("jobs")]).lacks == ""
    Path("platform").mkdir()
    Path("policy.yaml").rename("platform/policy.yaml")
    side = read_side("git:HEAD", default_paths=[Path("jobs")], policy=Path("platform/policy.yaml"))
    assert (side.lacks, bool(side.plan)) == ("platform/policy.yaml", True)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("git:HEAD~1", "git:HEAD:jobs", "git:HEAD~1:jobs"),
        ("git:main@{2026-11-21 14:00:00}", "git:HEAD:./jobs", "git:main@{2026-11-21 14:00:00}:./jobs"),
        ("git:HEAD~1", "git:HEAD:", "git:HEAD~1:"),
        ("git:HEAD~1:old", "git:HEAD:jobs", "git:HEAD~1:old"),
        ("git:HEAD~1", "git:HEAD", "git:HEAD~1"),
        ("git:HEAD~1", "jobs", "git:HEAD~1"),
        ("build", "git:HEAD:jobs", "build"),
    ],
)
def test_a_revision_without_a_path_has_that_of_the_other(old: str, new: str, expected: str) -> None:
    assert with_path_of(old, new) == expected


@pytest.mark.usefixtures("repository")
def test_places_of_a_revision_name_files_and_no_temporary_folder() -> None:
    side = read_side("git:HEAD", default_paths=[Path("jobs")])
    assert side.document is not None
    assert str(side.document.place(("tasks", "shop.mail.send")).file) == "jobs/w.yaml"
    assert side.document.place(("tasks", "shop.mail.send")).line == 7
    Path("jobs/w.yaml").write_text(WORKLOAD.replace("runtime", "runtme") % "1s")
    subprocess.run(["git", "commit", "--quiet", "--all", "--message", "a mistake"], check=True)
    worse = read_side("git:HEAD", default_paths=[Path("jobs")])
    assert worse.plan is None
    assert worse.compilation is not None
    assert worse.compilation.diagnostics
    assert all("/tmp" not in repr(finding) for finding in worse.compilation.diagnostics)


def test_a_path_of_a_revision_begins_at_the_repository_or_with_a_dot_at_the_current_folder(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repository / "jobs")
    plan = made(read_side("git:HEAD:jobs"))
    for text in (
        "git:HEAD:./",
        "git:HEAD:.",
        "git:HEAD:./w.yaml",
        "git:HEAD:../jobs",
        "git:HEAD:jobs/w.yaml",
    ):
        assert made(read_side(text)) == plan, text
    assert made(read_side("git:HEAD", default_paths=[Path()])) == plan
    assert made(read_side("git:HEAD@{2090-01-01 14:00:00}:jobs")) == plan
    assert refusal("git:HEAD:w.yaml").startswith("`w.yaml` at `HEAD`: there is no such file or folder")
    assert refusal("git:nowhere", default_paths=[Path()]).startswith(
        "the repository has no revision `nowhere`"
    )
    assert refusal("git:").startswith("`` is not a revision")


@pytest.mark.usefixtures("repository")
def test_a_revision_with_nothing_to_read_says_so(built: Path) -> None:
    shutil.copytree(built, "build")
    Path("docs").mkdir()
    Path("docs/a.txt").write_text("")
    subprocess.run(["git", "add", "--all", "--force"], check=True)
    subprocess.run(["git", "commit", "--quiet", "--message", "more"], check=True)
    for path in ("docs", "build"):
        side = read_side(f"git:HEAD:{path}")
        assert side.compilation is not None
        assert side.compilation.nothing_read
    assert refusal("git:HEAD:build/plan.json").startswith(
        "git:HEAD:build/plan.json: a revision is read from its sources"
    )


@pytest.mark.usefixtures("repository")
def test_waivers_and_the_policy_file_of_a_side_are_kept() -> None:
    waiver = "waivers: [{finding: PC999, at: tasks, reason: x, owner: storefront, expires: 2030-01-01}]\n"
    Path("jobs/w.yaml").write_text(WORKLOAD % "1s" + waiver)
    side = read_side("jobs", policy=Path("policy.yaml"), today=date(2026, 1, 1))
    assert side.compilation is not None
    assert [each["finding"] for each in side.compilation.waivers] == ["PC999"]
    assert side.compilation.policy.parameters == {"time-limits": {"hard_over_soft": 2}}
    silent = read_side("jobs", apply_waivers=False)
    assert silent.compilation is not None
    assert silent.compilation.policy.parameters == {}
    assert len(silent.compilation.waivers) == 1


def test_a_file_whose_name_begins_like_a_revision_is_read_with_a_dot_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("git:HEAD.yaml").write_text(WORKLOAD % "1s")
    assert made(read_side("./git:HEAD.yaml")).text(APP, "service") == "shop"


def test_a_plan_for_an_unknown_broker_is_refused(tmp_path: Path) -> None:
    plan = compile_workload([SHOP], targets=()).plan
    assert plan is not None
    document = json.loads(to_json(plan))
    document["settings"]["app"]["broker_transport"]["value"] = "pigeon"
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(document))
    assert "is for the broker `pigeon`, which this version does not know" in refusal(str(path))
