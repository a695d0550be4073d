"""Mistakes in the files for a broker, and what finds each of them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from places import ROOT
from tools import needs
from workloads import workload

from policycompiler.compiler import compile_workload
from policycompiler.output import manifest_file, write
from policycompiler.plan import Plan
from policycompiler.reality import broker_lints, checkers, definitions
from policycompiler.verify import broker_files

WORKLOADS = {
    "rabbitmq": """\
        broker: {transport: rabbitmq, url: "${B}", version: "4.0"}
        tasks: {shop.a: {queue: mail, idempotent: true}, shop.b: {queue: it's, idempotent: true}}
        queues:
          mail: {dead_letter: true, type: quorum}
          slow: {arguments: {x-consumer-timeout: 7200000, x-max-length: 10}}
          events: {exchange: all, exchange_type: topic, routing_key: "#"}
          news: {broadcast: true}
          theirs: {external: true}
        """,
    "redis": "tasks: {shop.a: {rate: 10/s, payload: 2KiB}}\n",
}
POLICY = "version: 1\nparameters: {consumer-timeout: {limit_seconds: 3600}}\n"


@pytest.fixture(scope="module")
def compiled(tmp_path_factory) -> dict[str, tuple[Plan, Path]]:
    found = {}
    for name, fragment in WORKLOADS.items():
        folder = tmp_path_factory.mktemp(name)
        (folder / "rules").mkdir()
        (folder / "rules" / "policy.yaml").write_text(POLICY)
        (folder / "workload.yaml").write_text(workload(fragment))
        made = compile_workload([folder / "workload.yaml"], policy=folder / "rules" / "policy.yaml")
        assert not made.failed, made.diagnostics
        write(folder / "build", [*made.files, manifest_file(made.files, made.sources, "0")])
        assert made.plan is not None
        found[name] = (made.plan, folder / "build")
    return found


def caught(plan: Plan, build: Path, file: str) -> set[str]:
    """Who finds something in a file: the lint, the server that reads it, and the comparison with the plan."""
    of_brokers = {definitions.lint, broker_lints.permissions, broker_lints.rabbitmq, broker_lints.redis}
    found = set()
    for checker in checkers.CHECKERS:
        if checker.files([file]):
            program = needs(checker.program)
            name = "lint" if checker.judge in of_brokers else checker.program
            found |= {name for problem in checker.judge(program, build, [file], {}) if problem.file == file}
    return found | {"plan" for _ in broker_files.findings(plan, build, [file])}


Change = Callable[[str], str]


def text(old: str, new: str) -> Change:
    """Replace a text that is there."""

    def change(content: str) -> str:
        assert old in content
        return content.replace(old, new, 1)

    return change


def data(act: Callable[[dict], object]) -> Change:
    """Change definitions as data."""

    def change(content: str) -> str:
        document = json.loads(content)
        act(document)
        return json.dumps(document, indent=2)

    return change


def queue(document: dict, name: str) -> dict:
    return next(each for each in document["queues"] if each["name"] == name)


DEFINITIONS: dict[str, tuple[Change, set[str]]] = {
    "a comma too few": (text('"vhost"', '"vhost" "x",'), {"lint"}),
    "a misspelled section": (text('"queues"', '"quueues"'), {"lint"}),
    "users in it": (data(lambda found: found.update(users=[])), {"lint"}),
    "a key twice": (text('"vhost": "/"', '"vhost": "/", "vhost": "/"'), {"lint"}),
    "no arguments": (data(lambda found: found["queues"][0].pop("arguments")), {"lint"}),
    "durable as text": (text('"durable": true', '"durable": "true"'), {"lint"}),
    "a queue that is not durable": (data(lambda found: queue(found, "slow").update(durable=False)), {"lint"}),
    "an auto-delete queue": (data(lambda found: queue(found, "slow").update(auto_delete=True)), {"lint"}),
    "a queue twice": (data(lambda found: found["queues"].append(found["queues"][0])), {"lint"}),
    "an unknown exchange type": (text('"topic"', '"topik"'), {"lint", "plan"}),
    "another exchange type": (text('"topic"', '"direct"'), {"plan"}),
    "a misspelled argument": (text("x-max-length", "x-max-lenght"), {"lint", "plan"}),
    "a number as text": (text('"x-max-length": 10\n', '"x-max-length": "10"\n'), {"lint", "plan"}),
    "a classic queue with a delivery limit": (
        data(lambda found: queue(found, "slow")["arguments"].update({"x-delivery-limit": 3})),
        {"lint", "plan"},
    ),
    "a quorum queue with priorities": (
        data(lambda found: queue(found, "mail")["arguments"].update({"x-max-priority": 3})),
        {"lint", "plan"},
    ),
    "another type of queue": (
        data(lambda found: queue(found, "mail")["arguments"].pop("x-queue-type")),
        {"lint", "plan"},
    ),
    "no dead-letter queue": (
        data(lambda found: found["queues"].remove(queue(found, "mail.dead"))),
        {"lint", "plan"},
    ),
    "dead letters to itself": (
        data(lambda found: queue(found, "mail")["arguments"].update({"x-dead-letter-routing-key": "mail"})),
        {"lint", "plan"},
    ),
    "dead letters to an exchange that is not there": (
        data(lambda found: queue(found, "mail")["arguments"].update({"x-dead-letter-exchange": "dlx"})),
        {"lint", "plan"},
    ),
    "a missing queue": (data(lambda found: found["queues"].remove(queue(found, "slow"))), {"lint", "plan"}),
    "a foreign queue": (
        data(lambda found: found["queues"].append({**queue(found, "slow"), "name": "theirs"})),
        {"plan"},
    ),
    "a missing exchange": (data(lambda found: found["exchanges"].pop(0)), {"lint", "plan"}),
    "a missing binding": (data(lambda found: found["bindings"].pop(0)), {"plan"}),
    "another routing key": (text('"routing_key": "#"', '"routing_key": "*"'), {"plan"}),
    "another virtual host": (text('"vhost": "/"', '"vhost": "other"'), {"lint", "plan"}),
    "a policy for longer names too": (text('"^slow$"', '"^slow"'), {"lint"}),
    "a policy for every queue": (text('"^slow$"', '"^.*$"'), {"lint"}),
    "a pattern that is none": (text('"^slow$"', '"^slow($"'), {"lint"}),
    "a misspelled key of a policy": (text('"consumer-timeout"', '"consumer-timout"'), {"lint", "plan"}),
    "a policy for exchanges": (text('"apply-to": "queues"', '"apply-to": "exchanges"'), {"lint"}),
    "another priority": (text('"priority": 10', '"priority": 0'), {"plan"}),
    "another timeout": (text('"consumer-timeout": 7200000', '"consumer-timeout": 7200'), {"plan"}),
}
PERMISSIONS: dict[str, tuple[Change, set[str]]] = {
    "a quote too few": (text("'^(?:", "^(?:"), {"sh", "shellcheck", "lint"}),
    "no end of a pattern": (text(")$'", ")'"), {"lint"}),
    "all rights": (text("'^(?:", "'.*' '^(?:"), {"lint"}),
    "any name": (text("'^(?:", "'^(?:.*|"), {"lint", "plan"}),
    "a user by name": (text('"${RABBITMQ_WORKER_USER:-}" \\', '"guest" \\'), {"lint"}),
    "no virtual host": (text("set_permissions -p / ", "set_permissions "), {"lint"}),
    "a queue that is left out": (text("|slow", ""), {"plan"}),
    "a queue of another app": (text("|slow", "|slow|theirs"), {"plan"}),
    "another virtual host": (text("-p / ", "-p /other "), {"plan"}),
    "a wrong test": (text("if [ -n ", "if [ -n -n "), {"shellcheck"}),
}
CONFIGURATION: dict[str, tuple[Change, set[str]]] = {
    "hours": (text("= 3600000", "= 1h"), {"lint", "plan"}),
    "an unknown key": (text("consumer_timeout", "consumer_timeoutt"), {"lint", "plan"}),
    "a colon": (text("consumer_timeout =", "consumer_timeout:"), {"lint", "plan"}),
    "another value": (text("= 3600000", "= 360000"), {"plan"}),
    "a line twice": (
        text("consumer_timeout = 3600000", "consumer_timeout = 3600000\nconsumer_timeout = 3600000"),
        {"lint"},
    ),
    "no line": (text("consumer_timeout", "# consumer_timeout"), {"plan"}),
}
REDIS: dict[str, tuple[Change, set[str]]] = {
    "eviction": (text("noeviction", "allkeys-lru"), {"lint", "plan"}),
    "eviction of keys that expire": (text("noeviction", "volatile-lru"), {"lint", "plan"}),
    "a misspelled policy": (text("noeviction", "noevicton"), {"redis-server", "lint", "plan"}),
    "no policy": (text("maxmemory-policy", "# maxmemory-policy"), {"lint", "plan"}),
    "no file": (text("appendonly yes", "appendonly no"), {"lint", "plan"}),
    "perhaps a file": (text("appendonly yes", "appendonly perhaps"), {"redis-server", "lint", "plan"}),
    "no sync": (text("everysec", "no"), {"lint", "plan"}),
    "a misspelled key": (text("appendonly", "appendony"), {"redis-server", "lint", "plan"}),
    "a comment after a value": (
        text("appendonly yes", "appendonly yes # keep"),
        {"redis-server", "lint", "plan"},
    ),
    "a colon": (text("appendonly yes", "appendonly: yes"), {"redis-server", "lint", "plan"}),
    "two values": (text("databases 16", "databases 16 17"), {"redis-server", "plan"}),
    "no databases": (text("databases 16", "databases 0"), {"redis-server", "plan"}),
    "a unit that Redis does not know": (text("mb\n", "mib\n"), {"redis-server", "plan"}),
    "no limit": (text("maxmemory 446mb", "maxmemory 0"), {"lint", "plan"}),
    "less memory": (text("446mb", "446kb"), {"plan"}),
    "a line twice": (text("appendonly yes", "appendonly yes\nappendonly no"), {"lint", "plan"}),
    "a password": (text("appendonly yes", "appendonly yes\nrequirepass secret"), {"lint", "plan"}),
    "a negative time": (text("tcp-keepalive 60", "tcp-keepalive -1"), {"redis-server", "plan"}),
    "an open quote": (text("appendonly yes", 'appendonly "yes'), {"redis-server", "lint", "plan"}),
    "a file that is not there": (
        text("appendonly yes", "appendonly yes\ninclude more.conf"),
        {"redis-server", "plan"},
    ),
    "another line": (text("appendonly yes", "appendonly yes\nsave 60 1"), {"plan"}),
}
FILES = {
    "rabbitmq/definitions.json": DEFINITIONS,
    "rabbitmq/permissions.sh": PERMISSIONS,
    "rabbitmq/rabbitmq.conf": CONFIGURATION,
    "redis/redis.conf": REDIS,
}
MISTAKES = [(file, what) for file, mistakes in FILES.items() for what in mistakes]


@pytest.mark.parametrize("file", FILES)
def test_nothing_is_wrong_with_what_was_compiled(compiled, file):
    assert caught(*compiled[file.partition("/")[0]], file) == set()


@pytest.mark.parametrize(("file", "what"), MISTAKES, ids=[f"{file}-{what}" for file, what in MISTAKES])
def test_a_mistake_is_found(compiled, tmp_path, file, what):
    plan, folder = compiled[file.partition("/")[0]]
    build = shutil.copytree(folder, tmp_path / "build")
    change, finders = FILES[file][what]
    (build / file).write_text(change((build / file).read_text()))
    assert caught(plan, build, file) == finders


def table() -> str:
    """The table of docs/verifying.md."""
    rows = [
        f"| `{file.partition('/')[2]}` | {what} | {', '.join(sorted(FILES[file][what][1]))} |"
        for file, what in MISTAKES
    ]
    return "\n".join(["| file | mistake | found by |", "|---|---|---|", *rows])


def test_the_page_has_every_mistake_and_what_finds_it():
    assert table() in (ROOT / "docs" / "verifying.md").read_text()


def test_there_are_fifteen_for_each_target():
    for target in ("rabbitmq", "redis"):
        assert len([file for file, _ in MISTAKES if file.startswith(target)]) >= 15


def test_a_difference_is_a_finding_with_its_place(compiled, tmp_path):
    plan, folder = compiled["redis"]
    build = shutil.copytree(folder, tmp_path / "build")
    path = build / "redis/redis.conf"
    path.write_text(path.read_text().replace("databases 16", "databases 8"))
    (found,) = broker_files.findings(plan, build, ["redis/redis.conf"])
    line = path.read_text().splitlines().index("databases 8") + 1
    assert (found.code, found.name, found.message) == (
        "PC927",
        "broker-file-disagrees",
        "`databases` is 8, planned 16",
    )
    assert (found.place.file, found.place.line) == (path.as_posix(), line)
