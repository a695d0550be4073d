"""A Redis with a replica and three Sentinels on free ports of 127.0.0.1."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from subprocess import Popen

import redis
from processes import running, wait_until
from servers import HOST, REDIS, free_port, redis_program

MASTER_NAME = "mymaster"
QUORUM = 2


class Sentinels:
    """`url` is for Celery; `kill_master` ends the master, and waits until the Sentinels name another."""

    def __init__(self, ports: list[int], master: Popen[bytes], master_port: int) -> None:
        self.url = ";".join(f"sentinel://{HOST}:{port}/0" for port in ports)
        self._ports, self._master, self._master_port = ports, master, master_port

    def start(self) -> None:
        """As for a broker that is started again: the Sentinels have done it."""
        wait_until(lambda: self.master() != self._master_port, "another master", seconds=60)

    def kill(self) -> None:
        """Kill the master."""
        os.killpg(self._master.pid, signal.SIGKILL)

    def master(self) -> int:
        """The port of the master, as a Sentinel says."""
        with redis.Redis(host=HOST, port=self._ports[0]) as client:
            _, port = client.execute_command("SENTINEL", "get-master-addr-by-name", MASTER_NAME)
            return int(port)

    def ready(self) -> bool:
        """Whether every Sentinel knows the replica and the other Sentinels."""
        for port in self._ports:
            with redis.Redis(host=HOST, port=port) as client:
                known = client.sentinel_master(MASTER_NAME)
            if known["num-slaves"] < 1 or known["num-other-sentinels"] < len(self._ports) - 1:
                return False
        return True


@contextmanager
def sentinels(folder: Path) -> Iterator[Sentinels]:
    """All five, ready for a failover."""
    program = redis_program(REDIS[0])
    master, replica, *ports = (free_port() for _ in range(5))
    with ExitStack() as stack:
        processes = []
        for port, more in ((master, []), (replica, ["--replicaof", HOST, str(master)])):
            place = folder / str(port)
            place.mkdir()
            words = ["--bind", HOST, "--port", str(port), "--dir", str(place), "--save", "", *more]
            processes.append(stack.enter_context(running([*program, *words], log=folder / f"{port}.log")))
        for port in ports:
            conf = folder / f"sentinel-{port}.conf"
            conf.write_text(
                f"bind {HOST}\nport {port}\ndir {folder}\n"
                f"sentinel monitor {MASTER_NAME} {HOST} {master} {QUORUM}\n"
                f"sentinel down-after-milliseconds {MASTER_NAME} 2000\n"
                f"sentinel failover-timeout {MASTER_NAME} 10000\n",
                "utf-8",
            )
            stack.enter_context(running([*program, conf, "--sentinel"], log=folder / f"sentinel-{port}.log"))
        found = Sentinels(ports, processes[0], master)
        wait_until(lambda: _answers(found), "the Sentinels know each other", seconds=60)
        yield found


def _answers(found: Sentinels) -> bool:
    try:
        return found.ready()
    except (redis.RedisError, OSError):
        return False
