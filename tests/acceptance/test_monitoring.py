"""What people hear of a fault: the right alert, at the right receiver, once, until it is repaired.

Real workers, beat, broker, exporter, Prometheus and Alertmanager with the compiled files. A minute of the
alerts lasts a second. Another service in the same Prometheus fails all the time, and nobody hears of it.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from subprocess import Popen

import pytest
import redis
from alerted import Neighbor, People, Stack, stack
from compiled import configured_app
from mortal import Mortal, mortal
from places import TESTS
from processes import running, stop, wait_until
from servers import HOST, free_port
from tools import needs
from workloads import workload

from policycompiler import output
from policycompiler.compiler import compile_workload
from policycompiler.knowledge.signals import SIGNALS

pytestmark = pytest.mark.server

WORKLOAD = """
service: shop
app: watched_app:app
owner: platform
broker: {transport: redis, url: "${CELERY_BROKER_URL}"}
results: {backend: none}
defaults: {idempotent: true, runtime: {p50: 10ms, p99: 5s}}
tasks:
  shop.mail: {latency: interactive, queue: mail, owner: storefront}
  shop.pay: {latency: standard, queue: pay, owner: payments, payload: 1KiB}
  shop.tick: {latency: standard, queue: ticks}
  shop.tock: {latency: standard, queue: ticks}
queues: {pay: {dead_letter: true}}
workers:
  mail: {queues: [mail], concurrency: 1, pool: threads, stop_timeout: 10s}
  rest: {queues: [pay, ticks], concurrency: 2, pool: threads, stop_timeout: 10s}
schedules:
  often: {task: shop.tick, every: 1s}
  rarely: {task: shop.tock, every: 2s}
"""
POLICY = """\
version: 1
parameters:
  metric-sources: {{sources: [telemetry, redis-exporter]}}
  telemetry: {{bind: 127.0.0.1, first_port: {first_port}}}
  scraping: {{interval: 1s, addresses: {{redis-exporter: ["{exporter}"]}}}}
  alerts:
    minute: 1
    patience: 3m
    schedule_slack: 5m
    broker_matchers: {{app: shop}}
    telemetry_matchers: {{app: shop}}
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
KEYS = ("mail", "pay", "pay.dead", "ticks", "shop.standard.io")
STARTED = ("mail", "rest", "shop.standard.io", "beat", "exporter")
MANY = 20_000
QUIET_SECONDS = 60


class Shop:
    """The processes of the service and what watches them."""

    def __init__(self, folder: Path, build: Path, broker: Mortal, exporter: str) -> None:
        self.folder, self.build, self.broker, self._exporter = folder, build, broker, exporter
        self.app = configured_app(build, {"CELERY_BROKER_URL": broker.url})
        self._processes: dict[str, ExitStack] = {}
        self._running: dict[str, Popen[bytes]] = {}

    def start(self, name: str, **variables: str) -> None:
        """Start a worker, beat or the exporter."""
        command: list[str | Path] = ["sh", self.build / f"launch/{name}.sh"]
        if name == "exporter":
            keys = ",".join(f"db0={key}" for key in KEYS)
            listen = f"--web.listen-address={self._exporter}"
            command = [needs("prometheus-redis-exporter"), listen, f"--check-single-keys={keys}"]
        own = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": f"{self.build}:{TESTS / 'support'}",
            "CELERY_BROKER_URL": self.broker.url,
            "REDIS_ADDR": self.broker.url,
            **variables,
        }
        processes = self._processes[name] = ExitStack()
        log = self.folder / f"{name}.log"
        self._running[name] = processes.enter_context(
            running(command, log=log, environment=own, folder=self.folder)
        )

    def stop(self, name: str, number: int = signal.SIGTERM) -> None:
        """End a process, and what it started."""
        stop(self._running[name], number=number)
        self._processes[name].close()

    def close(self) -> None:
        """End all of them."""
        for processes in self._processes.values():
            processes.close()

    def client(self) -> redis.Redis:
        """A client of the broker."""
        return redis.Redis.from_url(self.broker.url)


