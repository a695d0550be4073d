"""How exporters are started: by every target with the same options, and by hand with the real ones."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path
from urllib.error import URLError
from urllib.parse import unquote
from urllib.request import urlopen

import pytest
import redis
import yaml
from compiled import configured_app
from newer import of_exporters
from processes import running, wait_until
from servers import HOST, free_port, redis_server
from tools import needs

from policycompiler.compiler import Compilation, compile_workload
from policycompiler.output import manifest_file, write
from policycompiler.reality.checkers import check

WORKLOAD = """
version: 1
service: shop
app: shop.app:app
broker: {transport: redis, url: "${BROKER}", options: {global_keyprefix: "7"}}
deploy: {image: "registry.example/shop:1", include: [exporter, redis-exporter, flower]}
tasks:
  shop.pay: {queue: orders, idempotent: true}
  shop.mail: {queue: "high $priority%", priority: 6}
queues: {orders: {dead_letter: true}}
"""
QUEUES = "high $priority%,orders,orders.dead,shop.standard.io"
CELERY_OPTIONS = ["--retry-interval", "5", "--broker-transport-option", 'global_keyprefix="7"', "-Q", QUEUES]
STEPS = [f"7high%20%24priority%25{step}" for step in ("", *(f"%06%16{number}" for number in range(1, 10)))]
KEYS = [*STEPS, "7orders", "7orders.dead", "7shop.standard.io", "7unacked"]
REDIS_OPTIONS = ["-check-single-keys", ",".join(f"db2={key}" for key in KEYS)]
OPTIONS = {"exporter": CELERY_OPTIONS, "redis-exporter": REDIS_OPTIONS}
REDIS_PROGRAM = "/usr/bin/prometheus-redis-exporter"


@pytest.fixture
def made(tmp_path) -> Compilation:
    (tmp_path / "shop.yaml").write_text(WORKLOAD, "utf-8")
    policy = tmp_path / "policy.yaml"
    python = of_exporters("python")
    parameters = {
        "metric-sources": {"sources": ["celery-exporter", "redis-exporter", "flower"]},
        "scraping": {"exporter_python": python, "flower_celery": of_exporters("celery")},
        "redis-exporter": {"program": REDIS_PROGRAM, "database": 2},
    }
    policy.write_text(yaml.safe_dump({"version": 1, "parameters": parameters}), "utf-8")
    compiled = compile_workload([tmp_path / "shop.yaml"], policy=policy)
    assert not compiled.failed, compiled.diagnostics
    return compiled


def text(made: Compilation, path: str) -> str:
    return next(each.text for each in made.files if each.path == path)


def unit_command(made: Compilation, part: str) -> list[str]:
    line = next(
        line
        for line in text(made, f"systemd/shop-{part}.service").splitlines()
        if line.startswith("ExecStart=")
    )
    return [
        word.replace("$$", "$").replace("%%", "%") for word in shlex.split(line.removeprefix("ExecStart="))
    ]


@pytest.mark.parametrize(("part", "name"), [("exporter", "celery-exporter"), ("redis-exporter",) * 2])
def test_every_target_starts_it_with_the_same_options(made, part, name):
    options = OPTIONS[part]
    assert unit_command(made, part)[-len(options) :] == options
    program = text(made, f"supervisor/shop-{part}.conf")
    command = re.search(r"(?m)^command=(.*)$", program)[1].replace("%%", "%")
    assert shlex.split(command) == unit_command(made, part)
    compose = yaml.safe_load(text(made, "compose.yaml"))
    assert [word.replace("$$", "$") for word in compose["services"][part]["command"]] == options
    pod, *_ = yaml.safe_load_all(text(made, f"kubernetes/base/shop-{name}.yaml"))
    arguments = pod["spec"]["template"]["spec"]["containers"][0]["args"]
    assert [word.replace("$$", "$") for word in arguments] == options


def test_without_the_parameter_no_unit_starts_it(tmp_path):
    (tmp_path / "shop.yaml").write_text(WORKLOAD, "utf-8")
    paths = {each.path for each in compile_workload([tmp_path / "shop.yaml"]).files}
    assert not {path for path in paths if path.endswith(("-exporter.service", "-exporter.conf"))}
    assert not {path for path in paths if "flower" in path and not path.startswith("kubernetes/")}


def test_the_readers_of_the_files_accept_them(made, tmp_path):
    build = tmp_path / "build"
    write(build, [*made.files, manifest_file(made.files, made.sources, "0")])
    parts = [*OPTIONS, "flower"]
    units = [f"systemd/shop-{part}.service" for part in parts]
    paths = [*units, *(f"supervisor/shop-{part}.conf" for part in parts), "compose.yaml"]
    assert check(build, paths, {"BROKER": "redis://127.0.0.1/0"}).problems == ()


def test_in_compose_programs_of_others_get_their_own_variables_unchanged_and_no_secret_of_the_application(
    made, tmp_path
):
    write(tmp_path, [*made.files, manifest_file(made.files, made.sources, "0")])
    own = {
        "exporter": {"CE_BROKER_URL": "redis://:pa$word%21@broker/0"},
        "redis-exporter": {"REDIS_ADDR": "redis://:pa${word}@broker/0"},
        "flower": {"CELERY_BROKER_URL": "redis://broker/0", "FLOWER_BASIC_AUTH": "a:b$c"},
    }
    files = {"": {"BROKER": "redis://broker/0", "PAYMENT_KEY": "a secret"}}
    files |= {f"-{part}": variables for part, variables in own.items()}
    for suffix, variables in files.items():
        text = "".join(f"{key}={value}\n" for key, value in variables.items())
        (tmp_path / f"shop-celery{suffix}.env").write_text(text, "utf-8")
    command = [needs("docker-compose"), "--file", tmp_path / "compose.yaml", "config"]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    # It shows each `$` of a value as `$$`.
    services = yaml.safe_load(shown.replace("$$", "$"))["services"]
    assert {part: services[part]["environment"] for part in own} == own
    assert services["worker-orders"]["environment"].items() >= files[""].items()
    example = (tmp_path / ".env.example").read_text("utf-8")
    told = re.findall(r"for Compose in (\S+)", example)
    assert {*told} == {f"shop-celery-{part}.env" for part in own}


@pytest.mark.server
def test_celery_exporter_shows_every_queue_and_no_url(made, tmp_path):
    port = free_port()
    with redis_server(tmp_path) as url:
        environment = {"BROKER": url, "CE_HOST": HOST, "CE_PORT": str(port), "PATH": "/usr/bin:/bin"}
        command = ["/usr/bin/env", "-i", *(f"{key}={value}" for key, value in environment.items())]
        with redis.Redis.from_url(url) as client:
            client.rpush("7orders.dead", "a dead letter")
        with running(
            [*command, *unit_command(made, "exporter")], log=tmp_path / "log", folder=tmp_path
        ) as process:
            wait_until(lambda: bool(scraped(port)), "it answers", process=process, log=tmp_path / "log")
            lengths = dict(re.findall(r'(?m)^celery_queue_length{queue_name="(.*)"} (.*)$', scraped(port)))
            shown = subprocess.run(
                ["ps", "-ww", "-o", "args=", "-p", str(process.pid)],
                capture_output=True,
                text=True,
                check=True,
            ).stdout
    assert lengths == {**dict.fromkeys(QUEUES.split(","), "0.0"), "orders.dead": "1.0"}
    assert "src.cli" in shown
    assert "redis://" not in shown.partition("src.cli")[2]


@pytest.mark.server
def test_redis_exporter_counts_every_priority_below_the_prefix_and_shows_no_url(made, tmp_path):
    port = free_port()
    with redis_server(tmp_path) as server:
        url = f"{server.rpartition('/')[0]}/2"
        with redis.Redis.from_url(url) as client:
            client.rpush("7high $priority%\x06\x166", "urgent", "urgent")
            client.rpush("7orders.dead", "a dead letter")
            client.hset("7unacked", "tag", "held")
            client.rpush("orders", "of another prefix")
        environment = {"BROKER": url, "REDIS_EXPORTER_WEB_LISTEN_ADDRESS": f"{HOST}:{port}"}
        command = ["/usr/bin/env", "-i", *(f"{key}={value}" for key, value in environment.items())]
        command += unit_command(made, "redis-exporter")
        with running(command, log=tmp_path / "log", folder=tmp_path) as process:
            wait_until(lambda: bool(scraped(port)), "it answers", process=process, log=tmp_path / "log")
            found = re.findall(r'(?m)^redis_key_size{db="db2",key="(.*)"} (.*)$', scraped(port))
            shown = Path(f"/proc/{process.pid}/cmdline").read_bytes()
    counted = {"high $priority%\x06\x166": "2", "orders.dead": "1", "unacked": "1"}
    assert dict(found) == {
        **{unquote(key): "0" for key in KEYS},
        **{f"7{key}": size for key, size in counted.items()},
    }
    assert b"-check-single-keys" in shown
    assert b"redis://" not in shown


@pytest.mark.server
def test_flower_hears_of_tasks_below_the_prefix_and_only_its_host_reaches_it(made, tmp_path):
    """It is a command of the application, which has all settings."""
    build, port = tmp_path / "build", free_port()
    write(build, [*made.files, manifest_file(made.files, made.sources, "0")])
    (build / "shop").mkdir()
    (build / "shop/app.py").write_text(
        'from celery import Celery\n\napp = Celery("shop")\napp.config_from_object("celeryconfig")\n', "utf-8"
    )
    unit = text(made, "systemd/shop-flower.service")
    assert "WorkingDirectory=/opt/shop\n" in unit
    words = unit_command(made, "flower")
    assert "--address=127.0.0.1" in words
    with redis_server(tmp_path) as url:
        own = {"BROKER": url, "PYTHONPATH": str(build), "PATH": os.environ["PATH"], "FLOWER_PORT": str(port)}
        words = [word for word in words if not word.startswith("--port=")]
        with running(words, log=tmp_path / "log", environment=own, folder=build) as process:
            wait_until(lambda: bool(scraped(port)), "it answers", process=process, log=tmp_path / "log")
            app = configured_app(build, {"BROKER": url})

            def is_heard() -> bool:
                app.send_task("shop.pay")
                return 'type="task-sent"' in scraped(port)

            wait_until(is_heard, "a task is heard of", process=process, log=tmp_path / "log")


def scraped(port: int) -> str:
    try:
        with urlopen(f"http://{HOST}:{port}/metrics", timeout=15) as answer:
            return str(answer.read().decode())
    except URLError:
        return ""
