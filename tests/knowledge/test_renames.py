"""What becomes of a message whose task has another name by now.

On it rest the policy renames and the settings that follow from it.
"""

from __future__ import annotations

import pytest
from celery import signals
from places import SUPPORT, TESTS
from processes import wait_until

pytestmark = pytest.mark.server

ALIASES = """
from celery import signals


@signals.worker_init.connect(weak=False)
def accept_earlier_names(sender, **_):
    for old, new in {"earlier": "echo", "earlier_again": "again"}.items():
        task = object.__new__(type(sender.app.tasks[new]))
        task.name = old
        sender.app.tasks.register(task)
"""


def test_a_message_of_an_unknown_name_is_discarded_and_later_ones_run(on_redis, database):
    lab = on_redis()
    lab.stranger().send_task("nobody.knows")
    lab.send("quick")
    lab.worker()
    lab.wait_for("end", "quick")
    wait_until(lambda: not database.hlen("unacked"), "all is acknowledged")
    assert database.llen("celery") == 0
    assert "Received unregistered task of type 'nobody.knows'" in lab.logs()


@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
def test_one_more_instance_of_a_tasks_class_runs_by_its_own_name(on_redis, redis_url, pool):
    lab = on_redis(result_backend=redis_url)
    (lab.folder / "aliases.py").write_text(ALIASES)
    lab.worker("--include", "aliases", pool=pool, environment=beside(lab))
    sent = lab.stranger().send_task("earlier", ["heard"])
    # Another test may have started a worker within this process.
    assert sent.get(timeout=60, disable_sync_subtasks=False) == "heard"
    assert {found["task"] for found in lab.events("start")} == {"earlier"}


def test_a_retry_keeps_the_name_and_the_queue_of_its_message(on_redis):
    lab = on_redis(task_routes={"again": {"queue": "routed"}})
    (lab.folder / "aliases.py").write_text(ALIASES)
    lab.worker("--include", "aliases", "--queues", "chosen,routed,celery", environment=beside(lab))
    lab.stranger().send_task("earlier_again", queue="chosen")
    lab.wait_for("start", "earlier_again", times=2)
    assert {found["routing_key"] for found in lab.events("start")} == {"chosen"}


@pytest.mark.parametrize("protocol", [2, 1])
def test_the_name_that_a_receiver_writes_before_a_publish_is_what_the_worker_gets(on_redis, protocol):
    lab = on_redis(task_protocol=protocol)
    lab.worker()

    def rename(headers, body, **_):
        (headers if "task" in headers else body)["task"] = "quick"

    signals.before_task_publish.connect(rename)
    try:
        sent = lab.stranger().send_task("slow")
    finally:
        signals.before_task_publish.disconnect(rename)
    lab.wait_for("end", "quick")
    assert [found["id"] for found in lab.events("start", "quick")] == [sent.id]


def beside(lab) -> dict[str, str]:
    """The environment in which a worker finds the modules that a test has written."""
    return {"PYTHONPATH": f"{lab.folder}:{SUPPORT}:{TESTS}"}
