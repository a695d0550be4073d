"""How to ask workers, where they answer remote control."""

from __future__ import annotations

import shlex

from policycompiler.plan import APP, Plan

_PATIENCE_SECONDS = 5
"""The timeout for answers; a busy worker needs more than Celery's default of 1 s."""


def answers(plan: Plan) -> bool:
    """Whether workers answer `celery inspect`: the broker supports it, and no setting disables it."""
    return plan.broker.control and plan.get(APP, "worker_enable_remote_control") is not False


def inspect(plan: Plan, what: str) -> str:
    """The command that asks all workers for each of these words."""
    app = shlex.quote(plan.text(APP, "app"))
    return " && ".join(
        f"celery --app {app} inspect --timeout {_PATIENCE_SECONDS} {each}" for each in what.split()
    )
