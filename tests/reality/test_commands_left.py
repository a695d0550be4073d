"""What a command has that a workload must not or cannot have: secrets, shell expansions, other options."""

from __future__ import annotations

from pathlib import Path

import pytest

from policycompiler.reality import commands
from policycompiler.reality.commands.prefix import prefix_of
from policycompiler.reality.commands.today import workers_of


def read(folder: Path, name: str, text: str) -> tuple[dict[str, object], str]:
    """The settings, and all lines about what is left out."""
    (folder / name).write_text(text, encoding="utf-8")
    found = commands.read([folder / name], root=folder)
    workers = workers_of(found.commands, ["all"])
    left = [*found.unread, *workers.unsayable]
    return {each.address: each.value for each in workers.settings}, "\n".join(" ".join(each) for each in left)


@pytest.mark.parametrize(
    ("line", "named"),
    [
        (
            "env AWS_KEY=s3cret AUTH=s3cret sudo -p s3cret wrap --token=s3cret -u me:s3cret celery -A a worker",
            ["AWS_KEY", "AUTH", "`sudo`"],
        ),
        ("sshpass -p s3cret ssh h celery -A a worker -c 2", ["`sshpass`"]),
        ("nice -n s3cret celery -A a worker", ["`nice`"]),
        ("nice -n 5 wrap -u me:s3cret celery -A a worker", ["`wrap`"]),
        ("KEY=s3cret celery -A a worker", ["KEY"]),
        ("celery -b redis://:s3cret@h/0 -A a worker", ["`--broker`"]),
        ("celery -A a worker -Q ${Q:-s3cret$X}", ["`--queues`"]),
        ("celery -A a -b ${URL:-redis://:s3cret@h} worker s3cret", ["`--broker`", "refuses 1"]),
        ("celery -A a worker --nothing=s3cret", ["--nothing"]),
        ("celery -A a multi start 1 -Q:9 s3cret", ["`celery multi`"]),
    ],
)
def test_no_secret_is_carried_or_printed(tmp_path, line, named):
    settings, left = read(tmp_path, "start.sh", line + "\n")
    assert "s3cret" not in f"{settings}{left}"
    assert all(each in left for each in named)


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("nice -n 5", "nice -n 5"),
        (
            "/usr/bin/nice -10 ionice -c2 -n 7 taskset -c 0-3",
            "/usr/bin/nice -10 ionice -c2 -n 7 taskset -c 0-3",
        ),
        ("exec dumb-init -- timeout -k 5 1h poetry run", "timeout -k 5 1h poetry run"),
        (
            "tini -g -- opentelemetry-instrument --traces_exporter otlp",
            "opentelemetry-instrument --traces_exporter otlp",
        ),
        ("A=b env C=d chrt -b 0 env -u HOME stdbuf -oL", "chrt -b 0 env -u HOME stdbuf -oL"),
        ("newrelic-admin run-program", "newrelic-admin run-program"),
        ("newrelic-admin", ""),
        ("gosu app", ""),
        ("nice wrap", ""),
    ],
)
def test_the_words_before_celery_are_kept_if_all_are_known(line, kept):
    found = prefix_of(line.split())
    assert " ".join(found.words) == kept
    assert bool(found.left) == (not kept)


@pytest.mark.parametrize(
    ("words", "settings", "left"),
    [
        ("-Q ${QUEUES:-aq,bq}", {"queues": ["aq", "bq"]}, "`--queues` `${QUEUES}` is not known"),
        ("-c ${N:-3}", {"queues": ["all"], "concurrency": 3}, "`--concurrency` `${N}` is not known"),
        ('-Q "aq,$(echo hidden)" -c 2', {"queues": ["all"], "concurrency": 2}, "all known queues: all"),
        ("-Q $(echo hidden) -c 2", {"queues": ["all"], "concurrency": 2}, "all known queues: all"),
        ("-Q `echo hidden` -c 2", {"queues": ["all"], "concurrency": 2}, "all known queues: all"),
        ("-Q $q", {"queues": ["all"]}, "all known queues: all"),
        ("-Q $(($(cat)) \\", {"queues": ["all"]}, "all known queues: all"),
        ("-c $(nproc) -Q a", {"queues": ["a"]}, "`--concurrency`"),
        ("-n w@$HOST -Q a", {"queues": ["a"]}, "`--hostname`"),
        ("-c abc -Q a", {"queues": ["a"]}, "`--concurrency`"),
        ("-c ² -Q a", {"queues": ["a"]}, "`--concurrency`"),
        ("--time-limit inf --autoscale=x,3 -Q a", {"queues": ["a"], "autoscale": {"min": 0, "max": 3}}, "`--time-limit`"),
    ],
)  # fmt: skip
def test_only_values_that_are_known_are_carried(tmp_path, words, settings, left):
    found, told = read(tmp_path, "start.sh", f"celery worker {words}\n")
    assert {key.partition("/")[2]: value for key, value in found.items()} == settings
    assert left in told
    assert "hidden" not in told


