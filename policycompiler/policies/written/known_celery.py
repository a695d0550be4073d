"""Whether the Celery that runs is one that the policies know.

Decides:
    Nothing.

Because:
    What follows from a workload depends on the Celery that runs it: which settings, task options and flags
    there are, and what they do. Before 5.3 that was never looked into, so what comes out may be wrong in
    silence. A newer Celery is taken for the newest known one, which is right but for what it changed
    (https://docs.celeryq.dev/en/stable/changelog.html).

Example:
    celery: {version: "6.0"}

    refuses celery-newer-than-known

Refuses:
    PC630 unknown-celery-version: write the version that runs, with its minor number, 5.3 or newer.
        fires: celery: {version: "5.2"}
        silent: celery: {version: "5.3.6"}
    PC631 celery-newer-than-known: read that version's change log, or use a newer policycompiler.
        fires: celery: {version: "6.0"}
        silent: celery: {version: "5.7.9"}

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, SpecPath, error, warning
from policycompiler.knowledge.celery_settings import NEWEST_CELERY, OLDEST_CELERY, number_of
from policycompiler.model import Workload
from policycompiler.plan import APP, Plan

NAME = "known-celery"

UNKNOWN_CELERY_VERSION = error("PC630", "unknown-celery-version")
CELERY_NEWER_THAN_KNOWN = warning("PC631", "celery-newer-than-known")

_PATH: SpecPath = ("celery", "version")


def apply(spec: Workload, plan: Plan) -> Iterator[Diagnostic]:
    """Compare it with the oldest and the newest known."""
    del spec
    version = plan.text(APP, "celery_version")
    if "." not in version:
        message = f"Celery {version} may be any of its minor versions, and they differ"
        help_text = f'write which one, such as "{NEWEST_CELERY}"'
        yield UNKNOWN_CELERY_VERSION.at(_PATH, message, help=help_text)
    elif number_of(version) < number_of(OLDEST_CELERY):
        message = f"Celery {version} is older than {OLDEST_CELERY}, the oldest that the policies know"
        help_text = f"run Celery {OLDEST_CELERY} or newer"
        yield UNKNOWN_CELERY_VERSION.at(_PATH, message, help=help_text)
    elif number_of(version) > number_of(NEWEST_CELERY):
        message = f"Celery {version} is newer than {NEWEST_CELERY}, and compiled for as if it were that"
        help_text = "read its change log, or use a newer policycompiler"
        yield CELERY_NEWER_THAN_KNOWN.at(_PATH, message, help=help_text)
