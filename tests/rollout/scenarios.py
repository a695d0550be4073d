"""What changes between two versions of a small shop, and what its deployment in one step does to work.

Every workload has the queue `stays` with its worker beside what changes, so that there is traffic of which a
rollout must not notice anything. Workers are small and quick to start.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from rollout.members import Call, Version

Harm = Literal["lost", "doubled", "left", "refused"]

HEAD = """\
version: 1
service: shop
app: shop:app
owner: storefront
celery: {version: "5.7"%(celery)s}
broker: {transport: %(transport)s, url: "${CELERY_BROKER_URL}", version: "%(version)s"%(broker)s}
defaults: {work: io, runtime: 100ms, rate: 1/s, result: ignore, latency: standard, idempotent: true}
"""
VERSIONS = {"redis": "7.0", "rabbitmq": "3.10"}
POOL = "pool: threads, concurrency: 4, options: {without_gossip: true, without_mingle: true}"

# Below every limit, and above zero in whole seconds, as native delays want it.
SHORT: Mapping[str, object] = {"countdown": 1}


class Side(NamedTuple):
    """One of the two versions: the rest of its workload, the names of its tasks, and what is sent."""

    body: str
    calls: Sequence[Call]
    celery: str = ""
    broker: str = ""

    @property
    def names(self) -> list[str]:
        """The tasks of the code."""
        return sorted({name for name, _ in self.calls})


class Scenario(NamedTuple):
    """A change. `harms` is what one step does to work, at the least; nothing where the change is safe.

    `once` are the tasks that must not run twice.
    """

    name: str
    transport: str
    old: Side
    new: Side
    harms: tuple[Harm, ...]
    once: frozenset[str]

    def __str__(self) -> str:
        return f"{self.name}-{self.transport}"

    @property
    def longest(self) -> float:
        """The longest countdown that is sent, in seconds."""
        return max(options.get("countdown", 0) for side in (self.old, self.new) for _, options in side.calls)

    def workload(self, side: Side) -> str:
        """The text of its YAML."""
        head = HEAD % {
            "transport": self.transport,
            "version": VERSIONS[self.transport],
            "celery": side.celery,
            "broker": side.broker,
        }
        return head + side.body

    def version(self, side: Side, folder: Path) -> Version:
        """Its code, written to a folder."""
        folder.mkdir(parents=True)
        (folder / "shop.py").write_text(code(side.names), "utf-8")
        return Version(folder, side.calls)


def code(names: Sequence[str]) -> str:
    """A module `shop` with an app and these tasks, each of which takes a moment."""
    tasks = "".join(
        f'\n\n@app.task(name="{name}")\ndef task_{number}():\n    time.sleep(0.02)\n'
        for number, name in enumerate(names)
    )
    head = "import time\n\nfrom celery import Celery\nfrom rollout import published\n"
    return f'{head}\napp = Celery("shop")\napp.config_from_object("celeryconfig")\n{tasks}'


def compiled(text: str, folder: Path, *, old: Path | None = None) -> Path:
    """The output of a workload, written to `folder`, with the steps from an old output where one is given."""
    source = folder.parent / f"{folder.name}.yaml"
    source.parent.mkdir(parents=True, exist_ok=True)
    source.write_text(text, "utf-8")
    words = ["compile", str(source), "--output", str(folder), *(["--rollout", str(old)] if old else [])]
    command = [sys.executable, "-m", "policycompiler", *words]
    done = subprocess.run(command, cwd=folder.parent, capture_output=True, text=True, check=False, timeout=60)
    assert folder.is_dir(), done.stdout + done.stderr
    return folder


def tasks(**queues: str) -> str:
    """The section `tasks:`; of `pay` in a name follows that it must not run twice."""
    lines = []
    for name, queue in queues.items():
        twice = str("pay" not in name).lower()
        lines.append(f"  shop.{name}: {{queue: {queue}, idempotent: {twice}, max_countdown: 2s}}\n")
    return "tasks:\n" + "".join(lines)


def workers(**queues: Sequence[str]) -> str:
    """The section `workers:`; the default queue has the first one."""
    lines = []
    for index, (name, consumed) in enumerate(queues.items()):
        all_of_them = [*consumed, *([] if index else ["shop.standard.io"])]
        lines.append(f"  {name}: {{queues: [{', '.join(all_of_them)}], {POOL}}}\n")
    return "workers:\n" + "".join(lines)


def calls(*names: str) -> list[Call]:
    """Each task at once, and each with a countdown."""
    return [*((f"shop.{name}", {}) for name in names), *((f"shop.{name}", SHORT) for name in names)]


USUAL = calls("mail", "pay")
ONCE = frozenset({"shop.pay", "shop.pay_card"})
BOTH = ("redis", "rabbitmq")


def _move(transport: str) -> Scenario:
    # New workers no longer look where old producers still send: stranded. On Redis as on RabbitMQ.
    old = tasks(mail="stays", pay="slow") + workers(main=["stays"], side=["slow"])
    new = tasks(mail="stays", pay="fast") + workers(main=["stays"], side=["fast"])
    return Scenario("move-a-task", transport, Side(old, USUAL), Side(new, USUAL), ("left", "lost"), ONCE)


def _split(transport: str) -> Scenario:
    # Safe: at every moment somebody consumes every queue.
    old = tasks(mail="stays", pay="slow") + workers(main=["stays", "slow"])
    new = tasks(mail="stays", pay="slow") + workers(main=["stays"], side=["slow"])
    return Scenario("split-a-worker", transport, Side(old, USUAL), Side(new, USUAL), (), ONCE)


def _merge(transport: str) -> Scenario:
    # Safe, as long as the workers that go are stopped last.
    split = _split(transport)
    return Scenario("merge-workers", transport, split.new, split.old, (), ONCE)


def _rename(transport: str) -> Scenario:
    # New workers throw messages with the old name away, old workers those with the new one.
    old = tasks(mail="stays", pay="stays") + workers(main=["stays"])
    new = tasks(mail="stays", pay_card="stays").replace(
        "shop.pay_card: {", "shop.pay_card: {renamed_from: [shop.pay], "
    ) + workers(main=["stays"])
    return Scenario(
        "rename-a-task", transport, Side(old, USUAL), Side(new, calls("mail", "pay_card")), ("lost",), ONCE
    )


def _queue_type() -> Scenario:
    # The queue is there and is classic: new workers and new producers are refused (406).
    old = tasks(mail="stays", pay="money") + workers(main=["stays"], side=["money"])
    # Beside a quorum queue only a topic exchange delays in the broker.
    old += "queues: {stays: {exchange_type: topic}, money: {}}\n"
    new = old.replace("money: {}", "money: {type: quorum}")
    return Scenario(
        "classic-to-quorum", "rabbitmq", Side(old, USUAL), Side(new, USUAL), ("left", "lost", "refused"), ONCE
    )


def _queue_type_with_dead_letters() -> Scenario:
    # As above, and the queue of dead letters is there and is classic, too.
    old = tasks(mail="letters", pay="stays") + workers(main=["stays"], side=["letters"])
    old += "queues: {letters: {type: classic, dead_letter: true}, stays: {exchange_type: topic}}\n"
    sides = Side(old, USUAL), Side(old.replace("classic", "quorum"), USUAL)
    harms: tuple[Harm, ...] = ("left", "lost", "refused")
    return Scenario("classic-to-quorum-with-dead-letters", "rabbitmq", *sides, harms, ONCE)


def _priorities() -> Scenario:
    # The queue is there without `x-max-priority`: new workers and new producers are refused (406).
    old = tasks(mail="stays", pay="money") + workers(main=["stays"], side=["money"])
    new = old + "queues: {money: {priorities: 10}}\n"
    return Scenario(
        "priorities", "rabbitmq", Side(old, USUAL), Side(new, USUAL), ("left", "lost", "refused"), ONCE
    )


def _priority_steps() -> Scenario:
    # Each step is a list of its own; what old producers put into one that no new worker knows is stranded.
    body = tasks(mail="stays", pay="stays") + workers(main=["stays"])
    urgent: list[Call] = [*USUAL, ("shop.pay", {"priority": 3}), ("shop.mail", {"priority": 6})]
    old = Side(body, urgent, broker=", options: {priority_steps: [0, 3, 6, 9]}")
    new = Side(body, urgent, broker=", options: {priority_steps: [0, 5]}")
    return Scenario("priority-steps", "redis", old, new, ("left", "lost"), ONCE)


def _serializer(transport: str) -> Scenario:
    # Old workers discard what new producers send: they refuse its content type.
    body = tasks(mail="stays", pay="stays") + workers(main=["stays"])
    new = Side(body, USUAL, celery=", settings: {task_serializer: msgpack}")
    return Scenario("json-to-msgpack", transport, Side(body, USUAL), new, ("lost",), ONCE)


def _visibility_timeout() -> Scenario:
    # A worker with the new timeout gives away what one with the old one still holds for its countdown.
    sweep = "options: {unacked_restore_interval: 0.5, unacked_restore_throttle: 1}"
    limits = "max_countdown: 1s, options: {soft_time_limit: 1, time_limit: 2}"
    body = tasks(mail="stays", pay="stays").replace("max_countdown: 2s", limits)
    # Threads keep no time limit.
    body += (
        workers(main=["stays"])
        .replace("threads", "prefork")
        .replace("{without", "{prefetch_multiplier: 1, without")
    )
    patient = body.replace("max_countdown: 1s", "max_countdown: 9s")
    long: list[Call] = [*USUAL, ("shop.pay", {"countdown": 9})]
    old = Side(patient, long, broker=f", visibility_timeout: 10m, {sweep}")
    new = Side(body, USUAL, broker=f", visibility_timeout: 6s, {sweep}")
    return Scenario("shorter-visibility-timeout", "redis", old, new, ("doubled",), ONCE)


def _removal(transport: str) -> Scenario:
    # Old producers still send to a queue that new workers do not consume.
    old = tasks(mail="stays", pay="money") + workers(main=["stays"], side=["money"])
    new = tasks(mail="stays") + workers(main=["stays"])
    return Scenario(
        "remove-a-queue", transport, Side(old, USUAL), Side(new, calls("mail")), ("left", "lost"), ONCE
    )


def _removed_task(transport: str) -> Scenario:
    # New workers discard what old producers still send, to its queue and to one that calls choose.
    running = workers(main=["stays"], side=["other"])
    old = tasks(mail="stays", print="other", pay="stays, call_time_queues: [other]") + running
    new = tasks(mail="stays", print="other") + running
    chosen: list[Call] = [("shop.pay", {"queue": "other"}), ("shop.pay", {"queue": "other", **SHORT})]
    before = [*calls("mail", "print", "pay"), *chosen]
    return Scenario(
        "remove-a-task", transport, Side(old, before), Side(new, calls("mail", "print")), ("lost",), ONCE
    )


def _beat(transport: str) -> Scenario:
    # Two beats, and everything is due twice.
    body = (
        tasks(mail="stays", pay="stays")
        + workers(main=["stays"])
        + "schedules: {tick: {task: shop.pay, every: 1s}}\n"
    )
    old, new = (Side(body + f"beat: {{host: {host}}}\n", USUAL) for host in ("a", "b"))
    return Scenario("move-beat", transport, old, new, ("doubled",), ONCE)


SCENARIOS = (
    *map(_move, BOTH),
    _split("redis"),
    _merge("rabbitmq"),
    _rename("redis"),
    _queue_type(),
    _queue_type_with_dead_letters(),
    _priorities(),
    _priority_steps(),
    _serializer("redis"),
    _visibility_timeout(),
    *map(_removal, BOTH),
    *map(_removed_task, BOTH),
    _beat("redis"),
)


def on(transport: str, *, harmful: bool = False) -> list[Scenario]:
    """The scenarios of a broker; only those that one step does harm to where `harmful`."""
    return [each for each in SCENARIOS if each.transport == transport and (each.harms or not harmful)]
