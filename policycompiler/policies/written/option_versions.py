"""Options of tasks and workers, and time zones of schedules, that the workload's Celery does not support.

Decides:
    Nothing.

Because:
    Celery silently ignores an unknown option of a task. An unknown flag stops the worker at its start. The
    known options and flags come from each version of Celery itself. Before Celery 5.7 every crontab is read
    in the app's time zone, even if it has its own time zone
    (https://docs.celeryq.dev/en/stable/userguide/periodic-tasks.html#time-zones).

Example:
    celery: {version: "5.6"}
    tasks: {shop.a: {idempotent: true, options: {retry_on_worker_lost: true}}}

    refuses option-newer-than-target

Refuses:
    PC635 option-newer-than-target: remove it, or run a Celery that has it.
        fires:
            celery: {version: "5.6"}
            tasks: {shop.a: {idempotent: true, options: {retry_on_worker_lost: true}}}
        silent:
            celery: {version: "5.7"}
            tasks: {shop.a: {idempotent: true, options: {retry_on_worker_lost: true}}}
    PC641 schedule-zone-newer-than-target: write the cron in the app's time zone, or pin one time zone for
        all schedules.
        fires:
            celery: {version: "5.6"}
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, cron: "0 3 * * *", timezone: Asia/Tokyo, expires: 1h}}
        silent:
            celery: {version: "5.7"}
            tasks: {shop.a: {}}
            schedules: {s: {task: shop.a, cron: "0 3 * * *", timezone: Asia/Tokyo, expires: 1h}}

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, SpecPath, error
from policycompiler.knowledge import celery_settings as celery
from policycompiler.model import Workload
from policycompiler.plan import APP, Plan

NAME = "option-versions"

OPTION_NEWER_THAN_TARGET = error("PC635", "option-newer-than-target")
SCHEDULE_ZONE_NEWER_THAN_TARGET = error("PC641", "schedule-zone-newer-than-target")

FIRST_CELERY_WITH_ZONES = (5, 7)
"""It reads each crontab in the crontab's own time zone."""


def apply(spec: Workload, plan: Plan) -> Iterator[Diagnostic]:
    """Whether this Celery has each option of the workload."""
    version = plan.text(APP, "celery_version")
    for name, task in spec.tasks.items():
        for option in sorted(task.options.model_fields_set) if task.options else ():
            if getattr(task.options, option) is not None:
                path: SpecPath = ("tasks", name, "options", option)
                yield from _objection("task_options", option, version, path)
    for name, worker in spec.workers.items():
        for option in sorted(worker.options.model_fields_set) if worker.options else ():
            # A flag that is not given is in every Celery.
            if getattr(worker.options, option) not in (None, False):
                flag = f"--{option.replace('_', '-')}"
                path = ("workers", name, "options", option)
                yield from _objection("flags:worker", flag, version, path)
    if plan.version(APP, "celery_version") < FIRST_CELERY_WITH_ZONES:
        yield from _zones(spec, plan, version)


def _objection(section: str, name: str, version: str, path: SpecPath) -> Iterator[Diagnostic]:
    having = celery.versions_of(section, name)
    if celery.nearest(version) in having or not having:
        return
    of_a_task = section == "task_options"
    follows = "silently ignores it" if of_a_task else "does not start a worker with it"
    message = f"`{path[-1]}` is new in Celery {having[0]}: Celery {version} {follows}"
    help_text = f"remove `{path[-1]}`, or run Celery {having[0]} or newer"
    yield OPTION_NEWER_THAN_TARGET.at(path, message, help=help_text, at_key=True)


def _zones(spec: Workload, plan: Plan, version: str) -> Iterator[Diagnostic]:
    of_all = plan.get(APP, "timezone")
    for scope in plan.scopes("schedule"):
        own = plan.get(scope, "timezone")
        if plan.find(scope, "cron") is None or own == of_all:
            continue
        said = spec.schedules[scope.name].timezone is not None
        path: SpecPath = ("schedules", scope.name, "timezone" if said else "cron")
        message = f"Celery {version} reads every cron in the app's zone, {of_all}, but this cron is in {own}"
        help_text = f"write the times in {of_all}, pin `celery.settings.timezone` for all, or run Celery 5.7"
        yield SCHEDULE_ZONE_NEWER_THAN_TARGET.at(path, message, help=help_text)
