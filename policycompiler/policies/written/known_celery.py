"""Whether the policies know the workload's version of Celery.

Decides:
    Nothing.

Because:
    The output for a workload depends on its version of Celery: the settings, task options and flags that
    exist, and their effects. Versions before 5.3 were never examined, so the output could be silently wrong.
    A newer version is treated as the newest known one, which is right except for the changes in the newer
    version (https://docs.celeryq.dev/en/stable/changelog.html).

Example:
    celery: {version: "6.0"}

    refuses celery-newer-than-known

Refuses:
    PC630 unknown-celery-version: write the version in use with its minor number; run 5.3 or newer.
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
    """Compare the version with the oldest and the newest known one."""
    del spec
    version = plan.text(APP, "celery_version")
    if "." not in version:
        message = f"`{version}` does not name a minor version of Celery, and minor versions differ"
        help_text = f'write the minor version too, such as "{NEWEST_CELERY}"'
        yield UNKNOWN_CELERY_VERSION.at(_PATH, message, help=help_text)
    elif number_of(version) < number_of(OLDEST_CELERY):
        message = f"Celery {version} is older than {OLDEST_CELERY}, the oldest version that the policies know"
        help_text = f"run Celery {OLDEST_CELERY} or newer"
        yield UNKNOWN_CELERY_VERSION.at(_PATH, message, help=help_text)
    elif number_of(version) > number_of(NEWEST_CELERY):
        message = (
            f"Celery {version} is newer than {NEWEST_CELERY}, the newest known version: the output is made "
            f"for Celery {NEWEST_CELERY}"
        )
        help_text = f"read the change log of Celery {version}, or use a newer policycompiler"
        yield CELERY_NEWER_THAN_KNOWN.at(_PATH, message, help=help_text)
