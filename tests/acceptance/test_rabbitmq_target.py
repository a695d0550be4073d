"""What is emitted for RabbitMQ, on RabbitMQ: it is what Celery declares, and rights are enough and no more."""

from __future__ import annotations

import itertools
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import pytest
from celery import Celery
from compiled import configured_app
from kombu import Connection, Consumer, Queue
from processes import running, wait_until
from servers import RABBITMQ, Server, start_rabbitmq
from workloads import workload

from policycompiler.compiler import compile_workload
from policycompiler.emitters.rabbitmq.permissions import LONGEST

pytestmark = pytest.mark.server

HOSTS = itertools.count(1)
# What Celery declares for its own use, and an import must not know.
CELERYS = ("celery_delayed", "celeryev", "reply.celery.pidbox", "celery.pidbox")

BROKER = 'broker: {transport: rabbitmq, url: "${B}", version: "%s"}\n'
EVERY_KIND = (
    BROKER
    + """\
tasks:
  shop.mail: {queue: mail, idempotent: true}
  shop.steady: {queue: steady, idempotent: true}
  shop.urgent: {queue: urgent}
  shop.news: {queue: news}
  shop.theirs: {queue: theirs, external: true}
queues:
  mail: {dead_letter: true}
  steady: {type: quorum, dead_letter: true}
  urgent: {priorities: 5}
  news: {broadcast: true}
  theirs: {external: true}
  topics: {exchange: events, exchange_type: topic, routing_key: "task.#"}
  limited: {arguments: {x-max-length: 10, x-overflow: reject-publish, x-message-ttl: 60000}}
  slow: {arguments: {x-consumer-timeout: 7200000}}
"""
)
HOSTILE = (
    *("two words", "größe", "日本", 'quo"te', "it's", "per%cent", "${HOME}", "$(id)", "a.b+c?[d](e)^f$"),
    *("back\\slash", "#hash", "-p", "a;b&c", "{{x}}", "emoji😀", "true", "1e3", "x" * 250, "é" * 125),
)


@pytest.fixture(scope="module", params=RABBITMQ)
def broker(request, tmp_path_factory) -> Iterator[tuple[Server, str]]:
    """A RabbitMQ, and its release."""
    with start_rabbitmq(
        tmp_path_factory.mktemp("rabbitmq"), "rabbitmq_management", release=request.param
    ) as server:
        yield server, request.param


class Target(NamedTuple):
    """The files of a workload, compiled for a virtual host of their own."""

    server: Server
    host: str
    build: Path

    @property
    def url(self) -> str:
        """Where the virtual host is."""
        return self.url_of("guest:guest")

    def url_of(self, user: str) -> str:
        """The same for another user and password."""
        return f"amqp://{user}@{self.server.url.rpartition('@')[2].rstrip('/')}/{quote(self.host, safe='')}"

    def imported(self) -> None:
        """Import the definitions as an operator does it."""
        self.server.ctl("import_definitions", str(self.build / "rabbitmq" / "definitions.json"))

    def celery(self, url: str | None = None) -> Celery:
        return configured_app(self.build, {"B": url or self.url})

    def declared(self, *created: str) -> None:
        """Let Celery declare each queue, as a worker and a publisher do it before they use it."""
        app = self.celery()
        with app.connection() as connection, connection.channel() as channel:
            # To name a queue that no setting lists makes Celery create it.
            for name in [*app.amqp.queues, *created]:
                app.amqp.queues[name](channel).declare()

    def stored(self) -> dict[str, list[str]]:
        """What the virtual host has; of a process's queue of a broadcast, and of Celery's own, nothing."""
        stored = self.server.managed(f"definitions/{quote(self.host, safe='')}")
        found = {}
        for kind in ("queues", "exchanges", "bindings"):
            own = (row for row in stored[kind] if not _name(row).startswith(("news.", "amq.", *CELERYS)))
            found[kind] = sorted(json.dumps(row, sort_keys=True) for row in own)
        return found


def _name(row: dict) -> str:
    return row.get("name") or row["destination"]


def compiled(
    broker: tuple[Server, str],
    folder: Path,
    fragment: str,
    policy: str = "",
    limit_seconds: int | None = None,
) -> Target:
    server, release = broker
    host = f"host {next(HOSTS)}/x y"
    server.managed(f"vhosts/{quote(host, safe='')}", "PUT")
    everything = {"configure": ".*", "write": ".*", "read": ".*"}
    server.managed(f"permissions/{quote(host, safe='')}/guest", "PUT", **everything)
    more = f", consumer-timeout: {{limit_seconds: {limit_seconds}}}" if limit_seconds else ""
    rules = folder / "rules" / "policy.yaml"
    rules.parent.mkdir(parents=True)
    rules.write_text(
        f"version: 1\nparameters: {{rabbitmq-server: {{virtual_host: {json.dumps(host)}}}{more}}}\n{policy}"
    )
    source = folder / "workload.yaml"
    source.write_text(workload(fragment.replace("%s", release)))
    compilation = compile_workload([source], policy=rules)
    assert not compilation.failed, compilation.diagnostics
    for file in compilation.files:
        path = folder / "build" / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.text)
        path.chmod(file.mode)
    return Target(server, host, folder / "build")


