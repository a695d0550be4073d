"""A review for a terminal, for machines and for a pull request."""

from __future__ import annotations

import json
import re
from itertools import product
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from markdown_it import MarkdownIt
from places import ROOT
from printed_reviews import GONE, MOVED, NEW, REVIEW, STEPS, WAIVED, about, document_of, hostile, reviewed
from reported import EVIL

from policycompiler.findings.acknowledge import Answer
from policycompiler.plan import Value
from policycompiler.report.change_titles import KINDS, title
from policycompiler.report.markdown import LONGEST
from policycompiler.report.review import Half, Reviewed, doubts, review_json
from policycompiler.report.review_markdown import no_review_markdown, review_markdown, rollout_markdown
from policycompiler.report.review_text import review_text
from policycompiler.review import Review
from policycompiler.review.conditions import DeleteQueue

SCHEMA = json.loads((ROOT / "schemas" / "diff.schema.json").read_text())
NOTHING = Review((), (), {})


@pytest.fixture(autouse=True)
def _in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_text_says_the_verdict_then_what_needs_care_then_the_steps() -> None:
    answers = [Answer(WAIVED), Answer(note="its waiver has expired on 2026-11-20"), Answer(), Answer()]
    assert review_text(reviewed(answers=answers)) == (
        "lossy — work can be lost or repeated, in any order · 1 task removed, 1 task changes queue, 1 schedule fires at different times, 1 setting follows from these changes\ngit:main → workload\n\nlossy: task `shop.gone` is removed\n  messages of it that wait are thrown away\n  before: old/w.yaml:3:3\n  acknowledged by storefront until 2027-03-31: nobody sends it\n\nnew/w.yaml:3:12: ordered: `shop.search.reindex` moves from queue `standard` to `search`\n  workers of `search` must run before any producer sends there\n  before: old/w.yaml:2:32\n  decided by policy placement\n  its waiver has expired on 2026-11-20\n\nsafe\n  schedule `yearly` fires at different times: `0 3 * * * UTC` → `0 4 * * * UTC` — new/w.yaml:5:45\n    next firings, before: 2027-01-01T03:00+00:00\n    next firings, after: 2027-01-01T04:00+00:00\n  1 setting follows from these changes\n\nrollout\n1. start the workers of `search` (expand)\n   deploy   `rollout/1-overlap`\n   start    worker `search`\n   restart  worker `standard`\n   wait     policycompiler wait 1\n            until every worker process lists its queues: `worker@search.*` 2 times with `search`; all have loaded its plan\n   run      policycompiler act 1\n            to delete queue `old` if it is empty and has no consumer\n   why      they have to be there first\n   undo     stop them\n2. wait for the old queue (drain)\n   deploy   the output folder\n   reload   worker `standard`\n   stop     beat\n   wait     policycompiler wait 2\n            until no message is left in `standard`\n   why      it is still consumed\n   undo     nothing to undo\n"
    )


def test_a_quiet_text_is_the_verdict_and_no_change_is_said_to_be_none() -> None:
    assert review_text(reviewed(), quiet=True) == "lossy — work can be lost or repeated, in any order\n"
    assert review_text(reviewed(NOTHING)) == "no changes\n"
    assert review_markdown(reviewed(NOTHING)) == "**policycompiler: no changes**\n"
    assert json.loads(review_json(reviewed(NOTHING))) == {
        "format": 2,
        "verdict": "none",
        "changes": [],
        "steps": [],
    }
    assert "Nothing to do." in rollout_markdown(NOTHING)


def test_what_a_review_does_not_show_is_said_below_its_verdict() -> None:
    found = reviewed(NOTHING)._replace(name="shop (prod)", elsewhere=["qa", "staging"])
    found = found._replace(old=found.old._replace(errors=1, lacks="platform/policy.yaml"))
    late, unruled, unseen = doubts(found)[1:]
    assert late.startswith("git:main has 1 error under the current rules: ")
    assert unruled == "git:main has no platform/policy.yaml: it is compared without a policy file"
    what = "environments that also differ and are not compared"
    assert unseen == f"{what}: qa, staging; use `--env NAME` to compare one"
    assert review_text(found) == f"no changes\n{late}\n{unruled}\n{unseen}\n"
    blocks = html(review_markdown(found)).splitlines()
    assert blocks[0] == "<p><strong>policycompiler: shop (prod): no changes</strong></p>"
    assert len(blocks) == 4


def test_where_nothing_is_compared_a_comment_says_so() -> None:
    assert html(no_review_markdown("shop (prod)", "git:main")) == (
        "<p><strong>policycompiler: shop (prod): git:main has errors, so there is no plan to compare with"
        "</strong></p>\n"
    )
    for text in (no_review_markdown(EVIL, EVIL), review_markdown(reviewed(NOTHING)._replace(name=EVIL))):
        assert "s3cret" not in text
        shown = re.sub("<!-- -->", "", html(text))
        assert set(re.findall(r"</?([a-z0-9]+)", shown)) <= {"p", "strong", "code"}
        assert text.count("\n") == 1


