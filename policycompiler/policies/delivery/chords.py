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

from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, Profile, error, warning
from policycompiler.hazards.chords import COUNTED, KEPT, chords, has_own_expiry, in_chords, part
from policycompiler.hazards.hazard import as_findings
from policycompiler.model import Workload
from policycompiler.plan import APP, Decision, Derived, Plan

NAME = "chords"

CHORD_BACKEND = error("PC242", "chord-backend")
CHORD_IGNORE = error("PC243", "chord-ignore")
CHORD_EXPIRY = warning("PC244", "chord-expiry", Profile.MINIMAL)


def apply(spec: Workload, plan: Plan) -> Iterator[Decision | Diagnostic]:
    """Keep the count of a chord for as long as its slowest part may take; look at the tasks in chords."""
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
            f"a part of a chord, {slowest.scope.name}, may take {slowest.whole_seconds} s with its wait "
            f"and its retries, longer than results are kept ({keep:g} s)"
        )
        yield Decision(APP, COUNTED, slowest.whole_seconds, because, (*slowest.origins, Derived(APP, KEPT)))
