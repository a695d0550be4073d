"""Real applications go through `import`; what is compiled does what they do today, setting by setting.

The oracle is Celery: each application is loaded with its own settings, and again with the compiled ones.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import click
import pytest
from celery.bin.beat import beat
from celery.bin.celery import celery
from celery.bin.worker import worker
from corpus_apps import NAMES, write_application
from places import APPS, SUPPORT
from tools import stand_in

from policycompiler import adoption
from policycompiler.adoption import Adopted, Sources
from policycompiler.compiler import compile_workload


class Case(NamedTuple):
    """An application: its apps, the files that start it, and its environment."""

    apps: tuple[str, ...]
    commands: tuple[str, ...]
    environment: dict[str, str]


CASES = {
    "library": Case(
        ("library",),
        ("supervisor.conf",),
        {
            "DJANGO_SETTINGS_MODULE": "library.settings",
            "LIBRARY_DATABASE": "/nowhere/library.sqlite3",
            "CELERY_BROKER_URL": "redis://127.0.0.1:1/0",
            "CELERY_RESULT_BACKEND": "redis://127.0.0.1:1/1",
        },
    ),
    "courier": Case(("courier.app",), ("courier.service", "Procfile"), {}),
    "studio": Case(("studio.primary", "studio.light"), ("start.sh",), {}),
}

EXPLAINED = {
    "library": {
        # A route has the priority today; with the annotation a message has the same one.
        ("tasks", "loans.tasks.export_catalog", "priority"): (None, 6),
        # The scheduler ignores this option today; the import says so.
        ("schedules", "overdue-reminders", "4", "expires"): (3600, None),
    },
    # The route of these tasks has another key than their queue; the import says so.
    "courier": {
        ("messages", name, "routing_key"): ("parcels.all", "parcels.#")
        for name in ("courier.parcels.deliver", "courier.parcels.track")
    },
    # A flag of the worker says it, as the test of the commands shows.
    "studio": {("settings", "worker_prefetch_multiplier"): (8, 1)},
}
"""Where today and what is compiled differ, each with both values."""


@pytest.fixture(params=CASES)
def name(request, monkeypatch) -> str:
    for variable, value in CASES[request.param].environment.items():
        monkeypatch.setenv(variable, value)
    return request.param


def adopt(name: str, *, backwards: bool = False) -> Adopted:
    commands = CASES[name].commands
    return adopt_folder(APPS / name, CASES[name].apps, commands[::-1] if backwards else commands)


def adopt_folder(folder: Path, apps: Sequence[str], commands: Sequence[str]) -> Adopted:
    sources = Sources(
        apps,
        sys.executable,
        django=False,
        rows=False,
        commands=[folder / each for each in commands],
        source=[Path()],
        measured=[],
        folder=folder,
    )
    return adoption.adopt(sources, None)


@pytest.fixture
def build(name, tmp_path) -> Path:
    return compiled(adopt(name), tmp_path)


def compiled(adopted: Adopted, folder: Path) -> Path:
    """What the imported folder compiles to, written as a compile writes it."""
    adoption.write(adopted.files, folder / "adopted")
    made = compile_workload([folder / "adopted/workloads"], policy=folder / "adopted/policy.yaml")
    assert not made.failed, made.diagnostics
    for file in made.files:
        path = folder / "build" / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.text, encoding="utf-8")
    return folder / "build"


def effective(folder: Path, app: str, *words: str, build: Path | None = None) -> dict:
    done = subprocess.run(
        [sys.executable, str(SUPPORT / "effective_app.py"), app, *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(build or "")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def differences(before: object, after: object, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], tuple]:
    if isinstance(before, dict) and isinstance(after, dict):
        found: dict[tuple[str, ...], tuple] = {}
        for key in sorted({*before, *after}):
            found |= differences(before.get(key), after.get(key), (*path, key))
        return found
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        found = {}
        for number, (old, new) in enumerate(zip(before, after, strict=True)):
            found |= differences(old, new, (*path, str(number)))
        return found
    return {} if before == after else {path: (before, after)}


def test_what_is_compiled_does_what_is_done_today(name, build):
    for app in CASES[name].apps:
        folder = APPS / name
        found = differences(effective(folder, app), effective(folder, app, "adopted", build=build))
        unexplained = {path: both for path, both in found.items() if EXPLAINED[name].get(path) != both}
        assert not unexplained, app


COMMANDS = {
    "library": {
        # Two processes of one name confuse remote control, so a number is added.
        "library-worker": "-A library worker -Q default,mail -c 4 --max-tasks-per-child=200 -l INFO -n web.1@%h",
        "library-slow": "-A library worker -Q slow -c 1 --prefetch-multiplier=1 -l INFO -n slow@%h",
        "beat": "-A library beat",
    },
    "courier": {
        "courier": "-A courier.app worker -Q parcels,invoices,celery -c 3 -E -O fair --without-gossip",
        "audit": "-A courier.app worker -Q audit --autoscale=6,2 -n audit@%h",
        "beat": "-A courier.app beat",
    },
    "studio": {
        "render": "-A studio.primary worker -P threads -c 4 -Q render,studio -n render@%h --without-mingle",
        "io": "-A studio.light worker -P gevent -c 100 -Q io -n io@%h --prefetch-multiplier 8",
    },
}
"""The commands of today, without what the process manager alone needs."""
_OF_BEAT = ("loglevel", "pidfile", "schedule", "scheduler")
"""What the compiled command of beat says in its own way; the settings have the scheduler."""


def parsed(words: list[str]) -> dict[str, object]:
    """The words of a command, by Celery's own parsers."""
    general, rest, _ = celery.make_parser(click.Context(celery)).parse_args(list(words))
    command = {"worker": worker, "beat": beat}[rest[0]]
    options, extra, _ = command.make_parser(click.Context(command)).parse_args(rest[1:])
    assert not extra
    left_out = _OF_BEAT if rest[0] == "beat" else ()
    return {"app": general["app"], **{key: value for key, value in options.items() if key not in left_out}}


