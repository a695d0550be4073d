"""The options of each task, and who gives them: its decorator, an annotation, or a base class."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from .loading import OPTIONS, Loaded
from .places import place_of
from .saying import Notes, Unsayable, said

if TYPE_CHECKING:
    from collections.abc import Iterator

_RETRY_DEFAULTS = {
    "autoretry_for": (),
    "dont_autoretry_for": (),
    "retry_kwargs": {},
    "retry_backoff": False,
    "retry_backoff_max": 600,
    "retry_jitter": True,
}
"""Options that Celery reads from the decorator first, whatever an annotation says; with its defaults."""
_CLASSES = frozenset({"autoretry_for", "dont_autoretry_for", "throws"})


def task_of(loaded: Loaded, task: Any, notes: Notes) -> dict[str, Any]:
    """A task: its place, its options with their sources, and those of its decorator alone."""
    return {
        "place": place_of(task),
        "class": None if getattr(task, "_decorated", False) else type(task).__name__,
        "options": dict(_options(loaded, task, notes)),
        "decorator": dict(_decorator(loaded, task)),
    }


def _options(loaded: Loaded, task: Any, notes: Notes) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each option that somebody gives, with another value than the app gives every task."""
    decorator, annotation = loaded.decorator_of(task), _annotation(loaded.app, task)
    for option in OPTIONS:
        wins = option in _RETRY_DEFAULTS and option in decorator
        if wins or (option in decorator and option not in annotation):
            source: str | None = "decorator"
        else:
            source = "annotation" if option in annotation else _class_with(loaded.app, task, option)
        value, usual = decorator[option] if wins else getattr(task, option, None), _usual(loaded.app, option)
        # A flag that is off, where the app does not say whether it is on, is no option.
        nothing = value == usual or (value is False and usual is None) or (option in _CLASSES and not value)
        if source is None or nothing:
            continue
        try:
            yield option, {"value": _said(option, value), "from": source}
        except Unsayable as problem:
            notes.cannot(f"option {option} of task {task.name}", str(problem))


def _decorator(loaded: Loaded, task: Any) -> Iterator[tuple[str, Any]]:
    for option, value in sorted(loaded.decorator_of(task).items()):
        with suppress(Unsayable):
            yield option, _said(option, value)


def _annotation(app: Any, task: Any) -> dict[str, Any]:
    from celery.app.annotations import resolve_all

    merged: dict[str, Any] = {}
    for each in resolve_all(app.annotations, task):
        merged.update(each)
    return merged


def _class_with(app: Any, task: Any, option: str) -> str | None:
    """The base class that gives an option, as a source; None without one."""
    from celery.app.task import Task

    from_config = {key for key, _ in Task.from_config}
    own = type(task)
    for base in own.__mro__[1:] if getattr(task, "_decorated", False) else own.__mro__:
        if base is Task:
            return None
        # `app.Task` and the class of a bound task also have values of the configuration.
        if base is not app.Task and option in vars(base):
            bound = base is own and option in from_config and vars(base)[option] == _usual(app, option)
            return None if bound else f"class {base.__module__}.{base.__qualname__}"
    return None


def _usual(app: Any, option: str) -> Any:
    """The value of an option that nothing gives: that of the configuration, or Celery's default."""
    from celery.app.task import Task

    setting = dict(Task.from_config).get(option)
    if setting is None:
        return _RETRY_DEFAULTS.get(option, getattr(Task, option, None))
    found = app.conf[setting]
    if found is None and option in ("acks_on_failure", "acks_on_timeout"):
        # Before 5.7 one setting was for both.
        found = app.conf.get("task_acks_on_failure_or_timeout")
        return True if found is None else found
    return found


def _said(option: str, value: Any) -> Any:
    if option in _CLASSES:
        several = value if isinstance(value, (list, tuple, set, frozenset)) else (value,)
        return [_class_name(each) for each in several]
    return said(value.total_seconds() if isinstance(value, timedelta) else value, option)


def _class_name(value: Any) -> str:
    if not isinstance(value, type):
        message = f"{value!r} is no exception class"
        raise Unsayable(message)
    module = "" if value.__module__ == "builtins" else f"{value.__module__}."
    return f"{module}{value.__qualname__}"
