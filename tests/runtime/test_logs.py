"""The log as lines of JSON, from real workers: whole lines, the right task, and no arguments."""

from __future__ import annotations

import ast
import json
import os
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from compiled import configured_app, write_configuration
from processes import running, wait_until
from servers import redis_server
from workloads import workload

from policycompiler.compiler import compile_workload
from policycompiler.runtime import logs

POOLS = ("prefork", "threads")
SECRET = "swordfish"
STOPPED = "\nworker: "
"""Celery's handler of a signal writes these words itself."""
APP = """\
import os
from celery import Celery
from celery.utils.log import get_task_logger
app = Celery("shop", config_source="celeryconfig")
@app.task(name="shop.say")
def say(number, password):
    get_task_logger(__name__).warning('said "%s"\\nand a {"line": %d}', "quoted", number)
    print(f"printed {number}")
@app.task(name="shop.lost")
def lost():
    os._exit(3)
@app.task(name="shop.again", bind=True)
def again(self, password):
    if not self.request.retries:
        raise self.retry(countdown=0, max_retries=1)
    raise ValueError("no")
"""


def test_it_imports_nothing_of_ours_and_no_other_library():
    tree = ast.parse(Path(logs.__file__).read_text("utf-8"), feature_version=(3, 9))
    found = {
        (node.module if isinstance(node, ast.ImportFrom) else node.names[0].name).partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert found - sys.stdlib_module_names == {"celery"}


def lines(log: Path) -> list[dict]:
    """The lines since the first one of the log, each of which must be JSON until the worker stops."""
    text = log.read_text().partition(STOPPED)[0]
    return [json.loads(line) for line in text[text.index("{") :].splitlines()]


@pytest.mark.server
def test_lines_of_each_pool_are_whole_and_name_their_task(tmp_path):
    (tmp_path / "workload.yaml").write_text(
        workload("""
        broker: {transport: redis, url: "${CELERY_BROKER_URL}"}
        tasks: {shop.*: {queue: prefork}}
        queues: {threads: {}}
        """)
    )
    policy = tmp_path / "policy.yaml"
    policy.write_text("version: 1\nparameters: {logs: {format: json}}\n")
    compilation = compile_workload([tmp_path / "workload.yaml"], policy=policy)
    assert not compilation.failed, compilation.diagnostics
    write_configuration(compilation.files, tmp_path)
    (tmp_path / "shop_app.py").write_text(APP)
    celery = (sys.executable, "-m", "celery", "-q", "--app", "shop_app", "worker", "--loglevel", "INFO")
    with ExitStack() as stack:
        url = stack.enter_context(redis_server(tmp_path))
        environment = {"PATH": os.environ["PATH"], "CELERY_BROKER_URL": url}
        app = configured_app(tmp_path, {"CELERY_BROKER_URL": url})
        for pool in POOLS:
            for number in range(4):
                app.send_task("shop.say", [number, SECRET], task_id=f"{pool}-{number}", queue=pool)
            app.send_task("shop.again", kwargs={"password": SECRET}, task_id=f"{pool}-again", queue=pool)
            app.send_task("nobody.knows", [SECRET], queue=pool)
            if pool == "prefork":
                app.send_task("shop.lost", queue=pool)
            words = ("--queues", pool, "--pool", pool, "--concurrency", "4", "--hostname", f"{pool}@host")
            log = tmp_path / f"{pool}.log"
            stack.enter_context(running([*celery, *words], log=log, folder=tmp_path, environment=environment))
        for pool in POOLS:
            log = tmp_path / f"{pool}.log"
            wait_until(lambda log=log: has_ended(log), "all has run", log=log)
    for pool in POOLS:
        check(pool, tmp_path / f"{pool}.log")


def has_ended(log: Path) -> bool:
    text = log.read_text()
    lost = log.stem != "prefork" or "exited with" in text
    return (
        lost and "raised unexpected: ValueError" in text and "unreg" in text and text.count("succeeded") == 4
    )


def check(pool: str, log: Path) -> None:
    found = lines(log)
    assert SECRET not in log.read_text()
    said = {line["id"]: line for line in found if line["message"].startswith("said")}
    assert said.keys() == {f"{pool}-{number}" for number in range(4)}
    for number in range(4):
        line = said[f"{pool}-{number}"]
        assert line["message"] == f'said "quoted"\nand a {{"line": {number}}}'
        own = {"task": "shop.say", "queue": pool, "retries": 0, "worker": f"{pool}@host", "level": "WARNING"}
        assert own.items() <= line.items()
    printed = {line["message"]: line["id"] for line in found if line["message"].startswith("printed")}
    assert printed == {f"printed {number}": f"{pool}-{number}" for number in range(4)}
    [failed] = [line for line in found if "raised unexpected: ValueError" in line["message"]]
    assert (failed["id"], failed["retries"], failed["task"]) == (f"{pool}-again", 1, "shop.again")
    assert failed["exception"].splitlines()[-1] == "ValueError: no"
    received = [line for line in found if line["message"].endswith("received")]
    assert {line["task"] for line in received} - {"shop.lost"} == {"shop.say", "shop.again"}
    gone = [line["level"] for line in found if "exited with 'exitcode 3'" in line["message"]]
    assert gone == (["ERROR"] if pool == "prefork" else [])
    assert all({"time", "level", "logger", "message", "worker"} <= line.keys() for line in found)
