"""How celery-exporter is started: by every target with the same options, and by hand with the real one."""

from __future__ import annotations

import re
import shlex
import subprocess
from urllib.error import URLError
from urllib.request import urlopen

import pytest
import redis
import yaml
from newer import of_exporters
from processes import running, wait_until
from servers import HOST, free_port, redis_server

from policycompiler.compiler import Compilation, compile_workload
from policycompiler.output import manifest_file, write
from policycompiler.reality.checkers import check

WORKLOAD = """
version: 1
service: shop
app: shop.app:app
broker: {transport: redis, url: "${BROKER}", options: {global_keyprefix: "7"}}
deploy: {image: "registry.example/shop:1"}
tasks:
  shop.pay: {queue: orders, idempotent: true}
  shop.mail: {queue: "high $priority%"}
queues: {orders: {dead_letter: true}}
"""
QUEUES = "high $priority%,orders,orders.dead,shop.standard.io"
OPTIONS = ["--retry-interval", "5", "--broker-transport-option", 'global_keyprefix="7"', "-Q", QUEUES]


@pytest.fixture
def made(tmp_path) -> Compilation:
    (tmp_path / "shop.yaml").write_text(WORKLOAD, "utf-8")
    policy = tmp_path / "policy.yaml"
    python = of_exporters("python")
    policy.write_text(f"version: 1\nparameters: {{scraping: {{exporter_python: {python}}}}}\n", "utf-8")
    compiled = compile_workload([tmp_path / "shop.yaml"], policy=policy)
    assert not compiled.failed, compiled.diagnostics
    return compiled


def text(made: Compilation, path: str) -> str:
    return next(each.text for each in made.files if each.path == path)


def unit_command(made: Compilation) -> list[str]:
    line = next(
        line
        for line in text(made, "systemd/shop-exporter.service").splitlines()
        if line.startswith("ExecStart=")
    )
    return [
        word.replace("$$", "$").replace("%%", "%") for word in shlex.split(line.removeprefix("ExecStart="))
    ]


def test_every_target_starts_it_with_the_same_options(made):
    assert unit_command(made)[-len(OPTIONS) :] == OPTIONS
    program = text(made, "supervisor/shop-exporter.conf")
    command = re.search(r"(?m)^command=(.*)$", program)[1].replace("%%", "%")
    assert shlex.split(command) == unit_command(made)
    compose = yaml.safe_load(text(made, "compose.yaml"))
    assert [word.replace("$$", "$") for word in compose["services"]["exporter"]["command"]] == OPTIONS
    (pod,) = (
        each
        for path in {file.path for file in made.files if file.path.startswith("kubernetes/base/")}
        for each in yaml.safe_load_all(text(made, path) if path.endswith(".yaml") else "")
        if each and each["kind"] == "Deployment" and "exporter" in each["metadata"]["name"]
    )
    arguments = pod["spec"]["template"]["spec"]["containers"][0]["args"]
    assert [word.replace("$$", "$") for word in arguments] == OPTIONS


def test_without_the_parameter_no_unit_starts_it(tmp_path):
    (tmp_path / "shop.yaml").write_text(WORKLOAD, "utf-8")
    paths = {each.path for each in compile_workload([tmp_path / "shop.yaml"]).files}
    assert not {path for path in paths if path.endswith(("-exporter.service", "-exporter.conf"))}


def test_the_readers_of_the_files_accept_them(made, tmp_path):
    build = tmp_path / "build"
    write(build, [*made.files, manifest_file(made.files, made.sources, "0")])
    paths = ["systemd/shop-exporter.service", "supervisor/shop-exporter.conf", "compose.yaml"]
    assert check(build, paths, {"BROKER": "redis://127.0.0.1/0"}).problems == ()


@pytest.mark.server
def test_the_command_of_the_unit_shows_every_queue_and_no_url(made, tmp_path):
    port = free_port()
    with redis_server(tmp_path) as url:
        environment = {"BROKER": url, "CE_HOST": HOST, "CE_PORT": str(port), "PATH": "/usr/bin:/bin"}
        command = ["/usr/bin/env", "-i", *(f"{key}={value}" for key, value in environment.items())]
        with redis.Redis.from_url(url) as client:
            client.rpush("7orders.dead", "a dead letter")
        with running([*command, *unit_command(made)], log=tmp_path / "log", folder=tmp_path) as process:
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


def scraped(port: int) -> str:
    try:
        with urlopen(f"http://{HOST}:{port}/metrics", timeout=15) as answer:
            return str(answer.read().decode())
    except URLError:
        return ""
