"""Texts that try to break out of every format: they arrive unchanged, and passwords do not arrive at all."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import pytest
import yaml
from celery import Celery
from click.testing import CliRunner
from compiled import configured_app
from error_cases import NEEDED, cases
from fleet_plans import HOSTILE
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from supervisor.options import ServerOptions
from tools import Start, needs, stand_in

from policycompiler.cli import cli
from policycompiler.compiler import compile_workload
from policycompiler.report import FORMATS

PASSWORD = "hunter2"
URLS = {"CELERY_BROKER_URL": "memory://"}

LINES = [
    *(text for text in HOSTILE if text.isprintable()),
    "*/ /* // -- <!-- -->",
    '""" \'\'\' """',
    "\\N{DASH} \\x41 \\u0041 \\101 %41 &#65; &amp;",
    "{{x}} {%x%} {#x#} ${x} $(x) `x` %(x)s %x {x} {0}",
    "- a: b",
    "key: [value, {a: b}] # no comment",
    "null",
    "yes",
    "<<",
    "!!python/object:os.system",
    "&a *a",
    "1e3",
    "0x10",
    "|",
    "| a | b |",
    "[link](https://example.com) **bold** _it_ <b>html</b>",
    "https://example.com/?a=b&c=%20@d",
    "Ünïcödé ﬁ 한국어 עברית العربية 漢字",
    "\N{MAN}\N{VARIATION SELECTOR-16} \N{FLAG IN HOLE} \N{COMBINING ACUTE ACCENT}",
    "; rm -rf / && :(){ :|:& };:",
    "[section]",
    "ExecStart=/bin/false",
    "../../etc/passwd",
    "--option=value",
    " a blank at both ends ",
]
"""On one line, without invisible characters: what a description and a variable may hold."""

TEXTS = [
    *LINES,
    "two\nlines",
    "a\ttab",
    "\N{RIGHT-TO-LEFT OVERRIDE}desrever",
    "\N{ZERO WIDTH SPACE}\N{NO-BREAK SPACE}\N{SOFT HYPHEN}",
    "\N{WOMAN}\N{ZERO WIDTH JOINER}\N{PERSONAL COMPUTER}",
]
"""Any text, as an argument may be."""

WORDS = [text for text in LINES if text and not set(text) & set("\"'\\")]
"""What may stand in front of a command."""

BY_TEXT = {text or "empty": text for text in TEXTS}
VARIABLES = {f"VALUE_{number:02}": text for number, text in enumerate(LINES)}
TASKS = {f"shop.odd-{number}/x:y@z_": text for number, text in enumerate(LINES)}
PATTERN = "shop.any@*.x"

PREFIX = {"global_keyprefix": "".join(TEXTS)}
WORKLOAD: Mapping[str, object] = MappingProxyType(
    {
        "version": 1,
        "service": "shop",
        "app": "shop.celery_app:app",
        "broker": {"transport": "redis", "url": "${CELERY_BROKER_URL}", "options": PREFIX},
        "celery": {
            "settings": {
                "database_engine_options": {"nested": [TEXTS, BY_TEXT]},
                "worker_log_format": TEXTS[-5] + " ".join(LINES),
                "accept_content": ["json", *TEXTS],
            }
        },
        "tasks": {
            **{name: {"description": text, "queue": "shop.odd"} for name, text in TASKS.items()},
            PATTERN: {"description": LINES[6], "queue": "shop.odd"},
        },
        "queues": {"shop.odd": {"arguments": BY_TEXT, "consumer_arguments": BY_TEXT}},
        "workers": {
            "odd": {
                "queues": ["shop.odd"],
                "environment": VARIABLES,
                "command_prefix": ["/opt/trace", *WORDS],
            }
        },
        "schedules": {
            "odd": {
                "task": "shop.any@1.x",
                "every": "5m",
                "args": [TEXTS, BY_TEXT],
                "kwargs": BY_TEXT,
                "options": {"headers": BY_TEXT, "shadow": TEXTS[4]},
            }
        },
    }
)


