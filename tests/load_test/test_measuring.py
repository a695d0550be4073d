"""The figures of a load test from hand-made records, and the reports of hand-made figures."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

import pytest
from jsonschema import Draft202012Validator
from markdown_it import MarkdownIt
from places import ROOT

from policycompiler.compiler import compile_workload
from policycompiler.load_test import measuring, traffic
from policycompiler.load_test.fleet import Fleet
from policycompiler.load_test.outcome import Figures, Outcome, Verdict, Wait
from policycompiler.load_test.records import Records, Sent
from policycompiler.load_test.wish import Wish
from policycompiler.plan.lines import worker_lines
from policycompiler.reality.nodes import Consumed, Node
from policycompiler.report.load_test import (
    load_test_json,
    load_test_junit,
    load_test_markdown,
    load_test_text,
)
from policycompiler.sizing.simulation import Burst, Message, measured
from policycompiler.sizing.simulation import Outcome as Simulated

WISH = Wish(seconds=10, drain_seconds=2, most=1000, rate_factor=1, seed=0, queues=())
HEAD = "version: 1\nservice: tried\napp: tried.app:app\nbroker: {transport: redis, url: '${TRIED_BROKER}'}\n"


def made(tmp_path, text: str):
    source = tmp_path / "w.yaml"
    source.write_text(HEAD + text, encoding="utf-8")
    return compile_workload([source], targets=()).plan


def fleet(*queues: str, tasks: dict[str, frozenset[str]], slots: int = 1) -> Fleet:
    consumed = tuple(Consumed(name, name, "direct", name, {}) for name in queues)
    return Fleet("redis", (Node("worker@one.1.host", slots=slots, queues=consumed),), tasks)


@pytest.mark.parametrize(
    ("count", "late", "verdict"),
    [
        (0, 0, Verdict.NONE),
        (50, 0, Verdict.KEPT),
        (100, 1, Verdict.KEPT),
        # 1 - 0.99 ** 18 = 0.165: one of 18 is late in one of six tests.
        (18, 1, Verdict.UNCLEAR),
        # 1 - 0.99 ** 18 - 18 * 0.01 * 0.99 ** 17 = 0.0138
        (18, 2, Verdict.BROKEN),
        (5, 1, Verdict.BROKEN),
        # A Poisson distribution with mean 3: 4 and more have 0.353, 7 and more 0.034.
        (300, 4, Verdict.UNCLEAR),
        (300, 7, Verdict.BROKEN),
        (20_000, 700, Verdict.BROKEN),
    ],
)
def test_a_promise_is_broken_if_chance_does_not_explain_it(count, late, verdict):
    assert measuring.verdict(count, late) == verdict


def figures(tmp_path, *, left: dict[str, bool], silent: list[str]) -> Figures:
    """Ten messages, one a second: the first is warm-up; 7 ran twice, 8 failed, 9 did not start."""
    plan = made(tmp_path, "tasks: {tried.a: {queue: q, runtime: 1s, rate: 1/s, latency: interactive}}\n")
    lines = worker_lines(plan)
    found = fleet("q", tasks={"q": frozenset({"tried.a"})})
    tasks = traffic.driven(plan, found, lines, {"q": 1.0}, WISH)
    sent = traffic.Traffic(tasks, 10.0, tuple(Message(float(each), 0, 0.5) for each in range(10)))
    records = Records(
        sent={each: Sent(100.0 + each, 0.0) for each in range(10)},
        started={each: [100.0 + each + 0.1 * each] + [120.0] * (each == 7) for each in range(9)},
        failed={8},
        begun=100.0,
        ended=112.0,
        seconds=10.0,
        left=left,
        silent=silent,
        ended_by=0,
        problems=[],
    )
    simulated = Simulated({"tried.a": measured([0.1, 0.2, 0.3])}, {}, 10.0, (1.0,))
    (only,) = measuring.by_queue(measuring.Measured(plan, lines, found, sent, records, 1.0, simulated))
    return only


def test_waits_losses_and_doubles_are_counted(tmp_path):
    only = figures(tmp_path, left={"q": False}, silent=[])
    assert (only.sent, only.run, only.twice, only.failed) == (10, 9, 1, 1)
    assert (only.lost, only.waiting) == (1, 0)
    # Waits of 0.1 to 0.8 s, and one of at least 3 s: the fifth of nine is the median.
    assert only.measured == 9
    p50, p95, p99 = only.waits
    assert (round(p50.seconds, 6), p50.at_least) == (0.5, False)
    assert (round(p95.seconds, 6), p95.at_least) == (round(p99.seconds, 6), p99.at_least) == (3.0, True)
    # The promise is 1 s.
    assert (only.promise_seconds, only.late) == (1, 1)
    # Starts between 101 and 110 s: those of 1 to 8.
    assert only.per_second == pytest.approx(8 / 9)
    assert only.predicted_per_second == pytest.approx(1)
    assert not only.intact


@pytest.mark.parametrize(
    ("left", "silent"),
    [({"q": True}, []), ({}, []), ({"q": False}, ["worker@one.1.host"])],
    ids=["left", "uncounted", "silent worker"],
)
def test_a_message_is_lost_only_if_nobody_can_have_it(tmp_path, left, silent):
    only = figures(tmp_path, left=left, silent=silent)
    assert (only.lost, only.waiting) == (0, 1)


def test_traffic_has_the_declared_rates_bursts_and_run_times(tmp_path):
    plan = made(
        tmp_path,
        "tasks:\n"
        "  tried.a: {queue: q, runtime: {p50: 1s, p99: 10s}, rate: {mean: 1/s, peak: 20/s}, burst: 30}\n"
        "  tried.b: {queue: q, work: cpu, runtime: {p50: 10ms, p99: 20ms}, rate: 5/s, burst: 4}\n"
        "  tried.c: {queue: q, rate: 5/s}\n  tried.d: {queue: q, runtime: 1s}\n  tried.*: {queue: q, runtime: 1s, rate: 1/s}\n",
    )
    known = frozenset({"tried.a", "tried.b", "tried.c", "tried.d", "tried.other"})
    found = fleet("q", tasks={"q": known})
    wish = WISH._replace(seconds=100, most=100_000)
    tasks = traffic.driven(plan, found, worker_lines(plan), {"q": 0.5}, wish)
    assert [(each.flow.name, each.name, each.computes) for each in tasks] == [
        ("tried.*", "tried.other", False),
        ("tried.a", "tried.a", False),
        ("tried.b", "tried.b", True),
    ]
    assert [each.flow.arrivals[0].per_second for each in tasks] == [0.5, 10, 2.5]
    # Half of the bursts, one after the other.
    assert [each.flow.arrivals[1:] for each in tasks] == [(), (Burst(15, 100 / 3),), (Burst(2, 200 / 3),)]
    sent = traffic.traffic(tasks, wish)
    assert sent == traffic.traffic(tasks, wish)
    assert sent != traffic.traffic(tasks, wish._replace(seed=1))
    fewer = traffic.traffic(tasks, wish._replace(most=100))
    assert fewer.messages == sent.messages[: len(fewer.messages)]
    assert len(fewer.messages) == 100
    assert fewer.messages[-1].arrived < fewer.seconds <= sent.messages[100].arrived
    runs = sorted(each.run for each in sent.messages if tasks[each.flow].name == "tried.a")
    assert 800 < len(runs) < 1250
    assert 0.8 < runs[len(runs) // 2] < 1.25
    limit = plan.value(*limit_of("tried.a"))
    assert runs[-1] <= 0.95 * limit
    assert list(traffic.not_driven(plan, found, ())) == [
        "tried.c: declare tasks.tried.c.runtime",
        "tried.d: declare tasks.tried.d.rate",
    ]


def limit_of(task: str):
    from policycompiler.plan import Scope  # noqa: PLC0415

    return Scope("task", task), "options.soft_time_limit"


def outcome(**more) -> Outcome:
    wait = (Wait(0.0123), Wait(0.5), Wait(2.0, at_least=True))
    good = Figures(
        *("q|<b>`x`", ("w",), 4, 100, 100, 0, 0, 0, 0, 10.0, 10.1, 90, (Wait(0.01),) * 3, (0.003, 0.2, 0.4)),
        *(1.0, 0, Verdict.KEPT),
    )
    bad = good._replace(name="bad", run=97, waiting=1, lost=2, waits=wait, late=9, verdict=Verdict.BROKEN)
    none = good._replace(
        name="none", sent=0, run=0, measured=0, waits=None, promise_seconds=None, verdict=Verdict.NONE
    )
    unclear = good._replace(name="unclear", measured=18, late=1, verdict=Verdict.UNCLEAR)
    whole = Outcome(
        *("a private Redis", 60.0, 6.0, 2.0, 0, 400, 0.3, [good], [good, bad, none, unclear], 0),
        *(["the broker `amqp://u:hunter2@h` is gone"], ["not sent: tasks.x"]),
    )
    return whole._replace(**more)


def test_the_text_says_what_is_wrong():
    text = load_test_text(outcome())
    assert "400 messages in 1 min, 2 times the declared rates; the first 6 s not measured" in text
    assert "over 2 s (0.4 s)" in text
    assert "2 lost, 1 did not start, broken: 9 of 90 late" in text
    assert "unclear: 1 of 18 late" in text
    assert "1 of 100 messages was sent 0.3 s late or later" in text
    assert text.endswith("1 queue broke the promise; 2 messages lost; 1 problem\n")
    assert "hunter2" not in text
    assert outcome(queues=[], problems=[]).succeeded
    assert not outcome(problems=[]).succeeded
    assert load_test_text(outcome(queues=[], problems=[])).endswith("nothing was lost\n")


def test_the_json_is_as_its_schema_says():
    found = json.loads(load_test_json(outcome()))
    Draft202012Validator(json.loads((ROOT / "schemas/load.schema.json").read_text("utf-8"))).validate(found)
    assert found["queues"][1]["waits"]["p99"] == {"seconds": 2.0, "at_least": True}
    assert found["succeeded"] is False
    assert "hunter2" not in json.dumps(found)


def test_junit_fails_where_a_promise_is_broken_or_work_is_lost():
    root = ET.fromstring(load_test_junit(outcome()))
    cases = {each.get("name"): [child.tag for child in each] for each in root.iter("testcase")}
    assert cases == {
        "queue q|<b>`x`": ["system-out"],
        "queue bad": ["failure"],
        "queue none": ["skipped"],
        "queue unclear": ["system-out"],
        "load test": ["failure"],
    }
    assert (root.get("tests"), root.get("failures")) == ("5", "2")
    assert "hunter2" not in load_test_junit(outcome())


def test_markdown_has_whole_tables_and_no_markup_of_names():
    tokens = MarkdownIt("commonmark").enable("table").parse(load_test_markdown(outcome()))
    cells = [token for token in tokens if token.type == "td_open"]
    rows = [token for token in tokens if token.type == "tr_open"]
    # Two tables with a head each, of 11 columns.
    assert (len(rows), len(cells)) == (1 + 1 + 1 + 4, 5 * 11)
    assert not [
        token
        for token in tokens
        for child in token.children or ()
        if child.type == "html_inline" and "<b>" in child.content
    ]
    assert "hunter2" not in load_test_markdown(outcome())
