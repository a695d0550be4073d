"""What emitted files say to whoever reads them: comments and the order of keys are left out."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import pytest
import yaml
from celery import signals
from celery.schedules import BaseSchedule
from kombu import Exchange, Queue

from policycompiler import emitters
from policycompiler.emitters.base import OutputFile
from policycompiler.plan import Plan, Scope


def exact(value: object) -> object:
    """A value that is only equal to the same one: to Python, true is 1."""
    if isinstance(value, dict):
        return {key: exact(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [exact(inner) for inner in value]
    return (isinstance(value, bool), value)


def meanings(plan: Plan) -> dict[str, tuple[object, frozenset[tuple[Scope, str]]]]:
    """What each emitted file says to who reads it, and the settings that it shows."""
    return {file.path: (meaning(file), file.settings) for file in emitters.emit(plan)}


def meaning(file: OutputFile) -> object:
    if file.path == "celeryconfig.py":
        return configuration(file.text)
    if file.path == "plan.json":
        scopes = json.loads(file.text)["settings"].items()
        return {scope: {key: exact(each["value"]) for key, each in inner.items()} for scope, inner in scopes}
    if file.path.endswith(".json"):
        return exact(json.loads(file.text))
    if file.path.endswith(".yaml"):
        documents = list(yaml.load_all(file.text, yaml.CSafeLoader))
        return exact(documents[0] if len(documents) == 1 else documents)
    if file.path.endswith(".md"):
        return file.text
    return [
        line for line in file.text.splitlines() if line.strip() and not line.lstrip().startswith(("#", ";"))
    ]


def configuration(text: str) -> dict[str, object]:
    """The settings that Celery gets from a celeryconfig.py, and what its functions go by."""
    values: dict[str, object] = {"__name__": "celeryconfig"}
    with pytest.MonkeyPatch.context() as patch:
        for name in ("CELERY_BROKER_URL", "R", "S"):
            patch.setenv(name, f"memory://{name}")
        # What keeps dead letters is for workers.
        patch.setitem(sys.modules, "celeryconfig_dead_letters", SimpleNamespace(keep=lambda _: None))
        # Nor is what guards do; what they are told is compared.
        guarded = SimpleNamespace(serializer="guarded", route="refuses", annotate=lambda _: {})
        patch.setitem(sys.modules, "celeryconfig_guards", SimpleNamespace(guard=lambda _: guarded))
        exec(compile(text, "celeryconfig.py", "exec"), values)
    # What it connects to Celery's signals is for the processes that load it, and this is none.
    for signal in (signals.worker_init, signals.worker_process_init):
        signal.disconnect(dispatch_uid="celeryconfig-renamed")
    signals.before_task_publish.disconnect(dispatch_uid="celeryconfig-sent-as")
    told = {"_dead_letters", "_guards", "_patterns", "_renamed", "_sent_as"}
    return {
        name: plain(value)
        for name, value in values.items()
        if (name.islower() and not name.startswith("_") and not callable(value)) or name in told
    }


def plain(value: object) -> object:  # noqa: PLR0911 - one for each type
    """A value in a form that can be compared."""
    if isinstance(value, Queue):
        dead = getattr(value, "dead", None)
        name = value.alias or value.name
        given = (value.queue_arguments, value.consumer_arguments, value.no_declare, value.routing_key)
        return (type(value).__name__, name, plain(value.exchange), plain([*given]), dead and plain(dead))
    if isinstance(value, Exchange):
        return (value.name, value.type)
    if isinstance(value, BaseSchedule):
        return (repr(value), str(getattr(value, "tz", "")))
    if isinstance(value, type):
        return value.__qualname__
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if value is None or isinstance(value, bool | int | float | str):
        return exact(value)
    return type(value).__name__