class Quoting(yaml.SafeDumper):
    """Writes every text in double quotes, so that none is taken for a number."""


Quoting.add_representer(
    str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')
)


def compiled(folder: Path, workload: Mapping[str, object]) -> Path:
    """The files of a workload, written below a folder as they are."""
    path = folder / "workload.yaml"
    path.write_text(yaml.dump(dict(workload), Dumper=Quoting, sort_keys=False), "utf-8")
    compilation = compile_workload([path])
    assert not compilation.failed, compilation.diagnostics
    for file in compilation.files:
        target = folder / "build" / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(file.text, "utf-8")
        target.chmod(file.mode)
    return folder / "build"


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(tmp_path_factory.mktemp("hostile"), WORKLOAD)


@pytest.fixture(scope="module")
def app(build: Path) -> Celery:
    return configured_app(build, URLS)


def started(script: Path, folder: Path) -> Start:
    """The start of a stand-in for `celery`, whose first word is a stand-in for the prefix."""
    celery = stand_in(folder)
    path = f"{celery.folder}:{os.defpath}"
    subprocess.run(["sh", script], env={"PATH": path, **URLS}, check=True, timeout=30)
    (start,) = celery.starts()
    return start


def test_celery_reads_the_settings_as_they_were_written(app):
    written = WORKLOAD["celery"]["settings"]
    assert {name: app.conf[name] for name in written} == written
    options = app.conf.broker_transport_options
    assert options["global_keyprefix"] == PREFIX["global_keyprefix"]


def test_celery_reads_the_queue_arguments_as_they_were_written(app):
    queue = app.amqp.queues["shop.odd"]
    assert {key: queue.queue_arguments[key] for key in BY_TEXT} == BY_TEXT
    assert queue.consumer_arguments == BY_TEXT


def test_celery_reads_the_schedule_as_it_was_written(app):
    entry = app.conf.beat_schedule["odd"]
    written = WORKLOAD["schedules"]["odd"]
    assert entry["args"] == written["args"]
    assert entry["kwargs"] == BY_TEXT
    assert entry["options"]["headers"] == BY_TEXT
    assert entry["options"]["shadow"] == written["options"]["shadow"]


def test_celery_routes_odd_names_where_they_were_sent(app):
    for name in (*TASKS, PATTERN.replace("*", "any")):
        assert app.amqp.router.route({}, name)["queue"].name == "shop.odd"


def test_the_launch_script_hands_every_text_on(build, tmp_path):
    text = (build / "launch/odd.sh").read_text("utf-8")
    (tmp_path / "odd.sh").write_text(text.replace("exec /opt/trace ", "exec celery "), "utf-8")
    start = started(tmp_path / "odd.sh", tmp_path)
    assert start.arguments[: len(WORDS) + 1] == [*WORDS, "celery"]
    assert {name: start.environment[name] for name in VARIABLES} == VARIABLES


def test_dash_and_shellcheck_take_the_launch_script(build):
    script = build / "launch/odd.sh"
    for command in (["dash", "-n"], ["shellcheck", "-s", "sh", "-S", "error"]):
        found = subprocess.run(
            [needs(command[0]), *command[1:], script], capture_output=True, text=True, check=False
        )
        assert (found.returncode, found.stdout, found.stderr) == (0, "", "")


def test_supervisor_hands_every_text_on(build, tmp_path):
    command = supervisor_command(build / "supervisor/shop.conf", tmp_path)
    variables = [f"{name}={value}" for name, value in VARIABLES.items()]
    assert command[: len(variables) + len(WORDS) + 3] == [
        "env",
        *variables,
        "/opt/trace",
        *WORDS,
        "celery",
    ]


def supervisor_command(emitted: Path, folder: Path) -> list[str]:
    """The command of the worker `odd`, read by supervisor itself."""
    main = folder / "main.conf"
    main.write_text(
        f"[supervisord]\nlogfile={folder}/log\npidfile={folder}/pid\nchildlogdir={folder}\n"
        f"[include]\nfiles={emitted}\n",
        "utf-8",
    )
    options = ServerOptions()
    options.realize(["-c", str(main)])
    processes = [process for group in options.process_group_configs for process in group.process_configs]
    (worker,) = (process for process in processes if process.name.startswith("shop-odd_"))
    return shlex.split(worker.command)


