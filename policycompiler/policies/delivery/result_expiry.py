"""Results that never expire.

Decides:
    Nothing.

Because:
    The value 0 of `result_expires` and similar settings means that results never expire. So does
    `result_expires: null` (https://docs.celeryq.dev/en/stable/userguide/configuration.html#result-expires).
    In Redis these results take memory that the queues need. A database grows until a person deletes rows.

Example:
    results: {backend: redis, url: "${CELERY_RESULT_BACKEND}"}
    celery: {settings: {result_expires: 0}}

    refuses result-expiry-off

Refuses:
    PC475 result-expiry-off: remove the pin, and declare how long results are kept.
        fires:
            results: {backend: redis, url: "${R}"}
            celery: {settings: {result_expires: 0}}
        silent:
            results: {backend: redis, url: "${R}"}
            celery: {settings: {result_expires: 3600}}

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, Profile, warning
from policycompiler.hazards.results import unending_results
from policycompiler.model import Workload
from policycompiler.plan import Plan

NAME = "result-expiry"

RESULT_EXPIRY_OFF = warning("PC475", "result-expiry-off", Profile.MINIMAL)


def apply(spec: Workload, plan: Plan) -> Iterator[Diagnostic]:
    """Each setting that keeps results without end."""
    del spec
    return (hazard.as_finding(RESULT_EXPIRY_OFF) for hazard in unending_results(plan))
