"""`diff` and `compile --rollout`: sides, formats, exit codes, acknowledgements, and what is written."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from compiled import read_plan
from jsonschema import Draft202012Validator
from places import ROOT
from printed_reviews import GONE, MOVED, STEPS, about
from workloads import workload

from policycompiler.cli import cli
from policycompiler.plan import Plan
from policycompiler.review import Change, Review

WORKLOAD = workload("tasks: {shop.a: {runtime: 3s}, shop.b: {}}\n")
WAIVER = "waivers:\n- {finding: %s, at: %s, reason: nobody sends it, owner: shop, expires: %s}\n"
LOSSY = GONE._replace(**about("task:shop.a"), old_path=("tasks", "shop.a"), new_path=("tasks", "shop.a"))


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
    assert (result.exit_code, result.stdout, result.stderr) == (0, "no changes\n", "")


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
    assert "its waiver does not apply: it expired on 2026-11-20" in late.stdout
    acknowledge()
    assert diff("--policy", "policy.yaml", "--no-waivers").exit_code == 1


def test_a_quiet_run_says_why_an_acknowledgement_does_not_count(found: list[Change]) -> None:
    found += [LOSSY, LOSSY._replace(**about("task:shop.b"), new_path=("tasks", "shop.b"))]
    acknowledge(until="2026-11-20")
    first, second = diff("--policy", "policy.yaml", "-q").stderr.splitlines()
    late = "(its waiver does not apply: it expired on 2026-11-20)"
    why = f"task `shop.%s` is removed: {GONE.because}"
    assert first.startswith(f"error[PC751] lossy-change: {why % 'a'} {late}; help: ")
    assert second.startswith(f"error[PC751] lossy-change: {why % 'b'}; help: ")


def test_what_has_to_be_acknowledged_says_how(found: list[Change]) -> None:
    found.append(LOSSY)
    told = diff("--policy", "policy.yaml").stderr
    assert told.startswith("error[PC751] lossy-change: task `shop.a` is removed: ")
    assert told.endswith(
        "; help: keep the old value, or accept the loss; to acknowledge the change, add a waiver to the new "
        "workload: "
        "`finding: lossy-change`, `at: tasks.shop.a`\n"
    )
    acknowledge(at="tasks.shop.b")
    assert diff().stderr == (
        "warning[PC702] waiver-unused: there is no finding `lossy-change` at `tasks.shop.b`; "
        "help: correct `at`: changes without a waiver are at `tasks.shop.a`\n"
    )


NAMED = "`finding: %s`, `at: tasks.shop.%s`"


def test_whatever_fails_because_nobody_acknowledges_it_says_how(found: list[Change]) -> None:
    found += [LOSSY, MOVED._replace(**about("task:shop.b/queue"), new_path=("tasks", "shop.b"))]
    lossy, ordered = NAMED % ("lossy-change", "a"), NAMED % ("ordered-change", "b")
    for format_ in ("full", "json", "markdown"):
        assert diff("--output-format", format_).stderr == ""
        failing = diff("--output-format", format_, "--policy", "policy.yaml").stderr
        assert (lossy in failing, ordered in failing) == (True, False)
        every = diff("--output-format", format_, "--exit-code", "--policy", "policy.yaml").stderr
        assert (every.count(lossy), every.count(ordered)) == (1, 1)
        assert every.splitlines()[1].startswith("info[PC753] ordered-change: ")
    for format_ in ("github", "gitlab"):
        told = diff("--output-format", format_, "--exit-code", "--policy", "policy.yaml")
        assert (told.stdout.count(lossy), told.stdout.count(ordered), told.stderr) == (1, 1, "")
    # What the policy file shows nowhere still fails `--exit-code`.
    put("policy.yaml", "version: 1\nseverities: {ordered-change: off}\n")
    hidden = diff("--output-format", "github", "--exit-code", "--policy", "policy.yaml")
    assert (ordered in hidden.stdout, ordered in hidden.stderr) == (False, True)
    assert lossy not in hidden.stderr
    put("new.yaml", WORKLOAD + WAIVER % ("PC751", "tasks.shop.a", "2026-12-31"))
    assert lossy not in diff("--exit-code").stderr


def test_below_the_fold_each_change_says_how_to_acknowledge_it(found: list[Change]) -> None:
    moved = MOVED._replace(**about("task:shop.b/queue"), new_path=("tasks", "shop.b", "queue"))
    found += [
        LOSSY,
        moved,
        moved._replace(**about("task:shop.c/queue"), new_path=("tasks", "shop.c", "queue")),
    ]
    acknowledge()
    screen, folded = diff("--output-format", "markdown").stdout.split("<details>")
    assert "finding:" not in screen
    assert NAMED % ("ordered-change", "b.queue") in folded
    assert NAMED % ("ordered-change", "c.queue") in folded
    assert "lossy-change" not in folded


def test_a_waiver_is_named_as_the_merged_workload_has_its_path() -> None:
    environment = "environments: {prod: {tasks: {shop.b: {%s}}}}\n"
    put("old.yaml", WORKLOAD + environment % "")
    put("new.yaml", WORKLOAD + environment % "expires: 1m")
    options = ("--env", "prod", "--exit-code")
    assert "`at: tasks.shop.b.expires`" in diff(*options).stderr
    waiver = WAIVER % ("lossy-change", "tasks.shop.b.expires", "2026-12-31")
    put("new.yaml", Path("new.yaml").read_text("utf-8") + waiver)
    assert diff(*options).exit_code == 0


EXPIRES = "tasks: {shop.a: {expires: %s}}\n"
FOR_EVER = WAIVER % ("lossy-change", '"tasks.shop.*"', "2026-12-31")


def test_a_merged_waiver_answers_for_no_later_change_and_counts_against_what_runs() -> None:
    options = ("--today", "2026-11-21", "--policy", "policy.yaml")
    put("running.yaml", workload("tasks: {shop.a: {}}\n"))
    assert run("compile", "running.yaml", "-o", "running").exit_code == 0
    put("old.yaml", workload(EXPIRES % "10m" + FOR_EVER))
    assert run("diff", "running.yaml", "old.yaml", *options).exit_code == 0
    put("new.yaml", workload(EXPIRES % "1m" + FOR_EVER))
    later = diff(*options)
    assert later.exit_code == 1
    note = "its waiver does not apply: the old side has it too, so it belongs to an earlier change"
    assert f"  {note}\n" in later.stdout
    assert note in later.stderr
    # Where nothing needs one, it is not spoken of.
    same = run("diff", "old.yaml", "old.yaml", *options)
    assert (same.stdout, same.stderr) == ("no changes\n", "")
    # What runs knows neither change, and a plan has no waivers.
    for old in ("running", "running/plan.json"):
        assert run("diff", old, "new.yaml", *options).exit_code == 0
        assert run("compile", "new.yaml", "--rollout", old, *options).exit_code == 0
    put("new.yaml", workload(EXPIRES % "1m"))
    assert run("compile", "new.yaml", "--rollout", "running", *options).exit_code == 1
    put(
        "new.yaml",
        workload(EXPIRES % "1m" + FOR_EVER + "- " + FOR_EVER.partition("- ")[2].replace("12-31", "12-30")),
    )
    assert diff(*options).exit_code == 0


def test_what_nobody_wrote_can_be_acknowledged_by_its_address(found: list[Change]) -> None:
    found.append(LOSSY._replace(kind="worker-pool", **about("worker:w/pool"), old_path=(), new_path=()))
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
    assert diff("--output-format", "markdown").stdout.startswith("**policycompiler: shop: lossy")
    assert "::warning file=new.yaml,line=" in diff("--output-format", "github").stdout
    assert json.loads(diff("--output-format", "gitlab").stdout)[0]["location"]["path"] == "new.yaml"
    assert diff("-q").stdout == "lossy — work can be lost or repeated, in any order\n"
    assert diff("--output-file", "shown.txt").stdout == ""
    assert Path("shown.txt").read_text("utf-8") == diff().stdout


def test_what_is_gone_is_annotated_at_the_nearest_place_there_is(found: list[Change]) -> None:
    found.append(LOSSY._replace(new_path=()))
    put("old.yaml", workload("tasks:\n  shop.b: {}\n  shop.a: {}\n"))
    put("new.yaml", workload("owner: shop\ntasks:\n  shop.b: {}\n"))
    told = diff("--output-format", "github").stdout
    assert told.startswith("::warning file=new.yaml,line=3,")
    assert "(was old.yaml:3)" in told
    (issue,) = json.loads(diff("--output-format", "gitlab").stdout)
    assert issue["location"] == {"path": "new.yaml", "lines": {"begin": 3}}
    assert "(was old.yaml:3)" in issue["description"]
    run("compile", "old.yaml", "-o", "built")
    plan = run("diff", "built", "built/plan.json", "--output-format", "github")
    assert "::warning title=PC751" in plan.stdout
    run("compile", "new.yaml", "-o", "built")
    plan = run("diff", "old.yaml", "built", "--output-format", "github")
    assert "::warning file=old.yaml,line=3," in plan.stdout
    assert "(was " not in plan.stdout


def test_the_new_side_is_the_project_where_none_is_named(found: list[Change]) -> None:
    found.append(LOSSY)
    put("policycompiler.toml", 'sources = ["new.yaml"]\n')
    assert "old.yaml → new.yaml" in run("diff", "old.yaml").stdout


DAILY = "tasks: {shop.a: {idempotent: true}}\nschedules: {daily: {task: shop.a, cron: 30 6 * * %s}}\n"
WRONG = (
    "new.yaml has 1 error (run `policycompiler check`): this review is incomplete, "
    "and `compile` writes nothing"
)


def test_a_new_side_with_errors_is_never_green() -> None:
    put("old.yaml", workload(DAILY % "*"))
    put("new.yaml", workload(DAILY % "7"))
    text, comment, quiet = diff(), diff("--output-format", "markdown", "--exit-code"), diff("-q")
    assert [each.exit_code for each in (text, comment, quiet)] == [1, 1, 1]
    assert text.stdout.startswith(f"{WRONG}\nmanual — ")
    assert comment.stdout.startswith(f"⚠ **{WRONG}**\n\n**policycompiler: shop: manual — ")
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
    for old, verdict in (("old.yaml", "lossy"), ("new.yaml", "manual")):
        result = run("diff", old, "new.yaml", "--output-format", "json")
        assert (result.exit_code, result.stderr.splitlines()[0]) == (1, WRONG)
        printed = json.loads(result.stdout)
        Draft202012Validator(json.loads((ROOT / "schemas/diff.schema.json").read_text())).validate(printed)
        assert (printed["verdict"], printed["errors"]) == (verdict, 1)
    put("new.yaml", WORKLOAD)
    assert "errors" not in json.loads(diff("--output-format", "json").stdout)


def test_errors_of_the_new_side_are_told_where_nothing_changes(found: list[Change]) -> None:
    assert found == []
    put("new.yaml", workload(DAILY % "7"))
    manual = "manual — a person must act or decide first"
    assert diff().stdout == f"{WRONG}\n{manual} · no changes\nold.yaml → new.yaml\n"
    assert diff("--output-format", "markdown").stdout == (
        f"⚠ **{WRONG}**\n\n**policycompiler: shop: {manual}**\n"
    )


def test_what_somebody_answers_for_is_no_error_of_the_new_side(found: list[Change]) -> None:
    assert found == []
    put("new.yaml", workload("tasks: {shop.a: {idempotent: false, retry: {on: [OSError]}}}\n"))
    acknowledged = WAIVER % ("retry-non-idempotent", "tasks.shop.a", "2026-12-31")
    put("new.yaml", Path("new.yaml").read_text("utf-8") + acknowledged)
    assert (diff().exit_code, diff().stdout) == (0, "no changes\n")
    assert diff("--no-waivers").exit_code == 1


def test_errors_of_the_old_side_are_a_sentence_and_fail_nothing() -> None:
    put("old.yaml", workload(DAILY % "7"))
    put("new.yaml", workload(DAILY % "*"))
    told = "old.yaml has 1 error under the current rules: some changes may appear as new"
    text, comment = diff(), diff("--output-format", "markdown")
    assert [each.exit_code for each in (text, comment, diff("--exit-code"))] == [0, 0, 0]
    assert text.stdout.startswith("safe — ")
    assert f"\n{told}\n" in text.stdout
    assert comment.stdout.startswith("**policycompiler: shop: safe — ")
    assert f"\n{told}\n" in comment.stdout
    assert "errors" not in json.loads(diff("--output-format", "json").stdout)
    assert diff("-q").stdout == "safe — deploy in one step, in any order\n"
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
            "so there is nothing to compare with; omit --env, or name an OLD that has the environment\n"
        )
    assert "known environments: staging" in run("diff", old, "new.yaml", "--env", "stagign").stdout


@pytest.mark.parametrize("format_", ["full", "markdown", "github", "gitlab"])
def test_a_new_side_that_makes_no_plan_is_shown_as_check_shows_it(format_: str) -> None:
    put("new.yaml", WORKLOAD.replace("runtime", "runtme"))
    result = diff("--output-format", format_)
    shown = run("check", "new.yaml", "--output-format", format_).stdout
    assert (result.exit_code, result.stdout, result.stderr) == (
        1,
        shown,
        "new.yaml has errors, so it has no plan:\n",
    )


@pytest.mark.parametrize("rules", ["version: 1\n", "version: 2\n"])
def test_where_the_new_side_makes_no_plan_there_is_no_json(rules: str) -> None:
    put("new.yaml", WORKLOAD.replace("runtime", "runtme"))
    put("policy.yaml", rules)
    options = ("--policy", "policy.yaml", "--output-format", "json")
    result = diff(*options)
    assert (result.exit_code, result.stdout) == (2 if "2" in rules else 1, "")
    assert ("policy.yaml:1:10: error" if "2" in rules else "new.yaml:1:18: error") in result.stderr
    assert diff(*options, "--output-file", "review.json").stdout == ""
    assert not Path("review.json").exists()
    put("new.yaml", WORKLOAD)
    put("policy.yaml", "version: 1\n")
    Draft202012Validator(json.loads(run("schema", "diff").stdout)).validate(json.loads(diff(*options).stdout))


def test_findings_of_an_old_side_are_in_no_report() -> None:
    put("old.yaml", WORKLOAD.replace("runtime", "runtme"))
    head = "**policycompiler: shop: old.yaml has errors, so there is no plan to compare with**\n"
    printed = {"full": "", "json": "", "markdown": head, "github": "", "gitlab": "[]\n"}
    for format_, expected in printed.items():
        result = diff("--output-format", format_)
        assert (result.exit_code, result.stdout) == (1, expected), format_
        assert result.stderr.startswith(
            "old.yaml has errors, so it has no plan:\nold.yaml:1:18: error[PC101] unknown-key: "
        )
    for format_ in ("json", "gitlab", "sarif", "junit"):
        compiled = run("compile", "new.yaml", "--rollout", "old.yaml", "--output-format", format_)
        assert (compiled.exit_code, "unknown-key" in compiled.stderr) == (1, True)
        assert compiled.stdout == run("check", "new.yaml", "--output-format", format_).stdout
    plain = run("compile", "new.yaml", "--rollout", "old.yaml")
    assert (plain.exit_code, plain.stdout) == (1, "")
    assert not Path("build").exists()


def test_errors_of_the_new_side_are_annotated_where_the_old_one_makes_no_plan() -> None:
    put("old.yaml", WORKLOAD.replace("runtime", "runtme"))
    put("new.yaml", workload(DAILY % "7"))
    for format_ in ("github", "gitlab"):
        result = diff("--output-format", format_)
        assert (result.exit_code, "schedule-cron" in result.stdout) == (1, True)
        assert "unknown-key" not in result.stdout


def test_an_old_side_with_nothing_to_read_is_named() -> None:
    Path("empty").mkdir()
    result = run("diff", "empty", "new.yaml")
    told = "empty has no workload files: name a workload file or a folder with .yaml files\n"
    assert (result.exit_code, result.stdout, result.stderr) == (3, "", told)


ENVIRONMENTS = "environments:\n  prod: {tasks: {shop.a: {runtime: %s}}}\n  staging: {%s}\n"


def test_environments_that_differ_and_are_not_compared_are_named() -> None:
    put("old.yaml", WORKLOAD + ENVIRONMENTS % ("3s", "owner: a"))
    # In other words and in another order, it is the same.
    same = "environments: {staging: {owner: 'a'}, prod: {tasks: {shop.a: {runtime: 3s}}}}\n"
    put("new.yaml", WORKLOAD + same)
    assert "environments" not in diff().output
    put("new.yaml", WORKLOAD + ENVIRONMENTS % ("4s", "owner: a") + "  test: {}\n")
    told = "environments that also differ and are not compared: prod, test; use `--env NAME` to compare one"
    assert diff().stdout == f"no changes\n{told}\n"
    assert diff("--output-format", "markdown").stdout.endswith(f"\n\n{told}\n")
    for format_ in ("json", "github", "gitlab"):
        assert diff("--output-format", format_).stderr == f"{told}\n"
    assert told in run("compile", "new.yaml", "--rollout", "old.yaml").stderr
    assert "not compared here" not in diff("--env", "prod").output
    run("compile", "old.yaml", "-o", "built")
    assert "not compared here" not in run("diff", "built", "new.yaml").output


def test_a_comment_names_the_service_and_the_environment(found: list[Change]) -> None:
    put("old.yaml", WORKLOAD + ENVIRONMENTS % ("3s", ""))
    put("new.yaml", WORKLOAD + ENVIRONMENTS % ("3s", ""))
    head = "**policycompiler: shop (prod): no changes**\n"
    assert diff("--output-format", "markdown", "--env", "prod").stdout == head
    found.append(LOSSY)
    assert diff("--output-format", "markdown").stdout.startswith("**policycompiler: shop: lossy — ")


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("no.json", "new.yaml"), 2, "no.json cannot be read"),
        (("git:no-such-revision", "new.yaml"), 2, "Error: "),
        (("old.yaml", "empty"), 3, "no workload files"),
        (("old.yaml",), 2, "no NEW side: name one"),
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
    assert tree("build") == plain | ours | {
        "rollout/steps.json",
        "rollout/ROLLOUT.md",
        "rollout/previous/plan.json",
    }
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


def test_a_compile_shows_what_is_gone_in_the_new_workload_and_where_it_was(found: list[Change]) -> None:
    found.append(LOSSY._replace(new_path=()))
    put("old.yaml", workload("tasks:\n  shop.b: {}\n  shop.a: {}\n"))
    put("new.yaml", workload("tasks: {shop.b: {}}\n"))
    told = run("compile", "new.yaml", "--rollout", "old.yaml").stdout
    assert "new.yaml:1:8: warning[PC751] lossy-change: " in told
    assert "(was old.yaml:3)\n" in told


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
    assert "use one of them" in result.stderr


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
                f"Error: {old} is in the output folder of this compile, which replaces it; name a copy of "
                "the deployed `plan.json`, or `git:REV`"
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
    told = "Error: cannot emit the files of before, which no compile wrote; compile its sources again"
    assert result.stderr.splitlines()[-1] == told