def _text(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)


WORKLOADS = {
    "of every kind": (EVERY_KIND, "", ()),
    "left to Celery": (
        BROKER + "celery: {settings: {task_create_missing_queue_type: quorum}}\n"
        "tasks: {shop.a: {queue: created}, shop.b: {queue: listed}}\n"
        "queues: {listed: {}, own: {exchange: mine, exchange_type: topic, routing_key: k}}\n"
        "workers: {w: {queues: [created, listed, own]}}\n",
        "extends: as-is\n",
        ("created",),
    ),
    "with hostile names": (
        BROKER + f"queues: {{{', '.join(f'{_text(name)}: {{dead_letter: true}}' for name in HOSTILE)}}}\n",
        "",
        (),
    ),
}


@pytest.mark.parametrize(("fragment", "policy", "created"), WORKLOADS.values(), ids=WORKLOADS)
def test_an_import_is_what_celery_declares(broker, tmp_path, fragment, policy, created):
    by_import = compiled(broker, tmp_path / "one", fragment, policy)
    by_celery = compiled(broker, tmp_path / "two", fragment, policy)
    by_import.imported()
    by_celery.declared(*created)
    before = by_celery.stored()
    for key, rows in by_import.stored().items():
        assert rows
        assert set(before[key]) >= set(rows)
        # What is left to Celery is not imported.
        assert created or before[key] == rows
    # Each also takes what the other made: RabbitMQ refuses any difference.
    by_import.declared(*created)
    by_celery.imported()
    assert by_import.stored() == before == by_celery.stored()


def test_rabbitmq_starts_with_the_emitted_lines(broker, tmp_path):
    target = compiled(broker, tmp_path / "target", EVERY_KIND, limit_seconds=3600)
    folder = tmp_path / "node"
    (folder / "conf.d").mkdir(parents=True)
    shutil.copy(target.build / "rabbitmq" / "rabbitmq.conf", folder / "conf.d" / "shop.conf")
    with start_rabbitmq(folder, release=broker[1]) as server:
        assert server.ctl("eval", "application:get_env(rabbit, consumer_timeout).").strip() == "{ok,3600000}"


def test_a_policy_of_the_definitions_applies_to_its_queue_alone(broker, tmp_path):
    """RabbitMQ 3.10 knows no policy for consumers' timeouts, so its definitions have none."""
    server, release = broker
    target = compiled(broker, tmp_path, EVERY_KIND.replace("slow:", "slow2: {}\n  s.ow: {}\n  slow:"))
    target.imported()
    rows = server.ctl("list_queues", "-p", target.host, "--formatter", "json", "name", "policy")
    applied = {row["name"]: row["policy"] for row in json.loads(rows) if row["policy"]}
    assert applied == ({"slow": "shop:slow"} if release == "4.0" else {})
    policies = server.managed(f"policies/{quote(target.host, safe='')}")
    assert [each["definition"] for each in policies] == [{"consumer-timeout": 7200000}] * len(applied)


APP = """\
from celery import Celery
from time import sleep
app = Celery("shop", config_source="celeryconfig")
@app.task(name="shop.mail")
def mail():
    app.send_task("shop.theirs")
@app.task(name="shop.steady")
def steady(): pass
@app.task(name="shop.urgent")
def urgent(): pass
@app.task(name="shop.news")
def news(): pass
"""


@pytest.fixture
def restricted(broker, tmp_path) -> Target:
    """The target in a virtual host where three users have the rights of `permissions.sh`, and a foreign queue."""
    server, _ = broker
    target = compiled(broker, tmp_path, EVERY_KIND)
    (target.build / "shop_app.py").write_text(APP)
    programs = tmp_path / "bin"
    programs.mkdir()
    command = [*server.control, "-n", server.environment["RABBITMQ_NODENAME"], "--quiet"]
    (programs / "rabbitmqctl").write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
    (programs / "rabbitmqctl").chmod(0o755)
    users = {f"RABBITMQ_{role.upper()}_USER": role for role in ("worker", "producer", "monitor")}
    for user in users.values():
        server.managed(f"users/{user}", "PUT", password="secret", tags="")
    path = f"{programs}{os.pathsep}{server.environment['PATH']}"
    script = [str(target.build / "rabbitmq" / "permissions.sh")]
    subprocess.run(script, env={**server.environment, **users, "PATH": path}, check=True, timeout=60)
    with Connection(target.url) as connection:
        for name in ("foreign", "theirs", "mail2"):
            Queue(name)(connection.default_channel).declare()
    return target


