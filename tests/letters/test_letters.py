"""`policycompiler dead-letters` on real brokers: what it prints, moves, leaves and deletes."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import pytest
import redis
from click.testing import CliRunner, Result
from jsonschema import Draft202012Validator
from letters.mailbox import BODY, HEADER, Mailbox
from places import ROOT
from processes import wait_until

from policycompiler import letters
from policycompiler.cli import cli
from policycompiler.letters import Deed, Wanted

pytestmark = pytest.mark.server

SCHEMA = Draft202012Validator(json.loads((ROOT / "schemas" / "dead-letters.schema.json").read_text("utf-8")))
PAST, FUTURE = "2020-01-01T00:00:00+00:00", "2999-01-01T00:00:00+00:00"


def run(mailbox: Mailbox, command: str, *words: str) -> Result:
    arguments = (
        "dead-letters",
        command,
        str(mailbox.folder / "workload.yaml"),
        "--broker",
        mailbox.url,
        *words,
    )
    return CliRunner(catch_exceptions=False).invoke(cli, arguments, prog_name="policycompiler")


def answer(mailbox: Mailbox, command: str, *words: str) -> dict[str, list[dict[str, object]]]:
    """What a command says to machines, as its schema allows."""
    found = json.loads(run(mailbox, command, *words, "--output-format", "json").stdout)
    SCHEMA.validate(found)
    assert isinstance(found, dict)
    return found


def there(mailbox: Mailbox, number: int) -> None:
    wait_until(lambda: mailbox.count(mailbox.dead) == number, f"{number} letters are there")


def test_letters_are_counted_and_shown_without_what_may_be_secret(mailbox):
    for number in range(3):
        mailbox.put(str(number), **({"task": "shop.other"} if number == 2 else {}))
    there(mailbox, 3)
    groups = answer(mailbox, "list")["groups"]
    assert {(each["task"], each["reason"], each["letters"]) for each in groups} == {
        ("shop.mail", "failed", 2),
        ("shop.other", "failed", 1),
    }
    assert groups[0]["oldest"] == "2026-11-30T04:00:00Z"
    shown = run(mailbox, "show", "--task", "shop.mail", "--limit", "1").stdout
    assert ("failed: OSError" in shown, "str of 9" in shown, "swordfish" in shown) == (True, True, False)
    assert shown.startswith("shop.mail 0\n")
    assert "swordfish" not in json.dumps(answer(mailbox, "show"))
    assert '"swordfish"' in run(mailbox, "show", "--show-arguments", "--id", "1").stdout
    # None was touched.
    there(mailbox, 3)


def test_a_replayed_message_is_the_old_one_with_all_its_retries(mailbox):
    mailbox.put("a", mine="own")
    mailbox.put("b")
    there(mailbox, 2)
    assert run(mailbox, "replay", "--all", "--dry-run").stdout.endswith("would send 2 letters\n")
    there(mailbox, 2)
    moved = answer(mailbox, "replay", "--id", "a")["moved"]
    assert [(each["id"], each["queue"], each["refused"]) for each in moved] == [("a", mailbox.queue, "")]
    wait_until(lambda: mailbox.count(mailbox.queue) == 1, "it was sent")
    (message,) = mailbox.taken(mailbox.queue)
    assert (message["id"], message["retries"], message["mine"]) == ("a", 0, "own")
    assert HEADER not in message
    assert json.loads(message["body"]) == BODY
    there(mailbox, 1)


def test_what_a_worker_would_discard_stays_unless_it_is_asked_for(mailbox):
    mailbox.put("old", expires=PAST)
    mailbox.put("new", expires=FUTURE)
    there(mailbox, 2)
    done = run(mailbox, "replay", "--all")
    assert done.exit_code == 1
    assert "left shop.mail old" in done.stdout
    assert "sent 1 letter; 1 left as they are" in done.stdout
    wait_until(lambda: mailbox.count(mailbox.queue) == 1, "the other was sent")
    assert run(mailbox, "replay", "--id", "old", "--expired").exit_code == 0
    wait_until(lambda: mailbox.count(mailbox.queue) == 2, "it was sent")
    assert {each["id"]: each["expires"] for each in mailbox.taken(mailbox.queue)} == {
        "old": None,
        "new": FUTURE,
    }


def test_a_letter_of_a_queue_that_is_not_there_needs_another_one(mailbox):
    mailbox.put("a", queue="gone")
    there(mailbox, 1)
    done = run(mailbox, "replay", "--all")
    assert done.exit_code == 1
    assert f"{mailbox.dead} keeps no letters of queue gone: name a queue with --to" in done.stdout
    there(mailbox, 1)
    assert run(mailbox, "replay", "--all", "--to", mailbox.queue).exit_code == 0
    wait_until(lambda: mailbox.count(mailbox.queue) == 1, "it was sent")


def test_a_message_that_fails_again_at_once_is_sent_once(mailbox):
    for number in range(120):
        mailbox.put(str(number))
    there(mailbox, 120)
    sent = []
    deed = Deed(datetime.now(UTC))
    for done in letters.replay(mailbox.plan, mailbox.client(), mailbox.dead, Wanted(), deed):
        sent.append(done.letter.id)
        mailbox.put(done.letter.id)
    assert sent == [str(number) for number in range(120)]
    there(mailbox, 120)


def test_only_chosen_letters_are_dropped(mailbox):
    for number in range(4):
        mailbox.put(str(number))
    there(mailbox, 4)
    assert run(mailbox, "drop").exit_code == 2
    assert run(mailbox, "drop", "--all", "--id", "1").exit_code == 2
    assert run(mailbox, "drop", "--all", "--dry-run").stdout.endswith("would drop 4 letters\n")
    there(mailbox, 4)
    assert run(mailbox, "drop", "--id", "1", "--id", "2").exit_code == 0
    assert run(mailbox, "drop", "--task", "shop.*", "--limit", "1").exit_code == 0
    there(mailbox, 1)
    nothing = run(mailbox, "drop", "--id", "1")
    assert (nothing.exit_code, nothing.stderr) == (1, "no dead letter matches\n")
    assert [each["id"] for each in mailbox.taken(mailbox.dead)] == ["3"]


EVIL = "\x1b]0;evil\x07\u202e\x9b31m"
HOSTILE = {
    "not JSON": ("{", {}),
    "binary": (b"\xff\x00\xfe", {"content_type": "application/data", "content_encoding": "binary"}),
    "empty": (b"", {"content_type": "application/data", "content_encoding": "binary"}),
    "a strange encoding": (b"{}", {"content_encoding": "\x1b[31m"}),
    "deep": ("[" * 100_000, {}),
    "a list": ("[1, 2]", {"headers": {"task": "shop.mail", "id": "a list"}}),
    "control characters": (json.dumps([[EVIL], {EVIL: EVIL}, {}]), {"headers": {"task": EVIL, "id": EVIL}}),
    "other types": ("{}", {"headers": {"task": 7, "id": [1], "expires": 3, "retries": "many", HEADER: "x"}}),
    "a wrong time": (
        "{}",
        {
            "headers": {
                "task": "t",
                "id": "i",
                "expires": "0001-01-01T00:00:00+14:00",
                HEADER: {"when": "now"},
            }
        },
    ),
    "compressed, it says": ("{}", {"headers": {"task": "t", "id": "i", "compression": "application/x-gzip"}}),
    "long": ("{}", {"headers": {"task": "t" * 30_000, "id": "i" * 30_000}}),
    "large": ("[" + '"x",' * 500_000 + "1]", {"headers": {"task": "t", "id": "large"}}),
    "deaths of another queue": (
        "{}",
        {"headers": {"task": "t", "id": "i", "x-death": [{"queue": "other", "reason": "r"}, 3]}},
    ),
}


def test_messages_that_anybody_wrote_are_printed_and_kept(mailbox):
    for body, options in HOSTILE.values():
        mailbox.put_raw(body, **options)
    there(mailbox, len(HOSTILE))
    for words in (("list",), ("show",), ("show", "--show-arguments")):
        done = run(mailbox, *words)
        assert done.exit_code == 0
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", done.stdout)
        assert len(done.stdout) < 100_000
        answer(mailbox, *words)
    # Nobody says from which queue they came.
    done = run(mailbox, "replay", "--all")
    assert done.exit_code == 1
    assert f"sent 0 letters; {len(HOSTILE)} left as they are" in done.stdout
    there(mailbox, len(HOSTILE))
    sent = run(mailbox, "replay", "--all", "--expired", "--to", mailbox.queue)
    assert sent.exit_code == 0, sent.stdout
    wait_until(lambda: mailbox.count(mailbox.queue) == len(HOSTILE), "all were sent")
    wanted = [body.encode() if isinstance(body, str) else body for body, _ in HOSTILE.values()]
    assert sorted(mailbox.bodies(mailbox.queue)) == sorted(wanted)


JUNK = (
    b"",
    b"\xff\xfe",
    b"[]",
    b"null",
    b'{"headers": 3}',
    b'{"body": 3}',
    b"[" * 100_000,
    b'{"body": "\\ud800"}',
)


def test_what_is_no_message_of_kombu_is_printed_and_kept(redis_url, tmp_path):
    with Mailbox.opened(tmp_path, redis_url, "redis") as mailbox, redis.Redis.from_url(redis_url) as client:
        for each in JUNK:
            client.lpush(mailbox.dead, each)
        assert answer(mailbox, "list")["groups"][0]["letters"] == len(JUNK)
        assert run(mailbox, "show").exit_code == 0
        assert run(mailbox, "replay", "--all").exit_code == 1
        assert client.lrange(mailbox.dead, 0, -1) == list(reversed(JUNK))
        assert run(mailbox, "drop", "--reason", "foreign").exit_code == 0
        client.set(mailbox.dead, "no list")
        done = run(mailbox, "list")
        assert (done.exit_code, "WRONGTYPE" in done.stderr) == (1, True)


def test_letters_outlive_many_looks(mailbox):
    """RabbitMQ 4 deletes a message of a quorum queue that has returned 20 times."""
    mailbox.put("a")
    mailbox.put_raw(
        "{}", headers={"task": "t", "id": "b", "x-death": [{"queue": mailbox.queue, "reason": "rejected"}]}
    )
    there(mailbox, 2)
    looks = [("list",), ("show", "--limit", "1"), ("replay", "--all", "--dry-run", "--limit", "1")]
    for words in (look for look in looks for _ in range(3)):
        run(mailbox, *words)
        there(mailbox, 2)
    letters = answer(mailbox, "show")["letters"]
    assert {(each["id"], each["queue"], each["reason"]) for each in letters} == {
        ("a", mailbox.queue, "failed"),
        ("b", mailbox.queue, "rejected"),
    }
    there(mailbox, 2)
    assert all(each.get("x-delivery-count", 0) <= 1 for each in mailbox.taken(mailbox.dead))


def test_a_letter_returns_to_its_level_of_priority(redis_url, tmp_path):
    with (
        Mailbox.opened(tmp_path, redis_url, "redis", ", priorities: 3") as mailbox,
        redis.Redis.from_url(redis_url) as client,
    ):
        mailbox.put("a")
        assert run(mailbox, "replay", "--all").exit_code == 0
        options = mailbox.plan.setting(("app", ""), "broker_transport_options").value
        level = max(step for step in options["priority_steps"] if step <= 5)
        assert client.llen(f"{mailbox.queue}\x06\x16{level}") == 1


def test_a_queue_that_refuses_messages_gets_none(rabbitmq_url, tmp_path):
    """RabbitMQ would drop them: a transaction does not say what a full queue rejected."""
    more = ", type: classic, arguments: {x-max-length: 1, x-overflow: reject-publish}"
    with Mailbox.opened(tmp_path, rabbitmq_url, "classic", more) as mailbox:
        for task_id in ("a", "b", "c"):
            mailbox.put(task_id)
        there(mailbox, 3)
        done = run(mailbox, "replay", "--all")
        assert (done.exit_code, done.stdout.count("left shop.mail")) == (1, 2)
        wait_until(lambda: mailbox.count(mailbox.queue) == 1, "one was sent")
        there(mailbox, 2)
        with mailbox.connection.channel() as channel:
            channel.queue_delete(mailbox.queue)
        done = run(mailbox, "replay", "--all")
        assert (done.exit_code, f"queue {mailbox.queue} does not exist" in done.stdout) == (1, True)
        assert [each["id"] for each in mailbox.taken(mailbox.dead)] == ["b", "c"]


def test_a_broker_that_is_not_there_is_said(redis_url, tmp_path):
    with Mailbox.opened(tmp_path, redis_url, "redis") as mailbox:
        done = run(mailbox._replace(url="redis://:pa55word@127.0.0.1:1/0"), "list")
        assert (done.exit_code, "pa55word" in done.output) == (1, False)
        assert done.stderr.startswith("the broker cannot be asked: redis://127.0.0.1:1: ")
        done = run(mailbox, "list", "--queue", "other")
        assert (done.exit_code, f"these do: {mailbox.queue}" in done.stderr) == (2, True)
