"""Results that nothing ever removes.

Decides:
    Nothing.

Because:
    Of `result_expires` and its kin 0 means that results are kept without end, and so does null of the first
    (https://docs.celeryq.dev/en/stable/userguide/configuration.html#result-expires). In a Redis they take
    the memory that the queues need; a database grows until somebody deletes rows.

Example:
    results: {backend: redis, url: "${CELERY_RESULT_BACKEND}"}
    celery: {settings: {result_expires: 0}}

    refuses result-expiry-off

Refuses:
    PC475 result-expiry-off: remove it, and declare for how long results are kept.
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
    """Whether results ever go."""
    del spec
    return (hazard.as_finding(RESULT_EXPIRY_OFF) for hazard in unending_results(plan))
