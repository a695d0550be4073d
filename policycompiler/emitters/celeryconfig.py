"""`celeryconfig.py`: the settings of the app, for workers, beat and producers alike.

Plain Celery takes it with `app.config_from_object("celeryconfig")`; with a namespace its names carry the
prefix that Django settings need. It imports nothing but Celery, kombu, the standard library, and the
modules of the exceptions that tasks are retried on.
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from policycompiler.emitters.base import OutputFile, Raw, Reading, one_line, pattern_order, render
from policycompiler.plan import APP, Plan, Scope, Setting, Value

ID = "celeryconfig"

_GROUPS = (
    ("Broker", ("broker_",)),
    ("Delivery: safe for a task nobody declared; declared tasks have their own below", ("task_",)),
    ("Results", ("result_",)),
    ("Messages", ("accept_", "event_", "control_")),
    ("Workers", ("worker_",)),
    ("Everything else", ("",)),
)
_NOT_CELERYS = frozenset(
    {
        "app",
        "broker_transport",
        "broker_url",
        "broker_url_variable",
        "broker_version",
        "celery_version",
        "environment_file",
        "executable",
        "namespace",
        "owner",
        "result_backend",
        "result_backend_variable",
        "service",
        "state_directory",
        "user",
        "visibility_timeout_seconds",
        "working_directory",
    }
)
_CLASS_OPTIONS = frozenset({"autoretry_for", "dont_autoretry_for", "throws"})
_LINE = 100


class _Line(NamedTuple):
    """`name = value  # comment`; the value is Python, the comment one line of text or empty."""

    name: Raw
    value: Raw
    comment: Raw


class _Group(NamedTuple):
    title: Raw
    lines: list[_Line]


def emit(plan: Plan) -> Iterator[OutputFile]:
    """One module; compiled to prove that Python reads it."""
    reading = Reading(plan)
    prefix = str(reading.get(APP, "namespace") or "")
    exact, patterns = _tasks(reading)
    schedules = list(_schedules(reading))
    urls = list(_urls(reading))
    arguments = f'"celeryconfig", namespace="{prefix}"' if prefix else '"celeryconfig"'
    queues = reading.scopes("queue")
    routes = [(scope.name, _route(reading, scope)) for scope in _in_order(reading)]
    content: dict[str, object] = {
        "service": Raw(reading.text(APP, "service")),
        "written_for": Raw(_written_for(reading)),
        "use": Raw(f"app.config_from_object({arguments})"),
        "variables": [name for _, name, _ in urls if name],
        "imports": [Raw(line) for line in _imports(reading, plan)],
        "urls": [_Line(_name(key, prefix), value, Raw()) for key, _, value in urls],
        "groups": list(_groups(reading, prefix)),
        "queues_name": _name("task_queues", prefix),
        "queues": [Raw(_queue(reading, scope)) for scope in queues],
        "dead_letters": any(reading.get(scope, "dead_letter_queue") is not None for scope in queues),
        "broadcast": any(reading.value(scope, "broadcast") for scope in queues),
        "routes_name": _name("task_routes", prefix),
        "routes": routes,
        "annotations_name": _name("task_annotations", prefix),
        "annotations": exact,
        "patterns": patterns,
        "schedules_name": _name("beat_schedule", prefix),
        "schedules": schedules,
    }
    # Thousands of tasks share a few routes and options; to compile every line would take most of the memory.
    proof = {**content, "routes": _each_once(routes), "annotations": _each_once(exact)}
    compile(_module(proof), "celeryconfig.py", "exec", dont_inherit=True)
    yield reading.file("celeryconfig.py", _module(content))


def _module(content: Mapping[str, object]) -> str:
    return render("celeryconfig/celeryconfig.py.j2", python_literal, content)


def _each_once(entries: Sequence[tuple[str, Raw]]) -> list[tuple[str, Raw]]:
    """One entry of each value. Names are no risk: each is the literal of a text."""
    return [(name, value) for value, name in {value: name for name, value in entries}.items()]


def python_literal(value: object) -> str:
    """A value as Python on one line. Text passes through `repr`; expressions are already `Raw`."""
    if value is None or isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return repr(value)
    if isinstance(value, Raw):
        return value
    if isinstance(value, str):
        # Double quotes where repr would choose single ones, as formatters have it.
        text = ascii(value)
        return text if '"' in value or "'" in value else f'"{text[1:-1]}"'
    if isinstance(value, Mapping):
        # Sorted: the order of keys in a workload has no meaning.
        items = sorted(value.items())
        inner = ", ".join(f"{python_literal(key)}: {python_literal(item)}" for key, item in items)
        return f"{{{inner}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(python_literal(item) for item in value)}]"
    message = f"{value!r} has no Python literal"
    raise TypeError(message)


def _name(key: str, prefix: str) -> Raw:
    return Raw(f"{prefix}_{key}".upper() if prefix else key)


def _written_for(reading: Reading) -> str:
    """What must run for these settings to be the right ones."""
    broker, version = reading.text(APP, "broker_transport"), reading.get(APP, "broker_version")
    return f"Celery {reading.text(APP, 'celery_version')} on {broker}{f' {version}' if version else ''}"


def _urls(reading: Reading) -> Iterator[tuple[str, str, Raw]]:
    """Setting, environment variable (or empty) and value of each URL."""
    for key in ("broker_url", "result_backend"):
        variable = reading.get(APP, f"{key}_variable")
        literal = reading.get(APP, key)
        if isinstance(variable, str):
            yield key, variable, Raw(f"environ[{python_literal(variable)}]")
        elif literal is not None:
            yield key, "", Raw(python_literal(literal))


def _groups(reading: Reading, prefix: str) -> Iterator[_Group]:
    rest = set(reading.keys(APP)) - _NOT_CELERYS
    for title, prefixes in _GROUPS:
        mine = sorted(key for key in rest if key.startswith(prefixes))
        rest.difference_update(mine)
        if mine:
            lines = [_line(reading.setting(APP, key), prefix) for key in mine]
            yield _Group(Raw(f"{title} {'-' * (_LINE - len(title) - 3)}"), lines)


def _line(setting: Setting, prefix: str) -> _Line:
    value = python_literal(setting.value)
    if isinstance(setting.value, dict) and setting.value:
        items = (
            f"    {python_literal(key)}: {python_literal(item)},"
            for key, item in sorted(setting.value.items())
        )
        value = "{\n" + "\n".join(items) + "\n}"
    return _Line(_name(setting.key, prefix), Raw(value), Raw(f"{setting.policy}: {setting.because}"))


def _queue(reading: Reading, scope: Scope) -> str:
    name = python_literal(scope.name)
    arguments = {
        "queue_arguments": reading.value(scope, "arguments"),
        "consumer_arguments": reading.value(scope, "consumer_arguments"),
    }
    given = "".join(f", {key}={python_literal(value)}" for key, value in arguments.items() if value)
    exchange = python_literal(reading.value(scope, "exchange"))
    given = f", routing_key={python_literal(reading.value(scope, 'routing_key'))}{given}"
    kind = python_literal(reading.value(scope, "exchange_type"))
    if reading.value(scope, "broadcast"):
        own = python_literal(f"{scope.name}.")
        given += f", alias={name}, auto_delete=True"
        return f"ToEverybody({own} + str(uuid4()), Exchange({exchange}, type={kind}){given})"
    if reading.value(scope, "external"):
        given += ", no_declare=True"
    if reading.get(scope, "dead_letter_queue") is None:
        return f"Queue({name}, Exchange({exchange}, type={kind}){given})"
    dead = python_literal(reading.value(scope, "dead_letter_queue"))
    letters = python_literal(reading.value(scope, "dead_letter_arguments"))
    given += f", dead=Queue({dead}, queue_arguments={letters})"
    return f"WithDeadLetters({name}, Exchange({exchange}, type={kind}){given})"


def _route(reading: Reading, scope: Scope) -> Raw:
    """Also for producers that do not have the task, to which its annotation says nothing."""
    route = {"queue": reading.value(scope, "queue")}
    priority = reading.get(scope, "options.priority")
    return Raw(python_literal(route if priority is None else {**route, "priority": priority}))


def _in_order(reading: Reading) -> list[Scope]:
    """Exact names first, then patterns from the most to the least specific: the first match wins."""
    scopes = reading.scopes("task")
    exact = [scope for scope in scopes if "*" not in scope.name]
    patterns = [scope for scope in scopes if "*" in scope.name]
    return exact + sorted(patterns, key=lambda scope: pattern_order(scope.name))


def _tasks(reading: Reading) -> tuple[list[tuple[str, Raw]], list[tuple[str, Raw]]]:
    """Annotations of exact names, and of patterns, each with its name."""
    exact: list[tuple[str, Raw]] = []
    patterns: list[tuple[str, Raw]] = []
    for scope in _in_order(reading):
        options = [f'"queue": {python_literal(reading.value(scope, "queue"))}']
        for key in sorted(reading.keys(scope)):
            kind, _, option = key.partition(".")
            if kind == "options":
                options.append(f'"{option}": {_option(option, reading.value(scope, key))}')
        target = patterns if "*" in scope.name else exact
        target.append((scope.name, Raw(f"{{{', '.join(options)}}}")))
    return exact, patterns


def _option(option: str, value: Value) -> str:
    if option in _CLASS_OPTIONS and isinstance(value, list):
        return f"({''.join(f'{name}, ' for name in value).rstrip(' ')})"
    return python_literal(value)


def _schedules(reading: Reading) -> Iterator[tuple[str, Raw, Raw]]:
    """Name, entry, and a comment that may be empty."""
    app_zone = reading.get(APP, "timezone")
    for scope in reading.scopes("schedule"):
        entry: list[tuple[str, object]] = [("task", reading.value(scope, "task"))]
        keys = reading.keys(scope)
        if "cron" in keys:
            zone, fields = reading.text(scope, "timezone"), _arguments(reading.value(scope, "cron"))
            own = f"ZonedCrontab({', '.join(filter(None, (python_literal(zone), fields)))})"
            entry.append(("schedule", Raw(f"crontab({fields})" if zone == app_zone else own)))
        elif "solar" in keys:
            sun = reading.value(scope, "solar")
            assert isinstance(sun, dict)
            places = {"event": sun["event"], "lat": sun["latitude"], "lon": sun["longitude"]}
            entry.append(("schedule", Raw(f"solar({_arguments(places)})")))
        else:
            entry.append(("schedule", reading.value(scope, "every_seconds")))
        entry += [(key, reading.value(scope, key)) for key in ("args", "kwargs", "options") if key in keys]
        items = (f'"{key}": {python_literal(value)}' for key, value in entry)
        yield scope.name, Raw(f"{{{', '.join(items)}}}"), Raw(_in_words(reading, scope))


def _in_words(reading: Reading, scope: Scope) -> str:
    """What a schedule is for and whose it is, as far as somebody says so."""
    description, owner = reading.get(scope, "description"), reading.get(scope, "owner")
    said = [one_line(description)] if description else []
    return " ".join([*said, *([f"(owner: {one_line(owner)})"] if owner else [])])


def _arguments(values: Value) -> str:
    assert isinstance(values, dict)
    return ", ".join(f"{key}={python_literal(value)}" for key, value in values.items() if value != "*")


def _imports(reading: Reading, plan: Plan) -> list[str]:
    """Import lines, standard library first, as a formatter would sort them."""
    schedules = plan.scopes("schedule")
    suns = ["solar"] if any("solar" in plan.keys(scope) for scope in schedules) else []
    patterns = any("*" in scope.name for scope in plan.scopes("task"))
    queues = plan.scopes("queue")
    broadcast = any(plan.value(scope, "broadcast") for scope in queues)
    kombu = ["Exchange", "Queue"] if queues else []
    variables = any(reading.get(APP, f"{key}_variable") for key in ("broker_url", "result_backend"))
    first = [f"import {module}" for module in _exception_modules(plan)]
    standard = [
        *(["from fnmatch import fnmatchcase"] if patterns else []),
        *(["from os import environ"] if variables else []),
        *(["from uuid import uuid4"] if broadcast else []),
        *(["from zoneinfo import ZoneInfo"] if schedules else []),
    ]
    third = [
        *(["from celery.exceptions import ImproperlyConfigured"] if variables else []),
        *([f"from celery.schedules import {', '.join(['crontab', *suns])}"] if schedules else []),
        *([f"from kombu import {', '.join(kombu)}"] if kombu else []),
    ]
    blocks = [block for block in (first + standard, third) if block]
    return [line for block in blocks for line in ("", *block)][1:]


def _exception_modules(plan: Plan) -> list[str]:
    names: set[str] = set()
    for scope in plan.scopes("task"):
        for option in _CLASS_OPTIONS:
            value = plan.get(scope, f"options.{option}")
            names.update(_words(value))
    modules = {name.rpartition(".")[0] for name in names}
    return sorted(module for module in modules if module and module != builtins.__name__)


def _words(value: Value) -> Iterable[str]:
    return [str(item) for item in value] if isinstance(value, list) else []
