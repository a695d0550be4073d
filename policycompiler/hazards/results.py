"""Results that nothing ever removes."""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.hazards.hazard import Hazard
from policycompiler.plan import APP, Plan

SETTINGS = ("result_expires", "result_failure_expires", "result_chord_expires")
"""Of each, 0 means that nothing expires; null does so of the first, and leaves the others to it."""


def unending_results(plan: Plan) -> Iterator[Hazard]:
    """Where results are kept at all."""
    if all(plan.find(APP, key) is None for key in ("result_backend", "result_backend_variable")):
        return
    for key in SETTINGS:
        pinned = plan.written(APP, key)
        value = plan.get(APP, key)
        endless = value == 0 or (value is None and key == SETTINGS[0])
        if pinned is not None and endless and value is not False:
            told = "null" if value is None else value
            message = (
                f"`{key}: {told}` keeps results without end: the result store fills until it refuses writes"
            )
            help_text = "remove it, and say under `results` for how long to `keep` them"
            yield Hazard("result-expiry-off", ((APP, key),), message, help_text, pinned)
