"""A value that is given twice, and a retry of a task that another app runs.

Decides:
    Nothing.

Because:
    If a declaration and a pin of the same value differ, one of them is a mistake. Celery reads the pin, so
    the declaration that people read has no effect. A task of another app is retried by that app's settings.

Example:
    tasks: {shop.cart.remind: {expires: 1h, options: {expires: 60}}}

    refuses given-twice

Refuses:
    PC120 given-twice: keep one of the two.
        fires: tasks: {shop.a: {expires: 1h, options: {expires: 60}}}
        silent: tasks: {shop.a: {expires: 1h, options: {expires: 3600}}}
    PC121 external-retry: declare the retry in the app that runs the task.
        fires: tasks: {shop.a: {external: true, queue: theirs, retry: {max: 3}}}
        silent: tasks: {shop.a: {external: true, queue: theirs, retry: none}}

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, Related, Remove, SpecPath, error, info
from policycompiler.model import Workload
from policycompiler.plan import Plan, Scope, Value

NAME = "given-twice"

GIVEN_TWICE = error("PC120", "given-twice")
EXTERNAL_RETRY = info("PC121", "external-retry")


def apply(spec: Workload, plan: Plan) -> Iterator[Diagnostic]:
    """Compare each declaration with its pin."""
    keep = spec.results.keep if spec.results is not None else None
    settings = (spec.celery and spec.celery.settings) or {}
    if "result_expires" in settings:
        pinned: SpecPath = ("celery", "settings", "result_expires")
        yield from _differ(keep, ("results", "keep"), settings["result_expires"], pinned)
    for name, task in spec.tasks.items():
        path: SpecPath = ("tasks", name)
        options = task.options
        if options is not None:
            where = (*path, "options")
            yield from _differ(task.expires, (*path, "expires"), options.expires, (*where, "expires"))
            ignored = None if task.result is None else task.result == "ignore"
            if None not in (ignored, options.ignore_result) and ignored != options.ignore_result:
                declared = f"`result: {task.result}`"
                yield _finding(declared, (*path, "result"), options.ignore_result, (*where, "ignore_result"))
        retry = task.retry
        if plan.value(Scope("task", name), "external") and retry is not None and (retry.max or retry.on):
            message = f"another app runs {name} and decides its retries, so this `retry` has no effect"
            where = (*path, "retry")
            help_text = "declare the retry in the app that runs the task"
            yield EXTERNAL_RETRY.at(where, message, help=help_text, at_key=True, fix=(Remove(where),))


def _differ(declared: Value, path: SpecPath, pinned: Value, pin_path: SpecPath) -> Iterator[Diagnostic]:
    if declared is not None and pinned is not None and declared != pinned:
        yield _finding(f"`{path[-1]}: {declared}` (seconds)", path, pinned, pin_path)


def _finding(declared: str, path: SpecPath, pinned: Value, pin_path: SpecPath) -> Diagnostic:
    value = str(pinned).lower() if isinstance(pinned, bool) else pinned
    message = f"{declared} and `{pin_path[-1]}: {value}` contradict each other; Celery uses the pin"
    return GIVEN_TWICE.at(
        pin_path, message, help="remove one of the two", related=(Related(path, "declared here"),)
    )
