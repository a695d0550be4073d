"""Sends that vanish, sends that never end, and workers that give their broker up."""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Remove, SpecPath
from policycompiler.hazards.hazard import Hazard, Makers
from policycompiler.hazards.queues import type_of
from policycompiler.plan import APP, Plan

OPTIONS, RETRY, RETRY_POLICY = (
    "broker_transport_options",
    "task_publish_retry",
    "task_publish_retry_policy",
)
RECONNECT, ATTEMPTS = "broker_connection_retry", "broker_connection_max_retries"
_SETTINGS: SpecPath = ("celery", "settings")


def publishing(plan: Plan) -> Iterator[Hazard]:
    """What senders do not learn, and what they wait for without end."""
    options = plan.get(APP, OPTIONS)
    confirm = options.get("confirm_publish", True) if isinstance(options, dict) else True
    if plan.broker.confirms and confirm is not True:
        yield _unconfirmed(plan)
    policy = plan.get(APP, RETRY_POLICY)
    tries = plan.get(APP, RETRY) is not False
    if tries and isinstance(policy, dict) and policy.get("max_retries") is None:
        message = "without `max_retries` a connected process tries for ever to send while the broker is away"
        settings = ((APP, RETRY_POLICY), (APP, RETRY))
        help_text = "write `max_retries`, 3 where in doubt"
        yield Hazard("publish-retry-unbounded", settings, message, help_text, (*_SETTINGS, RETRY_POLICY))


def _unconfirmed(plan: Plan) -> Hazard:
    path: SpecPath = ("broker", "options", "confirm_publish")
    settings: Makers = ((APP, OPTIONS),)
    fix = (Remove(path),)
    quorum = [queue for queue in plan.scopes("queue") if type_of(plan, queue) == "quorum"]
    if quorum:
        message = (
            f"{quorum[0].name} is a quorum queue, which has a message only when most nodes have it: "
            "without a confirmation a sender never learns that they have not"
        )
        settings = (*settings, (quorum[0], "type"))
        return Hazard("quorum-confirm", settings, message, "remove it", path, fix=fix, about=(APP,))
    message = "a message that RabbitMQ does not take vanishes, and its sender sees no error"
    return Hazard("publish-unconfirmed", settings, message, "remove it", path, fix=fix)


def given_up(plan: Plan) -> Iterator[Hazard]:
    """Workers that end when their broker is away for a while."""
    if not plan.scopes("worker"):
        return
    attempts = plan.get(APP, ATTEMPTS)
    pinned, forever = plan.written(APP, RECONNECT), plan.written(APP, ATTEMPTS)
    if pinned is not None and plan.get(APP, RECONNECT) is False:
        message = (
            f"with `{RECONNECT}: false` a worker that loses its broker ends with all that it runs, and its "
            "queues wait until something starts it again"
        )
        yield _ends(RECONNECT, message, pinned)
    elif (
        forever is not None and isinstance(attempts, int) and not isinstance(attempts, bool) and attempts > 0
    ):
        message = (
            f"with `{ATTEMPTS}: {attempts}` a worker ends when as many attempts to reach the broker have "
            "failed, and its queues wait until something starts it again"
        )
        yield _ends(ATTEMPTS, message, forever)


def _ends(key: str, message: str, path: SpecPath) -> Hazard:
    help_text = "remove it; a worker then tries until the broker is back"
    return Hazard("broker-connection-given-up", ((APP, key),), message, help_text, path)
