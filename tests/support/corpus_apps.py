"""The deployments of the corpus as applications: what their fact sheets say, as code and commands."""

from __future__ import annotations

import shlex
from pathlib import Path
from pprint import pformat
from typing import Any

import yaml
from places import CORPUS

NAMES = sorted(folder.name for folder in CORPUS.iterdir() if (folder / "workload.yaml").exists())
URLS = {"redis": "redis://127.0.0.1:1/0", "rabbitmq": "amqp://guest:guest@127.0.0.1:1//", "sqs": "sqs://"}

_APP = '''\
"""An application of the corpus."""

from celery import Celery
from celery.schedules import crontab

app = Celery("corpus", broker={broker!r})
app.conf.update({settings})
app.conf.task_routes = {routes}
app.conf.beat_schedule = {{
{schedules}}}


def nothing(*args, **kwargs):
    """Do nothing."""


for name, options in {tasks}.items():
    for option in ("autoretry_for", "dont_autoretry_for", "throws"):
        if option in options:
            options[option] = (OSError,)
    app.task(nothing, name=name, **options)
'''
_FLAGS = {
    "max_tasks_per_child": "--max-tasks-per-child",
    "prefetch_multiplier": "--prefetch-multiplier",
    "loglevel": "--loglevel",
    "optimization": "-O",
}


def write_application(name: str, folder: Path) -> None:
    """Write `application.py` and `start.sh` of a deployment."""
    facts = yaml.safe_load((CORPUS / name / "workload.yaml").read_text("utf-8"))
    usual = (facts.get("defaults") or {}).get("queue")
    entries = {task: fields or {} for task, fields in facts["tasks"].items() if "*" not in task}
    queues = {task: fields.get("queue", usual) for task, fields in entries.items()}
    text = _APP.format(
        broker=URLS[facts["broker"]["transport"]],
        settings=pformat(_settings(facts)),
        routes=pformat({task: {"queue": queue} for task, queue in queues.items() if queue}),
        schedules="".join(_schedule(each, fields) for each, fields in (facts.get("schedules") or {}).items()),
        tasks=pformat({task: dict(fields.get("options") or {}) for task, fields in entries.items()}),
    )
    (folder / "application.py").write_text(text, encoding="utf-8")
    commands = [_command(each, fields or {}) for each, fields in (facts.get("workers") or {}).items()]
    (folder / "start.sh").write_text("\n".join(["#!/bin/sh", *commands, ""]), encoding="utf-8")


def _settings(facts: dict[str, Any]) -> dict[str, Any]:
    settings = dict((facts.get("celery") or {}).get("settings") or {})
    settings["broker_transport_options"] = dict(facts["broker"].get("options") or {})
    # An eager app sends nothing to compare, and the modules of the real application are not here.
    return {
        key: value
        for key, value in settings.items()
        if key not in ("task_always_eager", "imports", "include")
    }


def _schedule(name: str, fields: dict[str, Any]) -> str:
    when = (
        repr(float(str(fields["every"]).rstrip("s")))
        if str(fields.get("every", "")).endswith("s")
        else "3600.0"
    )
    if "cron" in fields:
        keys = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")
        when = f"crontab({', '.join(f'{key}={part!r}' for key, part in zip(keys, fields['cron'].split(), strict=True))})"
    entry = {key: fields[key] for key in ("task", "args", "kwargs", "options") if key in fields}
    return f"    {name!r}: {{**{entry!r}, 'schedule': {when}}},\n"


def _command(name: str, fields: dict[str, Any]) -> str:
    slots = fields.get("concurrency")
    words = [
        "celery",
        "-A",
        "application",
        "worker",
        "-Q",
        ",".join(fields.get("queues") or [name]),
        "-n",
        f"{name}@%h",
    ]
    words += ["-P", fields["pool"]] if "pool" in fields else []
    if isinstance(slots, dict):
        words += [f"--autoscale={slots['max']},{slots['min']}"]
    elif slots:
        words += ["-c", str(slots)]
    for key, value in (fields.get("options") or {}).items():
        words += (
            [f"--{key.replace('_', '-')}"] if value is True else [_FLAGS.get(key, f"--{key}"), str(value)]
        )
    return shlex.join(words)