def test_each_worker_is_started_as_it_is_today(name, build, tmp_path):
    started = stand_in(tmp_path)
    path = f"{started.folder}{os.pathsep}{os.environ['PATH']}"
    seen = {}
    for script in sorted((build / "launch").iterdir()):
        before = {start.pid for start in started.starts()}
        subprocess.run(["sh", str(script)], env={**os.environ, "PATH": path}, check=True)
        (start,) = [each for each in started.starts() if each.pid not in before]
        seen[script.stem] = parsed(start.arguments)
    assert seen == {worker: parsed(text.split()) for worker, text in COMMANDS[name].items()}


def test_an_import_does_not_depend_on_the_order_of_its_sources(name):
    assert adopt(name).files == adopt(name, backwards=True).files


OF_CORPUS = {
    # A soft limit above the hard one has no effect; the compiled configuration leaves it out.
    ("intelowl", "messages", "intel_owl.tasks.remove_old_jobs", "timelimit", "1"): "soft-over-hard",
    ("intelowl", "tasks", "intel_owl.tasks.remove_old_jobs", "soft_time_limit"): "soft-over-hard",
}
"""The finding that says each difference."""


@pytest.mark.parametrize("deployment", NAMES)
def test_each_deployment_of_the_corpus_stays_as_it_is(deployment, tmp_path):
    write_application(deployment, tmp_path)
    adopted = adopt_folder(tmp_path, ["application"], ["start.sh"])
    build = compiled(adopted, tmp_path)
    found = differences(
        effective(tmp_path, "application"), effective(tmp_path, "application", "adopted", build=build)
    )
    told = {each.name for each in adopted.compilation.diagnostics}
    for path, both in found.items():
        finding = OF_CORPUS.get((deployment, *path))
        assert finding in told, (path, both)
