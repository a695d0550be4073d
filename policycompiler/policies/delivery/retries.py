"""Which errors are retried, how often, and after how long.

Decides:
    `task:NAME/options.autoretry_for`, `max_retries`, `retry_backoff`, `retry_backoff_max`,
    `retry_jitter`; where no error is named, `default_retry_delay` instead of the backoff.

Because:
    A retry runs the whole task again, so only tasks that are safe to run twice are retried. Each wait is
    twice the one before, which spares a dependency that is down. Jitter spreads the waits at random, so that
    the retries do not arrive all at once when the dependency returns
    (https://docs.celeryq.dev/en/stable/userguide/tasks.html#automatic-retry-for-known-exceptions).
    Without a named error only the task itself retries, and it waits `default_retry_delay`.

    The compiled configuration keeps exceptions by name and imports them when Celery registers the task. It
    cannot import the application's modules earlier, because they may not be ready. If a name is not an
    exception, the process stops and names the task and the place in the workload.

Example:
    tasks:
      shop.mail.send: {idempotent: true, retry: {on: [ConnectionError], max: 5, max_delay: 5m}}

    task:shop.mail.send/options.autoretry_for = ["ConnectionError"]
    task:shop.mail.send/options.max_retries = 5
    task:shop.mail.send/options.retry_backoff_max = 300

Refuses:
    PC204 retry-non-idempotent: write `retry: none`, or make the task safe to run twice and declare it.
        fires: tasks: {shop.a: {idempotent: false, retry: {on: [OSError]}}}
        silent: tasks: {shop.a: {idempotent: true, retry: {on: [OSError]}}}
    PC233 retry-undeclared: declare whether the task may run twice.
        fires: tasks: {shop.a: {retry: {max: 3}}}
        silent: tasks: {shop.a: {retry: {on: [OSError], max: 3}}}
    PC208 unknown-exception: write the module of an exception that is not built in.
        fires: tasks: {shop.a: {idempotent: true, retry: {on: [Timeout]}}}
        silent: tasks: {shop.a: {idempotent: true, retry: {on: [requests.Timeout]}}}
    PC209 retry-delay-order: make the first wait at most as long as the longest.
        fires: tasks: {shop.a: {idempotent: true, retry: {on: [OSError], delay: 2m, max_delay: 1m}}}
        silent: tasks: {shop.a: {idempotent: true, retry: {on: [OSError], delay: 1m, max_delay: 1m}}}
    PC210 retry-without-errors: name the errors in `on`, or remove the key.
        fires: tasks: {shop.a: {idempotent: true, retry: {max_delay: 1m}}}
        silent: tasks: {shop.a: {idempotent: true, retry: {on: [OSError], max_delay: 1m}}}

Parameters:
    None.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from policycompiler.diagnostics import (
    Diagnostic,
    Profile,
    SpecPath,
    did_you_mean,
    error,
    fatal,
    warning,
)
from policycompiler.hazards.hazard import as_findings
from policycompiler.hazards.retries import retried_twice
from policycompiler.model import Retry, TaskFields, Workload
from policycompiler.model.exceptions import BUILT_IN, never_found
from policycompiler.plan import Constant, Decision, Origin, Plan, Scope, Value, Written
from policycompiler.quantities import duration

NAME = "retries"

RETRY_NON_IDEMPOTENT = error("PC204", "retry-non-idempotent")
RETRY_UNDECLARED = warning("PC233", "retry-undeclared", Profile.MINIMAL)
UNKNOWN_EXCEPTION = fatal("PC208", "unknown-exception")
RETRY_DELAY_ORDER = error("PC209", "retry-delay-order")
RETRY_WITHOUT_ERRORS = warning("PC210", "retry-without-errors")

MAX_RETRIES = 3
"""Celery's own default: enough for a restart of a dependency, few enough to notice a real failure."""
FIRST_DELAY_SECONDS = 1
"""Celery's shortest backoff; most transient errors have passed by then."""
LONGEST_DELAY_SECONDS = 600
"""Celery's own default for retry_backoff_max."""
JITTER = True
"""Tasks that failed together must not be retried together."""
_MAX_RETRIES = Constant("MAX_RETRIES", MAX_RETRIES)
_FIRST_DELAY = Constant("FIRST_DELAY_SECONDS", FIRST_DELAY_SECONDS)
_LONGEST_DELAY = Constant("LONGEST_DELAY_SECONDS", LONGEST_DELAY_SECONDS)
_JITTER = Constant("JITTER", JITTER)
EXCEPTION_OPTIONS = ("autoretry_for", "dont_autoretry_for", "throws")


def apply(spec: Workload, plan: Plan) -> Iterator[Decision | Diagnostic]:
    """Retry options of tasks that declare a retry."""
    for name, task in spec.tasks.items():
        scope = Scope("task", name)
        yield from _exceptions(task, ("tasks", name))
        if not plan.value(scope, "external"):
            if task.retry is not None:
                yield from _delay_order(task.retry, ("tasks", name, "retry"))
                if not _is_automatic(plan, scope, task.retry):
                    yield from _without_errors(task.retry, ("tasks", name, "retry"))
                yield from _options(plan, scope, task.retry)
            elif plan.get(scope, "options.autoretry_for") and plan.get(scope, "options.retry_backoff"):
                yield from _longest(plan, scope)
    yield from as_findings(retried_twice(plan), RETRY_NON_IDEMPOTENT, RETRY_UNDECLARED)


