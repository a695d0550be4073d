"""Record what the exporters say about real traffic.

    scrapes.py [RELEASE …]      rewrites `tests/data/scrapes`, by default with all releases of RabbitMQ

Each file is one answer, named `JOB.VARIANT.txt`. Series about the process of the exporter are left out, and
the machine is `host`. Needs the servers of the tests, `.ci/brokers`, `.ci/exporters` and
prometheus-redis-exporter. Takes a minute.
"""

# ruff: noqa: S603, T201 - a script; it starts servers, and says what it wrote

from __future__ import annotations

import os
import platform
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

ROOT = Path(__file__).parents[1]
SUPPORT = ROOT / "tests/support"
sys.path.insert(0, str(SUPPORT))

from newer import of_exporters  # noqa: E402
from processes import running, wait_until  # noqa: E402
from servers import HOST, RABBITMQ, Server, free_port, start_rabbitmq, start_redis  # noqa: E402
from tools import needs  # noqa: E402

SCRAPES = ROOT / "tests/data/scrapes"
QUEUES = ("orders", "mail", "reports", "orders.dead")
PRIORITY_KEYS = tuple(f"reports\x06\x16{step}" for step in (3, 6, 9))
FAMILIES = ("queue_coarse_metrics", "queue_consumer_count")
NOISE = re.compile(r"(# (HELP|TYPE) )?(python|process|go|promhttp|erlang|exporter)_")
DEAD_LETTERS = 3
"""The one that was sent there, the rejected one, and the unregistered one."""
DONE = (
    ("celery_task_succeeded_total", "shop.pay", 4),
    ("celery_task_failed_total", "shop.slower", 2),
    ("celery_task_revoked_total", "shop.stale", 1),
)


def main() -> None:
    """Rewrite all files."""
    SCRAPES.mkdir(exist_ok=True)
    for release in sys.argv[1:] or RABBITMQ:
        with tempfile.TemporaryDirectory() as name:
            _rabbitmq(Path(name), release)
    with tempfile.TemporaryDirectory() as name:
        _redis(Path(name))


def _rabbitmq(folder: Path, release: str) -> None:
    port = free_port()
    (folder / "conf.d").mkdir()
    (folder / "conf.d/prometheus.conf").write_text(
        f"prometheus.tcp.ip = {HOST}\nprometheus.tcp.port = {port}\n"
    )
    plugins = "rabbitmq_management", "rabbitmq_prometheus"
    with (
        start_rabbitmq(folder, *plugins, release=release) as server,
        _celery_exporter(folder, server) as events,
        _workers(folder, server),
    ):
        _traffic(server, events)
        families = "&".join(f"family={each}" for each in FAMILIES)
        detailed = f"http://{HOST}:{port}/metrics/detailed?{families}"
        wait_until(lambda: _dead_letters(_get(detailed)) == DEAD_LETTERS, "the dead letters are counted")
        _write("rabbitmq", release, _get(f"http://{HOST}:{port}/metrics"), folder)
        _write("rabbitmq-detailed", release, _get(detailed), folder)
        if release == RABBITMQ[0]:
            _write("celery-exporter", "rabbitmq", _get(events), folder)


def _redis(folder: Path) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(start_redis(folder))
        events = stack.enter_context(_celery_exporter(folder, server))
        port = free_port()
        flower = ["--broker", server.url, "flower", f"--address={HOST}", f"--port={port}"]
        flowers = f"http://{HOST}:{port}/metrics"
        stack.enter_context(_served(folder, [of_exporters("celery"), *flower], flowers))
        port = free_port()
        keys = ",".join(f"db0={key}" for key in (*QUEUES, *PRIORITY_KEYS, "unacked"))
        command = [
            "-redis.addr",
            server.url,
            "-check-single-keys",
            keys,
            "-web.listen-address",
            f"{HOST}:{port}",
        ]
        redis = f"http://{HOST}:{port}/metrics"
        stack.enter_context(_served(folder, [needs("prometheus-redis-exporter"), *command], redis))
        stack.enter_context(_workers(folder, server))
        _traffic(server, events)
        wait_until(
            lambda: 'flower_events_total{task="shop.slower",type="task-failed"' in _get(flowers),
            "Flower heard",
        )
        for job, variant, url in (
            ("celery-exporter", "redis", events),
            ("flower", "redis", flowers),
            ("redis", "7.0", redis),
        ):
            _write(job, variant, _get(url), folder)


