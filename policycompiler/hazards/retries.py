"""Retries of tasks that are not safe to run twice, and retries without end."""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Related
from policycompiler.hazards.hazard import Hazard, place_of
from policycompiler.model.exceptions import BROAD
from policycompiler.plan import Plan, Scope, Written

MOST, ON = "options.max_retries", "options.autoretry_for"


def retried_twice(plan: Plan) -> Iterator[Hazard]:
    """Tasks that are retried although they are not safe to run twice, or do not declare it."""
    for task in plan.scopes("task"):
        if not plan.get(task, "external") and not plan.get(task, "idempotent"):
            yield from _not_idempotent(plan, task)


def _not_idempotent(plan: Plan, task: Scope) -> Iterator[Hazard]:
    setting = plan.find(task, MOST)
    retries, autoretry = setting.value if setting else None, plan.get(task, ON)
    written = [
        origin.path
        for key in (MOST, ON)
        if (found := plan.find(task, key))
        for origin in found.origins
        if isinstance(origin, Written)
    ]
    if (not retries and not autoretry) or retries == 0 or not written:
        return
    how_often = "on errors" if retries is None else f"{retries} time{'s' if retries != 1 else ''}"
    declared = plan.setting(task, "idempotent").origins[0]
    settings = ((task, MOST), (task, ON), (task, "idempotent"))
    if not isinstance(declared, Written):
        # A declaration that names the errors accepts another run after these errors.
        if isinstance(autoretry, list) and autoretry and BROAD.isdisjoint(map(str, autoretry)):
            return
        message = f"{task.name} retries {how_often}, but it does not declare whether it is safe to run twice"
        help_text = "declare `idempotent: true` or `idempotent: false`"
        yield Hazard("retry-undeclared", settings, message, help_text, written[0])
        return
    message = f"{task.name} retries {how_often}, but it is not safe to run twice"
    help_text = (
        "write `retry: none`, or make the task idempotent (for instance with a key stored with its effect) "
        "and declare it"
    )
    related = (Related(declared.path, "declared here"),)
    yield Hazard("retry-non-idempotent", settings, message, help_text, written[0], related)


def retried_without_end(plan: Plan) -> Iterator[Hazard]:
    """Tasks with an unlimited number of retries."""
    for task in plan.scopes("task"):
        setting = plan.find(task, MOST)
        if plan.get(task, "external") or setting is None or setting.value is not None:
            continue
        if plan.get(task, ON):
            message = (
                f"{task.name} is retried without end: a permanent error never shows as a failure of the task"
            )
            origin = setting.origins[0]
            path = origin.path if isinstance(origin, Written) else place_of(plan, task)
            settings = ((task, MOST), (task, ON))
            yield Hazard("retry-unbounded", settings, message, "write a number of retries", path)
