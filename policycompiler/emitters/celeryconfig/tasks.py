"""Routes and annotations of tasks, and the names that they had or are sent by."""

from __future__ import annotations

from policycompiler.diagnostics import SpecPath
from policycompiler.emitters.base import Raw, Reading, pattern_order
from policycompiler.emitters.python import python_literal
from policycompiler.plan import Scope, Written

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
            value = _exceptions if option in _CLASS_OPTIONS else _plain
            options.append(f'"{option}": {value(reading, scope, key)}')
    return Raw(f"{{{', '.join(options)}}}")


def any_names_exceptions(reading: Reading) -> bool:
    """Whether a task names an exception that is not built in: it is imported when the task is annotated."""
    names = (
        name
        for scope in reading.scopes("task")
        for option in _CLASS_OPTIONS
        if reading.get(scope, f"options.{option}")
        for name in reading.texts(scope, f"options.{option}")
    )
    return any("." in name for name in names)


def _plain(reading: Reading, scope: Scope, key: str) -> str:
    return python_literal(reading.value(scope, key))


def _exceptions(reading: Reading, scope: Scope, key: str) -> str:
    """Classes that are built in as they are; others by name, with the place that names them."""
    names, origin = reading.texts(scope, key), reading.setting(scope, key).origins[0]
    if not any("." in name for name in names):
        return f"({''.join(f'{name}, ' for name in names).rstrip(' ')})"
    place = _path_text(origin.path) if isinstance(origin, Written) else f"{scope}/{key}"
    return f"_Exceptions({', '.join(map(python_literal, (place, *names)))})"


def _path_text(path: SpecPath) -> str:
    """A place in the workload, such as `tasks.shop.a.retry.on`."""
    return ".".join(map(str, path))
