"""What is called a change: differences in meaning, each with what caused it, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from corpus import CASES, compiled
from places import EVERYTHING, ROOT
from review_of import RABBITMQ, TODAY, at, plan_of, plan_of_files, reviewed, triples

from policycompiler import load
from policycompiler.compiler import compile_workload
from policycompiler.plan import Plan, Scope
from policycompiler.plan.file import from_json, to_json
from policycompiler.review import Class, review
from policycompiler.review.differences.firings import firings

FOLDERS = [ROOT / "examples/shop", ROOT / "examples/minimal.yaml", EVERYTHING / "redis.yaml"]
OLD = "tasks: {shop.a: {queue: q}, shop.b: {queue: p, description: old}}\n"
NEW = """\
tasks: {shop.a: {queue: r}, shop.b: {queue: p, runtime: 2s}}
schedules: {s: {task: shop.a, every: 1m}}
"""


def nothing(old: Plan, new: Plan) -> bool:
    found = review(old, new, TODAY)
    return not any((found.changes, found.steps, found.phases, found.resized, found.verdict))


def plan_at(*sources: Path) -> Plan:
    plan = compile_workload(sources, targets=()).plan
    assert plan is not None
    return plan


@pytest.mark.parametrize("source", FOLDERS, ids=lambda source: source.name)
def test_an_example_does_not_differ_from_itself(source):
    plan = plan_at(source)
    assert nothing(plan, plan_at(source))
    assert nothing(plan, from_json(to_json(plan)))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_real_deployment_does_not_differ_from_itself(case):
    plan = compiled(case).plan
    assert nothing(plan, from_json(to_json(plan)))


def test_how_the_yaml_is_written_is_no_change():
    texts = {path.name: path.read_text("utf-8") for path in (ROOT / "examples/shop").glob("*.yaml")}
    plan = plan_of_files(texts)
    for flow, ordered in ((True, False), (False, True), (None, False)):
        rewritten = {
            name: "# other words\n"
            + yaml.safe_dump(load.parse(text, name, [])[0], default_flow_style=flow, sort_keys=ordered)
            for name, text in texts.items()
        }
        assert nothing(plan, plan_of_files(rewritten))


def test_which_file_says_it_and_in_which_order_is_no_change():
    head = "version: 1\nservice: shop\napp: shop.celery_app:app\nbroker: {transport: redis, url: '${B}'}\n"
    one = {"a.yaml": head + OLD}
    two = {
        "z.yaml": head + "tasks: {shop.b: {description: old, queue: p}}\n",
        "b.yaml": "version: 1\ntasks: {shop.a: {queue: q}}\n",
    }
    assert nothing(plan_of_files(one), plan_of_files(two))
    assert nothing(plan_of_files(two), plan_of_files(dict(reversed(two.items()))))


def test_a_review_is_the_same_text_whatever_the_seed_of_hashes():
    program = (
        "from policycompiler.plan.file import to_json\n"
        "from review_of import plan_of, review, TODAY\n"
        f"found = review(plan_of({OLD!r}), plan_of({NEW!r}), TODAY)\n"
        "print(found.changes, found.steps, [(name, to_json(plan)) for name, plan in found.phases.items()])\n"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={
                **os.environ,
                "PYTHONHASHSEED": seed,
                "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}:{ROOT / 'tests/support'}",
            },
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "77")
    }
    assert len(texts) == 1
    assert "rollout/1-overlap" in texts.pop()


def test_a_change_names_what_was_written_on_both_sides():
    change = at(reviewed(OLD, NEW), "task:shop.a/queue")
    assert (change.old, change.new) == ("q", "r")
    assert change.old_path == change.new_path == ("tasks", "shop.a", "queue")
    assert not change.follows


def test_a_task_that_comes_or_goes_is_one_change_with_what_tells_most():
    found = reviewed(
        "tasks: {shop.a: {queue: q}, shop.b: {queue: q}}", "tasks: {shop.a: {queue: q}, shop.c: {queue: q}}"
    )
    gone, comes = at(found, "task:shop.b"), at(found, "task:shop.c")
    assert (gone.kind, gone.new, gone.old_path, gone.new_path) == (
        "task-removed",
        None,
        ("tasks", "shop.b"),
        (),
    )
    assert (comes.kind, comes.old, comes.old_path, comes.new_path) == (
        "task-added",
        None,
        (),
        ("tasks", "shop.c"),
    )
    assert gone.old["queue"] == comes.new["queue"] == "q"
    assert not any(change.address.startswith(("task:shop.b/", "task:shop.c/")) for change in found.changes)


def test_a_renamed_task_is_one_change_and_what_else_differs():
    found = reviewed(
        "tasks: {shop.a: {queue: q, idempotent: true}}",
        "tasks: {shop.z: {queue: q, idempotent: true, renamed_from: [shop.a], description: new}}",
    )
    assert {change.address for change in found.changes if change.address.startswith("task:")} == {
        "task:shop.z",
        "task:shop.z/description",
    }
    change = at(found, "task:shop.z")
    assert (change.risk, change.kind, change.old, change.new) == (
        Class.ORDERED,
        "task-renamed",
        ["shop.a"],
        "shop.z",
    )


def test_a_task_renamed_from_one_of_a_pattern_is_compared_with_the_pattern():
    found = reviewed(
        "tasks: {shop.*: {queue: q}}",
        "tasks: {shop.*: {queue: q}, new.z: {queue: p, renamed_from: [shop.a]}}",
    )
    assert (Class.ORDERED, "task-moved", "task:new.z/queue") in triples(found)


MERGED = {
    "into one that is there": ("shop.b", "renamed_from: [shop.a]"),
    "of two": ("shop.c", "renamed_from: [shop.a, shop.b]"),
}


@pytest.mark.parametrize("case", MERGED)
def test_a_task_that_had_several_names_is_compared_with_each_of_them(case):
    name, renamed = MERGED[case]
    found = reviewed(
        "tasks: {shop.a: {queue: q, expires: 5s}, shop.b: {queue: q}}",
        f"tasks: {{{name}: {{queue: q, expires: 5s, {renamed}}}}}",
    )
    change = at(found, f"task:{name}/options.expires")
    assert (change.risk, change.old, change.new) == (Class.LOSSY, None, 5)


def test_of_several_names_the_riskiest_difference_is_told():
    found = reviewed(
        "tasks: {shop.a: {queue: q, expires: 5s}, shop.b: {queue: q, expires: 20s}}",
        "tasks: {shop.c: {queue: q, expires: 10s, renamed_from: [shop.a, shop.b]}}",
    )
    change = at(found, "task:shop.c/options.expires")
    assert (change.risk, change.old, change.new) == (Class.LOSSY, 20, 10)


def test_what_follows_from_a_change_says_so_and_leads_to_what_was_written():
    old = OLD.replace("shop.a: {queue: q", "shop.a: {queue: q, runtime: 20s")
    found = reviewed(old, old.replace("20s", "21s"))
    change = at(found, "task:shop.a/options.time_limit")
    assert change.follows
    assert change.new_path[:3] == ("tasks", "shop.a", "runtime")


def test_what_is_not_safe_has_a_line_of_its_own_whatever_it_follows_from():
    found = reviewed(OLD, OLD.replace("shop.a: {queue: q", "shop.a: {queue: q, runtime: 20s"))
    change = at(found, "worker:q/stop_timeout_seconds")
    assert (change.risk, change.follows) == (Class.ORDERED, False)


def test_new_times_are_shown_with_the_next_firings():
    old, new = (
        f"tasks: {{shop.a: {{}}}}\nschedules: {{s: {{task: shop.a, cron: 0 {hour} * * *}}}}"
        for hour in (3, 4)
    )
    change = at(reviewed(old, new), "schedule:s")
    assert change.kind == "schedule-shifted"
    for plan, value in ((plan_of(old), change.old), (plan_of(new), change.new)):
        assert value["next"] == [*firings(plan, Scope("schedule", "s"), TODAY).next]
    assert "cron" in change.new


PATTERNS = {
    "a pattern comes": (
        "tasks: {shop.a: {queue: q}}",
        "tasks: {shop.a: {queue: q}, shop.*: {queue: q}}",
        (Class.ORDERED, "task-added", "task:shop.*"),
    ),
    "an exact entry for what a pattern declares": (
        "tasks: {shop.*: {queue: q}}",
        "tasks: {shop.*: {queue: q}, shop.a: {queue: q}}",
        (Class.SAFE, "task-added", "task:shop.a"),
    ),
    "an exact entry elsewhere": (
        "tasks: {shop.*: {queue: q}}",
        "tasks: {shop.*: {queue: q}, shop.a: {queue: p}}",
        (Class.ORDERED, "task-added", "task:shop.a"),
    ),
    "an exact entry goes, the pattern stays": (
        "tasks: {shop.*: {queue: q}, shop.a: {queue: q}}",
        "tasks: {shop.*: {queue: q}}",
        (Class.SAFE, "task-removed", "task:shop.a"),
    ),
    "an exact entry goes, and its queue": (
        "tasks: {shop.*: {queue: q}, shop.a: {queue: p}}",
        "tasks: {shop.*: {queue: q}}",
        (Class.ORDERED, "task-removed", "task:shop.a"),
    ),
    "a pattern goes": (
        "tasks: {shop.*: {queue: q}, shop.a: {queue: q}}",
        "tasks: {shop.a: {queue: q}}",
        (Class.ORDERED, "task-removed", "task:shop.*"),
    ),
    "a pattern moves": (
        "tasks: {shop.*: {queue: q}}",
        "tasks: {shop.*: {queue: p}}",
        (Class.ORDERED, "task-moved", "task:shop.*/queue"),
    ),
}


@pytest.mark.parametrize("broker", ["", RABBITMQ], ids=["redis", "rabbitmq"])
@pytest.mark.parametrize("case", PATTERNS)
def test_tasks_come_and_go_by_patterns(case, broker):
    old, new, expected = PATTERNS[case]
    assert expected in triples(reviewed(broker + old, broker + new))


ENTRIES = {
    "an expiry": ("queue: q", "queue: q, expires: 3s", {"expires"}),
    "early acknowledgment": ("queue: q, idempotent: true", "queue: q, idempotent: false", {"acks_late"}),
    "both": (
        "queue: q, idempotent: true",
        "queue: q, idempotent: false, expires: 3s",
        {"acks_late", "expires"},
    ),
    "another queue and an expiry": ("queue: q", "queue: p, expires: 3s", {"expires"}),
    "of another app": ("queue: t, external: true", "queue: t, external: true, expires: 3s", {"expires"}),
}


@pytest.mark.parametrize("way", ["comes", "goes"])
@pytest.mark.parametrize("case", ENTRIES)
def test_a_name_that_joins_or_leaves_a_pattern_is_as_risky_as_what_differs(case, way):
    first, second, named = ENTRIES[case]
    of_pattern, own = (first, second) if way == "comes" else (second, first)
    theirs = "queues: {t: {external: true}}\n" if "external" in first else ""
    sides = [
        f"tasks: {{shop.x: {{queue: q}}, shop.p.*: {{{of_pattern}}}{more}}}\n{theirs}"
        for more in ("", f", shop.p.a: {{{own}}}")
    ]
    found = reviewed(*(sides if way == "comes" else sides[::-1]))
    change = at(found, "task:shop.p.a")
    assert change.risk is Class.LOSSY
    for name in named:
        assert f"`{name}` differs from that of `shop.p.*`: " in change.because
    assert change.because.count("differs from that") == len(named)
    assert not any(each.address.startswith("task:shop.p.a/") for each in found.changes)


def test_a_name_that_leaves_a_pattern_for_the_better_is_safe():
    sides = ("", ", shop.a: {queue: q, idempotent: true}")
    found = reviewed(*(f"tasks: {{shop.*: {{queue: q, expires: 3s}}{more}}}" for more in sides))
    assert at(found, "task:shop.a").risk is Class.SAFE


def test_a_pattern_within_another_is_compared_with_it():
    sides = ("", ", shop.p.*: {queue: q, expires: 3s}")
    found = reviewed(*(f"tasks: {{shop.*: {{queue: q}}{more}}}" for more in sides))
    assert at(found, "task:shop.p.*").risk is Class.LOSSY
