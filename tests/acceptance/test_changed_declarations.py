"""Which changes of a queue a compile refuses: those that RabbitMQ refuses, and no others."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from amqp.exceptions import PreconditionFailed
from click.testing import CliRunner, Result
from compiled import configured_app
from servers import RABBITMQ, Server, start_rabbitmq
from workloads import workload

from policycompiler.cli import cli

HOSTS = itertools.count(1)
BROKER = 'broker: {transport: rabbitmq, url: "${B}", version: "3.10"}\n'
TASK = "tasks: {shop.a: {queue: mail, idempotent: true}}\n"


def queues(text: str) -> str:
    return f"{BROKER}{TASK}queues: {{{text}}}\n"


PLAIN = queues("mail: {}")
CHANGES = {
    "another type": (PLAIN, queues("mail: {type: quorum}")),
    "priorities": (PLAIN, queues("mail: {priorities: 3}")),
    "fewer priorities": (queues("mail: {priorities: 3}"), queues("mail: {priorities: 2}")),
    "no priorities": (queues("mail: {priorities: 3}"), PLAIN),
    "dead letters": (PLAIN, queues("mail: {dead_letter: true}")),
    "a length": (PLAIN, queues("mail: {arguments: {x-max-length: 10}}")),
    "another length": (
        queues("mail: {arguments: {x-max-length: 10}}"),
        queues("mail: {arguments: {x-max-length: 11}}"),
    ),
    "another type of exchange": (PLAIN, queues("mail: {exchange_type: topic}")),
    "another type of a shared exchange": (
        queues("mail: {exchange: all, exchange_type: topic, routing_key: a}"),
        queues("mail: {exchange: all, exchange_type: direct, routing_key: a}"),
    ),
    "another delivery limit": (
        queues("mail: {type: quorum, arguments: {x-delivery-limit: 5}}"),
        queues("mail: {type: quorum, arguments: {x-delivery-limit: 6}}"),
    ),
    "a consumer timeout": (PLAIN, queues("mail: {arguments: {x-consumer-timeout: 7200000}}")),
    "an unknown argument": (PLAIN, queues("mail: {arguments: {x-foo: 1}}")),
    "the type that it has": (PLAIN, queues("mail: {type: classic}")),
    "another exchange": (PLAIN, queues("mail: {exchange: other}")),
    "another routing key": (PLAIN, queues("mail: {exchange: all, exchange_type: topic, routing_key: a}")),
    "another queue": (PLAIN, queues("mail: {}, mail.v2: {type: quorum}")),
    "a queue that another app has now": (
        queues("mail: {}, other: {arguments: {x-max-length: 10}}"),
        queues("mail: {}, other: {external: true}"),
    ),
    "nothing": (PLAIN, PLAIN),
}


@pytest.fixture(scope="module", params=RABBITMQ)
def server(request, tmp_path_factory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("rabbitmq")
    with start_rabbitmq(folder, "rabbitmq_management", release=request.param) as found:
        yield found


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)


def compile_(text: str, *words: str) -> Result:
    Path("workload.yaml").write_text(workload(text))
    return CliRunner().invoke(cli, ["compile", "workload.yaml", *words])


def declared(url: str) -> bool:
    """Whether RabbitMQ takes all declarations of the compiled folder."""
    app = configured_app(Path("build"), {"B": url})
    with app.connection() as connection:
        try:
            for queue in app.amqp.queues.values():
                queue(connection.channel()).declare()
        except PreconditionFailed:
            return False
    return True


@pytest.mark.server
@pytest.mark.parametrize("change", CHANGES)
def test_a_compile_refuses_what_rabbitmq_refuses(server, change):
    old, new = CHANGES[change]
    host = f"host{next(HOSTS)}"
    server.managed(f"vhosts/{host}", "PUT")
    server.managed(f"permissions/{host}/guest", "PUT", configure=".*", write=".*", read=".*")
    url = f"{server.url.rstrip('/')}/{host}"
    assert compile_(old).exit_code == 0
    assert declared(url)
    found = compile_(new)
    assert found.exit_code in (0, 1), found.output
    assert compile_(new, "--accept", "queue-args-change").exit_code == 0
    assert declared(url) == (found.exit_code == 0)
    assert ("PC925" in found.output) == (found.exit_code == 1)


def tree() -> dict[str, bytes]:
    return {path.as_posix(): path.read_bytes() for path in sorted(Path("build").rglob("*")) if path.is_file()}


QUORUM = queues("mail: {type: quorum}")


def test_a_refused_change_writes_nothing_and_says_what_to_do():
    compile_(PLAIN)
    before = tree()
    for words in ([], ["--check"], ["--diff"], ["--force"]):
        found = compile_(QUORUM, *words)
        assert (words, found.exit_code) == (words, 1)
        assert "error[PC925] queue-args-change: `x-delivery-limit` of queue mail changes from" in found.output
        assert "`mail.v2`" in found.output
        assert "`--accept queue-args-change`" in found.output
        assert tree() == before
    assert "nothing was written" in compile_(QUORUM).output


def test_a_folder_without_a_plan_of_ours_refuses_nothing():
    compile_(PLAIN)
    Path("build/plan.json").unlink()
    assert compile_(QUORUM, "--force").exit_code == 0
    compile_(PLAIN, "--accept", "queue-args-change")
    Path("build/plan.json").write_text("{}")
    assert "PC925" not in compile_(QUORUM).output


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (PLAIN.replace("${B}", "${OTHER}"), QUORUM),
        (PLAIN.replace("rabbitmq", "redis").replace("3.10", "7.0"), QUORUM),
        (PLAIN.replace("${B}", "amqp://h/one"), QUORUM.replace("${B}", "amqp://h/two")),
    ],
)
def test_another_broker_has_no_such_queue(old, new):
    assert compile_(old).exit_code == 0
    assert compile_(new).exit_code == 0


def test_a_waiver_accepts_the_change():
    compile_(PLAIN)
    waiver = "waivers: [{finding: queue-args-change, at: queues.mail, reason: deleted by hand, owner: me, expires: 2099-01-01}]\n"
    assert compile_(QUORUM + waiver).exit_code == 0


def test_the_arguments_of_a_dead_letter_queue_count():
    source = queues("mail: {dead_letter: true}")
    assert compile_(source).exit_code == 0
    Path("rules").mkdir()
    Path("rules/policy.yaml").write_text("version: 1\nparameters: {dead-letters: {most_messages: 5}}\n")
    found = compile_(source, "--policy", "rules/policy.yaml")
    assert found.exit_code == 1
    assert "`arguments` of queue mail.dead changes" in found.output


def test_a_rollout_may_replace_a_queue_and_refuses_what_no_step_replaces():
    compile_(PLAIN)
    Path("build").rename("deployed")
    found = compile_(QUORUM, "--rollout", "deployed")
    assert found.exit_code == 0, found.output
    assert "mail.v2" in Path("build/rollout/ROLLOUT.md").read_text()


def test_a_rollout_without_a_step_for_the_queue_is_refused():
    source = queues("mail: {dead_letter: true}")
    compile_(source)
    Path("build").rename("deployed")
    Path("rules").mkdir()
    Path("rules/policy.yaml").write_text("version: 1\nparameters: {dead-letters: {most_messages: 5}}\n")
    words = ("--policy", "rules/policy.yaml", "--rollout", "deployed")
    found = compile_(source, *words)
    assert found.exit_code == 1
    assert "PC925" in found.output
    assert not Path("build").exists()
    assert compile_(source, *words, "--accept", "queue-args-change").exit_code == 0