def test_colours_are_only_in_a_text_that_asks_for_them() -> None:
    assert "\x1b" not in review_text(reviewed())
    colored = review_text(reviewed(), color=True)
    assert re.sub(r"\x1b\[[\d;]*m", "", colored) == review_text(reviewed())
    assert colored != review_text(reviewed())


def test_a_side_without_sources_shows_paths() -> None:
    both = Reviewed(REVIEW, Half("build", None), Half("plan.json", None), [Answer() for _ in REVIEW.changes])
    text = review_text(both)
    assert "tasks.shop.search.reindex.queue: ordered: " in text
    assert "  before: tasks.shop.gone\n" in text
    at = json.loads(review_json(both))["changes"][1]["new_at"]
    assert at == {"path": [*MOVED.new_path], "file": None, "line": None, "column": None}


def test_json_is_as_its_schema_says_and_is_the_same_each_time() -> None:
    text = review_json(reviewed())
    Draft202012Validator(SCHEMA).validate(json.loads(text))
    assert text.isascii()
    assert text == json.dumps(json.loads(text), indent=2, sort_keys=True) + "\n" == review_json(reviewed())
    moved = json.loads(text)["changes"][1]
    assert moved["class"] == "ordered"
    assert moved["old_at"] == {"path": [*MOVED.old_path], "file": "old/w.yaml", "line": 2, "column": 32}


def test_json_says_which_step_is_somebodys_to_do() -> None:
    found = reviewed()
    steps = found.review.steps
    first = steps[0]._replace(by_hand=True, folder="")
    found = found._replace(review=found.review._replace(steps=(first, *steps[1:])))
    told = json.loads(review_json(found))
    Draft202012Validator(SCHEMA).validate(told)
    assert [step["by_hand"] for step in told["steps"]] == [True, *[False] * (len(steps) - 1)]


def test_json_holds_no_absolute_path(tmp_path: Path) -> None:
    document = document_of(NEW, str(tmp_path / "a" / "w.yaml"))
    found = reviewed()._replace(new=Half("workload", document))
    assert str(tmp_path) not in review_json(found)
    assert json.loads(review_json(found))["changes"][1]["new_at"]["file"] == "w.yaml"


def test_a_comment_is_one_screen_with_the_rest_below_a_fold() -> None:
    text = review_markdown(reviewed(answers=[Answer(WAIVED), *[Answer()] * 3]))
    visible, _, folded = text.partition("<details>")
    assert visible == (
        "**policycompiler: lossy — work can be lost or repeated, in any order** "
        "Cause: task `shop.gone` is removed, and 1 more change.\n"
        "\n"
        "**lossy** Waivers acknowledge these changes.\n"
        "\n"
        "1. ✓ task `shop.gone` is removed — was `old/w.yaml:3:3`\\\n"
        "   messages of it that wait are thrown away\\\n"
        "   acknowledged by storefront until 2027-03-31: nobody sends it\n"
        "\n"
        "**ordered** Deploy in the order of the steps below.\n"
        "\n"
        "2. ⚠ `shop.search.reindex` moves from queue `standard` to `search` — `new/w.yaml:3:12`\\\n"
        "   workers of `search` must run before any producer sends there\n"
        "\n"
        "Safe: schedule `yearly` fires at different times: `0 3 * * * UTC` → `0 4 * * * UTC`; "
        "1 setting follows from these changes.\n"
        "\n"
        "**Rollout**\n"
        "\n"
        "1. start the workers of `search`; then run `policycompiler wait 1` and `policycompiler act 1`\n"
        "2. wait for the old queue; then run `policycompiler wait 2`\n"
        "\n"
    )
    assert "next firings, before: 2027-01-01T03:00+00:00" in folded
    assert "```sh\npolicycompiler wait 2\n```" in folded
    assert folded.rstrip().endswith("</details>")


def test_a_comment_says_that_there_are_more_than_it_shows() -> None:
    several = (MOVED._replace(**about(f"task:t{n}/queue"), new=f"q{n}") for n in range(14))
    text = review_markdown(reviewed(Review(tuple(several), (), {})))
    assert "`t0` moves from queue `standard` to `q0`, and 13 more changes." in text
    assert "9 more below" in text
    assert text.index("`t13`") > text.index("<details>")


ALIKE = Review(tuple(MOVED._replace(**about(f"task:t{n:02}/queue")) for n in range(60)), (), {})


def test_changes_that_differ_in_names_only_are_one_item_of_a_comment() -> None:
    screen, folded = review_markdown(reviewed(ALIKE)).split("<details>")
    assert "60 tasks change queue" in folded
    assert "also `t01`, `t02`, `t03` and 56 more\\\n" in screen
    assert "2. " not in screen
    assert folded.count("also `t") == 40
    assert "and 19 more" in folded


