"""Damaged workloads: each is refused with places or compiled to valid files, never an exception.

Two thousand in each run; ten thousand with `CASES_PER_SEED=500`.

And inputs of a size that should end a naive reader, in a process that may use one gibibyte.
"""

from __future__ import annotations

import ast
import configparser
import copy
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import yaml
from error_cases import NEEDED
from places import EXAMPLES
from yaml_texts import ReferenceLoader

from policycompiler.compiler import Compilation, compile_workload
from policycompiler.load import lines_of
from policycompiler.report import FORMATS, render
from policycompiler.report.findings import located

SEEDS = 20
CASES_PER_SEED = int(os.environ.get("CASES_PER_SEED", "100"))
LONGEST_CASE_SECONDS = 10
MOST_BYTES = 1024**3


WHOLE_LANGUAGE = """\
version: 1
service: shop
app: shop.celery_app:app
owner: storefront
celery: {version: "5.7", settings: {task_track_started: true, result_extended: false}}
broker: {transport: redis, url: "${CELERY_BROKER_URL}", visibility_timeout: 4h, options: {max_retries: 3}}
results: {backend: redis, url: "${CELERY_RESULT_BACKEND}", keep: 1h}
defaults: &defaults {work: io, latency: standard}
tasks:
  shop.mail.send:
    description: Says hello, “warmly”.
    latency: interactive
    idempotent: true
    runtime: {p50: 300ms, p99: 3s}
    rate: {mean: 5/s, peak: 40/s}
    retry: {on: [smtplib.SMTPServerDisconnected, ConnectionError], max: 5, max_delay: 5m}
    result: ignore
    payload: 64KiB
    runbook: https://wiki.example.com/mail
  shop.reports.*: {latency: batch, work: cpu, idempotent: true, runtime: 40s, memory: 600MiB}
  shop.search.reindex: {queue: search, max_countdown: 1m, options: {rate_limit: 10/m, priority: 3}}
  shop.partner.push: {external: true, queue: partner-inbox, retry: none}
  shop.null:
queues:
  search: {}
  partner-inbox: {external: true}
workers:
  search:
    queues: [search]
    pool: prefork
    concurrency: {min: 2, max: 10}
    replicas: 2
    memory: 2GiB
    stop_timeout: 10m
    options: {max_tasks_per_child: 500, without_gossip: true}
    command_prefix: [nice]
    environment: {MALLOC_ARENA_MAX: "2", GREETING: "100% €"}
schedules:
  nightly: {task: shop.reports.nightly, cron: "0 3 * * *", timezone: Europe/Paris, kwargs: {full: true}}
  often: {task: shop.mail.send, every: 5m, args: [1, {a: [b]}], options: {priority: 5}}
  at-dusk: {task: shop.null, solar: {event: sunset, latitude: 48.8, longitude: 2.3}, enabled: false}
beat: {host: app-1}
hosts: {app-1: {cores: 8, memory: 16GiB, workers: {search: 2}}}
waivers: [{finding: missing-runtime, at: tasks.*, reason: old, owner: platform, expires: 2027-03-31}]
environments: {staging: {workers: {search: {replicas: 1}}}}
"""

TEXTS = [
    *(path.read_text("utf-8") for path in (EXAMPLES / "minimal.yaml", EXAMPLES / "shop" / "base.yaml")),
    *[WHOLE_LANGUAGE] * 4,
]