def test_systemd_hands_every_text_on(build, tmp_path):
    units = tmp_path / "etc/systemd/system"
    units.mkdir(parents=True)
    for path in (build / "systemd").iterdir():
        (units / path.name).write_text(path.read_text("utf-8"), "utf-8")
    for other in ("sysinit", "basic", "shutdown", "network-online", "multi-user"):
        (units / f"{other}.target").write_text("[Unit]\n", "utf-8")
    for program in ("opt/trace", "bin/kill"):
        (tmp_path / program).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / program).touch(mode=0o755)
    command = [
        needs("systemd-analyze"),
        f"--root={tmp_path}",
        "verify",
        "--man=no",
        "shop-worker-odd@1.service",
    ]
    found = [
        subprocess.run(
            command,
            env={**os.environ, "SYSTEMD_LOG_LEVEL": level, "SYSTEMD_PAGER": "", "LC_ALL": "C.UTF-8"},
            capture_output=True,
            text=True,
            check=False,
        )
        for level in ("info", "debug")
    ]
    assert (found[0].returncode, found[0].stdout + found[0].stderr) == (0, "")
    unit = next(
        part for part in found[1].stdout.split("-> Unit ") if part.startswith("shop-worker-odd@1.service:")
    )
    environment = dict(re.findall(r"^\s*Environment: (\w+)=(.*)$", unit, re.MULTILINE))
    assert {name: environment[name] for name in VARIABLES} == VARIABLES
    (line,) = re.findall(r"-> ExecStart:\n\s*Command Line: (.*)$", unit, re.MULTILINE)
    # It prints the words quoted for a shell, with `$` still doubled.
    shell = subprocess.run(["sh", "-c", f"printf '%s\\0' {line}"], capture_output=True, text=True, check=True)
    words = [word.replace("$$", "$") for word in shell.stdout.split("\0")]
    assert words[: len(WORDS) + 1] == ["/opt/trace", *WORDS]


