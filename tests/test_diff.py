"""`diff` and `compile --rollout`: sides, formats, exit codes, acknowledgements, and what is written."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from compiled import read_plan
from jsonschema import Draft202012Validator
from reviews import GONE, MOVED, STEPS
from workloads import workload

from policycompiler.cli import cli
from policycompiler.plan import Plan
from policycompiler.review import Change, Review

ROOT = Path(__file__).parent.parent
WORKLOAD = workload("tasks: {shop.a: {runtime: 3s}, shop.b: {}}\n")
WAIVER = "waivers:\n- {finding: %s, at: %s, reason: nobody sends it, owner: shop, expires: %s}\n"
LOSSY = GONE._replace(address="task:shop.a", old_path=("tasks", "shop.a"), new_path=("tasks", "shop.a"))


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    put("old.yaml", WORKLOAD)
    put("new.yaml", WORKLOAD)
    put("policy.yaml", "version: 1\nseverities: {lossy-change: error}\n")


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[Change]:
    """What the comparison finds, for what becomes of it; what it finds by itself is tested with it."""
    changes: list[Change] = []

    def review(old: Plan, new: Plan, today: object) -> Review:
        del old, today
        steps = STEPS if changes else ()
        return Review(tuple(changes), steps, {"rollout/1-overlap": new} if changes else {})

    monkeypatch.setattr("policycompiler.review.review", review, raising=False)
    return changes


def put(name: str, text: str) -> None:
    Path(name).write_text(text, "utf-8")


def run(*arguments: str) -> Result:
    return CliRunner(catch_exceptions=False).invoke(cli, arguments, prog_name="policycompiler")


def diff(*arguments: str) -> Result:
    return run("diff", "old.yaml", "new.yaml", "--today", "2026-11-21", *arguments)


def acknowledge(finding: str = "lossy-change", at: str = "tasks.shop.a", until: str = "2026-12-31") -> None:
    put("new.yaml", WORKLOAD + WAIVER % (finding, at, until))


def tree(folder: str) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file()}


def test_the_same_on_both_sides_is_no_change(found: list[Change]) -> None:
    assert found == []
    result = diff("--exit-code")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "no changes in meaning\n", "")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), 0),
        (("--exit-code",), 1),
        (("--fail-on", "warning"), 1),
        (("--policy", "policy.yaml"), 1),
    ],
)
def test_what_a_change_is_worth(found: list[Change], options: tuple[str, ...], expected: int) -> None:
    found.append(LOSSY)
    assert diff(*options).exit_code == expected
    acknowledge()
    acknowledged = diff(*options)
    assert acknowledged.exit_code == 0
    assert "  acknowledged by shop until 2026-12-31: nobody sends it\n" in acknowledged.stdout


def test_a_change_in_order_fails_only_where_one_step_is_asked_for(found: list[Change]) -> None:
    found.append(MOVED)
    assert diff("--fail-on", "warning").exit_code == 0
    assert diff("--exit-code").exit_code == 1


def test_an_acknowledgement_does_not_count_after_its_day_or_when_none_is_to(found: list[Change]) -> None:
    found.append(LOSSY)
    acknowledge(until="2026-11-20")
    late = diff("--policy", "policy.yaml")
    assert late.exit_code == 1
    assert "its waiver has expired on 2026-11-20 and does not count" in late.stdout
    acknowledge()
    assert diff("--policy", "policy.yaml", "--no-waivers").exit_code == 1


def test_a_quiet_run_says_why_an_acknowledgement_does_not_count(found: list[Change]) -> None:
    found += [LOSSY, LOSSY._replace(address="task:shop.b", new_path=("tasks", "shop.b"))]
    acknowledge(until="2026-11-20")
    first, second = diff("--policy", "policy.yaml", "-q").stderr.splitlines()
    late = "its waiver has expired on 2026-11-20 and does not count"
    assert first.startswith(f"error[PC751] lossy-change: at `tasks.shop.a`, {late}; help: ")
    assert second.startswith("error[PC751] lossy-change: at `tasks.shop.b`, acknowledged by nobody; help: ")


def test_what_has_to_be_acknowledged_says_how(found: list[Change]) -> None:
    found.append(LOSSY)
    told = diff("--policy", "policy.yaml").stderr
    assert told.startswith("error[PC751] lossy-change: at `tasks.shop.a`, acknowledged by nobody; help: ")
    assert "with a waiver in the new workload" in told
    acknowledge(at="tasks.shop.b")
    assert "warning[PC702] waiver-unused: no `lossy-change` is found at `tasks.shop.b`" in diff().stderr


def test_what_nobody_wrote_can_be_acknowledged_by_its_address(found: list[Change]) -> None:
    found.append(LOSSY._replace(kind="worker-pool", address="worker:w/pool", old_path=(), new_path=()))
    acknowledge(at="workers.w")
    assert diff("--exit-code").exit_code == 0


@pytest.mark.parametrize("command", ["check", "compile"])
def test_an_acknowledgement_is_no_unused_waiver_where_nothing_is_compared(command: str) -> None:
    acknowledge()
    result = run(command, "new.yaml", "--today", "2026-11-21", "--fail-on", "warning")
    assert (result.exit_code, "waiver-unused" in result.output) == (0, False)


def test_a_merged_acknowledgement_leaves_the_next_comparison_alone(found: list[Change]) -> None:
    acknowledge()
    assert "waiver-unused" not in diff("--output-format", "github", "--fail-on", "info").stdout
    found.append(LOSSY._replace(new_path=("tasks", "shop.b")))
    assert "waiver-unused" in diff("--output-format", "github").stdout


def test_a_waiver_of_something_else_is_not_unused_in_a_comparison(found: list[Change]) -> None:
    found.append(LOSSY)
    acknowledge("retry-non-idempotent")
    assert "waiver-unused" not in diff("--output-format", "github").stdout


def test_every_format_shows_the_change(found: list[Change]) -> None:
    found.append(LOSSY)
    shown = json.loads(diff("--output-format", "json").stdout)
    Draft202012Validator(json.loads((ROOT / "schemas/diff.schema.json").read_text())).validate(shown)
    assert shown["verdict"] == "lossy"
    assert diff("--output-format", "markdown").stdout.startswith("**policycompiler: lossy")
    assert "::warning file=new.yaml,line=" in diff("--output-format", "github").stdout
    assert json.loads(diff("--output-format", "gitlab").stdout)[0]["location"]["path"] == "new.yaml"
    assert diff("-q").stdout == "lossy — work can be lost or repeated, whatever the order\n"
    assert diff("--output-file", "shown.txt").stdout == ""
    assert Path("shown.txt").read_text("utf-8") == diff().stdout


def test_what_is_gone_is_annotated_where_it_stood(found: list[Change]) -> None:
    found.append(LOSSY._replace(new_path=()))
    assert "::warning file=old.yaml,line=" in diff("--output-format", "github").stdout
    run("compile", "old.yaml", "-o", "built")
    plan = run("diff", "built", "built/plan.json", "--output-format", "github")
    assert "::warning title=PC751" in plan.stdout


def test_the_new_side_is_the_project_where_none_is_named(found: list[Change]) -> None:
    found.append(LOSSY)
    put("policycompiler.toml", 'sources = ["new.yaml"]\n')
    assert "old.yaml → new.yaml" in run("diff", "old.yaml").stdout


DAILY = "tasks: {shop.a: {idempotent: true}}\nschedules: {daily: {task: shop.a, cron: 30 6 * * %s}}\n"
WRONG = (
    "new.yaml has 1 error, as `policycompiler check` shows: what it is about is missing or wrong here, "
    "and `compile` writes nothing"
)


def test_a_new_side_with_errors_is_never_green() -> None:
    put("old.yaml", workload(DAILY % "*"))
    put("new.yaml", workload(DAILY % "7"))
    text, comment, quiet = diff(), diff("--output-format", "markdown", "--exit-code"), diff("-q")
    assert [each.exit_code for each in (text, comment, quiet)] == [1, 1, 1]
    assert text.stdout.startswith(f"{WRONG}\nmanual — ")
    assert comment.stdout.startswith(f"⚠ **{WRONG}**\n\n**policycompiler: manual — ")
    assert quiet.stdout.splitlines()[0] == WRONG
    assert "safe — " not in text.stdout + comment.stdout + quiet.stdout
    assert text.stderr + comment.stderr + quiet.stderr == ""
    for format_ in ("github", "gitlab"):
        found = diff("--output-format", format_)
        assert (found.exit_code, found.stderr) == (1, f"{WRONG}\n")
        assert "schedule-cron" in found.stdout
    into_a_file = diff("--output-file", "review.txt")
    assert (into_a_file.exit_code, into_a_file.stderr) == (1, f"{WRONG}\n")


def test_for_machines_errors_of_the_new_side_are_counted_and_somebody_has_to_act() -> None:
    put("new.yaml", workload("tasks: {shop.a: {idempotent: false, retry: {on: [OSError]}}, shop.b: {}}\n"))
    for old in ("old.yaml", "new.yaml"):
        result = run("diff", old, "new.yaml", "--output-format", "json")
        assert (result.exit_code, result.stderr.splitlines()[0]) == (1, WRONG)
        printed = json.loads(result.stdout)
        Draft202012Validator(json.loads((ROOT / "schemas/diff.schema.json").read_text())).validate(printed)
        assert (printed["verdict"], printed["errors"]) == ("manual", 1)
    put("new.yaml", WORKLOAD)
    assert "errors" not in json.loads(diff("--output-format", "json").stdout)


def test_errors_of_the_new_side_are_told_where_nothing_changes(found: list[Change]) -> None:
    assert found == []
    put("new.yaml", workload(DAILY % "7"))
    manual = "manual — somebody has to do or to decide something first"
    assert diff().stdout == f"{WRONG}\n{manual} · no changes in meaning\nold.yaml → new.yaml\n"
    assert diff("--output-format", "markdown").stdout == (
        f"⚠ **{WRONG}**\n\n**policycompiler: {manual}** · no changes in meaning\n"
    )


def test_what_somebody_answers_for_is_no_error_of_the_new_side(found: list[Change]) -> None:
    assert found == []
    put("new.yaml", workload("tasks: {shop.a: {idempotent: false, retry: {on: [OSError]}}}\n"))
    acknowledged = WAIVER % ("retry-non-idempotent", "tasks.shop.a", "2026-12-31")
    put("new.yaml", Path("new.yaml").read_text("utf-8") + acknowledged)
    assert (diff().exit_code, diff().stdout) == (0, "no changes in meaning\n")
    assert diff("--no-waivers").exit_code == 1


def test_errors_of_the_old_side_are_a_sentence_and_fail_nothing() -> None:
    put("old.yaml", workload(DAILY % "7"))
    put("new.yaml", workload(DAILY % "*"))
    told = "old.yaml has 1 error by the rules of today: what it is about may look new here"
    text, comment = diff(), diff("--output-format", "markdown")
    assert [each.exit_code for each in (text, comment, diff("--exit-code"))] == [0, 0, 0]
    assert text.stdout.startswith("safe — ")
    assert f"\n{told}\n" in text.stdout
    assert comment.stdout.startswith("**policycompiler: safe — ")
    assert f"\n{told}\n" in comment.stdout
    assert "errors" not in json.loads(diff("--output-format", "json").stdout)
    assert diff("-q").stdout == "safe — in one step, in any order\n"
    compiled = run("compile", "new.yaml", "--rollout", "old.yaml")
    assert compiled.exit_code == 0
    assert compiled.stderr.startswith(f"{told}\n")
    put("new.yaml", workload(DAILY % "7"))
    assert told in diff().stdout


def test_a_rollout_to_a_workload_with_errors_is_not_written() -> None:
    put("new.yaml", workload(DAILY % "7"))
    assert run("compile", "new.yaml", "--rollout", "old.yaml").exit_code == 1
    assert not Path("build").exists()


@pytest.mark.parametrize(
    ("old", "told"),
    [
        ("old.yaml", "old.yaml has no environment `staging`"),
        ("new.yaml", ""),
    ],
)
def test_the_first_of_an_environment_has_nothing_to_be_compared_with(old: str, told: str) -> None:
    put("new.yaml", WORKLOAD + "environments: {staging: {defaults: {latency: batch}}}\n")
    for command in (("diff", old, "new.yaml"), ("compile", "new.yaml", "--rollout", old)):
        result = run(*command, "--env", "staging")
        assert result.exit_code == (2 if told else 0)
        assert told in result.stderr
        assert not told or result.stderr.endswith(
            "so nothing of it runs that could be compared; compare without it, or with a side that has it\n"
        )
    assert "there are: staging" in run("diff", old, "new.yaml", "--env", "stagign").stdout


@pytest.mark.parametrize("side", ["old.yaml", "new.yaml"])
def test_a_side_that_makes_no_plan_is_shown_as_check_shows_it(side: str) -> None:
    put(side, WORKLOAD.replace("runtime", "runtme"))
    result = diff()
    assert (result.exit_code, result.stdout) == (1, run("check", side).stdout)


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("no.json", "new.yaml"), 2, "no.json cannot be read"),
        (("git:no-such-revision", "new.yaml"), 2, "Error: "),
        (("old.yaml", "empty"), 3, "nothing to read"),
        (("old.yaml",), 3, "nothing to read"),
        (("old.yaml", "new.yaml", "--policy", "none.yaml"), 2, ""),
        ((), 2, "Missing argument"),
    ],
)
def test_wrong_use_says_what_was_found(arguments: tuple[str, ...], code: int, told: str) -> None:
    Path("empty").mkdir()
    result = run("diff", *arguments)
    assert result.exit_code == code
    assert told in result.stderr


def rollout(*options: str) -> Result:
    return run("compile", "new.yaml", "--rollout", "before", "--today", "2026-11-21", *options)


def test_a_rollout_is_written_beside_the_output_and_goes_with_the_next_compile(found: list[Change]) -> None:
    run("compile", "old.yaml", "-o", "before")
    plain = tree("before")
    found.append(LOSSY)
    result = rollout()
    assert result.exit_code == 0
    assert "lossy-change" in result.stdout
    ours = {f"rollout/1-overlap/{path}" for path in plain}
    assert tree("build") == plain | ours | {"rollout/steps.json", "rollout/ROLLOUT.md"}
    assert read_plan(Path("build/rollout/1-overlap")) == read_plan(Path("build"))
    assert rollout("--check").exit_code == 0
    assert rollout("--diff").exit_code == 0
    assert run("compile", "new.yaml").exit_code == 0
    assert tree("build") == plain
    assert rollout("--check").exit_code == 1
    assert rollout("--target", "celeryconfig").exit_code == 0
    assert tree("build/rollout/1-overlap") == {"celeryconfig.py", "plan.json", "manifest.json"}


def test_steps_are_what_diff_prints_as_json_but_for_lines_which_move(found: list[Change]) -> None:
    found.append(MOVED)
    run("compile", "old.yaml", "-o", "before")
    assert run("compile", "new.yaml", "--rollout", "before").exit_code == 0
    printed = json.loads(run("diff", "before", "new.yaml", "--output-format", "json").stdout)
    for change in printed["changes"]:
        for side in ("old_at", "new_at"):
            change[side] |= dict.fromkeys(("file", "line", "column"))
    assert json.loads(Path("build/rollout/steps.json").read_text("utf-8")) == printed


def test_without_a_change_a_rollout_has_no_folder_in_between(found: list[Change]) -> None:
    assert found == []
    run("compile", "old.yaml", "-o", "before")
    assert rollout().exit_code == 0
    assert tree("build/rollout") == {"steps.json", "ROLLOUT.md"}


def test_what_has_to_be_acknowledged_is_not_written_before(found: list[Change]) -> None:
    run("compile", "old.yaml", "-o", "before")
    found.append(LOSSY)
    refused = rollout("--policy", "policy.yaml")
    assert refused.exit_code == 1
    assert "error[PC751] lossy-change" in refused.stdout
    assert not Path("build").exists()
    acknowledge()
    assert rollout("--policy", "policy.yaml").exit_code == 0
    assert "rollout/steps.json" in tree("build")


def test_what_is_gone_is_not_shown_beside_the_text_that_took_its_place(found: list[Change]) -> None:
    found.append(LOSSY._replace(new_path=()))
    told = run("compile", "new.yaml", "--rollout", "new.yaml").stdout
    assert "new.yaml (new.yaml):" in told
    assert " | " not in told


def test_a_move_between_queues_is_found_ordered_and_written_with_a_folder_to_overlap() -> None:
    put("old.yaml", workload("tasks: {shop.a: {queue: one}}\nworkers: {w: {queues: [one]}}\n"))
    put("new.yaml", workload("tasks: {shop.a: {queue: two}}\nworkers: {w: {queues: [two]}}\n"))
    told = diff("--exit-code")
    assert told.exit_code == 1
    assert re.search(r"(?m)^new.yaml:\d+:25: ordered: `shop.a` moves from queue `one` to `two`$", told.stdout)
    assert run("compile", "old.yaml", "-o", "before").exit_code == 0
    result = rollout()
    assert result.exit_code == 0
    steps = json.loads(Path("build/rollout/steps.json").read_text("utf-8"))["steps"]
    folders = {step["folder"] for step in steps} - {"", "."}
    assert folders
    assert all(Path("build", folder, "celeryconfig.py").is_file() for folder in folders)
    assert str(Path.cwd()) not in Path("build/rollout/steps.json").read_text("utf-8")


def test_a_rollout_needs_a_folder_to_write_to() -> None:
    result = run("compile", "new.yaml", "--rollout", "build", "--stdout", "--target", "celeryconfig")
    assert result.exit_code == 2
    assert "leave one out" in result.stderr


@pytest.mark.parametrize("how", [(), ("--check",), ("--diff",), ("--force",)])
def test_a_rollout_is_not_from_the_folder_that_it_writes(how: tuple[str, ...]) -> None:
    assert run("compile", "old.yaml", "-o", "out/build").exit_code == 0
    Path("link").symlink_to("out")
    Path("deployed.json").symlink_to("out/build/plan.json")
    before = {path: path.read_bytes() for path in Path("out").rglob("*") if path.is_file()}
    absolute = str(Path("out/build").absolute())
    for old in ("out/build", "out/build/", "out/build/plan.json", "link/build", "deployed.json", absolute):
        for folder in ("out/build", "link/../out/build", absolute):
            result = run("compile", "new.yaml", "-o", folder, "--rollout", old, *how)
            assert result.exit_code == 2
            assert result.stderr.splitlines()[-1] == (
                f"Error: {old} is in the folder that this compile writes over; keep a copy of the "
                "`plan.json` that is deployed, and name that, or name `git:REV`"
            )
            assert result.stdout == ""
    assert before == {path: path.read_bytes() for path in Path("out").rglob("*") if path.is_file()}


def test_a_rollout_may_be_from_sources_or_from_another_folder_beside_the_output() -> None:
    for folder in ("build", "build-before", "build.d"):
        assert run("compile", "old.yaml", "-o", folder).exit_code == 0
    for old in ("build-before", "build.d", "old.yaml"):
        assert run("compile", "new.yaml", "--rollout", old).exit_code == 0, old


@pytest.mark.parametrize("edit", [{"alert": "NoSuchAlert"}, {"for_seconds": None}])
def test_a_plan_that_no_compile_wrote_is_refused_where_its_files_are_needed(edit: dict[str, object]) -> None:
    put("old.yaml", workload("tasks: {shop.a: {queue: one}}\n"))
    put("new.yaml", workload("tasks: {shop.a: {queue: two}}\n"))
    assert run("compile", "old.yaml", "-o", "before").exit_code == 0
    plan = json.loads(Path("before/plan.json").read_text("utf-8"))
    settings = plan["settings"]["alert:CeleryQueueNoConsumer:one"]
    for key, value in edit.items():
        settings[key]["value"] = value
        if value is None:
            del settings[key]
    put("before/plan.json", json.dumps(plan))
    result = rollout()
    assert (result.exit_code, result.stdout) == (2, "")
    told = "Error: no compile wrote before: its files cannot be made; compile its sources again"
    assert result.stderr.splitlines()[-1] == told
