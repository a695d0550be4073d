"""Traces as emitted: the real packages of OpenTelemetry, a collector of the test, workers of several pools."""

from __future__ import annotations

import ast
import gzip
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest
from celery import Celery
from celery.exceptions import ImproperlyConfigured
from celery.worker.strategy import proto1_to_proto2
from compiled import write_configuration
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from processes import running, wait_until
from servers import HOST, redis_server
from workloads import workload

from policycompiler.compiler import compile_workload
from policycompiler.runtime import traces

SECRET = "swordfish"
POOLS = {"prefork": ["--max-tasks-per-child", "1"], "threads": [], "gevent": []}
APP = """\
from celery import Celery
app = Celery("shop", config_source="celeryconfig")
@app.task(name="shop.first", bind=True)
def first(self, queue, password):
    if not self.request.retries:
        raise self.retry(countdown=0)
    second.apply_async([password], queue=queue)
@app.task(name="shop.second")
def second(password):
    pass
"""
SEND = """\
import sys, shop_app
for queue in sys.argv[1:]:
    shop_app.first.apply_async([queue, "swordfish"], queue=queue)
"""


def test_it_imports_nothing_of_ours_and_no_other_library():
    tree = ast.parse(Path(traces.__file__).read_text("utf-8"), feature_version=(3, 9))
    found = {
        (node.module if isinstance(node, ast.ImportFrom) else node.names[0].name).partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert found - sys.stdlib_module_names == {"celery"}


def test_without_the_packages_it_says_which_ones(monkeypatch):
    def absent(name):
        raise ModuleNotFoundError(name=name)

    monkeypatch.setattr(traces, "import_module", absent)
    with pytest.raises(ImproperlyConfigured, match="opentelemetry-instrumentation-celery"):
        traces.trace("shop")


def test_messages_of_protocol_1_carry_no_trace_to_a_run():
    app = Celery("shop", broker="memory://", set_as_current=False)
    headers, carried = {"traceparent": "00-1"}, {}
    for version, create in app.amqp.task_protocols.items():
        made = create("1", "shop.first", (), {})
        body = made.body if version == 1 else None
        message = SimpleNamespace(headers={**made.headers, **headers}, payload=made.body, properties={})
        of_run = message.headers if body is None else proto1_to_proto2(message, body)[1]
        carried[version] = of_run.get("traceparent")
    assert carried == {1: None, 2: "00-1"}


class Collector(BaseHTTPRequestHandler):
    """Keeps what it is sent."""

    bodies: list[bytes]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        zipped = self.headers.get("Content-Encoding") == "gzip"
        self.bodies.append(gzip.decompress(body) if zipped else body)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *words) -> None:
        """Nothing."""


@contextmanager
def collector() -> Iterator[tuple[str, list[bytes]]]:
    """The address of a collector, and the bodies that it gets."""
    kind = type("Keeping", (Collector,), {"bodies": []})
    with ThreadingHTTPServer((HOST, 0), kind) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://{HOST}:{server.server_port}", kind.bodies
        server.shutdown()
        thread.join()


def spans(bodies: list[bytes]) -> list[tuple[str, str, str]]:
    """Service, trace and name of each span."""
    return [
        (
            next(each.value.string_value for each in found.resource.attributes if each.key == "service.name"),
            span.trace_id.hex(),
            span.name,
        )
        for body in bodies
        for found in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in found.scope_spans
        for span in scope.spans
    ]


@pytest.mark.server
def test_a_publisher_and_all_runs_that_follow_share_a_trace(tmp_path):
    (tmp_path / "workload.yaml").write_text(
        workload("""
        broker: {transport: redis, url: "${CELERY_BROKER_URL}"}
        tasks: {shop.*: {queue: prefork}}
        queues: {threads: {}, gevent: {}}
        """)
    )
    policy = tmp_path / "policy.yaml"
    policy.write_text("version: 1\nparameters: {traces: {enabled: true}}\n")
    compilation = compile_workload([tmp_path / "workload.yaml"], policy=policy)
    assert not compilation.failed, compilation.diagnostics
    write_configuration(compilation.files, tmp_path)
    (tmp_path / "shop_app.py").write_text(APP)
    celery = (sys.executable, "-m", "celery", "--app", "shop_app", "worker")
    with ExitStack() as stack:
        url = stack.enter_context(redis_server(tmp_path))
        address, bodies = stack.enter_context(collector())
        environment = {
            "PATH": os.environ["PATH"],
            "CELERY_BROKER_URL": url,
            "OTEL_EXPORTER_OTLP_ENDPOINT": address,
            "OTEL_BSP_SCHEDULE_DELAY": "500",
        }
        for pool, words in POOLS.items():
            command = [*celery, "--queues", pool, "--pool", pool, "--concurrency", "2", *words]
            log = tmp_path / f"{pool}.log"
            stack.enter_context(running(command, log=log, folder=tmp_path, environment=environment))
        send = [sys.executable, "-c", SEND, *POOLS]
        subprocess.run(send, cwd=tmp_path, env=environment, check=True, timeout=60)
        whole = 6 * len(POOLS)
        wait_until(lambda: len(spans(bodies)) >= whole, "all spans are there", log=tmp_path / "prefork.log")
    found = spans(bodies)
    names = ["apply_async/shop.first"] * 2 + ["apply_async/shop.second"]
    names += ["run/shop.first"] * 2 + ["run/shop.second"]
    of_traces = {trace: sorted(name for _, other, name in found if other == trace) for _, trace, _ in found}
    assert list(of_traces.values()) == [names] * len(POOLS)
    assert {service for service, _, _ in found} == {"shop"}
    assert not [body for body in bodies if SECRET.encode() in body]
