"""Private Redis and RabbitMQ servers for tests: real ones, on free ports of 127.0.0.1, gone afterwards."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.request import Request, urlopen

import redis
from kombu import Connection
from kombu.exceptions import OperationalError
from newer import newer
from processes import EndedEarlyError, running, wait_until
from tools import needs

HOST = "127.0.0.1"
# Another process may take a port between the moment it is found free and the moment a server binds it.
ATTEMPTS = 3
# Debian's wrapper on PATH insists on the system's own user and folders; the script behind it does not.
DEBIAN_RABBITMQ = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")

RABBITMQ = ("3.10", "4.0")
"""The releases of RabbitMQ that tests can ask for: the machine's own, and that of `newer`."""
REDIS = ("redis-server", "newer redis-server", "newer valkey-server")
"""Redis 7.0 of the machine, Redis 8.0 and Valkey 8.1 of `newer`."""


class Server(NamedTuple):
    """A server that answers, and the processes that were started for it.

    RabbitMQ has the URL of its management API, if that plugin is on, and the environment and the path of its
    commands.
    """

    url: str
    pids: tuple[int, ...]
    management: str = ""
    environment: Mapping[str, str] = {}
    control: Sequence[str] = ()

    def ctl(self, *words: str) -> str:
        """What `rabbitmqctl` of this node prints; `CalledProcessError` if it fails."""
        command = [*self.control, "-n", self.environment["RABBITMQ_NODENAME"], "--quiet", *words]
        return subprocess.run(
            command, env=dict(self.environment), check=True, capture_output=True, text=True, timeout=60
        ).stdout

    def managed(self, path: str, method: str = "GET", **content: object) -> Any:
        """What the management API answers for a path below `/api/`; `HTTPError` if it refuses."""
        login, _, address = self.management.removeprefix("http://").rpartition("@")
        headers = {"Authorization": f"Basic {b64encode(login.encode()).decode()}"}
        body = json.dumps(content).encode() if content or method != "GET" else None
        request = Request(f"http://{address}/api/{path}", method=method, headers=headers, data=body)
        request.add_header("Content-Type", "application/json")
        with urlopen(request, timeout=60) as answer:
            text = answer.read()
        return json.loads(text) if text else None


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """The URL of an empty Redis that keeps nothing on disk; `folder` gets its log."""
    with start_redis(folder) as server:
        yield server.url


@contextmanager
def rabbitmq_server(folder: Path, release: str = RABBITMQ[0]) -> Iterator[str]:
    """The URL of an empty RabbitMQ with its own epmd, cookie and data in `folder`."""
    with start_rabbitmq(folder, release=release) as server:
        yield server.url


@contextmanager
def start_redis(folder: Path, program: str = REDIS[0], configuration: Path | None = None) -> Iterator[Server]:
    """`redis_server`, with its process ids; `program` is one of `REDIS`.

    With a `configuration` Redis reads this file, and keeps its data in `folder` as the file says.
    """
    with _first_that_starts(lambda: _redis(folder, program, configuration)) as server:
        yield server


@contextmanager
def start_rabbitmq(folder: Path, *plugins: str, release: str = RABBITMQ[0]) -> Iterator[Server]:
    """`rabbitmq_server`, with the process ids of the node's script and of its epmd.

    `release` is one of `RABBITMQ`. The node also reads `conf.d/*.conf` and `advanced.config` in `folder`.
    """
    with _first_that_starts(lambda: _rabbitmq(folder, plugins, release)) as server:
        yield server


@contextmanager
def _first_that_starts(start: Callable[[], AbstractContextManager[Server]]) -> Iterator[Server]:
    with ExitStack() as stack:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                server = stack.enter_context(start())
                break
            except EndedEarlyError:
                if attempt == ATTEMPTS:
                    raise
        yield server


