"""Chords whose body never runs, and chords that Celery refuses."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from policycompiler.diagnostics import Related, SpecPath
from policycompiler.hazards.hazard import Hazard, place_of
from policycompiler.plan import APP, Derived, Origin, Plan, Scope
from policycompiler.quantities import duration

BACKEND, KEPT, COUNTED = "result_backend_kind", "result_expires", "result_chord_expires"
WITHOUT_CHORDS = frozenset({"rpc", "none"})
"""Backends that refuse a chord with NotImplementedError."""
COUNTING = frozenset({"redis", "memcached"})
"""Backends that count the parts; the others poll for their results."""
CELERY_WITH_CHORD_EXPIRY = (5, 7)
"""The first release with `result_chord_expires`."""


class Part(NamedTuple):
    """The slowest part of a chord: its longest run, and the whole time with waits and retries."""

    scope: Scope
    run_seconds: float
    whole_seconds: int
    origins: tuple[Origin, ...]


def chords(plan: Plan) -> Iterator[Hazard]:
    """Check the tasks that take part in chords."""
    backend, tasks = backend_of(plan), in_chords(plan)
    for task in tasks:
        if backend in WITHOUT_CHORDS:
            yield _refused(plan, task, backend)
        elif backend not in COUNTING and plan.get(task, "options.ignore_result"):
            yield _endless(plan, task, backend)
    if backend not in WITHOUT_CHORDS:
        yield from _forgotten(plan, [part(plan, task) for task in tasks if not plan.get(task, "external")])


def backend_of(plan: Plan) -> str:
    """The result backend, as the workload names it."""
    return str(plan.get(APP, BACKEND, "none"))


def in_chords(plan: Plan) -> list[Scope]:
    """The tasks that take part in chords, also tasks of other apps."""
    return [task for task in plan.scopes("task") if "chord" in (plan.get(task, "canvas") or [])]  # type: ignore[operator]


def has_own_expiry(plan: Plan) -> bool:
    """Whether the count of a chord has its own expiry, `result_chord_expires`."""
    return plan.version(APP, "celery_version") >= CELERY_WITH_CHORD_EXPIRY and backend_of(plan) in COUNTING


def part(plan: Plan, scope: Scope) -> Part:
    """How long a task may take as a part of a chord."""
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
    return Part(scope, run, math.ceil((waits + run) * (1 + retries) + delay * retries), origins)


def _refused(plan: Plan, task: Scope, backend: str) -> Hazard:
    declared = plan.find(APP, BACKEND) is not None
    why = f"the backend {backend} cannot count its parts"
    if backend == "none":
        why = "the workload declares no result backend"
    message = f"{task.name} takes part in a chord, but {why}: Celery refuses the call"
    related = (Related(("results", "backend"), "declared here"),) if declared else ()
    help_text = "write `results: {backend: redis, url: ${CELERY_RESULT_BACKEND}}`, or use another store"
    path: SpecPath = ("tasks", task.name, "canvas")
    settings = ((APP, BACKEND), (task, "canvas"))
    return Hazard("chord-backend", settings, message, help_text, path, related, about=(task,))


def _endless(plan: Plan, task: Scope, backend: str) -> Hazard:
    message = (
        f"{task.name} ignores its result, but on {backend} a chord waits for the results of all its parts: "
        "its body never runs"
    )
    help_text = "write `result: keep`, or keep results in Redis, which counts the parts instead"
    related = (Related(("tasks", task.name, "canvas"), "takes part in a chord"),)
    settings = ((task, "options.ignore_result"), (APP, BACKEND), (task, "canvas"))
    path = place_of(plan, task, "options.ignore_result")
    return Hazard("chord-ignore", settings, message, help_text, path, related, about=(task,))


def _forgotten(plan: Plan, parts: list[Part]) -> Iterator[Hazard]:
    """Parts that may run longer than the results or the count of the chord are kept."""
    own = has_own_expiry(plan)
    counted = plan.find(APP, COUNTED) if own else None
    if counted is not None and plan.written(APP, COUNTED) is None:
        return  # a policy decided it
    key = KEPT if counted is None or counted.value is None else COUNTED
    keep = plan.number_if_any(APP, key)
    longest = max(parts, key=lambda each: each.run_seconds, default=None)
    if longest is None or not keep or longest.run_seconds <= keep:
        return
    name, least = longest.scope.name, max(each.whole_seconds for each in parts)
    what = "results are kept" if key == KEPT else "the count of a chord is kept"
    message = (
        f"{what} for {duration(keep)}, but {name}, a part of a chord, may run "
        f"{duration(longest.run_seconds)}. The other parts expire before it ends, so the body never runs"
    )
    path = plan.written(APP, key) or ("tasks", name, "canvas")
    limit = duration(longest.run_seconds)
    related = (Related(("tasks", name, "runtime"), f"hard time limit {limit}"),)
    settings = ((APP, key), (APP, BACKEND), (longest.scope, "longest_run_seconds"), (longest.scope, "canvas"))
    help_text = f"keep results for at least {duration(least)}"
    if key == COUNTED:
        help_text = f"remove `{COUNTED}`, or write {least} or more"
    yield Hazard("chord-expiry", settings, message, help_text, path, related, about=(APP,))
