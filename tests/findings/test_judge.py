"""What a policy file, waivers and a baseline make of findings."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from workloads import workload

from policycompiler.compiler import Compilation, compile_workload
from policycompiler.findings.judge import LOSSY_CHANGE, MANUAL_CHANGE, covers, glob_of, judge_changes
from policycompiler.model import PolicyFile

TODAY = date(2026, 11, 21)
RETRIES = "tasks: {shop.pay: {retry: {on: [OSError], max: 3}, idempotent: false}}\n"
"""One error: retry-non-idempotent, PC204."""
WAIVER = "{finding: %s, at: %s, reason: r, owner: shop, expires: %s}"


def judged(folder: Path, text: str, policy: str = "", *, heed: bool = True) -> Compilation:
    path, rules = folder / "workload.yaml", folder / "policy.yaml"
    path.write_text(workload(text))
    rules.write_text(f"version: 1\n{policy}")
    return compile_workload([path], policy=rules, targets=(), today=TODAY, apply_waivers=heed)


def seen(compilation: Compilation) -> list[str]:
    return [
        f"{each.severity} {each.name}{' waived' if each.waived else ''}" for each in compilation.diagnostics
    ]


def with_waiver(finding: str = "PC204", at: str = "tasks.shop.*", expires: str = "2026-12-31") -> str:
    return f"{RETRIES}waivers:\n- {WAIVER % (finding, at, expires)}\n"


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("", ["error retry-non-idempotent"]),
        ("severities: {PC204: warning}", ["warning retry-non-idempotent"]),
        ("severities: {retry-non-idempotent: info}", ["info retry-non-idempotent"]),
        ("severities: {retry-non-idempotent: off}", []),
        ('severities: {"*": warning}', ["warning retry-non-idempotent"]),
        ('severities: {"*": off, PC204: info}', ["info retry-non-idempotent"]),
        ("extends: minimal", ["error retry-non-idempotent"]),
    ],
)
def test_a_policy_file_sets_severities(tmp_path, policy, expected):
    assert seen(judged(tmp_path, RETRIES, policy)) == expected


def test_what_a_policy_file_lowers_lets_the_compile_go_on(tmp_path):
    assert judged(tmp_path, RETRIES).failed
    assert not judged(tmp_path, RETRIES, 'severities: {"*": warning}').failed


def test_a_profile_that_asks_less_leaves_out_what_only_hurts(tmp_path):
    pattern = "workers: {w: {queues: [nothing-like-it.*, mail]}}\nqueues: {mail: }\n"
    text = pattern.replace("mail: }", "mail: {}}")
    assert "warning queue-pattern-unmatched" in seen(judged(tmp_path, text))
    assert "warning queue-pattern-unmatched" not in seen(judged(tmp_path, text, "extends: minimal"))


def test_no_star_lowers_what_no_output_can_be_made_from(tmp_path):
    assert seen(judged(tmp_path, "tasks: {shop.a: {latncy: batch}}\n", 'severities: {"*": off}')) == [
        "error unknown-key"
    ]


@pytest.mark.parametrize(
    "at", ["tasks.shop.pay", "tasks.shop.pay.retry", "tasks.*", "tasks.shop.pay.retry.max"]
)
@pytest.mark.parametrize("finding", ["PC204", "retry-non-idempotent"])
def test_a_waiver_answers_for_a_finding_that_stays_visible(tmp_path, finding, at):
    compilation = judged(tmp_path, with_waiver(finding, at))
    assert seen(compilation) == ["error retry-non-idempotent waived"]
    assert not compilation.failed
    assert compilation.diagnostics[0].waived == ("r", "shop", "2026-12-31")


def test_no_waiver_counts_when_none_is_to(tmp_path):
    assert seen(judged(tmp_path, with_waiver(), heed=False)) == ["error retry-non-idempotent"]


@pytest.mark.parametrize(
    ("waiver", "policy", "others", "note"),
    [
        pytest.param(
            with_waiver(expires="2026-11-20"),
            "",
            [],
            "its waiver does not apply: it expired on 2026-11-20",
            id="expired yesterday",
        ),
        pytest.param(
            with_waiver(),
            "locked: [retry-non-idempotent]",
            ["error waiver-not-allowed"],
            "its waiver does not apply: the policy file locks it",
            id="locked by name",
        ),
        pytest.param(
            with_waiver("retry-non-idempotent"),
            "locked: [PC204]",
            ["error waiver-not-allowed"],
            "its waiver does not apply: the policy file locks it",
            id="locked by code",
        ),
        pytest.param(
            with_waiver(expires="2027-05-21"),
            "waivers: {longest: 180d}",
            ["error waiver-not-allowed"],
            "its waiver does not apply: it expires on 2027-05-21, more than 180 days ahead",
            id="too far ahead",
        ),
        pytest.param(
            with_waiver(),
            "owners: [payments]",
            ["error unknown-owner", "error waiver-not-allowed"],
            "its waiver does not apply: `shop` is not among the `owners` of the policy file",
            id="by nobody that there is",
        ),
        pytest.param(
            with_waiver(expires="soon"),
            "",
            ["error invalid-value"],
            "its waiver does not apply: it is malformed",
            id="until no date",
        ),
        pytest.param(
            with_waiver().replace("reason: r, ", ""),
            "",
            ["error missing-key"],
            "its waiver does not apply: it is malformed",
            id="without a reason",
        ),
    ],
)
def test_a_waiver_that_does_not_count_says_so_beside_the_finding(tmp_path, waiver, policy, others, note):
    text = waiver if "unknown-owner" not in str(others) else f"owner: storefront\n{waiver}"
    compilation = judged(tmp_path, text, policy)
    assert sorted(set(seen(compilation))) == sorted([*others, "error retry-non-idempotent"])
    found = next(each for each in compilation.diagnostics if each.name == "retry-non-idempotent")
    assert found.told.endswith(f" ({note})")
    assert [other.note for other in found.related if other.path == ("waivers", 0)] == ["the waiver"]
    assert compilation.failed


def test_a_waiver_holds_on_its_last_day_and_as_long_as_is_allowed(tmp_path):
    assert seen(judged(tmp_path, with_waiver(expires="2026-11-21"))) == ["error retry-non-idempotent waived"]
    allowed = judged(tmp_path, with_waiver(expires="2027-05-20"), "waivers: {longest: 180d}")
    assert seen(allowed) == ["error retry-non-idempotent waived"]


@pytest.mark.parametrize("unused", [with_waiver("PC201"), with_waiver(at="tasks.other.*")])
def test_a_waiver_of_nothing_is_a_finding(tmp_path, unused):
    assert seen(judged(tmp_path, unused)) == ["error retry-non-idempotent", "warning waiver-unused"]


def test_a_waiver_of_a_finding_that_does_not_exist_is_refused(tmp_path):
    compilation = judged(tmp_path, with_waiver("retry-non-idempotant"))
    finding = next(each for each in compilation.diagnostics if each.name == "unknown-finding")
    assert finding.path == ("waivers", 0, "finding")
    assert finding.help == "did you mean `retry-non-idempotent`?"


def test_what_no_output_can_be_made_from_cannot_be_waived(tmp_path):
    text = "schedules: {s: {task: shop.a, cron: x, every: 1m}}\ntasks: {shop.a: {}}\n"
    name = judged(tmp_path, text).diagnostics[0].name
    waiver = WAIVER % (name, "'*'", "2026-12-31")
    compilation = judged(tmp_path, f"{text}waivers:\n- {waiver}\n")
    assert f"error {name}" in seen(compilation)
    assert compilation.failed


@pytest.mark.parametrize(
    ("glob", "path", "expected"),
    [
        ("tasks.shop.*", ("tasks", "shop.a", "retry", "max"), True),
        ("tasks.shop.a", ("tasks", "shop.a", "retry"), True),
        ("tasks.shop", ("tasks", "shop.a"), False),
        ("tasks.shop.a.retry", ("tasks", "shop.a"), False),
        ("waivers.0", ("waivers", 0), True),
        ("*", ("tasks",), True),
        ("*", (), False),
    ],
)
def test_a_glob_covers_what_it_names_and_all_below(glob, path, expected):
    assert covers(glob, path) is expected


CHANGE = LOSSY_CHANGE.at(("tasks", "shop.a", "queue"), "it moves")


def acknowledging(finding: str, at: str, **more: str) -> dict[str, str]:
    return {"finding": finding, "at": at, "reason": "r", "owner": "shop", "expires": "2026-12-31", **more}


@pytest.mark.parametrize("word", ["PC751", "lossy-change", "PC753"])
def test_a_compile_knows_waivers_of_changes_and_calls_none_unused(tmp_path, word):
    text = f"tasks: {{shop.a: {{}}}}\nwaivers:\n- {WAIVER % (word, 'tasks.shop.a', '2026-12-31')}\n"
    assert seen(judged(tmp_path, text)) == []
    expired = text.replace("2026-12-31", "2026-01-01")
    assert seen(judged(tmp_path, expired)) == []
    assert seen(judged(tmp_path, text, f"locked: [{word}]")) == ["error waiver-not-allowed"]


def test_a_change_is_answered_for_by_a_waiver_of_its_kind_and_place():
    waivers = [
        acknowledging("manual-change", "tasks.*"),
        acknowledging("lossy-change", "tasks.shop.b"),
        acknowledging("PC751", "tasks.shop.a"),
    ]
    answers = judge_changes([CHANGE], waivers, PolicyFile.silent(), TODAY)
    assert [each.waived and each.waived.owner for each in answers.answered] == ["shop"]
    # The one at shop.b is what a merged change leaves behind.
    assert [each.name for each in answers.judged] == ["lossy-change"]


def test_an_acknowledgement_at_the_wrong_place_is_told_while_its_change_waits():
    waivers = [acknowledging("lossy-change", "tasks.shop.b"), acknowledging("manual-change", "tasks.shop.b")]
    answers = judge_changes([CHANGE], waivers, PolicyFile.silent(), TODAY)
    assert [(each.name, each.path) for each in answers.judged] == [
        ("lossy-change", ("tasks", "shop.a", "queue")),
        ("waiver-unused", ("waivers", 0)),
    ]
    assert answers.judged[1].help == "correct `at`: changes without a waiver are at `tasks.shop.a.queue`"
    assert judge_changes([], waivers, PolicyFile.silent(), TODAY).judged == []


def test_an_acknowledgement_at_the_wrong_place_names_some_of_what_waits_and_counts_the_rest():
    found = [LOSSY_CHANGE.at(("tasks", f"t{number}"), "it moves") for number in range(8)]
    answers = judge_changes([*found, found[0]], [acknowledging("PC751", "x")], PolicyFile.silent(), TODAY)
    told = "`tasks.t0`, `tasks.t1`, `tasks.t2`, `tasks.t3`, `tasks.t4`, 3 more"
    assert answers.judged[-1].help == f"correct `at`: changes without a waiver are at {told}"


def test_what_a_waiver_writes_for_a_path_names_that_path():
    for name in ("shop.a", "a[b]", "[!a]", "every 5 * * ?", "]["):
        path = ("schedules", name, "cron", 0)
        assert covers(glob_of(path), path)
    assert not covers(glob_of(("tasks", "a[b]")), ("tasks", "ab"))


EARLIER = "it moves (its waiver does not apply: the old side has it too, so it belongs to an earlier change)"


@pytest.mark.parametrize(
    ("earlier", "message"),
    [
        ([acknowledging("lossy-change", "tasks.*")], EARLIER),
        ([acknowledging("lossy-change", "tasks.*", expires="2026-12-30")], None),
        ([acknowledging("lossy-change", "tasks.*", reason="another")], None),
        ([acknowledging("PC751", "tasks.*")], None),
        ([], None),
    ],
)
def test_a_waiver_that_the_old_side_has_answers_for_no_change_of_today(earlier, message):
    waivers = [acknowledging("lossy-change", "tasks.*")]
    (answered,) = judge_changes([CHANGE], waivers, PolicyFile.silent(), TODAY, earlier).answered
    assert (bool(answered.waived), answered.told) == (message is None, message or "it moves")


def test_a_waiver_of_an_earlier_change_is_explained_only_where_one_is_needed():
    earlier, new = acknowledging("lossy-change", "tasks.*"), acknowledging("lossy-change", "tasks.shop.a")
    elsewhere = acknowledging("lossy-change", "tasks.shop.b")
    given = [earlier, new, elsewhere]
    answers = judge_changes([CHANGE], given, PolicyFile.silent(), TODAY, [earlier, elsewhere])
    assert [(each.name, each.message, bool(each.waived)) for each in answers.judged] == [
        ("lossy-change", "it moves", True)
    ]
    assert [
        each.message
        for each in judge_changes([CHANGE], [elsewhere], PolicyFile.silent(), TODAY, [elsewhere]).judged
    ] == ["it moves"]


@pytest.mark.parametrize("profile", ["minimal", "standard", "strict"])
def test_changes_are_judged_in_every_profile_and_off_where_the_policy_file_says(profile):
    found = [CHANGE, MANUAL_CHANGE.at((), "x")]
    rules = PolicyFile(version=1, extends=profile, severities={"lossy-change": "error", "PC752": "off"})
    answers = judge_changes(found, [], rules, TODAY)
    assert [each.severity for each in answers.judged] == ["error"]
    # Nobody has acknowledged it for all that.
    assert [each.waived for each in answers.answered] == [None, None]


@pytest.mark.parametrize(
    ("change", "note"),
    [
        ({"expires": "2026-11-20"}, "its waiver does not apply: it expired on 2026-11-20"),
        ({"expires": "soon"}, "its waiver does not apply: it is malformed"),
        ({"reason": " "}, "its waiver does not apply: it gives no reason"),
    ],
)
def test_an_acknowledgement_that_does_not_count_says_so(change, note):
    waivers = ["x", {}, acknowledging("lossy-change", "tasks.*", **change)]
    answers = judge_changes([CHANGE], waivers, PolicyFile.silent(), TODAY)
    assert [(each.waived, each.told) for each in answers.answered] == [(None, f"it moves ({note})")]


def test_a_finding_of_an_earlier_version_may_still_be_named(tmp_path):
    rules = tmp_path / "policy.yaml"
    rules.write_text('version: 1\nseverities: {dlq-redis: "off"}\n', "utf-8")
    source = tmp_path / "workload.yaml"
    waiver = "{finding: PC220, at: tasks.shop.a, reason: r, owner: t, expires: 2027-01-31}"
    source.write_text(workload(f"tasks: {{shop.a: }}\nwaivers: [{waiver}]"), "utf-8")
    made = compile_workload([source], policy=rules, today=date(2026, 12, 1))
    assert [each.name for each in made.diagnostics] == ["waiver-unused"]