def _traffic(server: Server, events: str) -> None:
    """All tasks are sent and have ended, as celery-exporter heard."""
    subprocess.run(
        [sys.executable, SUPPORT / "scraped_app.py"],
        env=_environment(server),
        check=True,
        timeout=60,
        cwd=SUPPORT,
    )

    def ended() -> bool:
        text = _get(events)
        return all(_counted(text, metric, task) >= times for metric, task, times in DONE)

    wait_until(ended, "all tasks have ended", seconds=60)


def _dead_letters(text: str) -> float:
    found = re.findall(
        r'^rabbitmq_detailed_queue_messages_ready{.*queue="orders.dead".*} (.+)$', text, re.MULTILINE
    )
    return sum(map(float, found))


def _counted(text: str, metric: str, task: str) -> float:
    found = re.findall(rf'^{metric}{{.*name="{task}".*}} (.+)$', text, re.MULTILINE)
    return sum(map(float, found))


@contextmanager
def _celery_exporter(folder: Path, server: Server) -> Iterator[str]:
    port = free_port()
    url = f"http://{HOST}:{port}/metrics"
    options = ["--host", HOST, "--port", str(port), "--retry-interval", "5", "-Q", ",".join(QUEUES)]
    start = "from src.cli import cli; cli(auto_envvar_prefix='CE')"
    command = [of_exporters("python"), "-c", start, *options]
    with _served(folder, command, url, {"CE_BROKER_URL": server.url}):
        yield url


@contextmanager
def _workers(folder: Path, server: Server) -> Iterator[None]:
    with ExitStack() as stack:
        for queue in ("orders", "mail"):
            command = [sys.executable, "-m", "celery", "--app", "scraped_app", "worker", "--queues", queue]
            command += ["--hostname", f"worker@{queue}.%h", "--concurrency", "2", "--loglevel", "info"]
            log = folder / f"{queue}.log"
            stack.enter_context(running(command, log=log, environment=_environment(server), folder=SUPPORT))
            wait_until(
                lambda log=log: "ready." in log.read_text(), f"the worker of {queue} is ready", log=log
            )
        yield


def _environment(server: Server) -> dict[str, str]:
    return {**os.environ, "BROKER": server.url}


@contextmanager
def _served(
    folder: Path, command: Sequence[str], url: str, environment: Mapping[str, str] | None = None
) -> Iterator[None]:
    log = folder / f"{Path(command[0]).name}-exporter.log"
    told = {**os.environ, **(environment or {})}
    with running(command, log=log, environment=told, folder=folder) as process:
        wait_until(lambda: bool(_get(url)), f"{url} answers", process=process, log=log)
        yield


def _get(url: str) -> str:
    try:
        with urlopen(url, timeout=30) as answer:  # noqa: S310 - an address of this script
            return str(answer.read().decode())
    except URLError:
        return ""


def _write(job: str, variant: str, text: str, folder: Path) -> None:
    kept = [line for line in text.splitlines() if not NOISE.match(line)]
    scraped = "\n".join(kept) + "\n"
    for own, neutral in (
        (str(folder), "/data"),
        (platform.release(), "6.1.0"),
        (socket.gethostname(), "host"),
    ):
        scraped = scraped.replace(own, neutral)
    file = SCRAPES / f"{job}.{variant}.txt"
    file.write_text(scraped, encoding="utf-8")
    print(f"{file.relative_to(ROOT)}: {len(kept)} lines")


if __name__ == "__main__":
    main()
