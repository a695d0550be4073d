"""Properties of every review: each difference is said once, and nothing else is."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from generated_pairs import bounded, pairs
from hypothesis import event, given, settings
from jsonschema import Draft202012Validator
from meanings import exact, meanings
from places import ROOT
from review_of import TODAY
from simulated import broken

from policycompiler.findings.acknowledge import Answer
from policycompiler.plan import Plan, Scope
from policycompiler.plan.file import from_json, to_json
from policycompiler.report.review import Half, Reviewed, review_json
from policycompiler.report.review_markdown import rollout_markdown
from policycompiler.review import Class, Review, review
from policycompiler.review.facts import fleet
from policycompiler.review.order.need import PHASES
from policycompiler.review.order.needs import needs
from policycompiler.review.order.processes import moves
from policycompiler.rollout.written_steps import read_step

LONGEST_COMMAND = 120
SCHEMA = Draft202012Validator(json.loads((ROOT / "schemas" / "diff.schema.json").read_text("utf-8")))


@bounded
@given(pair=pairs())
def test_each_setting_that_differs_is_covered_exactly_once_and_no_other(pair):
    old, new = pair
    found = review(old, new, TODAY)
    aside = renamed(new)
    covered = Counter(each for each in coverage(old, new, found) if each[0] not in aside)
    expected = Counter(each for each in differing(old, new) if each[0] not in aside)
    event(str(found.verdict))
    assert covered == expected


@settings(bounded, max_examples=20)
@given(pair=pairs())
def test_a_file_differs_in_meaning_only_where_a_change_says_so(pair):
    old, new = pair
    found = review(old, new, TODAY)
    covered = {
        *coverage(old, new, found),
        *((scope, key) for scope in renamed(new) for key in keys(old, new, scope)),
    }
    before, after = meanings(old), meanings(new)
    for path in before.keys() | after.keys():
        (was, shown), (now, shows) = (side.get(path, ("", frozenset())) for side in (before, after))
        if was != now:
            # What lists the processes, and the whole plan, show no setting of what they name.
            lists = path in {"Procfile", "plan.json"} or path.endswith(".target")
            assert covered if lists else covered & (shown | shows), path
    if not found.changes:
        assert before == after
    else:
        assert {path: was for path, (was, _) in before.items()} != {
            path: now for path, (now, _) in after.items()
        }


@bounded
@given(pair=pairs())
def test_a_process_is_left_alone_only_where_it_would_read_the_same(pair):
    old, new = pair
    found = moves(old, new)
    told = {*found.start, *found.restart, *found.reload, *found.stop}
    before, after = ({path: text for path, (text, _) in meanings(plan).items()} for plan in pair)
    left = [name for name in fleet.named(fleet.running(new)) if f"worker:{name}" not in told]
    event(f"{len(left)} left alone")
    for name in left:
        assert before[f"launch/{name}.sh"] == after[f"launch/{name}.sh"]
    if left:
        was, now = (read_by_workers(side["celeryconfig.py"]) for side in (before, after))
        # A queue too many does no harm.
        known = was.pop("task_queues")
        assert [each for each in now.pop("task_queues") if each not in known] == []
        kept = was.pop("_dead_letters", {})
        assert now.pop("_dead_letters", {}).items() <= kept.items()
        assert was == now


def read_by_workers(configuration: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in configuration.items() if not key.startswith("beat_")}


def keys(old: Plan, new: Plan, scope: Scope) -> set[str]:
    return {*old.keys(scope), *new.keys(scope)}


def differing(old: Plan, new: Plan) -> Iterator[tuple[Scope, str]]:
    """Settings with another value, or none on one of the sides."""
    before, after = ({(each.scope, each.key): exact(each.value) for each in plan} for plan in (old, new))
    for each in before.keys() | after.keys():
        if each not in before or each not in after or before[each] != after[each]:
            yield each


def renamed(new: Plan) -> set[Scope]:
    """Tasks with another name, on both sides: compared with each other, and not with themselves."""
    found = {
        scope: new.texts(scope, "renamed_from")
        for scope in new.scopes("task")
        if new.get(scope, "renamed_from")
    }
    return {*found, *(Scope("task", name) for names in found.values() for name in names)}


def coverage(old: Plan, new: Plan, found: Review) -> Iterator[tuple[Scope, str]]:
    """The settings that differ by what the changes say."""
    for change in found.changes:
        if change.key:
            yield change.scope, change.key
        elif change.kind == "schedule-shifted":
            for key in ("cron", "every_seconds", "solar", "timezone"):
                if exact(old.get(change.scope, key)) != exact(new.get(change.scope, key)):
                    yield change.scope, key
        else:
            for key in keys(old, new, change.scope):
                yield change.scope, key


@bounded
@given(pair=pairs())
def test_no_rollout_loses_or_repeats_anything(pair):
    old, new = pair
    found = review(old, new, TODAY)
    event(f"{len(found.steps)} steps")
    assert broken(old, new, found) == []


@bounded
@given(pair=pairs())
def test_whatever_asks_for_an_order_has_a_step_and_a_change(pair):
    old, new = pair
    found, asked = review(old, new, TODAY), needs(old, new)
    # What is settled by hand is no step of a deployment.
    steps = [step for step in found.steps if not step.by_hand]
    phases = {step.phase for step in steps}
    event(", ".join(sorted(each.kind.name for each in asked.each)))
    for each in asked.each:
        assert {PHASES[asks] for asks in each.kind.asks} <= phases, each
    ordered = any(change.risk is Class.ORDERED for change in found.changes)
    assert asked.each or not ordered
    # Who takes a task over, or hands it on, keeps an order with another app, which nobody but a person does.
    assert len(steps) <= 1 or ordered or hands_over(old, new)


def hands_over(old: Plan, new: Plan) -> bool:
    """Whether another app runs from now on, or ran until now, what both plans know."""
    before, after = fleet.Names(old), fleet.Names(new)
    names = {scope.name for plan in (old, new) for scope in plan.scopes("task")}
    known = (name for name in names if before.entry(name) and after.entry(name))
    return any(before.runs(name) != after.runs(name) for name in known)


@bounded
@given(pair=pairs())
def test_the_review_of_plans_read_back_is_the_same(pair):
    again = (from_json(to_json(plan)) for plan in pair)
    assert review(*again, TODAY) == review(*pair, TODAY)


@bounded
@given(pair=pairs())
def test_every_step_is_followed_by_short_commands_and_read_back_as_it_was(pair):
    found = review(*pair, TODAY)
    commands = re.findall(r"^```sh\n(.*)\n```$", rollout_markdown(found), re.MULTILINE)
    assert all(len(command) <= LONGEST_COMMAND for command in commands)
    bare = Half("", None)
    text = review_json(Reviewed(found, bare, bare, [Answer()] * len(found.changes)))
    SCHEMA.validate(json.loads(text))
    with TemporaryDirectory() as folder:
        (Path(folder) / "steps.json").write_text(text, "utf-8")
        for number, step in enumerate(found.steps, 1):
            written = read_step(Path(folder), number)
            parts = (*written.wait_for, *written.run, *written.undo_wait_for, *written.undo_run)
            assert parts == step.parts
