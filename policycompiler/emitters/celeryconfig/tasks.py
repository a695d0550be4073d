"""Routes and annotations of tasks, and the names that they had or are sent by."""

from __future__ import annotations

import builtins

from policycompiler.emitters.base import Raw, Reading, pattern_order
from policycompiler.emitters.python import python_literal
from policycompiler.plan import Scope, Value

_CLASS_OPTIONS = frozenset({"autoretry_for", "dont_autoretry_for", "throws"})


def exact_names(reading: Reading) -> list[tuple[str, Scope]]:
    """Tasks by name. Earlier names are among them, for code of before a rename."""
    named = [(scope.name, scope) for scope in reading.scopes("task") if "*" not in scope.name]
    return sorted(named + earlier_names(reading))


def patterns(reading: Reading) -> list[tuple[str, Scope]]:
    """Tasks by pattern, from the most to the least specific: the first match wins."""
    scopes = [scope for scope in reading.scopes("task") if "*" in scope.name]
    return [(scope.name, scope) for scope in sorted(scopes, key=lambda scope: pattern_order(scope.name))]


def earlier_names(reading: Reading) -> list[tuple[str, Scope]]:
    """Each earlier name, with the task that it is of."""
    renamed = [scope for scope in reading.scopes("task") if reading.get(scope, "renamed_from")]
    return sorted((name, scope) for scope in renamed for name in reading.texts(scope, "renamed_from"))


def sent_as(reading: Reading) -> list[tuple[str, str]]:
    """Tasks that are sent by another name, while a rollout lasts, each with that name."""
    sent = [scope for scope in reading.scopes("task") if reading.get(scope, "sent_as")]
    return [(scope.name, reading.text(scope, "sent_as")) for scope in sent]


def route(reading: Reading, scope: Scope) -> Raw:
    """Also for producers that do not have the task, to which its annotation says nothing."""
    where = {"queue": reading.value(scope, "queue")}
    priority = reading.get(scope, "options.priority")
    return Raw(python_literal(where if priority is None else {**where, "priority": priority}))


def annotation(reading: Reading, scope: Scope) -> Raw:
    """The options of a task, its queue first."""
    options = [f'"queue": {python_literal(reading.value(scope, "queue"))}']
    for key in sorted(reading.keys(scope)):
        kind, _, option = key.partition(".")
        if kind == "options":
            options.append(f'"{option}": {_option(option, reading.value(scope, key))}')
    return Raw(f"{{{', '.join(options)}}}")


def exception_modules(reading: Reading) -> list[str]:
    """The modules of the exceptions that annotations name."""
    modules: set[str] = set()
    for scope in reading.scopes("task"):
        for option in _CLASS_OPTIONS:
            names = reading.get(scope, f"options.{option}")
            if isinstance(names, list):
                modules.update(str(name).rpartition(".")[0] for name in names)
    return sorted(modules - {"", builtins.__name__})


def _option(option: str, value: Value) -> str:
    if option in _CLASS_OPTIONS and isinstance(value, list):
        return f"({''.join(f'{name}, ' for name in value).rstrip(' ')})"
    return python_literal(value)
