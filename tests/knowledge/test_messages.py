"""What a message's body is made of.

On it rest the policies message-size and serialization.
"""

from __future__ import annotations

import json
from importlib.util import find_spec

import pytest
from knowledge.app import make


@pytest.mark.skipif(find_spec("brotli") is not None, reason="needs an environment without the package")
def test_a_compression_whose_package_is_missing_fails_every_send():
    app = make({"broker_url": "memory://"})
    with pytest.raises(KeyError, match="brotli"):
        app.tasks["quick"].apply_async(compression="brotli")


@pytest.mark.server
def test_a_compression_of_an_annotation_is_used_by_a_sender_that_has_the_task_and_read_by_a_worker(
    on_redis, database
):
    lab = on_redis(task_annotations={"tell": {"compression": "gzip"}})
    text = "x" * 100_000
    lab.send("tell", text)
    (message,) = database.lrange("celery", 0, -1)
    assert json.loads(message)["headers"]["compression"] == "application/x-gzip"
    assert len(message) < 10_000
    lab.worker()
    lab.wait_for("told")
    assert lab.events("told")[0]["values"] == text
