"""Dead letters as emitted, with a real worker on RabbitMQ: their queue is there, and gets what failed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from textwrap import dedent

import pytest
from compiled import configured_app, write_configuration
from kombu import Connection, Queue
from processes import running, wait_until
from servers import rabbitmq_server
from workloads import workload

from policycompiler.compiler import compile_workload

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def rabbitmq_url(tmp_path_factory) -> Iterator[str]:
    with rabbitmq_server(tmp_path_factory.mktemp("rabbitmq")) as url:
        yield url


APP = """\
from celery import Celery
app = Celery("shop", config_source="celeryconfig")
@app.task(name="shop.fail")
def fail():
    raise ConnectionError
"""


@contextmanager
def emitted(folder, url, kind):
    """A worker of the queue that is called like its kind; yields an app as a producer has it."""
    source = folder / "workload.yaml"
    fragment = f"""
        broker: {{transport: rabbitmq, url: "${{CELERY_BROKER_URL}}", version: "3.10"}}
        tasks: {{shop.fail: {{idempotent: true, queue: {kind}}}}}
        queues: {{{kind}: {{dead_letter: true, type: {kind}}}}}
        """
    source.write_text(workload(dedent(fragment)))
    compilation = compile_workload([source])
    write_configuration(compilation.files, folder)
    (folder / "shop_app.py").write_text(APP)
    celery = (sys.executable, "-m", "celery", "--app", "shop_app", "worker", "--queues", kind)
    words = ("--pool", "solo", "--without-gossip", "--without-mingle", "--hostname", f"{kind}@%h")
    environment = {"PATH": os.environ["PATH"], "CELERY_BROKER_URL": url}
    log = folder / "worker.log"
    with running((*celery, *words), log=log, folder=folder, stop_seconds=0, environment=environment):
        yield configured_app(folder, {"CELERY_BROKER_URL": url})


@pytest.mark.parametrize("kind", ["classic", "quorum"])
def test_the_queue_of_dead_letters_is_there_and_gets_what_failed(rabbitmq_url, tmp_path, kind):
    with emitted(tmp_path, rabbitmq_url, kind) as app, Connection(rabbitmq_url) as connection:
        app.send_task("shop.fail")
        letters = Queue(f"{kind}.dead", no_declare=True)(connection.default_channel)
        found = []

        def arrived() -> bool:
            if (letter := letters.get(no_ack=True)) is not None:
                found.append(letter.headers)
            return bool(found)

        # Sent without a declaration of ours: the producer's own made the queue.
        wait_until(arrived, "its letter is kept")
    assert found[0]["task"] == "shop.fail"
    assert found[0]["x-death"][0]["reason"] == "rejected"
