"""Rehearsals of guards: an outage, a killed worker, and what a rehearsal says of guards that do not work."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from places import EXAMPLES
from tools import needs

from policycompiler import compiler, rehearse
from policycompiler.emitters.base import OutputFile
from policycompiler.rehearse import guarded
from policycompiler.rehearse.fleet import Application
from policycompiler.rehearse.outcome import Kill, Outage, Pace
from policycompiler.rehearse.scenes import _key, _Killed, _moment, guarded_tasks


@pytest.mark.server
def test_each_card_of_the_example_is_charged_once():
    needs("redis-server")
    source = str(EXAMPLES / "payments")
    # Its task has an argument that no message of the rehearsal has.
    real = ["--app", "payments.celery_app", "--workdir", source]
    words = [sys.executable, "-m", "policycompiler", "rehearse", source, *real, "--output-format", "json"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=170, check=False)
    found = json.loads(done.stdout)
    assert done.returncode == 0, done.stdout
    breaker, key, rate = found["guards"]
    assert breaker["guard"] == "breaker"
    assert breaker["dependency"] == rate["dependency"] == "bank"
    # Without a breaker, each of the messages that came in the outage would call several times.
    assert 5 <= breaker["calls"] <= breaker["most_calls"] < breaker["sent"]
    assert breaker["failed"] == breaker["unended"] == 0
    assert key["running"] > 0
    assert key["sent"] > key["keys"] == 16
    assert key["missing"] == key["unended"] == 0
    assert key["repeated"] == key["unguarded"]
    assert rate["calls"] <= 20 + 1 + 4


@pytest.mark.server
def test_a_stand_in_has_the_exceptions_of_the_application_and_queues_have_room(tmp_path):
    needs("redis-server")
    source = tmp_path / "workload.yaml"
    source.write_text(
        "version: 1\nservice: tried\napp: tried:app\nbroker: {transport: redis, url: '${TRIED_BROKER}'}\n"
        "store: {url: '${TRIED_STORE}'}\nqueues: {q: {bound: 1}}\n"
        "dependencies: {bank: {breaker: {on: [tried.errors.Down, elsewhere.Gone]}}}\n"
        "tasks: {tried.a: {queue: q, calls: [bank], idempotent: true, runtime: 1s, "
        "retry: {on: [tried.errors.Down, elsewhere.Gone, json.JSONDecodeError]}}}\n",
        encoding="utf-8",
    )
    made = compiler.compile_workload([source], targets=["celeryconfig", "launch"])
    found = rehearse.rehearse(made.plan, made.files, None, None)
    assert found.succeeded, found
    [breaker] = found.guards
    assert 5 <= breaker.calls <= breaker.most_calls < breaker.sent
    assert breaker.failed == breaker.unended == 0


@pytest.mark.server
def test_a_rehearsal_says_that_an_effect_happens_more_than_once(tmp_path):
    """The same output, in which somebody has taken out the keys, with the real application."""
    needs("redis-server")
    (tmp_path / "tried").mkdir()
    (tmp_path / "tried/app.py").write_text(
        "from celery import Celery\napp = Celery('tried')\napp.config_from_object('celeryconfig')\n"
        "@app.task(name='tried.a')\ndef a(order): raise SystemExit('the code of a task ran')\n",
        encoding="utf-8",
    )
    source = tmp_path / "workload.yaml"
    source.write_text(
        "version: 1\nservice: tried\napp: tried.app:app\nbroker: {transport: redis, url: '${TRIED_BROKER}'}\n"
        "store: {url: '${TRIED_STORE}'}\n"
        "tasks: {tried.a: {queue: q, idempotency_key: order.id, runtime: 1s, retry: none}}\n",
        encoding="utf-8",
    )
    made = compiler.compile_workload([source], targets=["celeryconfig", "launch"])
    real = Application("tried.app", sys.executable, tmp_path)
    [kept] = rehearse.rehearse(made.plan, made.files, real, None).guards
    assert (kept.task, kept.problem) == ("tried.a", "")
    assert kept.running > 0
    [lost] = rehearse.rehearse(made.plan, list(map(without_keys, made.files)), real, None).guards
    assert lost.problem.endswith("effects happened more than once")


def without_keys(file: OutputFile) -> OutputFile:
    if file.path != "celeryconfig.py":
        return file
    text = file.text
    key = '"key": "order.id",'
    assert text.count(key) == 1
    return file._replace(content=text.replace(key, ""))


@pytest.mark.parametrize(
    ("name", "declared", "here"),
    [
        ("open_for", 300.0, 2.0),
        ("open_for", 1.0, 1.0),
        ("rate", 0.1, 10.0),
        ("rate", 50.0, 50.0),
        ("hold", 2.0, 2.0),
    ],
)
def test_times_are_shortened_and_slow_rates_are_raised(name, declared, here):
    assert guarded.shortened(name, declared) == here


def outage(**more: object) -> Outage:
    return Outage("bank", 6.0, 24, 7, 9, 0, 0, retries=True)._replace(**more)


def kill(**more: object) -> Kill:
    return Kill("a", "w", 2, 22, 16, 0, 0, 0, 0)._replace(**more)


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        (outage(), ""),
        (outage(calls=10), "more than 9 calls"),
        (outage(failed=2), "2 of the messages failed"),
        (outage(failed=2, retries=False), ""),
        (outage(unended=1), "1 of the messages did not end"),
        (kill(), ""),
        (kill(missing=1), "1 keys had no effect"),
        (kill(worker=""), "no worker was killed, because none ran a task for long enough"),
        (kill(repeated=2), "2 effects happened more than once"),
        (kill(repeated=2, unguarded=2), ""),
        (kill(repeated=2, unguarded=1), "1 effects happened more than once"),
        (kill(unended=3), "3 of the messages did not end"),
        (
            kill(unended=1, missing=1, repeated=6),
            "1 of the messages did not end; 1 keys had no effect; 6 effects happened more than once",
        ),
        (Pace("bank", 10, 12, 10.0), ""),
        (Pace("bank", 13, 12, 10.0), "more than 12 calls"),
    ],
)
def test_what_is_a_problem(found, problem):
    assert found.problem == problem


@pytest.mark.parametrize(
    ("key", "effects", "explained"),
    [
        ("k", [9.0, 11.0], True),
        ("other", [9.0, 11.0], False),
        ("k", [11.0, 12.0], False),
        ("k", [8.0, 9.0], False),
        ("k", [9.0, 11.0, 12.0], False),
    ],
)
def test_a_kill_explains_one_more_effect_of_what_it_interrupted(key, effects, explained):
    assert _Killed("w", frozenset({"k"}), 10.0).explains(key, effects) is explained


SENT = {"guard-kill-0.0": 0.0, "guard-kill-1.0": 9.8}
ENDED = {"guard-kill-0.0": 0.4}
RUN = {"guard-kill-1.0": 9.85}


@pytest.mark.parametrize(
    ("noted", "calm"),
    [
        ({}, True),
        ({"received": ENDED}, False),
        ({"sent": {**SENT, "guard-kill-2.0": 9.99}}, False),
        ({"sent": {**SENT, "guard-outage-2": 9.99}}, True),
        ({"run": {"guard-kill-1.0": 9.99}}, False),
        ({"run": {"guard-kill-1.0": 9.7}}, False),
        ({"sent": {**SENT, "guard-kill-2.0": 9.99}, "run": {**RUN, "guard-kill-3.0": 9.85}}, True),
    ],
)
def test_a_worker_is_killed_when_it_fetches_no_message(noted, calm):
    told = {"sent": SENT, "received": SENT, "ended": ENDED, "run": RUN} | noted
    records = [
        {"event": event, "id": identifier, "at": at, "worker": "w"}
        for event, found in told.items()
        for identifier, at in found.items()
    ]
    found = _moment(records, {"w": 2}, 10.0)
    assert (found.worker, sorted(found.runs), found.calm) == ("w", sorted(told["run"]), calm)


def test_before_a_run_there_is_no_moment_for_a_kill():
    assert _moment([], {"w": 2}, 10.0) == ("", (), False, 0)


def test_a_key_inside_of_an_argument_and_a_pattern(tmp_path: Path):
    source = tmp_path / "workload.yaml"
    source.write_text(
        "version: 1\nservice: tried\napp: tried.app:app\nbroker: {transport: redis, url: '${TRIED_BROKER}'}\n"
        "store: {url: '${TRIED_STORE}'}\n"
        "tasks: {'tried.*': {idempotency_key: order.payment.id, runtime: 1s}, tried.other: {runtime: 1s}}\n",
        encoding="utf-8",
    )
    plan = compiler.compile_workload([source]).plan
    workers = [each.name for each in plan.scopes("worker")]
    [found] = guarded_tasks(plan, ["tried.other", "tried.any"], workers)
    assert found.name == "tried.any"
    assert found.arguments("guard-kill-3") == {"order": {"payment": {"id": "guard-kill-3"}}}
    assert _key("guard-kill-3.1") == "guard-kill-3"
    assert guarded_tasks(plan, ["tried.other"], []) == []
