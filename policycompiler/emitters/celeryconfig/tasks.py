"""Routes and annotations of tasks, their earlier names, and the names that they are sent with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from policycompiler.diagnostics import SpecPath
from policycompiler.emitters.base import Raw, Reading
from policycompiler.emitters.python import INDENT, Call, InOrder, laid_out, python_literal
from policycompiler.plan import Scope, Written
from policycompiler.plan.entries import pattern_order

Layouts: TypeAlias = dict[tuple[str, int], Raw]
"""Values as Python, by value and the columns before them: thousands of tasks share a few."""

_CLASS_OPTIONS = frozenset({"autoretry_for", "dont_autoretry_for", "throws"})


def exact_names(reading: Reading) -> list[tuple[str, Scope]]:
    """Tasks by name. Earlier names are included, for code from before a rename."""
    named = [(scope.name, scope) for scope in reading.scopes("task") if "*" not in scope.name]
    return sorted(named + earlier_names(reading))


def patterns(reading: Reading) -> list[tuple[str, Scope]]:
    """Tasks by pattern, from the most to the least specific: the first match wins."""
    scopes = [scope for scope in reading.scopes("task") if "*" in scope.name]
    return [(scope.name, scope) for scope in sorted(scopes, key=lambda scope: pattern_order(scope.name))]


def earlier_names(reading: Reading) -> list[tuple[str, Scope]]:
    """Each earlier name with its task."""
    renamed = [scope for scope in reading.scopes("task") if reading.get(scope, "renamed_from")]
    return sorted((name, scope) for scope in renamed for name in reading.texts(scope, "renamed_from"))


def sent_as(reading: Reading) -> list[tuple[str, str]]:
    """Tasks that are sent with another name during a rollout, each with that name."""
    sent = [scope for scope in reading.scopes("task") if reading.get(scope, "sent_as")]
    return [(scope.name, reading.text(scope, "sent_as")) for scope in sent]


def is_routed(reading: Reading, scope: Scope) -> bool:
    """Whether a route is needed: not if everything in it is left to Celery."""
    return any(key in reading.keys(scope) for key in ("queue", "options.priority", "mandatory"))


def is_annotated(reading: Reading, scope: Scope) -> bool:
    """Whether an annotation is needed."""
    keys = reading.keys(scope)
    return "queue" in keys or any(key.startswith("options.") for key in keys)


def route(reading: Reading, name: str, scope: Scope, layouts: Layouts) -> Raw:
    """The route of a task, which also works for publishers that do not have the task."""
    where: dict[str, object] = {}
    for option, key in (("queue", "queue"), ("priority", "options.priority"), ("mandatory", "mandatory")):
        if (value := reading.get(scope, key)) is not None:
            where[option] = value
    return _entry(name, where, layouts)


def annotation(reading: Reading, name: str, scope: Scope, layouts: Layouts) -> Raw:
    """The options of a task, its queue first."""
    queue = reading.get(scope, "queue")
    options = InOrder() if queue is None else InOrder(queue=queue)
    for key in sorted(reading.keys(scope)):
        kind, _, option = key.partition(".")
        if kind == "options":
            is_class = option in _CLASS_OPTIONS
            options[option] = _exceptions(reading, scope, key) if is_class else reading.value(scope, key)
    return _entry(name, options, layouts)


def _entry(name: str, value: Mapping[str, object], layouts: Layouts) -> Raw:
    """The value of a name in a mapping of the module."""
    before = INDENT + len(python_literal(name)) + 2
    # No two values (of a plan, tuples of expressions, calls) have the same representation.
    key = repr(value), before
    if key not in layouts:
        layouts[key] = Raw(laid_out(value, indent=INDENT, before=before, after=1))
    return layouts[key]


def any_names_exceptions(reading: Reading) -> bool:
    """Whether a task names an exception that is not built in, so it must be imported."""
    names = (
        name
        for scope in reading.scopes("task")
        for option in _CLASS_OPTIONS
        if reading.get(scope, f"options.{option}")
        for name in reading.texts(scope, f"options.{option}")
    )
    return any("." in name for name in names)


def _exceptions(reading: Reading, scope: Scope, key: str) -> object:
    """Built-in classes as expressions; other classes by name, with their place in the workload."""
    names, origin = reading.texts(scope, key), reading.setting(scope, key).origins[0]
    if not any("." in name for name in names):
        return tuple(Raw(name) for name in names)
    place = _path_text(origin.path) if isinstance(origin, Written) else f"{scope}/{key}"
    return Call("_Exceptions", (place, *names))


def _path_text(path: SpecPath) -> str:
    """A place in the workload, such as `tasks.shop.a.retry.on`."""
    return ".".join(map(str, path))
