"""Whether the body of a chord can run.

Decides:
    `app/result_chord_expires` in seconds, if results are kept for less time than a part of a chord may take.

Because:
    The result backend counts the finished parts of a chord. `rpc`, or no backend, cannot count and refuses
    the call. Redis and memcached count each part when it ends, even if its result is ignored. The other
    backends look for the results of all parts once a second, and never finish if one part ignores its
    result.

    The count expires after `result_chord_expires` (Celery 5.7 and newer) or `result_expires` (older Celery).
    The time starts again with each part that ends. If the slowest part takes longer, the body never runs. If
    a part raises `Ignore`, the body waits without end on every backend. A workload does not show this
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
    PC243 chord-ignore: write `result: keep`, or keep results in Redis.
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

from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, Profile, error, warning
from policycompiler.hazards.chords import COUNTED, KEPT, chords, has_own_expiry, in_chords, part
from policycompiler.hazards.hazard import as_findings
from policycompiler.model import Workload
from policycompiler.plan import APP, Decision, Derived, Plan
from policycompiler.quantities import duration

NAME = "chords"

CHORD_BACKEND = error("PC242", "chord-backend")
CHORD_IGNORE = error("PC243", "chord-ignore")
CHORD_EXPIRY = warning("PC244", "chord-expiry", Profile.MINIMAL)


def apply(spec: Workload, plan: Plan) -> Iterator[Decision | Diagnostic]:
    """Keep the count of a chord for as long as its slowest part may take; check the tasks in chords."""
    del spec
    if has_own_expiry(plan) and plan.find(APP, COUNTED) is None:
        yield from _kept(plan)
    yield from as_findings(chords(plan), CHORD_BACKEND, CHORD_IGNORE, CHORD_EXPIRY)


def _kept(plan: Plan) -> Iterator[Decision]:
    keep = plan.number_if_any(APP, KEPT)
    parts = [part(plan, task) for task in in_chords(plan) if not plan.value(task, "external")]
    slowest = max(parts, key=lambda each: each.whole_seconds, default=None)
    if slowest is not None and keep and slowest.whole_seconds > keep:
        because = (
            f"{slowest.scope.name}, a part of a chord, may take {duration(slowest.whole_seconds)} with waits "
            f"and retries, but results are kept for {duration(keep)} only"
        )
        yield Decision(APP, COUNTED, slowest.whole_seconds, because, (*slowest.origins, Derived(APP, KEPT)))