def _exceptions(task: TaskFields, path: SpecPath) -> Iterator[Diagnostic]:
    """A name that no process can import: Celery could not register its tasks."""
    written: list[tuple[SpecPath, list[str]]] = []
    if task.retry is not None:
        written.append(((*path, "retry", "on"), task.retry.on or []))
    if task.options is not None:
        written += [((*path, "options", key), getattr(task.options, key) or []) for key in EXCEPTION_OPTIONS]
    for where, names in written:
        for index, name in enumerate(names):
            if message := never_found(name):
                # Half of all exceptions end in Error, so only a very similar name counts as a typing error.
                meant = did_you_mean(name.removeprefix("builtins."), sorted(BUILT_IN), likeness=0.8)
                help_text = "write the exception with its module, such as `smtplib.SMTPServerDisconnected`"
                yield UNKNOWN_EXCEPTION.at((*where, index), message, help=f"{meant} {help_text}".strip())


def _delay_order(retry: Retry, path: SpecPath) -> Iterator[Diagnostic]:
    if retry.delay is not None and retry.max_delay is not None and retry.delay > retry.max_delay:
        message = (
            f"the first retry waits {duration(retry.delay)}, longer than the longest wait, "
            f"{duration(retry.max_delay)}"
        )
        yield RETRY_DELAY_ORDER.at((*path, "delay"), message, help="swap the two values")


def _without_errors(retry: Retry, path: SpecPath) -> Iterator[Diagnostic]:
    for field in ("max_delay", "jitter"):
        if getattr(retry, field) is not None:
            message = f"`{field}` affects only automatic retries, but `on` names no error to retry"
            help_text = f"add errors, such as `on: [ConnectionError]`, or remove `{field}`"
            yield RETRY_WITHOUT_ERRORS.at((*path, field), message, help=help_text, at_key=True)


def _options(plan: Plan, scope: Scope, retry: Retry) -> Iterator[Decision]:
    """The options that follow from the declaration, except those that are pinned."""
    declared: Origin = Written(("tasks", scope.name, "retry"))
    for key, (value, because, origin) in _decided(scope, retry, automatic=_is_automatic(plan, scope, retry)):
        said = isinstance(origin, Written) or not plan.as_is(scope)
        if said and plan.find(scope, f"options.{key}") is None:
            origins = (origin,) if isinstance(origin, Written) else (declared, origin)
            yield Decision(scope, f"options.{key}", value, because, origins)


def _longest(plan: Plan, scope: Scope) -> Iterator[Decision]:
    """A pinned backoff without a longest wait gets Celery's default, which broker timeouts must allow for."""
    pinned = plan.setting(scope, "options.retry_backoff")
    if plan.find(scope, "options.retry_backoff_max") is None and plan.get(scope, "options.max_retries") != 0:
        because = "the pinned backoff has no longest wait, so Celery's default applies"
        origins = (*pinned.origins, _LONGEST_DELAY)
        yield Decision(scope, "options.retry_backoff_max", LONGEST_DELAY_SECONDS, because, origins)


def _is_automatic(plan: Plan, scope: Scope, retry: Retry) -> bool:
    """Whether errors are named, here or by the option."""
    return bool(retry.on or plan.get(scope, "options.autoretry_for"))


def _decided(
    scope: Scope, retry: Retry, *, automatic: bool
) -> Iterator[tuple[str, tuple[Value, str, Origin]]]:
    base = ("tasks", scope.name, "retry")

    def choice(field: str, value: Value, because: str, constant: Constant) -> tuple[Value, str, Origin]:
        return value, because, constant if getattr(retry, field) is None else Written((*base, field))

    most = MAX_RETRIES if retry.max is None else retry.max
    yield "max_retries", choice("max", most, _why_so_many(retry), _MAX_RETRIES)
    if not automatic:
        if retry.delay is not None:
            because = "the workload declares this wait for the task's own retry calls"
            yield "default_retry_delay", (retry.delay, because, Written((*base, "delay")))
        return
    if not most:
        return
    if retry.on:
        yield "autoretry_for", ([*retry.on], "the workload declares it", Written((*base, "on")))
    first = max(1, math.ceil(retry.delay or FIRST_DELAY_SECONDS))
    because = "the first retry waits this long, and each later one twice as long as the one before"
    yield "retry_backoff", choice("delay", first, because, _FIRST_DELAY)
    longest = max(first, math.ceil(retry.max_delay or LONGEST_DELAY_SECONDS))
    because = "no retry waits longer than this"
    yield "retry_backoff_max", choice("max_delay", longest, because, _LONGEST_DELAY)
    jitter = JITTER if retry.jitter is None else retry.jitter
    because = (
        "tasks that failed together must not be retried together" if jitter else "the workload declares it"
    )
    yield "retry_jitter", choice("jitter", jitter, because, _JITTER)


def _why_so_many(retry: Retry) -> str:
    if retry.max is None:
        return "three retries outlast the restart of a dependency and still show a real failure soon"
    return "the workload declares it" if retry.max else "the workload declares no retries"
