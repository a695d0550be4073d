"""A renamed task with a key: workers of the compiled output know the effects of its earlier name."""

from __future__ import annotations

from pathlib import Path

import pytest
from guarded import Site
from places import SUPPORT
from servers import redis_server
from workloads import workload

from policycompiler.compiler import compile_workload

pytestmark = pytest.mark.server
APP = (SUPPORT / "shop_charges.py").read_text("utf-8")
OLD, NEW = "shop.charge", "shop.pay"
WORKLOAD = """
broker: {transport: redis, url: "${BROKER_URL}"}
results: {backend: redis, url: "${RESULT_URL}"}
store: {url: "${STORE_URL}"}
tasks: {%s: {queue: q, idempotency_key: payment_id, result: keep, runtime: {p50: 1s, p99: 20s}%s}}
"""


def put(folder: Path, name: str, more: str = "") -> None:
    """Deploy the code and the settings of one name of the task."""
    source = folder / "workload.yaml"
    source.write_text(workload(WORKLOAD % (name, more)), "utf-8")
    for file in compile_workload([source], targets=["celeryconfig"]).files:
        path = folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"".join(file.parts))
    (folder / "shop_app.py").write_text(APP.replace(f'name="{OLD}"', f'name="{name}"'), "utf-8")


def test_a_renamed_task_has_its_effects_once(tmp_path):
    folder = tmp_path / "shop"
    folder.mkdir()
    with redis_server(tmp_path) as url:
        site = Site(folder, url, url)
        put(folder, OLD)
        with site.worker("w", queue="q"):
            [before] = site.succeeded([site.send(OLD, "done", queue="q")])
        put(folder, NEW, f", renamed_from: [{OLD}]")
        with site.worker("w", queue="q"):
            again = [site.send(name, "done", queue="q") for name in (OLD, NEW)]
            assert site.succeeded(again) == [before, before]
            # The lease of the killed run is longer than the wait for the next one.
            killed = site.send(OLD, "killed", 0.2, "kill once", queue="q")
            site.succeeded([killed], seconds=20)
        assert (site.effect("done"), site.runs("done")) == (1, 1)
        assert (site.effect("killed"), site.runs("killed")) == (1, 2)
