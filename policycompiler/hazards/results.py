"""Results that never expire."""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.hazards.hazard import Hazard
from policycompiler.plan import APP, Plan

SETTINGS = ("result_expires", "result_failure_expires", "result_chord_expires")
"""For each, 0 means no expiry. Null means no expiry for the first; the others then follow the first."""


def unending_results(plan: Plan) -> Iterator[Hazard]:
    """Check the settings if the app stores results."""
    if all(plan.find(APP, key) is None for key in ("result_backend", "result_backend_variable")):
        return
    for key in SETTINGS:
        pinned = plan.written(APP, key)
        value = plan.get(APP, key)
        endless = value == 0 or (value is None and key == SETTINGS[0])
        if pinned is not None and endless and value is not False:
            written = "null" if value is None else value
            message = f"with `{key}: {written}` no result expires: the store fills until it refuses writes"
            help_text = f"remove `{key}`, and declare under `results` how long to `keep` results"
            yield Hazard("result-expiry-off", ((APP, key),), message, help_text, pinned)
