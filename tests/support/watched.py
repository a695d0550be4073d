"""A service whose monitoring is tested: real workers, beat, broker and exporter, and ways to break them."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from subprocess import Popen

import redis
from alerted import Neighbor, People, Stack, stack
from compiled import configured_app
from kombu import Connection
from mortal import Mortal, mortal
from places import SUPPORT
from processes import running, stop, wait_until
from servers import HOST, first_of_free_ports, free_port
from tools import needs
from workloads import workload

from policycompiler import output
from policycompiler.compiler import compile_workload

WORKLOAD = """
service: shop
app: watched_app:app
owner: platform
broker: {{transport: {transport}, url: "${{CELERY_BROKER_URL}}"{version}}}
store: {{url: "${{CELERY_GUARD_STORE_URL}}"}}
results: {{backend: none}}
defaults: {{idempotent: true, runtime: {{p50: 10ms, p99: 5s}}}}
tasks:
  shop.mail: {{latency: interactive, queue: mail, owner: storefront}}
  shop.pay: {{latency: standard, queue: pay, owner: payments, payload: 1KiB}}
  shop.tick: {{latency: standard, queue: ticks}}
  shop.tock: {{latency: standard, queue: ticks}}
  shop.call: {{latency: standard, queue: calls, owner: payments, calls: [stripe], retry: none}}
  shop.once: {{latency: standard, queue: calls, owner: payments, idempotency_key: key}}
dependencies:
  stripe: {{breaker: {{failures: 2, within: 60s, open_for: 60s, on: [ConnectionError]}}}}
queues: {{pay: {{dead_letter: true}}}}
workers:
  mail: {{queues: [mail], concurrency: 1, pool: threads, stop_timeout: 10s}}
  rest: {{queues: [pay, ticks, calls], concurrency: 2, pool: threads, stop_timeout: 10s}}
schedules:
  often: {{task: shop.tick, every: 1s}}
  rarely: {{task: shop.tock, every: 2s}}
"""
POLICY = """\
version: 1
parameters:
  metric-sources: {{sources: [telemetry, {source}]}}
  telemetry: {{bind: 127.0.0.1, first_port: {first_port}}}
  scraping: {{interval: 1s, addresses: {{{source}: ["{address}"]}}}}
  alerts:
    minute: 2
    patience: 3m
    schedule_slack: 5m
  notifications:
    receivers:
      pager: {{webhook: {{url: "{people}/pager"}}}}
      storefront: {{webhook: {{url: "{people}/storefront"}}}}
      payments: {{webhook: {{url: "{people}/payments"}}}}
    teams:
      platform: {{critical: pager, warning: pager}}
      storefront: {{critical: storefront, warning: storefront}}
      payments: {{critical: payments, warning: payments}}
    default: pager
    group_wait: 1s
    group_interval: 1s
