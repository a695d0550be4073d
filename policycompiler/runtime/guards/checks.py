"""What a worker checks before it takes a message, so that no task finds it out."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any


def problems(guarded: Any, app: Any) -> Iterator[str]:
    """A sentence for each guard that cannot work."""
    tasks = [(task, guarded.of(name)) for name, task in app.tasks.items()]
    tasks = [(task, told) for task, told in tasks if told is not None]
    if guarded.asks_store(app) and (found := guarded.store.problem()):
        yield found
    for task, told in tasks:
        if told.key is not None:
            yield from _of_key(task, told.key.partition(".")[0])
        for dependency, names in told.failures.items():
            yield from _of_failures(task, dependency, names)


def _of_key(task: Any, first: str) -> Iterator[str]:
    parameters = inspect.signature(task.run).parameters
    kinds = {each.kind for each in parameters.values()}
    if first not in parameters and inspect.Parameter.VAR_KEYWORD not in kinds:
        has = ", ".join(parameters) or "none"
        yield (
            f"task {task.name} has no parameter {first}, which is its idempotency key; "
            f"its parameters: {has}. Change the key in the workload and compile again."
        )


def _of_failures(task: Any, dependency: str, names: Any) -> Iterator[str]:
    from .breakers import Failures  # noqa: PLC0415 - only with failures

    for name in names:
        try:
            found: Any = Failures((name,)).classes(task)[-1]
        except Exception as error:  # noqa: BLE001 - the application's modules
            why = f"it cannot be imported ({type(error).__name__})"
        else:
            is_one = isinstance(found, type) and issubclass(found, BaseException)
            why = "" if is_one else "it is no exception"
        if why:
            yield (
                f"{name} of task {task.name} says that {dependency} fails, but {why}. "
                "Write module and class, such as requests.ConnectionError."
            )