def test_prometheus_takes_the_rules(build):
    for name in ("rules", "tests"):
        assert yaml.safe_load((build / f"prometheus/shop.queues.{name}.yaml").read_text("utf-8"))
    found = subprocess.run(
        [needs("promtool"), "check", "rules", *(build / "prometheus").glob("*.rules.yaml")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout + found.stderr


def test_routing_json_has_every_name(build):
    document = json.loads((build / "routing.json").read_text("utf-8"))
    assert set(document["tasks"]) == set(TASKS)
    assert [entry["match"] for entry in document["patterns"]] == [PATTERN]


def test_the_plan_has_every_text(build):
    plan = json.loads((build / "plan.json").read_text("utf-8"))["settings"]
    assert plan["worker:odd"]["environment"]["value"] == VARIABLES
    assert plan["schedule:odd"]["kwargs"]["value"] == BY_TEXT
    assert {name: plan[f"task:{name}"]["description"]["value"] for name in TASKS} == TASKS


def test_a_reader_of_markdown_shows_every_description_as_it_was_written(build):
    text = (build / "ROUTING.md").read_text("utf-8")
    descriptions = {row[0]: row[-1] for row in markdown_rows(text) if row[0].startswith("shop.odd")}
    # A cell of a table has no blanks at its ends.
    assert descriptions == {name: description.strip() for name, description in TASKS.items()}


def markdown_rows(text: str) -> Iterator[list[str]]:
    """The cells of every table, as a reader of the rendered page sees them."""
    row: list[str] = []
    for token in MarkdownIt("commonmark", {"html": True}).enable("table").parse(text):
        if token.type == "tr_open":
            row = []
        elif token.type == "inline":
            shown = {child.type for child in token.children} - {"text", "text_special", "code_inline"}
            row.append("".join(child.content for child in token.children) if not shown else f"{shown}")
        elif token.type == "tr_close":
            yield row


def test_no_command_prints_what_a_terminal_obeys_or_hides(build):
    source = str(build.parent / "workload.yaml")
    for arguments in (
        ["check", source],
        ["explain", source],
        ["explain", source, "worker:odd"],
        ["explain", source, "worker:odd/environment"],
        ["explain", source, "schedule:odd/kwargs"],
        ["explain", source, "schedule:odd", "--output-format", "json"],
    ):
        found = CliRunner().invoke(cli, arguments)
        assert found.exit_code == 0, found.output
        assert found.stdout.replace("\n", "").isprintable()


line_texts = st.text(st.characters(exclude_categories=("C", "Z"), include_characters=" "), max_size=40)
any_texts = st.text(
    st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp"), exclude_characters="\ufeff\ufffe\uffff"),
    max_size=40,
).filter(lambda text: "://" not in text)


@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(line=line_texts.filter(str.isprintable), text=any_texts, key=any_texts)
def test_any_text_arrives_unchanged(line, text, key, tmp_path_factory):
    folder = tmp_path_factory.mktemp("any")
    data = {
        **WORKLOAD,
        "broker": {
            "transport": "redis",
            "url": "${CELERY_BROKER_URL}",
            "options": {"global_keyprefix": text},
        },
        "celery": {},
        "tasks": {"shop.odd": {"description": line, "queue": "shop.odd"}},
        "queues": {"shop.odd": {"arguments": {f"x{key}": text}}},
        "workers": {"odd": {"queues": ["shop.odd"], "environment": {"VALUE": line}}},
        "schedules": {"odd": {"task": "shop.odd", "every": "5m", "kwargs": {key: text}}},
    }
    build = compiled(folder, data)
    app = configured_app(build, URLS)
    assert app.conf.beat_schedule["odd"]["kwargs"] == {key: text}
    assert app.conf.broker_transport_options["global_keyprefix"] == text
    assert app.amqp.queues["shop.odd"].queue_arguments[f"x{key}"] == text
    assert started(build / "launch/odd.sh", folder).environment["VALUE"] == line
    assert f"VALUE={line}" in supervisor_command(build / "supervisor/shop.conf", folder)
    rows = {row[0]: row[-1] for row in markdown_rows((build / "ROUTING.md").read_text("utf-8"))}
    assert rows["shop.odd"] == line.strip()


SECRETS = {
    title: case for title, case in cases().items() if any(PASSWORD in text for text in case.files.values())
}


@pytest.mark.parametrize("output_format", FORMATS)
@pytest.mark.parametrize("case", SECRETS.values(), ids=SECRETS)
def test_a_password_is_refused_and_never_shown(case, output_format, tmp_path, monkeypatch):
    paths = [path.name for path in case.written(tmp_path)]
    monkeypatch.chdir(tmp_path)
    environment = [] if case.environment is None else ["--env", case.environment]
    commands = [["compile", *paths], ["check", *paths]]
    if output_format in {"full", "json"}:
        commands += [["explain", *paths], ["explain", *paths, "app"]]
    for command in commands:
        found = CliRunner().invoke(cli, [*command, *environment, "--output-format", output_format])
        assert found.exit_code == 1, found.output
        assert "contains credentials" in found.stdout
        assert PASSWORD not in found.output
    assert not Path("build").exists()


@pytest.mark.parametrize(
    "line",
    [
        "tasks: {t: {description: redis://:hunter2@h, description: x}}",
        "tasks: [redis://:hunter2@h",
        'tasks: "redis://:hunter2@h',
        "? redis://:hunter2@h",
        "redis://:hunter2@h: {redis://:hunter2@h: 1, redis://:hunter2@h: 2}",
        "tasks: !redis://:hunter2@h {}",
        "tasks: *redis://:hunter2@h",
        "redis://:hunter2@h",
        "service: redis://:hunter2@h # redis://:hunter2@h",
        'broker: {url: "redis:\\/\\/:hunter2@h", transport: redis}',
    ],
)
@pytest.mark.parametrize("output_format", FORMATS)
def test_a_password_in_a_text_that_is_no_workload_is_never_shown(line, output_format, tmp_path):
    path = tmp_path / "workload.yaml"
    path.write_text(f"{line}\n", "utf-8")
    found = CliRunner().invoke(cli, ["check", str(path), "--output-format", output_format])
    assert found.exit_code == 1, found.output
    assert PASSWORD not in found.output


def test_a_user_without_a_password_is_emitted_and_not_shown(tmp_path):
    address = "https://0123abcd@errors.example.com/1"
    path = tmp_path / "workload.yaml"
    needed = "\n".join(NEEDED.values())
    path.write_text(
        f"{needed}\ntasks: {{shop.mail.send: {{queue: mail}}}}\n"
        f"workers: {{mail: {{queues: [mail], environment: {{ERRORS_DSN: '{address}'}}}}}}\n",
        "utf-8",
    )
    (script,) = (file.text for file in compile_workload([path]).files if file.path == "launch/mail.sh")
    assert f"export ERRORS_DSN={address}\n" in script
    for more in ([], ["--output-format", "json"]):
        found = CliRunner().invoke(cli, ["explain", str(path), "worker:mail/environment", *more])
        assert found.exit_code == 0, found.output
        assert "https://***@errors.example.com/1" in found.stdout
        assert "0123abcd" not in found.output


@pytest.mark.parametrize(
    "text",
    [
        "https://example.com:8080/a?mail=me@example.com",
        "https://example.com/@me:here",
        "mailto:me:you@example.com",
        "redis://redis.internal:6379",
        "10:30 @ the office, see http://wiki",
        "http://[::1]:8080/@me",
    ],
)
def test_an_address_without_a_password_is_no_secret(text, tmp_path):
    path = tmp_path / "workload.yaml"
    needed = "\n".join(NEEDED.values())
    path.write_text(f"{needed}\ntasks: {{shop.mail.send: {{description: '{text}'}}}}\n", "utf-8")
    assert compile_workload([path]).diagnostics == []


@pytest.mark.parametrize("output_format", FORMATS)
@pytest.mark.parametrize(
    "line",
    [
        "broker: {transport: redis, url: '${U}', options: {sentinel_kwargs: {password: hunter2}}}",
        "celery: {settings: {redis_password: hunter2}}",
        "workers: {w: {environment: {DB_PASSWORD: 'hunter2 and more', MODE: x}}}",
        "workers: {w: {environment: {DJANGO_SECRET_KEY: hunter2}}}",
        "schedules: {s: {task: t, every: 1h, kwargs: {token: hunter2}}}",
        'environments: {prod: {workers: {w: {environment: {"API-KEY": "hunter2"}}}}}',
    ],
)
def test_a_value_that_is_called_a_secret_is_refused_and_never_shown(line, output_format, tmp_path):
    path = tmp_path / "workload.yaml"
    section = line.partition(":")[0]
    needed = "\n".join(text for key, text in NEEDED.items() if key != section)
    path.write_text(f"{needed}\n{line}\n", "utf-8")
    found = CliRunner().invoke(cli, ["check", str(path), "--output-format", output_format])
    assert found.exit_code == 1
    assert "secret-value" in found.stdout
    assert "hunter2" not in found.output


@pytest.mark.parametrize(
    "entry", ["token_type: bearer", "password_reset: true", "tokens: [1]", "secrets: {}"]
)
def test_a_name_that_only_resembles_a_secret_is_none(entry, tmp_path):
    path = tmp_path / "workload.yaml"
    needed = "\n".join(NEEDED.values())
    schedule = f"schedules: {{s: {{task: shop.refresh_token, every: 1h, kwargs: {{{entry}}}}}}}"
    path.write_text(f"{needed}\ntasks: {{shop.refresh_token: }}\n{schedule}\n", "utf-8")
    assert compile_workload([path]).diagnostics == []
