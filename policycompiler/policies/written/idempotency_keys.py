"""Tasks whose effect happens once for each value of an argument.

Decides:
    For tasks with `idempotency_key`: `idempotency_key`, `idempotency_keep_seconds`,
    `idempotency_duplicate` and `idempotency_on_store_error`. For the app: `guard_store_variable` if a guard
    needs a store.

Because:
    A lock with an expiry loses the task: after a crash its redelivered message finds the lock of the dead run
    and is skipped. So the store has a record for each value: running, waiting, done. A run owns it for a
    lease. If the worker dies, the redelivered message takes over after the lease. A duplicate of a finished
    effect gets its stored result.

    With the record, a second message does no harm. So the message is acknowledged late, and retries are
    allowed. One gap stays: a process that dies between the effect and its record repeats the effect. Pass the
    key on to the provider, or write it in the transaction of the effect.

    Guards of tasks are in the workers that run them. For a task of another app they must be declared there.

Example:
    tasks: {shop.charge: {idempotency_key: payment_id, runtime: {p50: 1s, p99: 10s}}}

    task:shop.charge/idempotency_keep_seconds = 604800
    task:shop.charge/idempotency_duplicate = "result"
    task:shop.charge/idempotent = true
    task:shop.charge/options.acks_late = true

Refuses:
    PC937 guarded-elsewhere: declare the guard in the app that runs the task.
        fires: tasks: {theirs.a: {queue: theirs, external: true, idempotency_key: id}}
        silent: tasks: {theirs.a: {queue: theirs, external: true}}
    PC939 store-unused: remove `store`, or declare the guards that need it.
        fires:
            store: {url: "${CELERY_GUARD_STORE_URL}"}
            tasks: {shop.a: {}}
        silent:
            store: {url: "${CELERY_GUARD_STORE_URL}"}
            tasks: {shop.a: {idempotency_key: id, runtime: 1s}}

Parameters:
    `keep_seconds`: how long an effect is remembered; 604800.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from policycompiler.diagnostics import Diagnostic, Remove, SpecPath, info, warning
from policycompiler.model import PolicyParameters, TaskFields, Workload
from policycompiler.model.workload.guards import IdempotencyKey
from policycompiler.plan import APP, Constant, Decision, Origin, Plan, Scope, Value, Written
from policycompiler.policies.policy import parameter

NAME = "idempotency-keys"

GUARDED_ELSEWHERE = warning("PC937", "guarded-elsewhere")
STORE_UNUSED = info("PC939", "store-unused")

DUPLICATE = "result"
"""A duplicate that is ignored stays PENDING for those who wait for its result, and a chord never ends."""
ON_STORE_ERROR = "wait"
"""The key is declared because a second effect does harm."""
STORE_VARIABLE = "CELERY_GUARD_STORE_URL"
"""An own variable: the store must not be a cache."""
_IN_WORKERS = ("idempotency_key", "calls")
"""The guards of a task that ask the store."""


class Parameters(PolicyParameters):
    """The parameters of the policy."""

    keep_seconds: Annotated[int, Field(ge=60, le=315_360_000)] = Field(
        604_800, description="how long an effect is remembered; duplicates of a week are found"
    )


def apply(spec: Workload, plan: Plan, tuned: Parameters) -> Iterator[Decision | Diagnostic]:
    """The record of each task with a key, and the store."""
    guarded = []
    for name, task in spec.tasks.items():
        scope = Scope("task", name)
        if plan.value(scope, "external"):
            yield from _elsewhere(name, task)
            continue
        if any(getattr(task, field) for field in _IN_WORKERS):
            guarded.append(name)
        if task.idempotency_key is not None:
            yield from _record(scope, task.idempotency_key, tuned)
    if guarded:
        yield _store(spec, sorted(guarded))
    elif spec.store is not None:
        message = "no task has `idempotency_key` or `calls`, so nothing uses the store of guards"
        yield STORE_UNUSED.at(("store",), message, help="remove it, or declare the guards", at_key=True)


def _elsewhere(name: str, task: TaskFields) -> Iterator[Diagnostic]:
    for field in _IN_WORKERS:
        if getattr(task, field):
            path: SpecPath = ("tasks", name, field)
            message = f"another app runs {name}, so `{field}` has no effect here"
            help_text = f"remove `{field}`, and declare it in the app that runs the task"
            yield GUARDED_ELSEWHERE.at(path, message, help=help_text, fix=(Remove(path),), at_key=True)


def _record(scope: Scope, key: IdempotencyKey, tuned: Parameters) -> Iterator[Decision]:
    path: SpecPath = ("tasks", scope.name, "idempotency_key")
    yield Decision(scope, "idempotency_key", key.key, "the workload declares it", (Written((*path, "key")),))
    keep = tuned.keep_seconds if key.keep is None else key.keep
    origin: Origin = Written((*path, "keep"))
    if key.keep is None:
        origin = parameter(NAME, "keep_seconds", tuned.keep_seconds)
    because = "after this time the same effect can happen again"
    yield Decision(scope, "idempotency_keep_seconds", keep, because, (origin,))
    defaults: tuple[tuple[str, Value, str, str], ...] = (
        ("duplicate", DUPLICATE, "DUPLICATE", "callers and chords get the result of the first run"),
        ("on_store_error", ON_STORE_ERROR, "ON_STORE_ERROR", "a second effect does more harm than a delay"),
    )
    for field, default, constant, because in defaults:
        written = getattr(key, field)
        if written is None:
            yield Decision(scope, f"idempotency_{field}", default, because, (Constant(constant, default),))
        else:
            declared = "the workload declares it"
            yield Decision(scope, f"idempotency_{field}", written, declared, (Written((*path, field)),))


def _store(spec: Workload, guarded: list[str]) -> Decision:
    because = "guards of all workers share their state in one Redis"
    if spec.store is not None:
        url = spec.store.url.removeprefix("${").removesuffix("}")
        return Decision(APP, "guard_store_variable", url, because, (Written(("store", "url")),))
    origins: tuple[Origin, ...] = (
        Written(("tasks", guarded[0])),
        Constant("STORE_VARIABLE", STORE_VARIABLE),
    )
    return Decision(APP, "guard_store_variable", STORE_VARIABLE, because, origins)