ODD_SCALARS: list[object] = [
    None, True, False, 0, 1, -1, 7, 2**31, 10**17, 0.5, -0.0, 1e300, "", " ", "x", "none", "null", "~", "*",
    "-", "1", "5s", "1h 30m", "10/s", "2GiB", "0s", "999999999999d", "0.000000001s",
    "999999999999.999999999d", "0/s", "999999999999/s", "0B", "999999999999TiB", "../..", "--help", "${X}",
    "${X", "$(id)", "`id`", "%h", "%(here)s", "{{ x }}", "{% x %}", "a'b", 'a"b', "a\\", "a\nb", "a|b",
    "a;b", "#a", "<b>", "*/", '"""', "\\N{DASH}", "a,b", "é", "😀", "\u202eabc", "\u200b", "\u00a0",
    "a\u0301", "\u0430pp", "\uff03", "x" * 101, "x" * 501, "x" * 5000, "amq.x", "* * * * *", "*/0 * * * *",
    "0 0 30 2 *", "61 * * * *", "@daily", "UTC", "Mars/Olympus", "sunrise", "http://x", "https://a:b@c",
    "redis://h", "amqp://u:p@h//", "prefork", "gevent", "solo", "a.b:C", "celery.beat:Scheduler",
    "ConnectionError", "class", "a.class", "os.path", "5.7", "4.0", "99.99", "beat", "celery", "shop",
    "search", "chord", "quorum", "fanout", "PC101", "2027-03-31", "interactive", "batch", "io", "cpu",
    "keep", "pickle",
]  # fmt: skip

ODD_BYTES = [
    b"\x00", b"\xff", b"\xc3", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\t", b"\r", b"\r\n", b"\n\n", b"\n  ",
    b"'", b'"', b"{", b"}", b"[", b"]", b": ", b"- ", b"? ", b"#", b"&a ", b"*a", b"!!int ", b"| ", b"> ",
    b"---\n", b"...\n", b"%TAG\n", b"<<: ", b",", b"@", b"`", b"\x1b[31m", "\u2028".encode(),
    "\u202e".encode(), "😀".encode(), b"\x85", b"~", b"0x1", b"1e3", b"\\", b"\x7f", b" ", b"version: 1\n",
    b"tasks:\n", b"  shop.mail.send: {}\n",
]  # fmt: skip

Data = dict[str, object] | list[object]


def containers(data: object) -> Iterator[Data]:
    """Every mapping and list that holds something."""
    if isinstance(data, dict | list) and data:
        yield data
        for inner in data.values() if isinstance(data, dict) else data:
            yield from containers(inner)


def odd_value(choices: random.Random, depth: int = 0) -> object:
    if depth < 3 and choices.random() < 0.2:
        inner = [odd_value(choices, depth + 1) for _ in range(choices.randrange(4))]
        keys = [str(choices.choice(ODD_SCALARS)) for _ in inner]
        return inner if choices.random() < 0.5 else dict(zip(keys, inner, strict=True))
    return choices.choice(ODD_SCALARS)


def change_key(key: str, choices: random.Random) -> str:
    if choices.random() < 0.2:
        return str(choices.choice(ODD_SCALARS))
    at = choices.randrange(len(key) + 1)
    return key[:at] + choices.choice(["", "x", "_", " ", "é", "*", "/"]) + key[at + choices.randrange(2) :]


def damage_data(data: object, choices: random.Random) -> None:
    """One change of the tree: another value, another key, something gone, repeated or moved."""
    found = list(containers(data))
    part = choices.choice(found)
    keys: list[object] = list(part) if isinstance(part, dict) else list(range(len(part)))
    key = choices.choice(keys)
    match choices.randrange(6):
        case 0 | 1:
            part[key] = odd_value(choices)  # type: ignore[index,call-overload]
        case 2:
            del part[key]  # type: ignore[arg-type]
        case 3 if isinstance(part, dict):
            part[change_key(str(key), choices)] = copy.deepcopy(part[str(key)])
        case 4 if isinstance(part, dict):
            part[change_key(str(key), choices)] = part.pop(str(key))
        case _:
            part[key] = copy.deepcopy(choices.choice(found))  # type: ignore[index,call-overload]


def damaged_tree(text: str, choices: random.Random) -> bytes:
    data = yaml.load(text, ReferenceLoader)
    for _ in range(choices.choice([1, 1, 1, 2, 3, 8])):
        if not data:
            break
        damage_data(data, choices)
    dumped = yaml.safe_dump(data, allow_unicode=choices.random() < 0.5, sort_keys=False)
    return dumped.encode("utf-8", "surrogatepass")


