"""Whether the body of a chord will ever run.

Decides:
    `app/result_chord_expires` in seconds, where results are kept for less than a chord may take.

Because:
    A chord's parts are counted in the result backend. `rpc` and no backend cannot count and refuse the
    call. Redis and memcached count each part when it ends, whether or not its result is kept; the others look
    for the results of all parts once a second, and look for ever where one is ignored. What is counted is
    forgotten after `result_chord_expires` (Celery 5.7, otherwise `result_expires`), beginning anew with each
    part that ends; the body of a chord whose slowest part takes longer never runs. A part that raises
    `Ignore` leaves the body waiting for ever on every backend, and nothing in a workload shows it
    (https://docs.celeryq.dev/en/stable/userguide/canvas.html#important-notes).

Example:
    results: {backend: redis, url: "${R}", keep: 5m}
    tasks: {shop.reports.part: {canvas: [chord], latency: batch, runtime: {p50: 40s, p99: 10m}}}

    app/result_chord_expires = 4544

Refuses:
    PC242 chord-backend: keep results in Redis or a database.
        fires:
            results: {backend: rpc}
            tasks: {shop.a: {canvas: [chord]}}
        silent:
            results: {backend: redis, url: "${R}"}
            tasks: {shop.a: {canvas: [chord]}}
    PC243 chord-ignore: say `result: keep`, or keep results in Redis.
        fires:
            results: {backend: database, url: "${R}"}
            tasks: {shop.a: {canvas: [chord], result: ignore}}
        silent:
            results: {backend: redis, url: "${R}"}
            tasks: {shop.a: {canvas: [chord], result: ignore}}
    PC244 chord-expiry: keep results for longer than a part of the chord may run.
        fires:
            celery: {version: "5.6"}
            results: {backend: redis, url: "${R}", keep: 1m}
            tasks: {shop.a: {canvas: [chord], runtime: 2m}}
        silent:
            celery: {version: "5.6"}
            results: {backend: redis, url: "${R}", keep: 1h}
            tasks: {shop.a: {canvas: [chord], runtime: 2m}}

Parameters:
    None.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from policycompiler.diagnostics import Diagnostic, Profile, Related, SpecPath, error, warning
from policycompiler.model import Workload
from policycompiler.plan import APP, Decision, Derived, Origin, Plan, Scope

NAME = "chords"

CHORD_BACKEND = error("PC242", "chord-backend")
CHORD_IGNORE = error("PC243", "chord-ignore")
CHORD_EXPIRY = warning("PC244", "chord-expiry", Profile.MINIMAL)

WITHOUT_CHORDS = frozenset({"rpc", "none"})
"""Backends that answer a chord with NotImplementedError."""
COUNTING = frozenset({"redis", "memcached"})
"""Backends that count the parts; the others poll for their results."""
CELERY_WITH_CHORD_EXPIRY = (5, 7)
"""The first release with `result_chord_expires`."""


class _Part(NamedTuple):
    """The slowest part of a chord: its longest run, and that with the wait before it and its retries."""

    scope: Scope
    run_seconds: float
    whole_seconds: int
    origins: tuple[Origin, ...]


def apply(spec: Workload, plan: Plan) -> Iterator[Decision | Diagnostic]:
    """Look at the tasks that take part in chords."""
    names = [name for name, task in spec.tasks.items() if "chord" in (task.canvas or ())]
    backend = plan.get(APP, "result_backend_kind", "none")
    for name in names:
        path: SpecPath = ("tasks", name, "canvas")
        if backend in WITHOUT_CHORDS:
            where = (
                "the workload has no place for results" if backend == "none" else f"{backend} cannot count"
            )
            message = f"{name} takes part in a chord, but {where}: Celery refuses the call"
            related = (Related(("results", "backend"), "declared here"),) if spec.results is not None else ()
            help_text = "write `results: {backend: redis, url: ${CELERY_RESULT_BACKEND}}`, or another store"
            yield CHORD_BACKEND.at(path, message, help=help_text, related=related)
        elif backend not in COUNTING and plan.value(Scope("task", name), "options.ignore_result"):
            message = (
                f"the result of {name} is ignored, and on {backend} a chord waits until it finds those of "
                "all its parts: its body would never run"
            )
            help_text = "say `result: keep`, or keep results in Redis, which counts the parts instead"
            related = (Related(path, "it takes part in a chord"),)
            yield CHORD_IGNORE.at(_ignored(spec, name), message, help=help_text, related=related)
    if backend not in WITHOUT_CHORDS:
        yield from _expiry(
            spec, plan, [name for name in names if not plan.value(Scope("task", name), "external")]
        )


def _ignored(spec: Workload, name: str) -> SpecPath:
    field = ("result",) if spec.tasks[name].result is not None else ("options", "ignore_result")
    return ("tasks", name, *field)


def _expiry(spec: Workload, plan: Plan, names: list[str]) -> Iterator[Decision | Diagnostic]:
    keep = plan.number_if_any(APP, "result_expires")
    parts = [_part(plan, Scope("task", name)) for name in names]
    slowest = max(parts, key=lambda part: part.whole_seconds, default=None)
    if slowest is None or not keep or plan.find(APP, "result_chord_expires") is not None:
        return
    decidable = plan.version(APP, "celery_version") >= CELERY_WITH_CHORD_EXPIRY
    if decidable and plan.text(APP, "result_backend_kind") in COUNTING:
        if slowest.whole_seconds > keep:
            because = (
                f"a part of a chord, {slowest.scope.name}, may take {slowest.whole_seconds} s with its wait "
                f"and its retries, longer than results are kept ({keep:g} s)"
            )
            origins = (*slowest.origins, Derived(APP, "result_expires"))
            yield Decision(APP, "result_chord_expires", slowest.whole_seconds, because, origins)
        return
    longest = max(parts, key=lambda part: part.run_seconds)
    if longest.run_seconds > keep:
        name = longest.scope.name
        message = (
            f"results are kept for {keep:g} s, but {name}, a part of a chord, may run "
            f"{longest.run_seconds:g} s: the others are forgotten before it ends, and the body never runs"
        )
        written = spec.results is not None and spec.results.keep is not None
        path: SpecPath = ("results", "keep") if written else ("tasks", name, "canvas")
        if plan.setting(APP, "result_expires").policy == "as-written":
            path = ("celery", "settings", "result_expires")
        related = (Related(("tasks", name, "runtime"), f"hard limit {longest.run_seconds:g} s"),)
        help_text = f"keep them for at least {slowest.whole_seconds} s"
        yield CHORD_EXPIRY.at(path, message, help=help_text, related=related)


def _part(plan: Plan, scope: Scope) -> _Part:
    hard = Derived(scope, "longest_run_seconds")
    wait = Derived(Scope("queue", plan.text(scope, "queue")), "queue_wait_seconds")
    run, waits = plan.number(scope, hard.key), plan.number(wait.scope, wait.key)
    origins: tuple[Origin, ...] = (wait, hard)
    retries = plan.number_if_any(scope, "options.max_retries") or 0
    delay = plan.number_if_any(scope, "options.retry_backoff_max") or 0
    if retries:
        origins += (Derived(scope, "options.max_retries"),)
    if retries and delay:
        origins += (Derived(scope, "options.retry_backoff_max"),)
    return _Part(scope, run, math.ceil((waits + run) * (1 + retries) + delay * retries), origins)