"""
"""A minute of the alerts lasts two seconds: on a busy machine, a process is down for some seconds while it restarts."""
QUEUES = ("mail", "pay", "pay.dead", "ticks", "calls", "shop.standard.io")
PROCESSES = ("mail", "rest", "shop.standard.io", "beat")
MANY = 20_000
BALLAST_BYTES, ROOMY = 64 * 2**20, "1gb"
"""What fills the memory of Redis for a test, and a limit far above it."""


class Shop:
    """The processes of the service. One that ends by itself is started again, as a supervisor does it.

    With Celery 5.7 a worker on Redis sometimes ends with an error when its broker does.
    """

    source, transport, version, broker_name = "redis-exporter", "redis", "", "redis"
    lengths = "redis_key_size"
    processes: tuple[str, ...] = (*PROCESSES, "exporter")

    def __init__(self, folder: Path, broker: Mortal, store: Mortal, address: str) -> None:
        self.folder, self.build, self.broker, self.address = folder, folder / "build", broker, address
        self.store = store
        self.urls = {"CELERY_BROKER_URL": broker.url, "CELERY_GUARD_STORE_URL": store.url}
        self.app = configured_app(self.build, self.urls)
        self._stacks: dict[str, ExitStack] = {}
        self._running: dict[str, Popen[bytes]] = {}
        self._lock, self._closed = threading.RLock(), threading.Event()
        threading.Thread(target=self._supervise, daemon=True).start()

    def _supervise(self) -> None:
        while not self._closed.wait(0.2):
            with self._lock:
                ended = [name for name, process in self._running.items() if process.poll() is not None]
                for name in ended:
                    self.restart(name)

    @staticmethod
    def prepare(folder: Path, address: str) -> None:
        """Write what the broker reads when it starts."""

    def start(self, name: str, **variables: str) -> None:
        """Start a worker, beat or the exporter."""
        command = self.exporter() if name == "exporter" else ["sh", self.build / f"launch/{name}.sh"]
        own = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": f"{self.build}:{SUPPORT}",
            **self.urls,
            "REDIS_ADDR": self.broker.url,
            **variables,
        }
        processes = self._stacks[name] = ExitStack()
        log = self.folder / f"{name}.log"
        with self._lock:
            self._running[name] = processes.enter_context(
                running(command, log=log, environment=own, folder=self.folder)
            )

    def stop(self, name: str, number: int = signal.SIGTERM) -> None:
        """End a process, and what it started; it stays down."""
        with self._lock:
            stop(self._running.pop(name), number=number)
            self._stacks.pop(name).close()

    def kill(self, name: str) -> None:
        """Kill a process."""
        self.stop(name, signal.SIGKILL)

    def restart(self, name: str, **variables: str) -> None:
        """Stop a process, and start it again."""
        self.stop(name)
        self.start(name, **variables)

    def close(self) -> None:
        """End all of them."""
        self._closed.set()
        with self._lock:
            self._running.clear()
        for processes in self._stacks.values():
            processes.close()

    def exporter(self) -> list[str | Path]:
        """The command of the exporter."""
        keys = ",".join(f"db0={key}" for key in QUEUES)
        listen = f"--web.listen-address={self.address}"
        return [needs("prometheus-redis-exporter"), listen, f"--check-single-keys={keys}"]

    def pay(self, times: int, *, fails: bool) -> None:
        """Send payments; every second one fails, or the only one."""
        for number in range(times):
            self.app.send_task("shop.pay", args=[int(fails and number % 2 == 0)])

    def call(self) -> None:
        """Fail so many calls of the dependency that its breaker opens."""
        for _ in range(2):
            self.app.send_task("shop.call", args=[1])

    def close_breaker(self) -> None:
        """Let the store forget the breaker: a test does not wait for a probe."""
        with redis.Redis.from_url(self.store.url) as client:
            client.delete("shop:breaker:{stripe}")

    def let_many_wait(self) -> None:
        """A run holds the slot, and behind it wait many messages with the time of their publication."""
        with self.client() as client:
            self.app.send_task("shop.mail", args=[4])
            self.app.send_task("shop.mail", args=[0.02])
            wait_until(lambda: bool(client.llen("mail")), "a message waits")
            message = client.lindex("mail", 0)
            pipe = client.pipeline(transaction=False)
            for _ in range(MANY):
                pipe.lpush("mail", message)
            pipe.execute()

    def drop(self, queue: str) -> None:
        """Delete the messages of a queue."""
        with self.client() as client:
            client.delete(queue)

    def fill(self) -> None:
        """Leave the broker hardly any memory, but enough for the messages of a test: it is not full."""
        with self.client() as client:
            client.setrange("ballast", BALLAST_BYTES, "x")
            used = int(client.info("memory")["used_memory"])
        self.limit(str(int(used / 0.97)))

    def limit(self, size: str = ROOMY) -> None:
        """Set the memory of the broker."""
        with self.client() as client:
            client.config_set("maxmemory-policy", "noeviction")
            client.config_set("maxmemory", size)
            if size == ROOMY:
                client.delete("ballast")

    def client(self) -> redis.Redis:
        """A client of the broker."""
        return redis.Redis.from_url(self.broker.url)


class RabbitShop(Shop):
    """The same on RabbitMQ, which Prometheus scrapes itself."""

    source, transport, version, broker_name = "rabbitmq", "rabbitmq", ', version: "3.10"', "rabbitmq 3.10"
    lengths = "rabbitmq_detailed_queue_messages_ready"
    processes = PROCESSES

    @staticmethod
    def prepare(folder: Path, address: str) -> None:
        """The plugin, its port, and fresh numbers every second."""
        host, _, port = address.partition(":")
        (folder / "enabled_plugins").write_text("[rabbitmq_prometheus].")
        (folder / "conf.d").mkdir()
        (folder / "conf.d/prometheus.conf").write_text(
            f"prometheus.tcp.ip = {host}\nprometheus.tcp.port = {port}\ncollect_statistics_interval = 1000\n"
        )

    def drop(self, queue: str) -> None:
        """As on Redis."""
        with Connection(self.broker.url) as connection:
            connection.default_channel.queue_purge(queue)

    def fill(self) -> None:
        """As on Redis."""
        self._watermark("absolute", "1MiB")

    def limit(self, size: str = "0.6") -> None:
        """As on Redis: a share of the machine's memory."""
        self._watermark(size)

    def _watermark(self, *words: str) -> None:
        self.broker.ctl("set_vm_memory_high_watermark", *words)


@contextmanager
def watched(kind: type[Shop], folder: Path) -> Iterator[tuple[Shop, Stack]]:
    """The service and its monitoring, running and quiet."""
    address, people, neighbor = f"{HOST}:{free_port()}", People(), Neighbor()
    text = WORKLOAD.format(transport=kind.transport, version=kind.version)
    (folder / "workload.yaml").write_text(workload(text))
    (folder / "policy.yaml").write_text(
        POLICY.format(
            source=kind.source, first_port=first_of_free_ports(12), address=address, people=people.url
        )
    )
    made = compile_workload([folder / "workload.yaml"], policy=folder / "policy.yaml")
    assert made.plan is not None, [each.message for each in made.diagnostics]
    output.write(folder / "build", [*made.files, output.manifest_file(made.files, {}, "0")])
    with ExitStack() as everything:
        everything.callback(people.close)
        everything.callback(neighbor.close)
        (folder / "broker").mkdir()
        kind.prepare(folder / "broker", address)
        broker = everything.enter_context(mortal(kind.broker_name, folder / "broker"))
        (folder / "store").mkdir()
        store = everything.enter_context(mortal("redis", folder / "store"))
        shop = kind(folder, broker, store, address)
        everything.callback(shop.close)
        shop.limit()
        for name in kind.processes:
            shop.start(name)
        watching = everything.enter_context(stack(folder, folder / "build", "shop", people, neighbor))
        for selector, least in (
            ("policycompiler_worker_consumes{service='shop'}", 4),
            ("policycompiler_beat_last_tick_timestamp_seconds{service='shop'}", 1),
            (f"{kind.lengths}{{app='shop'}}", len(QUEUES)),
        ):
            wait_until(
                lambda s=selector, n=least: len(watching.series(s)) >= n,
                f"{least} of {selector}",
                seconds=120,
            )
        yield shop, watching
