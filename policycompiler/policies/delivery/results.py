"""Whose return values are stored, and for how long.

Decides:
    `task:NAME/options.ignore_result` and `options.store_errors_even_if_ignored`;
    `app/task_ignore_result`, `app/result_expires`, and for `rpc` without a URL `app/result_backend`.

Because:
    Where `results:` is declared, somebody reads results: each task keeps its own unless it says `result:
    ignore`. A result that nobody reads costs a write for every task and memory until it expires, but to
    drop one that somebody waits for makes `get()` return None without an error. Errors of a task that
    ignores its result are stored all the same: they are few, and somebody will ask. The body of a chord
    is given the results of its parts, so these are kept for no shorter than such a part may run. A
    message to another app does not tell it to ignore the result. Only the setting counts: a
    `result_expires` in a decorator does nothing, so no task has an expiry of its own. Celery deletes
    nothing from S3 (https://docs.celeryq.dev/en/stable/userguide/configuration.html#result-expires).

Example:
    results: {backend: redis, url: "redis://127.0.0.1/1", keep: 1h}
    tasks:
      shop.mail.send: {result: ignore}
      shop.reports.total: {}

    task:shop.mail.send/options.ignore_result = true
    task:shop.reports.total/options.ignore_result = false
    app/result_expires = 3600

Refuses:
    PC205 result-without-backend: add `results:`, or say `result: ignore`.
        fires: tasks: {shop.a: {result: keep}}
        silent:
            results: {backend: redis, url: "${R}"}
            tasks: {shop.a: {result: keep}}
    PC206 result-backend-without-url: add the URL.
        fires: results: {backend: redis}
        silent: results: {backend: redis, url: "${R}"}
    PC240 result-unneeded: remove `results:`, or say `result: keep` with the tasks whose result is read.
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
"""Long enough for a caller that waits and for a person who looks; Celery's own default is a day."""
KEEP_UNDECLARED = True
"""Somebody may wait for the result of a task that nobody declared."""
STORE_ERRORS = True
"""They are few, and somebody will ask."""
IGNORE_WITHOUT_BACKEND = True
"""There is nowhere to keep them."""
IGNORED_ELSEWHERE = False
"""The app that runs a task knows whether it stores results."""
NEVER_CLEANED = frozenset({"s3"})
"""Stores that forget nothing by themselves and that `celery.backend_cleanup` leaves as they are."""


def apply(spec: Workload, plan: Plan) -> Iterator[Decision | Diagnostic]:
    """Keep what is read, and errors."""
    results = spec.results
    stores = results is not None and results.backend != "none"
    if results is not None and stores and results.url is None and results.backend != "rpc":
        message = f"results are kept in {results.backend}, but there is no URL"
        yield RESULT_BACKEND_WITHOUT_URL.at(
            ("results", "backend"), message, help="add `url: ${CELERY_RESULT_BACKEND}`"
        )
    if results is not None and results.backend == "rpc" and results.url is None:
        origins: tuple[Origin, ...] = (Written(("results", "backend")),)
        yield Decision(APP, "result_backend", "rpc://", "results travel over the broker", origins)
    without: Origin = Constant("IGNORE_WITHOUT_BACKEND", IGNORE_WITHOUT_BACKEND)
    if results is not None:
        without = Written(("results", "backend"))
    for name, task in spec.tasks.items():
        scope = Scope("task", name)
        if task.result == "keep" and not stores:
            message = f"{name} keeps its result, but the workload has no place for results"
            path = ("tasks", name, "result")
            yield RESULT_WITHOUT_BACKEND.at(path, message, help="add `results:`, or say `result: ignore`")
        yield from _of_task(plan, scope, task, without, stores=stores)
    yield from _of_app(spec, plan, without, stores=stores)
    if stores:
        yield from _in_vain(spec, plan)


def _of_task(
    plan: Plan, scope: Scope, task: TaskFields, without: Origin, *, stores: bool
) -> Iterator[Decision]:
    path = ("tasks", scope.name)
    ignored, because, origin = True, "the workload has no place for results", without
    if task.result is not None:
        ignored, because, origin = task.result == "ignore", "declared", Written((*path, "result"))
    elif plan.value(scope, "external"):
        because, origin = "another app runs it", Constant("IGNORED_ELSEWHERE", IGNORED_ELSEWHERE)
        ignored = IGNORED_ELSEWHERE
    elif stores:
        because, origin = "a place for results is declared, and no `result: ignore`", Written(("results",))
        ignored = False
    if plan.find(scope, "options.ignore_result") is None:
        yield Decision(scope, "options.ignore_result", ignored, because, (origin,))
    key = "options.store_errors_even_if_ignored"
    if ignored and stores and plan.find(scope, key) is None:
        because = "errors are few, and somebody will ask"
        origins = (Constant("STORE_ERRORS", STORE_ERRORS), Written(("results",)))
        yield Decision(scope, key, STORE_ERRORS, because, origins)


def _of_app(spec: Workload, plan: Plan, without: Origin, *, stores: bool) -> Iterator[Decision]:
    if plan.find(APP, "task_ignore_result") is None:
        if stores:
            because = "somebody may wait for the result of a task that nobody declared"
            origins: tuple[Origin, ...] = (
                Written(("results",)),
                Constant("KEEP_UNDECLARED", KEEP_UNDECLARED),
            )
        else:
            because = "the workload has no place for results"
            origins = (without,)
        yield Decision(APP, "task_ignore_result", not stores, because, origins)
    if stores and plan.find(APP, "result_expires") is None:
        keep = spec.results.keep if spec.results else None
        if keep is None:
            keep, because, origins = _keep(spec, plan)
        else:
            because, origins = "declared", (Written(("results", "keep")),)
        yield Decision(APP, "result_expires", keep, because, origins)


def _keep(spec: Workload, plan: Plan) -> tuple[float, str, tuple[Origin, ...]]:
    """Seconds for which results are kept where nobody says so."""
    limits = [
        Derived(Scope("task", name), "longest_run_seconds")
        for name, task in spec.tasks.items()
        if "chord" in (task.canvas or ()) and not plan.value(Scope("task", name), "external")
    ]
    least = Constant("KEEP_SECONDS", KEEP_SECONDS)
    longest = max(limits, key=lambda limit: plan.number(limit.scope, limit.key), default=None)
    if longest is None or plan.number(longest.scope, longest.key) <= KEEP_SECONDS:
        return KEEP_SECONDS, "long enough for whoever waits", (least,)
    because = f"a chord waits for the results of its parts, and one of {longest.scope.name} may run so long"
    return plan.number(longest.scope, longest.key), because, (longest,)


def _in_vain(spec: Workload, plan: Plan) -> Iterator[Diagnostic]:
    """What is stored and never read, or never deleted."""
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
        message = f"results are stored in {backend}, but every task ignores its own"
        help_text = (
            "remove `results:`, or say `result: keep` with the tasks whose result is read; where only errors "
            "are looked at, pin `task_store_errors_even_if_ignored: true`"
        )
        yield RESULT_UNNEEDED.at(path, message, help=help_text)
    if backend in NEVER_CLEANED:
        message = f"Celery deletes nothing from {backend}: results stay for ever, whatever `keep` says"
        help_text = "give the bucket a lifecycle rule that deletes old objects"
        yield RESULTS_NEVER_EXPIRE.at(("results", "backend"), message, help=help_text)