def damaged_lines(text: str, choices: random.Random) -> bytes:
    """Lines gone, doubled, moved, indented differently."""
    lines = text.splitlines(keepends=True)
    for _ in range(choices.choice([1, 1, 2, 5])):
        at = choices.randrange(len(lines))
        match choices.randrange(4):
            case 0:
                del lines[at]
            case 1:
                lines.insert(choices.randrange(len(lines) + 1), lines[at])
            case 2:
                lines[at] = choices.choice(["", " ", "  ", "\t"]) + lines[at].lstrip(" ")
            case _:
                lines[at] = lines[at].replace(choices.choice([":", ",", "{", "}", '"', " "]), "", 1)
        lines = lines or [""]
    return "".join(lines).encode()


def damaged_bytes(text: str, choices: random.Random) -> bytes:
    data = bytearray(text.encode())
    for _ in range(choices.choice([1, 1, 2, 5, 20])):
        at = choices.randrange(len(data) + 1)
        data[at : at + choices.choice([0, 0, 1, 3])] = choices.choice(ODD_BYTES)
    if choices.random() < 0.2:
        del data[choices.randrange(len(data) + 1) :]
    return bytes(data)


def random_bytes(text: str, choices: random.Random) -> bytes:
    del text
    if choices.random() < 0.5:
        return choices.randbytes(choices.randrange(300))
    return b"".join(choices.choices(ODD_BYTES, k=choices.randrange(1, 60)))


def swollen(text: str, choices: random.Random) -> bytes:
    """A huge scalar or a deep nest in place of a value."""
    opening, closing = choices.choice([("[", "]"), ("{a: ", "}"), ('"', '"'), ("", "")])
    size = choices.choice([30, 33, 1000, 20_000])
    filling = "x" * size if opening in {'"', ""} else "1"
    huge = opening * (1 if filling != "1" else size) + filling + closing * (1 if filling != "1" else size)
    at = [index for index, sign in enumerate(text) if text[index : index + 2] == ": "]
    here = choices.choice(at) + 2
    return (text[:here] + huge + text[here:].lstrip("abcdefghijklmnopqrstuvwxyz0123456789.")).encode()


KINDS: list[Callable[[str, random.Random], bytes]] = [
    *[damaged_tree] * 9,
    *[damaged_lines] * 4,
    *[damaged_bytes] * 4,
    random_bytes,
    swollen,
]


@contextmanager
def bounded(seconds: int, what: bytes) -> Iterator[None]:
    """An error when the block takes longer: a hang must fail, not wait for somebody."""

    def give_up(*_: object) -> None:
        message = f"still at work after {seconds} s: {what[:2000]!r}"
        raise TimeoutError(message)

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def assert_is_refused_with_places(compilation: Compilation) -> None:
    findings = located(compilation.diagnostics, compilation.document)
    assert compilation.files == []
    assert any(finding.diagnostic.severity == "error" for finding in findings)
    lines = {file: lines_of(text) for file, text in compilation.document.texts.items()}
    for finding in findings:
        for place in (finding.place, *(related.place for related in finding.related)):
            assert place.file
            assert place.line >= 1
            assert place.column >= 1
            if place.file in lines:
                assert place.line <= len(lines[place.file])
                assert place.column <= len(lines[place.file][place.line - 1]) + 1


def assert_is_valid(path: str, text: str) -> None:
    """Whether a reader of such files takes one."""
    if path.endswith(".py"):
        ast.parse(text)
    elif path.endswith(".json"):
        json.loads(text)
    elif path.endswith(".yaml"):
        yaml.load(text, yaml.CSafeLoader)
    elif path.startswith("supervisor/"):
        configparser.RawConfigParser(strict=True).read_string(text)
    else:
        assert text.endswith("\n")
    assert not set(text) & set("\x00\x1b\u2028")


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_damaged_workload_is_refused_with_places_or_compiled_to_valid_files(seed, tmp_path):
    choices = random.Random(seed)
    path = tmp_path / "workload.yaml"
    compiled = 0
    for number in range(CASES_PER_SEED):
        data = choices.choice(KINDS)(choices.choice(TEXTS), choices)
        path.write_bytes(data)
        environment = "staging" if choices.random() < 0.1 else None
        with bounded(LONGEST_CASE_SECONDS, data):
            try:
                compilation = compile_workload([path], environment=environment)
                text = render(
                    compilation.diagnostics, compilation.document, FORMATS[number % 3], plan=compilation.plan
                )
            except Exception as bug:
                bug.add_note(f"seed {seed}, case {number}: {data[:5000]!r}")
                raise
        assert set(text.splitlines()[0]).isdisjoint("\x00\x1b")
        if compilation.failed:
            assert_is_refused_with_places(compilation)
            continue
        compiled += 1
        for file in compilation.files:
            assert_is_valid(file.path, file.text)
    assert 0 < compiled < CASES_PER_SEED