@contextmanager
def _redis(folder: Path, program: str, configuration: Path | None) -> Iterator[Server]:
    port, log = free_port(), folder / "redis.log"
    url = f"redis://{HOST}:{port}/0"
    nothing = [] if configuration else ["--save", "", "--appendonly", "no"]
    command = [*redis_program(program), *([configuration] if configuration else [])]
    where = ["--bind", HOST, "--port", str(port), "--dir", str(folder)]
    with running([*command, *where, *nothing], log=log) as process:

        def answers() -> bool:
            try:
                with redis.Redis.from_url(url) as client:
                    return bool(client.info("server")["process_id"] == process.pid)
            except redis.ConnectionError:
                return False

        wait_until(answers, "Redis answers", process=process, log=log)
        yield Server(url, (process.pid,))


def redis_program(program: str) -> list[str]:
    """How one of `REDIS` is started."""
    name = program.removeprefix("newer ")
    return [needs(name)] if name == program else newer(name)


def _rabbitmq_program(name: str, release: str) -> list[str]:
    own = DEBIAN_RABBITMQ.with_name(name)
    if release != RABBITMQ[0]:
        return newer(str(own))
    return [str(own) if own.exists() else needs(name)]


@contextmanager
def _rabbitmq(folder: Path, plugins: Sequence[str], release: str) -> Iterator[Server]:
    script = _rabbitmq_program("rabbitmq-server", release)
    port, epmd_port, log = free_port(), free_port(), folder / "rabbitmq.log"
    environment = _rabbitmq_environment(folder, port, epmd_port)
    management = ""
    if plugins:
        management = f"http://guest:guest@{HOST}:{free_port()}"
        Path(environment["RABBITMQ_ENABLED_PLUGINS_FILE"]).write_text(f"[{','.join(plugins)}].", "utf-8")
        with Path(environment["RABBITMQ_CONFIG_FILE"]).open("a", encoding="utf-8") as configuration:
            address = management.rpartition("@")[2].partition(":")
            configuration.write(f"management.tcp.ip = {address[0]}\nmanagement.tcp.port = {address[2]}\n")
    url = f"amqp://guest:guest@{HOST}:{port}//"
    # Started here, because one started by the node would daemonise and outlive it.
    mapped = [needs("epmd")] if release == RABBITMQ[0] else newer("epmd")
    epmd = [*mapped, "-address", HOST, "-port", str(epmd_port)]
    with (
        running(epmd, log=log, environment=environment) as mapper,
        running(script, log=log, environment=environment, folder=folder) as process,
    ):

        def answers() -> bool:
            try:
                with Connection(url, connect_timeout=5) as connection:
                    connection.ensure_connection(max_retries=1, timeout=5)
            except (OperationalError, OSError):
                return False
            return True

        wait_until(answers, "RabbitMQ answers", seconds=120, process=process, log=log)
        control = _rabbitmq_program("rabbitmqctl", release)
        yield Server(url, (process.pid, mapper.pid), management, environment, control)


def _rabbitmq_environment(folder: Path, port: int, epmd_port: int) -> dict[str, str]:
    """All that the node reads: nothing is inherited but the search path."""
    configuration = folder / "rabbitmq.conf"
    configuration.write_text("log.console = true\nlog.file = false\n")
    nothing = folder / "nothing"
    nothing.touch()
    return {
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "HOME": str(folder),  # where Erlang keeps the cookie
        "ERL_EPMD_ADDRESS": HOST,
        "ERL_EPMD_PORT": str(epmd_port),
        "RABBITMQ_NODENAME": f"test-{port}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": HOST,
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        "RABBITMQ_CONF_ENV_FILE": str(nothing),
        "RABBITMQ_CONFIG_FILE": str(configuration),
        "RABBITMQ_CONFIG_FILES": str(folder / "conf.d"),
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "advanced.config"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
        "RABBITMQ_MNESIA_BASE": str(folder / "data"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_PID_FILE": str(folder / "rabbitmq.pid"),
    }


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nothing listens on at the moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def first_of_free_ports(number: int) -> int:
    """The first of so many TCP ports in a row."""
    while True:
        first = free_port()
        with ExitStack() as probes, suppress(OSError, OverflowError):
            for port in range(first, first + number):
                probes.enter_context(socket.socket()).bind((HOST, port))
            return first
