"""Which tasks store their results, and for how long.

Decides:
    `task:NAME/options.ignore_result` and `options.store_errors_even_if_ignored`;
    `app/task_ignore_result`, `app/result_expires`, and for `rpc` without a URL `app/result_backend`.

Because:
    If `results:` is declared, clients read results. So each task stores its result unless it declares
    `result: ignore`. A result that no client reads costs one write per run, and memory until it expires. But
    if a client waits for a result that is not stored, `get()` returns None without an error. The errors of a
    task that ignores its result are stored anyway: they are few, and people need them.

    The body of a chord receives the results of its parts. So results are kept at least as long as a part may
    run. A message to another app does not make that app ignore the result. Only the setting
    `result_expires` counts: Celery ignores `result_expires` in a decorator, so a task cannot have its own
    expiry. Celery deletes nothing from S3
    (https://docs.celeryq.dev/en/stable/userguide/configuration.html#result-expires).

Example:
    results: {backend: redis, url: "redis://127.0.0.1/1", keep: 1h}
    tasks:
      shop.mail.send: {result: ignore}
      shop.reports.total: {}

    task:shop.mail.send/options.ignore_result = true
    task:shop.reports.total/options.ignore_result = false
    app/result_expires = 3600

Refuses:
    PC205 result-without-backend: add `results:`, or write `result: ignore`.
        fires: tasks: {shop.a: {result: keep}}
        silent:
            results: {backend: redis, url: "${R}"}
            tasks: {shop.a: {result: keep}}
    PC206 result-backend-without-url: add the URL.
        fires: results: {backend: redis}
        silent: results: {backend: redis, url: "${R}"}
    PC240 result-unneeded: remove `results:`, or write `result: keep` in the tasks whose results are read.
        fires:
            results: {backend: redis, url: "${R}"}
            tasks: {shop.a: {result: ignore}}
        silent:
            results: {backend: redis, url: "${R}"}
            tasks: {shop.a: {result: keep}}
    PC241 results-never-expire: give the bucket a lifecycle rule that deletes old objects.
        fires:
            results: {backend: s3, url: "${R}"}
            tasks: {shop.a: {result: keep}}
        silent:
            results: {backend: redis, url: "${R}"}
            tasks: {shop.a: {result: keep}}

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, SpecPath, error, info, warning
from policycompiler.model import TaskFields, Workload
from policycompiler.plan import APP, Constant, Decision, Derived, Origin, Plan, Scope, Written

NAME = "results"

RESULT_WITHOUT_BACKEND = error("PC205", "result-without-backend")
RESULT_BACKEND_WITHOUT_URL = error("PC206", "result-backend-without-url")
RESULT_UNNEEDED = warning("PC240", "result-unneeded")
RESULTS_NEVER_EXPIRE = info("PC241", "results-never-expire")

KEEP_SECONDS = 3600
"""Long enough for a client that waits and for a person who looks; Celery's default is a day."""
KEEP_UNDECLARED = True
"""A client may wait for the result of an undeclared task."""
STORE_ERRORS = True
"""They are few, and people need them."""
_STORE_ERRORS = Constant("STORE_ERRORS", STORE_ERRORS)
IGNORE_WITHOUT_BACKEND = True
"""There is no result backend."""
IGNORED_ELSEWHERE = False
"""The app that runs a task knows whether it stores results."""
NEVER_CLEANED = frozenset({"s3"})
"""Stores that delete nothing on their own and that `celery.backend_cleanup` does not clean."""


def apply(spec: Workload, plan: Plan) -> Iterator[Decision | Diagnostic]:
    """Store the results that clients read, and errors."""
    results = spec.results
    stores = results is not None and results.backend != "none"
    if results is not None and stores and results.url is None and results.backend != "rpc":
        message = f"results are stored in {results.backend}, but the workload declares no URL for it"
        yield RESULT_BACKEND_WITHOUT_URL.at(
            ("results", "backend"), message, help="add `url: ${CELERY_RESULT_BACKEND}`"
        )
    if results is not None and results.backend == "rpc" and results.url is None:
        origins: tuple[Origin, ...] = (Written(("results", "backend")),)
        because = "the backend `rpc` sends results through the broker"
        yield Decision(APP, "result_backend", "rpc://", because, origins)
    without: Origin = Constant("IGNORE_WITHOUT_BACKEND", IGNORE_WITHOUT_BACKEND)
    if results is not None:
        without = Written(("results", "backend"))
    for name, task in spec.tasks.items():
        scope = Scope("task", name)
        if task.result == "keep" and not stores:
            message = f"{name} keeps its result, but the workload declares no result backend"
            path = ("tasks", name, "result")
            yield RESULT_WITHOUT_BACKEND.at(path, message, help="add `results:`, or write `result: ignore`")
        yield from _of_task(plan, scope, task, without, stores=stores)
    yield from _of_app(spec, plan, without, stores=stores)
    if stores:
        yield from _in_vain(spec, plan)