def test_changes_that_differ_in_names_only_are_a_line_each_on_a_terminal() -> None:
    text = review_text(reviewed(ALIKE))
    assert text.count(MOVED.because) == 1
    lines = [line.strip() for line in text.splitlines() if line.strip().startswith("also ")]
    assert (len(lines), lines[0]) == (59, "also `t01` — new/w.yaml:3:12, was old/w.yaml:2:32")


def test_changes_that_somebody_else_answers_for_stand_apart() -> None:
    answers = [Answer(note=f"note {number % 2}") for number in range(60)]
    first, second = review_text(reviewed(ALIKE, answers)).split("\n\n")[1:]
    assert (first.count("  also "), second.count("  also ")) == (29, 29)


def test_a_comment_is_not_longer_than_one_may_be() -> None:
    long = "|*<" * 3000
    changes = tuple(
        GONE._replace(**about(f"task:{n}{long}"), because=long, old=f"{n}{long}", new=long)
        for n in range(300)
    )
    steps = tuple(
        STEPS[0]._replace(action=long, why=long, run=(DeleteQueue(plan=".", queue=long),) * 9)
        for _ in range(30)
    )
    text = review_markdown(reviewed(Review(changes, steps, {})))
    assert len(text) < 65536
    assert LONGEST < 65536
    assert re.search(r"and \d+ more changes", text)


def html(text: str) -> str:
    return MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(text)


BREAKING_OUT = f"{EVIL} ``` ````sh\n</details><script>`` | `a | b` ~~~ --- -->"


@pytest.mark.parametrize("page", ["comment", "guide"])
def test_hostile_text_is_shown_in_markdown_and_does_nothing(page: str) -> None:
    review = hostile(BREAKING_OUT)
    text = review_markdown(reviewed(review)) if page == "comment" else rollout_markdown(review)
    assert "s3cret" not in text
    tags = set(re.findall(r"</?([a-z0-9]+)", re.sub("<!-- -->", "", html(text))))
    assert tags <= {"p", "strong", "ol", "ul", "li", "br", "code", "pre", "details", "summary", "h1"}
    assert html(text).count("<details>") == (1 if page == "comment" else 0)
    fenced = re.sub(r"(?ms)^(`{3,})sh\n.*?\n\1$", "", text)
    assert not re.search(r"@[A-Za-z]|(?<![&;])#\d", re.sub("`[^`]*`", "", fenced))


def test_hostile_text_neither_reaches_a_terminal_nor_gives_a_password_away() -> None:
    found = reviewed(hostile(BREAKING_OUT))
    text = review_text(found)
    assert all(line.isprintable() for line in text.splitlines())
    assert "s3cret" not in text
    assert "s3cret" not in review_json(found)
    assert review_json(found).isascii()
    secret = Review((MOVED._replace(old={"password": "hunter2"}, new="redis://u:hunter2@h"),), (), {})
    for shown in (
        review_text(reviewed(secret)),
        review_json(reviewed(secret)),
        review_markdown(reviewed(secret)),
    ):
        assert "hunter2" not in shown


@pytest.mark.parametrize("kind", sorted(KINDS | {"no-such-kind", ""}))
def test_every_kind_has_a_title_whatever_changes(kind: str) -> None:
    addresses = ("task:a/options.time_limit", "task:a", "app/task_acks_late", "beat/host", "", "/", "a")
    values: list[Value] = [None, 1, 5400.0, ["a"], {"next": None}, {"cron": {"hour": 1}}]
    for address, old, new in product(addresses, values, values):
        told = title(MOVED._replace(kind=kind, **about(address), old=old, new=new))
        assert told.isprintable(), (address, old, new)
        assert told, (address, old, new)


def test_a_title_is_a_sentence_for_somebody_who_did_not_write_the_workload() -> None:
    def told(kind: str, address: str, old: Value, new: Value) -> str:
        return title(MOVED._replace(kind=kind, **about(address), old=old, new=new))

    assert told("capacity", "worker:cpu/concurrency", 4, 6) == "worker `cpu`: `concurrency` `4` → `6`"
    assert told("task-limits", "task:a/options.time_limit", 90, 5400) == (
        "task `a`: `time_limit` `1 min 30 s` → `1 h 30 min`"
    )
    assert told("task-renamed", "task:b", ["a"], None) == "task `a` is renamed to `b`"
    assert told("queue-added", "queue:search", None, None) == "queue `search` is added"
    assert told("serialization", "app/accept_content", None, ["json"]) == (
        "every process: `accept_content` is now `[json]`"
    )
    assert told("new-kind", "worker:w/x", 1, 2) == "`worker:w/x`: `1` → `2`"


def test_the_guide_has_every_step_with_its_commands() -> None:
    text = rollout_markdown(REVIEW)
    assert text.startswith("# Rollout\n")
    assert text.count("```sh") == 3
    assert "**1. start the workers of `search`** (expand)\\\ndeploy `rollout/1-overlap`\\\n" in text
    assert "To undo: stop them" in text
