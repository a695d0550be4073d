"""Retries that are harmful, too late, or never made.

Decides:
    Nothing.

Because:
    A retry helps against temporary errors: a lost connection, a busy service. `Exception` also retries
    permanent errors, such as a missing argument or a bug, and the failure is reported only after the last
    retry. Without jitter, tasks that failed together are retried together. A retry inherits the expiry of
    the first message, so a retry that is due after the expiry is never made. A backoff is a whole number of
    seconds. 0 turns the backoff off, and then Celery ignores `retry_backoff_max` and `retry_jitter`
    (https://docs.celeryq.dev/en/stable/userguide/tasks.html#retrying).

    A task that is written as a class and registered by hand has no automatic retries: Celery adds them only
    to tasks made from functions. A workload does not show the difference. Write the task as a function, or
    catch the errors in the class and call `retry` there.

Example:
    tasks: {shop.mail.send: {idempotent: true, retry: {on: [Exception]}}}

    refuses autoretry-broad

Refuses:
    PC223 autoretry-broad: name the temporary errors.
        fires: tasks: {shop.a: {idempotent: true, retry: {on: [Exception]}}}
        silent: tasks: {shop.a: {idempotent: true, retry: {on: [OSError]}}}
    PC224 retry-unbounded: write a number.
        fires: tasks: {shop.a: {idempotent: true, options: {autoretry_for: [OSError], max_retries: null}}}
        silent: tasks: {shop.a: {idempotent: true, options: {autoretry_for: [OSError], max_retries: 9}}}
    PC225 retry-no-jitter: remove `jitter: false`.
        fires: tasks: {shop.a: {idempotent: true, rate: 5/s, retry: {on: [OSError], jitter: false}}}
        silent: tasks: {shop.a: {idempotent: true, rate: 5/m, retry: {on: [OSError], jitter: false}}}
    PC226 retry-span-exceeds-deadline: declare fewer retries, shorter waits, or a later expiry.
        fires: tasks: {shop.a: {idempotent: true, expires: 1m, retry: {on: [OSError], max: 9}}}
        silent: tasks: {shop.a: {idempotent: true, expires: 1h, retry: {on: [OSError], max: 9}}}
    PC227 retry-knobs-inert: remove it.
        fires: tasks: {shop.a: {retry: none, options: {retry_backoff_max: 60}}}
        silent: tasks: {shop.a: {idempotent: true, retry: {on: [OSError]}, options: {retry_backoff_max: 60}}}

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, Related, Remove, SpecPath, error, warning
from policycompiler.hazards.hazard import as_findings
from policycompiler.hazards.retries import retried_without_end
from policycompiler.model import TaskFields, Workload
from policycompiler.model.exceptions import BROAD
from policycompiler.plan import Plan, Scope, Setting, Written
from policycompiler.quantities import duration

NAME = "retry-checks"

AUTORETRY_BROAD = warning("PC223", "autoretry-broad")
RETRY_UNBOUNDED = error("PC224", "retry-unbounded")
RETRY_NO_JITTER = warning("PC225", "retry-no-jitter")
RETRY_SPAN_EXCEEDS_DEADLINE = warning("PC226", "retry-span-exceeds-deadline")
RETRY_KNOBS_INERT = warning("PC227", "retry-knobs-inert")

CROWD_PER_SECOND = 1
"""At a lower rate, too few tasks fail together to overload a dependency that returns."""
KNOBS = ("retry_backoff", "retry_backoff_max", "retry_jitter", "autoretry_for", "dont_autoretry_for")
BACKOFF_KNOBS = ("retry_backoff_max", "retry_jitter")
"""These affect a backoff only; without one the wait is `default_retry_delay`."""


def apply(spec: Workload, plan: Plan) -> Iterator[Diagnostic]:
    """Check the retries of each task that runs here."""
    yield from as_findings(retried_without_end(plan), RETRY_UNBOUNDED)
    for name, task in spec.tasks.items():
        scope = Scope("task", name)
        if plan.value(scope, "external"):
            continue
        yield from _broad(plan, scope)
        if plan.get(scope, "options.autoretry_for") and plan.get(scope, "options.retry_backoff"):
            yield from _no_jitter(plan, scope)
            yield from _span(plan, scope)
        yield from _inert(plan, scope, task)


def _broad(plan: Plan, scope: Scope) -> Iterator[Diagnostic]:
    setting = plan.find(scope, "options.autoretry_for")
    if setting is None or not isinstance(setting.value, list):
        return
    for index, error_name in enumerate(setting.value):
        if error_name in BROAD:
            message = (
                f"{scope.name} is retried on every `{error_name}`, also after a bug or a wrong argument: "
                "the failure is reported only after the last retry"
            )
            help_text = "name the temporary errors, such as `ConnectionError` or `TimeoutError`"
            yield AUTORETRY_BROAD.at((*_place(setting, scope), index), message, help=help_text)


def _no_jitter(plan: Plan, scope: Scope) -> Iterator[Diagnostic]:
    jitter = plan.find(scope, "options.retry_jitter")
    rates = [
        (rate, key)
        for key in ("rate_peak_per_second", "rate_mean_per_second")
        if (rate := plan.number_if_any(scope, key)) is not None
    ]
    rate, key = max(rates, default=(0, ""))
    if jitter is None or jitter.value is not False or rate <= CROWD_PER_SECOND:
        return
    message = (
        f"{scope.name} is sent {rate:g} times a second: without jitter, tasks that fail together are "
        "retried together"
    )
    origin = plan.setting(scope, key).origins[0]
    related = (Related(origin.path, f"{rate:g} a second"),) if isinstance(origin, Written) else ()
    place = _place(jitter, scope)
    fix = (Remove(place),)
    yield RETRY_NO_JITTER.at(place, message, help=f"remove `{place[-1]}: false`", related=related, fix=fix)


def _span(plan: Plan, scope: Scope) -> Iterator[Diagnostic]:
    most = plan.get(scope, "options.max_retries")
    first, longest = (
        plan.number_if_any(scope, f"options.{key}") for key in ("retry_backoff", "retry_backoff_max")
    )
    expires = plan.find(scope, "options.expires")
    if not isinstance(most, int) or first is None or longest is None or expires is None:
        return
    assert isinstance(expires.value, int | float)
    waits = 0.0
    made = 0
    for retry in range(most):
        waits += min(longest, first * 2 ** min(retry, 64))
        made += waits < expires.value
    if waits >= expires.value:
        message = (
            f"{most} retries of {scope.name} wait up to {duration(waits)}, but it expires after "
            f"{duration(expires.value)}: the last {most - made} may never be made"
        )
        related = (Related(_place(expires, scope), f"expires after {duration(expires.value)}"),)
        place = _place(plan.setting(scope, "options.max_retries"), scope)
        help_text = "declare fewer retries, shorter waits, or a later expiry"
        yield RETRY_SPAN_EXCEEDS_DEADLINE.at(place, message, help=help_text, related=related)


def _inert(plan: Plan, scope: Scope, task: TaskFields) -> Iterator[Diagnostic]:
    """Pins without effect: no retry is made, or each retry waits `default_retry_delay`."""
    none = plan.get(scope, "options.max_retries") == 0
    flat = plan.get(scope, "options.retry_backoff") == 0
    for key in KNOBS if none else BACKOFF_KNOBS if flat else ():
        if task.options is None or getattr(task.options, key) is None:
            continue
        why = "no error is retried" if none else "`retry_backoff: 0` turns the backoff off"
        path: SpecPath = ("tasks", scope.name, "options", key)
        message = f"{why}, so `{key}` has no effect"
        yield RETRY_KNOBS_INERT.at(path, message, help=f"remove `{key}`", at_key=True, fix=(Remove(path),))


def _place(setting: Setting, scope: Scope) -> SpecPath:
    """The last line that sets it, or the task if no line does."""
    written = [origin.path for origin in setting.origins if isinstance(origin, Written)]
    return written[-1] if written else ("tasks", scope.name)