_WORKLOAD = "\n".join([*NEEDED.values(), ""])

BOMBS: dict[str, Callable[[], str]] = {
    "a million open brackets": lambda: "[" * 1_000_000,
    "a million open braces": lambda: "{a: " * 1_000_000,
    "fifteen million blanks": lambda: " " * 15_000_000,
    "fifteen million line breaks": lambda: "\n" * 15_000_000,
    "a text of fifteen million characters": lambda: (
        f"{_WORKLOAD}tasks: {{t: {{description: {'x' * 15_000_000}}}}}"
    ),
    "a key of fifteen million characters": lambda: f"{_WORKLOAD}? {'x' * 15_000_000}\n: 1\n",
    "a line of fifteen million characters": lambda: (
        f"{_WORKLOAD}tasks: {{t: {{work: x}}}} # {'x' * 15_000_000}"
    ),
    "the same key a million times": lambda: _WORKLOAD + "a: 1\n" * 1_000_000,
    "a million unknown keys": lambda: _WORKLOAD + "".join(f"k{number}: 1\n" for number in range(900_000)),
    "a million wrong waivers": lambda: f"{_WORKLOAD}waivers: [{'1,' * 900_000}]",
    "twenty thousand unknown settings": lambda: (
        f"{_WORKLOAD}celery: {{settings: {{{', '.join(f's{number}: 1' for number in range(20_000))}}}}}"
    ),
    "twenty thousand wrong tasks": lambda: (
        f"{_WORKLOAD}tasks:\n" + "".join(f"  t{number}: {{latncy: x, work: x}}\n" for number in range(20_000))
    ),
    "a thousand misspelled tasks in schedules": lambda: (
        f"{_WORKLOAD}tasks:\n"
        + "".join(f"  t{number}:\n" for number in range(1000))
        + "schedules:\n"
        + "".join(f"  s{number}: {{task: u{number}, every: 1d}}\n" for number in range(1000))
    ),
    "laughs to the ninth": lambda: (
        "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9))
    ),
    "a glob of many stars": lambda: (
        f"{_WORKLOAD}tasks: {{'{'a*' * 100}b': }}\nschedules: {{s: {{task: {'a' * 255}, every: 1d}}}}"
    ),
    "many directives": lambda: "%A\n" * 1_000_000,
    "many anchors": lambda: "".join(f"a{number}: &a{number} x\n" for number in range(300_000)),
    "a comment that never ends": lambda: "#" * 15_000_000,
    "many quotes": lambda: "'" * 1_000_000,
}

_CHECK = f"""
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, ({MOST_BYTES}, {MOST_BYTES}))
resource.setrlimit(resource.RLIMIT_CPU, (120, 120))
from policycompiler.cli import main
main()
"""


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_an_input_of_any_size_is_refused_within_a_gibibyte(bomb, tmp_path):
    path = tmp_path / "workload.yaml"
    path.write_text(bomb(), "utf-8")
    command = [sys.executable, "-c", _CHECK, "check", path.name, "--output-format", "json"]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert found.returncode == 1, found.stdout[:1000] + found.stderr[-3000:]
    findings = json.loads(found.stdout)["findings"]
    assert findings
    assert all(finding["line"] >= 1 and finding["column"] >= 1 for finding in findings)
    assert len(found.stdout) < 2_000_000