@pytest.mark.parametrize(
    ("words", "settings", "left"),
    [
        ("worker -Q a#b -c 3 # -E", {"queues": ["a#b"], "concurrency": 3}, ""),
        ("worker -Q 'a #b' -c 3;# -E", {"queues": ["a #b"], "concurrency": 3}, ""),
        ("multi start w -A p -c 3 -Q a", {"app": "p", "queues": ["a"], "concurrency": 3, "node_name": "w@%h"}, ""),
        ("multi start w -bs3cret -c3 -Q a", {"queues": ["a"], "concurrency": 3, "node_name": "w@%h"}, "`--broker`"),
        ("multi start w -Q a -ys3cret", {"queues": ["a"], "node_name": "w@%h"}, "`-y`"),
        ("multi start w -Q $Q", {"queues": ["all"], "node_name": "w@%h"}, "all known queues: all"),
    ],
)  # fmt: skip
def test_no_word_is_lost(tmp_path, words, settings, left):
    found, told = read(tmp_path, "start.sh", f"celery {words}\n")
    assert {key.partition("/")[2]: value for key, value in found.items()} == settings
    assert left in told
    assert bool(told) == bool(left)
    assert "s3cret" not in told


def test_a_placeholder_of_xargs_is_no_queue(tmp_path):
    found, told = read(tmp_path, "start.sh", "echo a | xargs -I{} celery -A w worker -Q {}\n")
    assert found == {"worker:worker/queues": ["all"], "worker:worker/app": "w"}
    assert "all known queues: all" in told


@pytest.mark.parametrize(
    ("line", "settings", "left"),
    [
        ("su app -c 'celery -A w worker -Q a'", {"queues": ["a"], "app": "w"}, "`su`"),
        ("su - app -c 'celery -A w worker -Q a'", {"queues": ["a"], "app": "w"}, "`su`"),
        ("sh -c 'celery -A w worker -Q a'", {"queues": ["a"], "app": "w"}, ""),
        ("K=v bash -lc 'cd /x && exec celery -A w worker -Q a'", {"queues": ["a"], "app": "w"}, "K"),
        ("nice -n 5 bash -o pipefail -c 'celery worker -Q a'", {"queues": ["a"], "command_prefix": ["nice", "-n", "5"]}, ""),
        ('eval "celery -A w worker -Q a"', {}, "`eval`"),
        ("ssh -p s3cret host 'celery -A w worker -Q a'", {}, "`ssh`"),
        ("echo 'starting the celery worker'", {}, "no command"),
        ("exec celery worker -Q '<a>(b)' -n '&&' && x", {"queues": ["<a>(b)"], "node_name": "&&"}, ""),
        ("celery worker -Q time", {"queues": ["time"]}, ""),
        ("make run", {}, "no command"),
        ("echo celery; sh -c", {}, "no command"),
        ("cat > x <<EOF\ncelery -A hidden worker\nEOF\ncelery worker -Q a", {"queues": ["a"]}, ""),
        ("cat > x <<-'EOF'\n\tcelery -A hidden worker\n\tEOF\ncelery worker -Q a", {"queues": ["a"]}, ""),
        ("bash <<EOF\ncelery -A hidden worker\nEOF", {}, "no command"),
    ],
)  # fmt: skip
def test_commands_in_the_texts_of_other_commands(tmp_path, line, settings, left):
    found, told = read(tmp_path, "start.sh", line + "\n")
    assert {key.partition("/")[2]: value for key, value in found.items()} == settings
    assert left in told
    assert bool(told) == bool(left)
    assert "s3cret" not in told