@contextmanager
def worker(target: Target, *queues: str) -> Iterator[Path]:
    """A worker that has the rights of a worker alone; with everything that it does by default."""
    celery = (sys.executable, "-m", "celery", "--app", "shop_app", "worker", "--events")
    words = ("--pool", "solo", "--queues", ",".join(queues), "--hostname", "own@%h", "--loglevel", "info")
    environment = {"PATH": os.environ["PATH"], "B": target.url_of("worker:secret")}
    log = target.build / "worker.log"
    with running((*celery, *words), log=log, folder=target.build, environment=environment) as process:
        wait_until(
            lambda: " ready." in log.read_text(), "the worker is ready", seconds=60, process=process, log=log
        )
        yield log


def test_the_rights_are_enough_for_what_celery_does(restricted):
    sender = restricted.celery(restricted.url_of("producer:secret"))
    # A publisher may be first.
    sender.send_task("shop.urgent")
    with worker(restricted, "mail", "steady", "urgent", "news", "topics") as log:
        sender.send_task("shop.mail")
        sender.send_task("shop.steady", countdown=1)
        sender.send_task("shop.news")
        for task in ("mail", "steady", "urgent", "news"):
            wait_until(lambda task=task: f"Task shop.{task}" in log.read_text(), task, seconds=60, log=log)
            done = f"Task shop.{task}["
            wait_until(lambda done=done: _succeeded(log, done), f"{task} is done", seconds=60, log=log)
        watcher = restricted.celery(restricted.url_of("monitor:secret"))
        (answers,) = watcher.control.ping(timeout=10, limit=1)
        assert [*answers.values()] == [{"ok": "pong"}]
        with watcher.connection() as connection:
            receiver = watcher.events.Receiver(connection, handlers={"*": print})
            receiver.capture(limit=1, timeout=30)
    assert "ACCESS_REFUSED" not in log.read_text()
    with Connection(restricted.url) as connection:
        assert connection.SimpleQueue("theirs", no_ack=True).get(timeout=10)


def _succeeded(log: Path, task: str) -> bool:
    return any(task in line and "succeeded" in line for line in log.read_text().splitlines())


REFUSED = {
    "a worker consumes another app's queue": ("worker", "foreign", "consume"),
    "a worker deletes another app's queue": ("worker", "foreign", "delete"),
    "a worker declares a queue of another name": ("worker", "other", "declare"),
    "a worker consumes a queue whose name begins alike": ("worker", "mail2", "consume"),
    "a worker consumes dead letters": ("worker", "mail.dead", "consume"),
    # A right is for a queue and an exchange of one name, so publishers may consume where both have it.
    "a publisher consumes dead letters": ("producer", "mail.dead", "consume"),
    "a publisher consumes a queue with an exchange of another name": ("producer", "topics", "consume"),
    "a publisher declares another app's queue": ("producer", "foreign", "declare"),
    "a monitor consumes": ("monitor", "urgent", "consume"),
    "a monitor declares": ("monitor", "theirs", "declare"),
    "a monitor sends": ("monitor", "urgent", "publish"),
}


def test_the_rights_are_no_more_than_that(restricted):
    restricted.imported()
    done = {
        what: _try(restricted.url_of(f"{user}:secret"), name, act)
        for what, (user, name, act) in REFUSED.items()
    }
    assert done == dict.fromkeys(REFUSED, 403)
    # The same acts are possible for a user with all rights, so it is the rights that refuse them.
    allowed = {what: _try(restricted.url, name, act) for what, (_, name, act) in REFUSED.items()}
    assert allowed == dict.fromkeys(REFUSED, 0)


@pytest.mark.parametrize("length", [1, 10, 100])
def test_rabbitmq_takes_a_pattern_that_is_as_long_as_one_can_be(broker, length):
    """Of short names and of long ones."""
    server, _ = broker
    names = [f"{number:0{length}}"[-length:] for number in range((LONGEST - 6) // (length + 1))]
    pattern = f"^(?:{'|'.join(names)})$"
    assert LONGEST - length - 2 < len(pattern) <= LONGEST
    server.managed("users/long", "PUT", password="secret", tags="")
    server.managed("permissions/%2F/long", "PUT", configure=pattern, write="^$", read="^$")
    url = server.url.replace("guest:guest", "long:secret")
    assert [_try(url, name, "declare") for name in (names[0], names[-1], "other")] == [0, 0, 403]


def _try(url: str, name: str, act: str) -> int:
    """The code of RabbitMQ's refusal; 0 if it did what was asked."""
    with Connection(url, transport_options={"confirm_publish": True}) as connection:
        channel = connection.channel()
        queue = Queue(name, channel=channel)
        try:
            match act:
                case "consume":
                    with Consumer(channel, [Queue(name, no_declare=True)]):
                        pass
                case "delete":
                    queue.delete(if_empty=True)
                    Queue(name)(connection.channel()).declare()
                case "declare":
                    queue.declare()
                case "publish":
                    connection.Producer().publish("x", exchange="urgent", routing_key="urgent")
        except connection.channel_errors as refusal:
            return refusal.code
    return 0
