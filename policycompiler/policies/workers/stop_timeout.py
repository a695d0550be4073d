"""How long a stop waits for running tasks before it kills them.

Decides:
    `worker:NAME/stop_timeout_seconds`, read alike by systemd, supervisor and every other target.

Because:
    A worker that is told to stop finishes its running tasks first. Killed before that, it loses those
    acknowledged early, and no exit status says so. The longest run bounds the wait
    (https://docs.celeryq.dev/en/stable/userguide/workers.html#stopping-the-worker). On prefork a stop now
    and then forgets a job that it has just handed to a child: the child waits 30 s to be heard, and the task
    runs once more.

Example:
    tasks: {shop.reports.yearly: {latency: batch, runtime: 2h}}

    worker:shop.batch.io/stop_timeout_seconds = 13532

Refuses:
    PC305 stop-timeout-short: raise the pin, or shorten the task's limit.
        fires:
            tasks: {shop.a: {queue: q, runtime: 100s}}
            workers: {q: {stop_timeout: 1m}}
        silent:
            tasks: {shop.a: {queue: q, runtime: 100s}}
            workers: {q: {stop_timeout: 199s}}

Parameters:
    `margin_seconds`: the time from the end of the longest run to the end of the process; 40.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, NamedTuple

from pydantic import Field

from policycompiler.diagnostics import Diagnostic, Related, error
from policycompiler.model import PolicyParameters, Workload
from policycompiler.plan import APP, Decision, Derived, Parameter, Plan, Scope

NAME = "stop-timeout"

STOP_TIMEOUT_SHORT = error("PC305", "stop-timeout-short")

LEAST_MARGIN_SECONDS = 10
"""Less than this above the longest run and the last task is killed while it ends."""


class Parameters(PolicyParameters):
    """What a policy file may set."""

    margin_seconds: Annotated[int, Field(ge=10, le=3600)] = Field(
        40, description="to acknowledge, close connections and leave; of these prefork may take 30"
    )


class _Run(NamedTuple):
    seconds: float
    scope: Scope
    key: str
    lost_when_killed: bool


def apply(spec: Workload, plan: Plan, tuned: Parameters) -> Iterator[Decision | Diagnostic]:
    """Wait for the longest run that its worker may have begun."""
    del spec
    margin = tuned.margin_seconds
    default_queue = plan.text(APP, "task_default_queue")
    undeclared = _Run(
        plan.number(APP, "longest_run_seconds"), APP, "longest_run_seconds", lost_when_killed=True
    )
    for scope in plan.scopes("worker"):
        mine = [_run(plan, Scope("task", name)) for name in plan.texts(scope, "tasks")]
        if not mine or default_queue in plan.texts(scope, "queues"):
            mine = [*mine, undeclared]
        longest = max(mine)
        if plan.find(scope, "stop_timeout_seconds") is None:
            because = "the longest run of its tasks, and time to leave"
            origins = (
                Derived(longest.scope, longest.key),
                Parameter(("parameters", NAME, "margin_seconds"), margin),
            )
            timeout = longest.seconds + margin
            yield Decision(scope, "stop_timeout_seconds", timeout, because, origins)
        else:
            lost = [run for run in mine if run.lost_when_killed]
            if lost:
                yield from _objection(plan, scope, max(lost))


def _run(plan: Plan, scope: Scope) -> _Run:
    key = "longest_run_seconds"
    lost_when_killed = not plan.value(scope, "options.acks_late")
    return _Run(plan.number(scope, key), scope, key, lost_when_killed)


def _objection(plan: Plan, scope: Scope, longest: _Run) -> Iterator[Diagnostic]:
    pinned = plan.number(scope, "stop_timeout_seconds")
    needed = longest.seconds + LEAST_MARGIN_SECONDS
    if pinned >= needed:
        return
    name = longest.scope.name or "a task that nobody declared"
    message = (
        f"a stop of {scope.name} waits {pinned:g} s, but {name} may run {longest.seconds:g} s "
        "and is lost when it is killed"
    )
    related: tuple[Related, ...] = ()
    if longest.scope.name:
        related = (Related(("tasks", longest.scope.name), f"may run {longest.seconds:g} s"),)
    help_text = f"wait at least {needed:g} s, or shorten the task's limit"
    yield STOP_TIMEOUT_SHORT.at(
        ("workers", scope.name, "stop_timeout"), message, help=help_text, related=related
    )
