"""Renamed tasks as emitted: real workers run messages of earlier names, and send by them while told to."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest
import witness
from places import SUPPORT
from processes import running, wait_until
from servers import redis_server
from workloads import compiled, workload

from policycompiler import emitters
from policycompiler.plan import Constant, Decision, Plan, PlanDraft, Scope

pytestmark = pytest.mark.server

WORDS = ("tell", "again", "flaky", "sturdy", "long", "greet")
OPTIONS = {
    "tell": "idempotent: true, options: {soft_time_limit: 80, time_limit: 90}",
    "flaky": "idempotent: true, retry: {on: [ConnectionError], delay: 1s, max: 3}",
    "long": "options: {soft_time_limit: 1, time_limit: 60}",
}
WORKLOAD = "\n".join(
    [
        "broker: {transport: redis, url: '${B}'}",
        "results: {backend: redis, url: '${R}'}",
        "tasks:",
        *(
            f"  new.{word}: {{{', '.join(filter(None, [OPTIONS.get(word), 'result: keep', 'queue: q']))}, "
            f"renamed_from: [old.{word}]}}"
            for word in WORDS
        ),
        "  new.missing: {queue: q, renamed_from: [old.missing]}",
        "schedules: {often: {task: new.tell, every: 1s}}",
    ]
)
TELLS = ["old.tell", "old.tell", True, 90]
POOLS = {
    "prefork": {},
    "prefork, spawned": {"SPAWN": "1"},
    "threads": {},
    "solo": {},
    "gevent": {},
}
SEND = """
import json, sys
from renamed_app import app
from celery import chain, chord, group
sent = list({code})
print(json.dumps([each.get(timeout=60) for each in sent]))
"""


class Stage:
    """A folder with settings, a broker for it, and processes that run the app on both."""

    def __init__(self, folder: Path, url: str, processes: ExitStack) -> None:
        self.folder, self.url, self._processes = folder, url, processes
        self._numbers = count(1)

    def environment(self, prefix: str, **more: str) -> dict[str, str]:
        """Of a process with the code of after the rename, `new`, or of before it, `old`."""
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join([str(self.folder), str(SUPPORT)]),
            "PREFIX": prefix,
            "B": self.url,
            "R": self.url,
            **more,
        }

    def start(self, prefix: str, *words: str, **more: str) -> Path:
        """Start a process of Celery; its log."""
        log = self.folder / f"process{next(self._numbers)}.log"
        environment = self.environment(prefix, WITNESS=str(self.folder / "witness"), **more)
        command = [sys.executable, "-m", "celery", "--app", "renamed_app", *words]
        self._processes.enter_context(
            running(command, log=log, environment=environment, folder=self.folder, stop_seconds=0)
        )
        return log

    def worker(self, prefix: str, pool: str = "prefork", **more: str) -> Path:
        """Start a worker and wait until it takes messages; its log."""
        ready = self.count("ready")
        words = [
            "--pool",
            pool,
            "--concurrency",
            "2",
            "--queues",
            "q",
            "--without-mingle",
        ]
        log = self.start(prefix, "worker", *words, **more)
        wait_until(lambda: self.count("ready") > ready, "the worker is ready", seconds=60, log=log)
        return log

    def count(self, event: str) -> int:
        return sum(found["event"] == event for found in witness.events(self.folder / "witness"))

    def send(self, prefix: str, code: str, **more: str) -> list:
        """What comes of the results of an expression, in a producer of its own."""
        done = subprocess.run(
            [sys.executable, "-c", SEND.format(code=code)],
            env=self.environment(prefix, **more),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def names(self) -> set[str]:
        """By which names tasks have run."""
        return {start["task"] for start in witness.starts(self.folder / "witness")}


@pytest.fixture
def staged(tmp_path) -> Iterator[Callable[[Plan], Stage]]:
    with ExitStack() as processes:
        url = processes.enter_context(redis_server(tmp_path))

        def stage(plan: Plan) -> Stage:
            for file in emitters.emit(plan, ["celeryconfig"]):
                (tmp_path / file.path).write_text(file.text, "utf-8")
            return Stage(tmp_path, url, processes)

        yield stage


def plan_of(text: str = WORKLOAD, *, sent_as: bool = False) -> Plan:
    """The plan of a workload; of an in-between step, where tasks are still sent by their earlier names."""
    compilation = compiled(workload(text))
    assert compilation.plan is not None, compilation.diagnostics
    draft = PlanDraft()
    for setting in compilation.plan:
        draft.settle(Decision(*setting[:5]), setting.policy)
    if sent_as:
        for word in WORDS:
            origin = (Constant("GIVEN", value=f"old.{word}"),)
            draft.settle(
                Decision(Scope("task", f"new.{word}"), "sent_as", f"old.{word}", "", origin), "rollout"
            )
    return draft.finished()


@pytest.mark.parametrize(("pool", "more"), POOLS.items(), ids=POOLS)
def test_a_worker_runs_messages_of_earlier_names(staged, pool, more):
    if pool == "gevent":
        pytest.importorskip("gevent")
    stage = staged(plan_of())
    stage.worker("new", pool.partition(",")[0], **more)
    names = ["old.tell", "old.again", "old.flaky", "old.sturdy"]
    assert stage.send("old", f"map(app.send_task, {names})") == [TELLS, *names[1:]]
    assert stage.names() == set(names)


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_a_task_that_is_a_class_and_was_made_with_an_argument_keeps_it(staged, pool):
    stage = staged(plan_of())
    stage.worker("new", pool)
    assert stage.send("old", "[app.send_task('old.greet', ['you'])]") == [["old.greet", "hello you"]]


@pytest.mark.parametrize("more", [{}, {"SPAWN": "1"}], ids=["forked", "spawned"])
def test_a_message_of_an_earlier_name_runs_under_the_limits_of_the_task(staged, more):
    stage = staged(plan_of())
    stage.worker("new", **more)
    assert stage.send("old", "[app.send_task('old.long')]") == ["old.long"]


def test_code_of_before_the_rename_has_the_options_and_the_route_of_the_task(staged):
    stage = staged(plan_of())
    stage.worker("old")
    assert stage.send("old", "[app.tasks['old.tell'].delay()]") == [TELLS]


def test_a_name_that_no_code_has_is_named_in_the_log_and_the_others_work(staged):
    stage = staged(plan_of())
    log = stage.worker("new")
    assert stage.send("old", "[app.send_task('old.missing'), app.send_task('old.tell')][1:]") == [TELLS]
    line = (
        "task new.missing is not registered, so the worker discards messages with its earlier "
        "name old.missing"
    )
    assert log.read_text().count(line) == 1


def test_it_works_from_settings_that_take_all_in_with_a_star(staged):
    stage = staged(plan_of(f"{WORKLOAD}\ncelery: {{namespace: CELERY}}"))
    (stage.folder / "settings.py").write_text("from celeryconfig import *\n")
    settings = {"SETTINGS": "settings", "NAMESPACE": "CELERY"}
    stage.worker("new", **settings)
    assert stage.send("old", "[app.send_task('old.tell')]", **settings) == [TELLS]


SENT = {
    "called": "[app.tasks['new.tell'].delay()]",
    "by name": "[app.send_task('new.tell')]",
    "in a chain": "[chain(*(app.tasks['new.tell'].s() for _ in range(3))).delay()]",
    "in a chain of a chain": "[(app.tasks['new.tell'].s() | (group(app.tasks['new.tell'].s()) | "
    "app.tasks['new.tell'].s())).delay()]",
    "as the body of a chord": "[chord([app.tasks['new.again'].s()] * 2, app.tasks['new.tell'].s()).delay()]",
    "as a signature sent twice": "[(lambda s: s.delay() and s.delay())(chain(app.tasks['new.tell'].s(), "
    "app.tasks['new.tell'].s()))]",
}


@pytest.fixture(scope="module")
def in_between(tmp_path_factory) -> Iterator[Stage]:
    """A worker with the code and the settings of before the rename, and producers that are ahead of it."""
    folder = tmp_path_factory.mktemp("between")
    with ExitStack() as processes:
        url = processes.enter_context(redis_server(folder))
        stage = Stage(folder, url, processes)
        before = plan_of(re.sub(r", renamed_from: \[[^]]*\]", "", WORKLOAD).replace("new.", "old."))
        for name, plan in (("before", before), ("celeryconfig", plan_of(sent_as=True))):
            (file, *_) = emitters.emit(plan, ["celeryconfig"])
            (folder / f"{name}.py").write_text(file.text, "utf-8")
        stage.worker("old", SETTINGS="before")
        yield stage


@pytest.mark.parametrize("code", SENT.values(), ids=SENT)
def test_a_worker_of_before_the_rename_runs_what_is_sent_by_the_earlier_name(in_between, code):
    assert in_between.send("new", code) == [TELLS]
    assert {name.partition(".")[0] for name in in_between.names()} == {"old"}


def test_what_follows_a_task_is_renamed_too(in_between):
    code = "[app.tasks['new.tell'].apply_async(link=app.tasks['new.greet'].s())]"
    assert in_between.send("new", code) == [TELLS]
    wait_until(lambda: "old.greet" in in_between.names(), "the callback has run", seconds=60)


def test_beat_sends_by_the_earlier_name(in_between):
    ids = len(witness.ends(in_between.folder / "witness"))
    in_between.start("new", "beat", "--schedule", str(in_between.folder / "schedule"), "--pidfile=")
    wait_until(lambda: len(witness.ends(in_between.folder / "witness")) > ids, "beat has sent", seconds=60)
    assert {name.partition(".")[0] for name in in_between.names()} == {"old"}
