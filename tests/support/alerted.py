"""Prometheus and Alertmanager with compiled files, and a receiver that remembers what reaches people."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import URLError
from urllib.parse import quote
from urllib.request import urlopen

from processes import running, wait_until
from servers import HOST, free_port
from tools import needs


class Told(NamedTuple):
    """One alert in one notification. One that goes on comes again with each change of its group."""

    receiver: str
    alert: str
    status: str
    since: str
    labels: Mapping[str, str]


class People:
    """The receivers of Alertmanager, each a path of a local server."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        people = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                for each in content["alerts"]:
                    name = each["labels"]["alertname"]
                    receiver, since = self.path.strip("/"), each["startsAt"]
                    people.told.append(Told(receiver, name, each["status"], since, each["labels"]))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        self.url = f"http://{HOST}:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def of(self, status: str, since: int) -> list[Told]:
        """What was said with a status after the first `since` alerts."""
        return [each for each in self.told[since:] if each.status == status]


class Neighbor:
    """Another service in the same Prometheus, with every fault that metrics can show."""

    def __init__(self) -> None:
        self.scrapes = 0
        neighbor = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                neighbor.scrapes += 1
                body = neighbor.text().encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        self.address = f"{HOST}:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def text(self) -> str:
        """A Redis that is full and evicts, and tasks of which each fails, is late and is unknown."""
        events = 100 * self.scrapes
        labels = 'service="other",task="shop.pay",queue="pay"'
        return "".join(
            f"{line}\n"
            for line in (
                "redis_up 0",
                "redis_memory_used_bytes 99",
                "redis_memory_max_bytes 100",
                f"redis_evicted_keys_total {events}",
                'redis_instance_info{maxmemory_policy="allkeys-lru"} 1',
                'redis_key_size{key="mail"} 1000000',
                'policycompiler_plan_info{service="other",fingerprint="a",worker="pay"} 1',
                f"policycompiler_task_starts_total{{{labels}}} {events}",
                f'policycompiler_task_outcomes_total{{{labels},outcome="failed"}} {events}',
                f'policycompiler_task_outcomes_total{{{labels},outcome="unregistered"}} {events}',
                f'policycompiler_task_wait_seconds_bucket{{{labels},le="1.0"}} 0',
                f"policycompiler_task_wait_seconds_count{{{labels}}} {events}",
                'policycompiler_beat_last_tick_timestamp_seconds{service="other"} 1',
            )
        )

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()


class Stack:
    """Prometheus and Alertmanager, as they read the compiled files."""

    def __init__(self, url: str, people: People) -> None:
        self.url, self.people = url, people

    def paging(self) -> set[str]:
        """The critical alerts that fire now."""
        alerts = self._get("/api/v1/alerts")["alerts"]
        firing = (each["labels"] for each in alerts if each["state"] == "firing")
        return {labels["alertname"] for labels in firing if labels["severity"] == "critical"}

    def wait_for_quiet(self, seconds: float) -> None:
        """Wait until no critical alert fires."""
        seen: set[str] = set()

        def is_quiet() -> bool:
            seen.clear()
            seen.update(self.paging())
            return not seen

        try:
            wait_until(is_quiet, "nothing fires", seconds=seconds)
        except TimeoutError as late:
            late.add_note(f"these fire: {sorted(seen)}")
            raise

    def series(self, selector: str) -> list[dict[str, str]]:
        """The labels of each series that a selector selects."""
        return self._get(f"/api/v1/series?match[]={quote(selector)}")

    def _get(self, path: str) -> Any:
        with urlopen(f"{self.url}{path}", timeout=10) as answer:
            return json.load(answer)["data"]


@contextmanager
def stack(folder: Path, build: Path, service: str, people: People, neighbor: Neighbor) -> Iterator[Stack]:
    """Both programs, scraping and evaluating every second."""
    prometheus, alertmanager = free_port(), free_port()
    scrape = (build / f"prometheus/{service}.scrape.yaml").read_text("utf-8")
    head = {
        "global": {"evaluation_interval": "1s", "scrape_interval": "1s", "scrape_timeout": "1s"},
        "rule_files": [f"{build}/prometheus/*.rules.yaml"],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"{HOST}:{alertmanager}"]}]}]},
    }
    jobs = "".join(
        f'- {{"job_name": "other-{job}", "static_configs": [{{"targets": ["{neighbor.address}"], '
        f'"labels": {{"app": "other", "job": "{job}"}}}}]}}\n'
        for job in ("redis", "celery-telemetry", "rabbitmq")
    )
    lines = [f"{key}: {json.dumps(value)}\n" for key, value in head.items()]
    (folder / "prometheus.yml").write_text("".join(lines) + scrape.rstrip() + "\n" + jobs, "utf-8")
    server = [
        needs("prometheus"),
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address={HOST}:{prometheus}",
        "--rules.alert.resend-delay=2s",
    ]
    notifier = [
        needs("prometheus-alertmanager"),
        f"--config.file={build}/alertmanager/{service}.yaml",
        f"--storage.path={folder}/notifications",
        f"--web.listen-address={HOST}:{alertmanager}",
        "--cluster.listen-address=",
    ]
    with ExitStack() as processes:
        for command, name, port in (
            (notifier, "alertmanager", alertmanager),
            (server, "prometheus", prometheus),
        ):
            log = folder / f"{name}.log"
            process = processes.enter_context(running(command, log=log))
            url = f"http://{HOST}:{port}/-/ready"
            wait_until(lambda u=url: _answers(u), f"{name} is ready", process=process, log=log)
        yield Stack(f"http://{HOST}:{prometheus}", people)


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False