@pytest.fixture(scope="module")
def shop(tmp_path_factory) -> Iterator[tuple[Shop, Stack]]:
    folder = tmp_path_factory.mktemp("monitoring")
    (folder / "workload.yaml").write_text(workload(WORKLOAD))
    exporter, people, neighbor = f"{HOST}:{free_port()}", People(), Neighbor()
    policy = POLICY.format(first_port=_first_port(), exporter=exporter, people=people.url)
    (folder / "policy.yaml").write_text(policy)
    made = compile_workload([folder / "workload.yaml"], policy=folder / "policy.yaml")
    assert made.plan is not None, [each.message for each in made.diagnostics]
    output.write(folder / "build", [*made.files, output.manifest_file(made.files, {}, "0")])
    with ExitStack() as stack_:
        stack_.callback(people.close)
        stack_.callback(neighbor.close)
        broker = stack_.enter_context(mortal("redis", folder))
        found = Shop(folder, folder / "build", broker, exporter)
        stack_.callback(found.close)
        _limit(found)
        for name in STARTED:
            found.start(name)
        watching = stack_.enter_context(stack(folder, folder / "build", "shop", people, neighbor))
        for metric, count in (("worker_consumes", 4), ("beat_last_tick_timestamp_seconds", 1)):
            name = f"policycompiler_{metric}{{service='shop'}}"
            wait_until(lambda n=name, c=count: len(watching.series(n)) >= c, f"{count} of {name}")
        wait_until(lambda: len(watching.series("redis_key_size{app='shop'}")) >= len(KEYS), "all keys")
        yield found, watching


def _first_port() -> int:
    """The first of a few free ports."""
    return free_port()


def _limit(shop: Shop, size: str = "1gb") -> None:
    with shop.client() as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", size)


def kill_the_worker(shop: Shop) -> None:
    shop.stop("mail", signal.SIGKILL)


def start_the_worker(shop: Shop) -> None:
    shop.start("mail")


def stop_the_worker(shop: Shop) -> None:
    shop.stop("mail")


def take_its_queue(shop: Shop) -> None:
    shop.app.control.cancel_consumer("mail")


def restart_the_worker(shop: Shop) -> None:
    shop.stop("mail")
    shop.start("mail")


def let_many_wait(shop: Shop) -> None:
    """One slow run holds the slot; then many messages, all with the time when they were published."""
    with shop.client() as client:
        shop.app.send_task("shop.mail", args=[4])
        shop.app.send_task("shop.mail", args=[0.02])
        wait_until(lambda: bool(client.llen("mail")), "a message waits")
        message = client.lindex("mail", 0)
        pipe = client.pipeline(transaction=False)
        for _ in range(MANY):
            pipe.lpush("mail", message)
        pipe.execute()


def drop_what_waits(shop: Shop) -> None:
    with shop.client() as client:
        client.delete("mail")


def fail_often(shop: Shop) -> None:
    for number in range(120):
        shop.app.send_task("shop.pay", args=[number % 2])


def succeed_often(shop: Shop) -> None:
    with shop.client() as client:
        client.delete("pay.dead")


def stop_beat(shop: Shop) -> None:
    shop.stop("beat")


def start_beat(shop: Shop) -> None:
    shop.start("beat")


def lose_a_schedule(shop: Shop) -> None:
    shop.stop("beat")
    shop.start("beat", SCHEDULE_GONE="rarely")


def find_the_schedule(shop: Shop) -> None:
    shop.stop("beat")
    shop.start("beat")


def fail_once(shop: Shop) -> None:
    shop.app.send_task("shop.pay", args=[1])


def fill_the_memory(shop: Shop) -> None:
    with shop.client() as client:
        used = int(client.info("memory")["used_memory"])
    _limit(shop, str(int(used / 0.97)))


def empty_the_memory(shop: Shop) -> None:
    _limit(shop)


