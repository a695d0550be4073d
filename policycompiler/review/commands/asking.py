"""How workers are asked, where anybody can ask them."""

from __future__ import annotations

import shlex

from policycompiler.plan import APP, Plan

_PATIENCE_SECONDS = 5
"""For answers; a worker that is busy needs more than Celery's own second."""


def answers(plan: Plan) -> bool:
    """Whether workers answer `celery inspect`: the broker carries that, and nobody turned it off."""
    return plan.broker.control and plan.get(APP, "worker_enable_remote_control") is not False


def inspect(plan: Plan, what: str) -> str:
    """The command that asks all workers for each of these words."""
    app = shlex.quote(plan.text(APP, "app"))
    return " && ".join(
        f"celery --app {app} inspect --timeout {_PATIENCE_SECONDS} {each}" for each in what.split()
    )
