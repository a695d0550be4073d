"""Stops of a worker that kill its runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from policycompiler.diagnostics import Related, SpecPath
from policycompiler.hazards.hazard import Hazard, Makers
from policycompiler.plan import APP, Plan, Scope
from policycompiler.quantities import duration, written

PATIENCE, RUN, LATE = "stop_timeout_seconds", "longest_run_seconds", "options.acks_late"
SOFT_SHUTDOWN = "worker_soft_shutdown_timeout"
LEAST_MARGIN_SECONDS = 10
"""With less time above the longest run, the last task may be killed just before it ends."""
LEAVE_SECONDS = 10
"""Time to return messages, close connections and exit before KILL."""
FIRST_CELERY_WITH_SOFT_SHUTDOWN = (5, 5)
"""Older versions have no soft shutdown and stop cold at once."""


class Run(NamedTuple):
    """The longest run of a task, or of undeclared tasks; an early-acknowledged run is lost when killed."""

    seconds: float
    scope: Scope
    key: str
    late: bool

    @property
    def what(self) -> str:
        """The name of the task, for messages."""
        return self.scope.name or "an undeclared task"


def runs_of(plan: Plan, worker: Scope) -> list[Run]:
    """The runs that a worker may have started; those of undeclared tasks if the worker may get them."""
    tasks = [Scope("task", name) for name in plan.texts(worker, "tasks")]
    runs = [Run(plan.number(task, RUN), task, RUN, bool(plan.value(task, LATE))) for task in tasks]
    if not runs or plan.text(APP, "task_default_queue") in plan.texts(worker, "queues"):
        runs.append(Run(plan.number(APP, RUN), APP, RUN, bool(plan.value(APP, "task_acks_late"))))
    return runs


def _longest(plan: Plan, worker: Scope, *, late: bool) -> Run | None:
    """The longest run with early acknowledgment, or with late."""
    return max((run for run in runs_of(plan, worker) if run.late is late), default=None)


def short_stops(plan: Plan) -> Iterator[Hazard]:
    """Workers whose pinned stop timeout kills early-acknowledged runs."""
    for worker in plan.scopes("worker"):
        if plan.written(worker, PATIENCE) is None:
            continue
        longest = _longest(plan, worker, late=False)
        if longest is None:
            continue
        pinned, needed = plan.number(worker, PATIENCE), longest.seconds + LEAST_MARGIN_SECONDS
        if pinned >= needed:
            continue
        run = duration(longest.seconds)
        message = (
            f"a stop of {worker.name} waits {duration(pinned)}, but {longest.what} may run {run} and is lost "
            "when it is killed"
        )
        related: tuple[Related, ...] = ()
        if longest.scope.name:
            related = (Related(("tasks", longest.scope.name), f"may run {run}"),)
        help_text = f"write `stop_timeout: {written(needed)}` or more, or shorten the task's limit"
        path: SpecPath = ("workers", worker.name, "stop_timeout")
        settings: Makers = (
            (worker, PATIENCE),
            (longest.scope, RUN),
            (longest.scope, LATE if longest.scope.name else "task_acks_late"),
        )
        settings = (*settings, (worker, "tasks"), (worker, "queues"))
        yield Hazard("stop-timeout-short", settings, message, help_text, path, related, about=(worker,))


def cold_stops(plan: Plan) -> Iterator[Hazard]:
    """Workers where TERM means QUIT, so that a stop kills early-acknowledged runs."""
    for worker in plan.scopes("worker"):
        if not is_cold(plan, worker):
            continue
        soft = soft_seconds(plan)
        early = _longest(plan, worker, late=False)
        if early is None or early.seconds <= soft:
            continue
        seconds, what = early.seconds, early.what
        after = f"after {duration(soft)}" if soft else "at once"
        message = (
            f"with REMAP_SIGTERM a stop of {worker.name} kills its tasks {after}: {what} may run "
            f"{duration(seconds)}, is acknowledged early and is lost"
        )
        help_text = f"remove `REMAP_SIGTERM`, or set `{SOFT_SHUTDOWN}` to {seconds:g} or more"
        path: SpecPath = ("workers", worker.name, "environment", "REMAP_SIGTERM")
        settings = ((worker, "environment"), (APP, SOFT_SHUTDOWN), (worker, "tasks"))
        yield Hazard("cold-stop-early-ack", settings, message, help_text, path, about=(worker,))


def late_redeliveries(plan: Plan) -> Iterator[Hazard]:
    """Workers whose pinned stop timeout kills runs that are redelivered only after the visibility timeout."""
    for worker in plan.scopes("worker"):
        pinned = plan.written(worker, PATIENCE)
        if pinned is None or not plan.broker.redelivery or is_cold(plan, worker):
            continue
        timeout = plan.number(worker, PATIENCE)
        early, late = _longest(plan, worker, late=False), _longest(plan, worker, late=True)
        # A run that is killed and lost is worse; the policy that decides the timeout reports it.
        loses = early is not None and early.seconds + LEAVE_SECONDS > timeout
        if loses or late is None or late.seconds <= timeout:
            continue
        after = plan.number(APP, "visibility_timeout_seconds")
        message = (
            f"a stop of worker {worker.name} kills its runs after {duration(timeout)}, but {late.what} may "
            f"run {duration(late.seconds)}: the broker redelivers a killed run only {duration(after)} after "
            "its delivery"
        )
        knows = plan.version(APP, "celery_version") >= FIRST_CELERY_WITH_SOFT_SHUTDOWN
        soft = f"`{SOFT_SHUTDOWN}: {before_kill(timeout):g}`"
        instead = f"let a stop return unfinished runs: `environment: {{REMAP_SIGTERM: SIGQUIT}}` and {soft}"
        first = "" if knows else "run Celery 5.5 or newer and "
        least = written(late.seconds + LEAVE_SECONDS)
        help_text = f"write `stop_timeout: {least}` or more, or {first}{instead}"
        path: SpecPath = ("workers", worker.name, "stop_timeout")
        settings = ((worker, PATIENCE), (worker, "environment"), (worker, "tasks"))
        yield Hazard("soft-shutdown-missing", settings, message, help_text, path, about=(worker,))


def before_kill(timeout: float) -> float:
    """The longest soft shutdown, in seconds, that leaves time to exit."""
    return max(1, timeout - LEAVE_SECONDS)


def is_cold(plan: Plan, worker: Scope) -> bool:
    """Whether TERM means QUIT to a worker."""
    environment = plan.get(worker, "environment", {})
    return isinstance(environment, dict) and environment.get("REMAP_SIGTERM") == "SIGQUIT"


def soft_seconds(plan: Plan) -> float:
    """How long a stop by QUIT waits."""
    knows = plan.version(APP, "celery_version") >= FIRST_CELERY_WITH_SOFT_SHUTDOWN
    return (plan.number_if_any(APP, SOFT_SHUTDOWN) or 0) if knows else 0