def _of_task(
    plan: Plan, scope: Scope, task: TaskFields, without: Origin, *, stores: bool
) -> Iterator[Decision]:
    path = ("tasks", scope.name)
    ignored, because, origin = True, "the workload declares no result backend", without
    if task.result is not None:
        because, origin = "the workload declares it", Written((*path, "result"))
        ignored = task.result == "ignore"
    elif plan.value(scope, "external"):
        because = "another app runs the task and decides whether to store its result"
        ignored, origin = IGNORED_ELSEWHERE, Constant("IGNORED_ELSEWHERE", IGNORED_ELSEWHERE)
    elif stores:
        because = "the workload declares a result backend, and the task does not declare `result: ignore`"
        ignored, origin = False, Written(("results",))
    if plan.find(scope, "options.ignore_result") is None:
        yield Decision(scope, "options.ignore_result", ignored, because, (origin,))
    key = "options.store_errors_even_if_ignored"
    if ignored and stores and plan.find(scope, key) is None:
        because = "errors are few, and people need them"
        origins = (_STORE_ERRORS, Written(("results",)))
        yield Decision(scope, key, STORE_ERRORS, because, origins)


def _of_app(spec: Workload, plan: Plan, without: Origin, *, stores: bool) -> Iterator[Decision]:
    if plan.find(APP, "task_ignore_result") is None:
        if stores:
            because = "a client may wait for the result of an undeclared task"
            origins: tuple[Origin, ...] = (
                Written(("results",)),
                Constant("KEEP_UNDECLARED", KEEP_UNDECLARED),
            )
        else:
            because = "the workload declares no result backend"
            origins = (without,)
        yield Decision(APP, "task_ignore_result", not stores, because, origins)
    if stores and plan.find(APP, "result_expires") is None:
        keep = spec.results.keep if spec.results else None
        if keep is None:
            keep, because, origins = _keep(spec, plan)
        else:
            because, origins = "the workload declares it", (Written(("results", "keep")),)
        yield Decision(APP, "result_expires", keep, because, origins)


def _keep(spec: Workload, plan: Plan) -> tuple[float, str, tuple[Origin, ...]]:
    """Seconds for which results are kept where the workload does not declare it."""
    limits = [
        Derived(Scope("task", name), "longest_run_seconds")
        for name, task in spec.tasks.items()
        if "chord" in (task.canvas or ()) and not plan.value(Scope("task", name), "external")
    ]
    least = Constant("KEEP_SECONDS", KEEP_SECONDS)
    longest = max(limits, key=lambda limit: plan.number(limit.scope, limit.key), default=None)
    if longest is None or plan.number(longest.scope, longest.key) <= KEEP_SECONDS:
        return KEEP_SECONDS, "this is long enough for a client that waits for a result", (least,)
    because = f"a chord needs the results of its parts, and the part {longest.scope.name} may run this long"
    return plan.number(longest.scope, longest.key), because, (longest,)


def _in_vain(spec: Workload, plan: Plan) -> Iterator[Diagnostic]:
    """Results that are stored and never read, or never deleted."""
    assert spec.results is not None
    backend = spec.results.backend
    own = [task for name in spec.tasks if not plan.value(task := Scope("task", name), "external")]
    ignored = [task for task in own if plan.value(task, "options.ignore_result")]
    chord = any("chord" in (task.canvas or ()) for task in spec.tasks.values())
    if own and ignored == own and not chord and not plan.get(APP, "task_store_errors_even_if_ignored"):
        path: SpecPath = ("results", "backend")
        pin = plan.written(own[0], "options.ignore_result")
        if pin == ("celery", "settings", "task_ignore_result"):
            path = pin
        message = f"results are stored in {backend}, but every task ignores its result"
        help_text = (
            "remove `results:`, or write `result: keep` in the tasks whose results are read; if only errors "
            "are read, pin `task_store_errors_even_if_ignored: true`"
        )
        yield RESULT_UNNEEDED.at(path, message, help=help_text)
    if backend in NEVER_CLEANED:
        message = f"Celery deletes nothing from {backend}: results stay forever, even if `keep` is set"
        help_text = "give the bucket a lifecycle rule that deletes old objects"
        yield RESULTS_NEVER_EXPIRE.at(("results", "backend"), message, help=help_text)
