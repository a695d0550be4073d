"""Which errors run a task again, how often and after how long.

Decides:
    `task:NAME/options.autoretry_for`, `max_retries`, `retry_backoff`, `retry_backoff_max`,
    `retry_jitter`.

Because:
    A retry runs the whole task again, so only what may run twice is retried. Waits double, so that a
    dependency that is down is not hammered, and are spread at random, so that it is not hammered all at
    once when it returns (https://docs.celeryq.dev/en/stable/userguide/tasks.html#automatic-retry-for-known-exceptions).

Example:
    tasks:
      shop.mail.send: {idempotent: true, retry: {on: [ConnectionError], max: 5, max_delay: 5m}}

    task:shop.mail.send/options.autoretry_for = ["ConnectionError"]
    task:shop.mail.send/options.max_retries = 5
    task:shop.mail.send/options.retry_backoff_max = 300

Refuses:
    PC204 retry-non-idempotent: write `retry: none`, or make the task safe to run twice and declare it.

Parameters:
    None.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, Related, error
from policycompiler.model import Retry, Workload
from policycompiler.plan import Constant, Decision, Derived, Origin, Plan, Scope, Value, Written

NAME = "retries"

RETRY_NON_IDEMPOTENT = error("PC204", "retry-non-idempotent")

MAX_RETRIES = 3
"""Celery's own default: enough for a restart of a dependency, few enough to notice a real failure."""
FIRST_DELAY_SECONDS = 1
"""Celery's shortest backoff; most transient errors are gone after it."""
LONGEST_DELAY_SECONDS = 600
"""Celery's own default for retry_backoff_max."""
JITTER = True
"""Tasks that failed together must not come back together."""


def apply(spec: Workload, plan: Plan) -> Iterator[Decision | Diagnostic]:
    """Retry options of tasks that declare a retry."""
    for name, task in spec.tasks.items():
        scope = Scope("task", name)
        if not plan.value(scope, "external"):
            if task.retry is not None:
                yield from _options(plan, scope, task.retry)
            yield from _objections(plan, scope, name)


def _options(plan: Plan, scope: Scope, retry: Retry) -> Iterator[Decision]:
    base = ("tasks", scope.name, "retry")
    declared: Origin = Written(base)
    most = MAX_RETRIES if retry.max is None else retry.max
    decided: dict[str, tuple[Value, str, Origin]] = {
        "max_retries": (
            most,
            "declared" if most else "declared: no retries",
            Constant("MAX_RETRIES", MAX_RETRIES) if retry.max is None else Written((*base, "max")),
        )
    }
    if retry.on and most:
        first = max(1, math.ceil(retry.delay or FIRST_DELAY_SECONDS))
        longest = max(first, math.ceil(retry.max_delay or LONGEST_DELAY_SECONDS))
        jitter = JITTER if retry.jitter is None else retry.jitter
        decided |= {
            "autoretry_for": ([*retry.on], "declared", Written((*base, "on"))),
            "retry_backoff": (
                first,
                "the first wait; it doubles each time",
                Written((*base, "delay"))
                if retry.delay
                else Constant("FIRST_DELAY_SECONDS", FIRST_DELAY_SECONDS),
            ),
            "retry_backoff_max": (
                longest,
                "the longest wait between two runs",
                Written((*base, "max_delay"))
                if retry.max_delay
                else Constant("LONGEST_DELAY_SECONDS", LONGEST_DELAY_SECONDS),
            ),
            "retry_jitter": (
                jitter,
                "tasks that failed together must not come back together" if jitter else "declared",
                Constant("JITTER", JITTER) if retry.jitter is None else Written((*base, "jitter")),
            ),
        }
    for key, (value, because, origin) in decided.items():
        if plan.find(scope, f"options.{key}") is None:
            origins = (origin,) if isinstance(origin, Written) else (declared, origin)
            yield Decision(scope, f"options.{key}", value, because, origins)


def _objections(plan: Plan, scope: Scope, name: str) -> Iterator[Diagnostic]:
    """A task that is retried although it may not run twice."""
    if plan.value(scope, "idempotent"):
        return
    setting = plan.find(scope, "options.max_retries")
    retries = setting.value if setting else None
    autoretry = plan.get(scope, "options.autoretry_for")
    if not retries and not autoretry:
        return
    if retries == 0:
        return
    written = [
        origin.path
        for key in ("options.max_retries", "options.autoretry_for")
        if (found := plan.find(scope, key))
        for origin in found.origins
        if isinstance(origin, Written)
    ]
    how_often = "on errors" if retries is None else f"{retries} time{'s' if retries != 1 else ''}"
    message = f"{name} would retry {how_often}, but it is not safe to run twice"
    help_text = (
        "write `retry: none`, or make the task idempotent (for instance by a key stored with its effect) "
        "and declare it"
    )
    related = (Related(("tasks", name, "idempotent"), "declared here"),)
    yield RETRY_NON_IDEMPOTENT.at(written[0], message, help=help_text, related=related)