def kill_the_broker(shop: Shop) -> None:
    shop.broker.kill()


def start_the_broker(shop: Shop) -> None:
    shop.broker.start()
    _limit(shop)


def kill_the_exporter(shop: Shop) -> None:
    shop.stop("exporter", signal.SIGKILL)


def start_the_exporter(shop: Shop) -> None:
    shop.start("exporter")


FAULTS = {
    "a worker is killed": (kill_the_worker, "CeleryQueueNoConsumer", "storefront", start_the_worker),
    "a worker is stopped": (stop_the_worker, "CeleryQueueNoConsumer", "storefront", start_the_worker),
    "a queue has no consumer": (take_its_queue, "CeleryQueueNoConsumer", "storefront", restart_the_worker),
    "many wait longer than promised": (
        let_many_wait,
        "CeleryQueueWaitBudgetFast",
        "storefront",
        drop_what_waits,
    ),
    # Before those of many runs, whose window is longer.
    "a run fails for good": (fail_once, "CeleryDeadLetterGrowth", "payments", succeed_often),
    "runs fail": (fail_often, "CeleryTaskErrorBudgetFast", "payments", succeed_often),
    "beat is stopped": (stop_beat, "CeleryBeatDown", "pager", start_beat),
    "a schedule is gone": (lose_a_schedule, "CeleryScheduleNotSent", "pager", find_the_schedule),
    "Redis is nearly full": (fill_the_memory, "RedisBrokerMemoryCritical", "pager", empty_the_memory),
    "the broker is down": (kill_the_broker, "CeleryBrokerDown", "pager", start_the_broker),
    "the exporter is down": (kill_the_exporter, "CeleryExporterDown", "pager", start_the_exporter),
}
ALSO = {"CeleryQueueWaitBudgetFast": {"CeleryQueueDrainTimeCritical"}}
"""Pages that the same fault may send."""


@pytest.mark.parametrize(("break_it", "alert", "receiver", "repair"), FAULTS.values(), ids=FAULTS)
def test_a_fault_reaches_the_right_people_once_and_ends_with_its_repair(
    shop, break_it, alert, receiver, repair
):
    service, watching = shop
    people = watching.people
    watching.wait_for_quiet(QUIET_SECONDS)
    before = len(people.told)
    break_it(service)
    wait_until(
        lambda: any(each.alert == alert for each in people.of("firing", before)),
        f"people hear {alert}",
        seconds=QUIET_SECONDS,
    )
    repair(service)
    wait_until(
        lambda: any(each.alert == alert for each in people.of("resolved", before)),
        f"people hear that {alert} is over",
        seconds=QUIET_SECONDS,
    )
    watching.wait_for_quiet(QUIET_SECONDS)
    heard = people.of("firing", before)
    ours = {(each.receiver, each.since) for each in heard if each.alert == alert}
    assert [who for who, _ in ours] == [receiver]
    pages = {each.alert for each in heard if each.labels["severity"] == "critical"}
    assert pages <= {alert} | ALSO.get(alert, set())
    assert {each.labels["app"] for each in heard} == {"shop"}


def test_the_telemetry_has_each_metric_and_label_that_rules_read(shop):
    service, watching = shop
    service.app.send_task("shop.unknown", queue="ticks")
    service.app.send_task("shop.pay", args=["x" * 2000])
    for shown, metric in SIGNALS["telemetry"].items():
        name = f"{metric.name}_bucket" if metric.buckets is None else metric.name
        fixed = set(metric.labels)
        wanted = {"service", *fixed, *(label for label in (metric.queue, metric.task) if label)}

        def is_there(name=name, wanted=wanted, metric=metric) -> bool:
            found = [each for each in watching.series(name) if each["service"] == "shop"]
            right = [each for each in found if wanted <= set(each)]
            values = [all(each[label] in metric.labels[label] for label in metric.labels) for each in right]
            return any(values)

        wait_until(is_there, f"{shown}: {name} with {sorted(wanted)}", seconds=QUIET_SECONDS)
