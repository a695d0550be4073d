"""Sends that are lost or never end, and workers that stop trying to reach their broker."""

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
UNPIN = "remove `confirm_publish`, which is on by default"
_SETTINGS: SpecPath = ("celery", "settings")


def publishing(plan: Plan) -> Iterator[Hazard]:
    """Failures that publishers do not see, and sends that wait without end."""
    options = plan.get(APP, OPTIONS)
    confirm = options.get("confirm_publish", True) if isinstance(options, dict) else True
    if plan.broker.confirms and confirm is not True:
        yield _unconfirmed(plan)
    policy = plan.get(APP, RETRY_POLICY)
    tries = plan.get(APP, RETRY) is not False
    if tries and isinstance(policy, dict) and policy.get("max_retries") is None:
        message = (
            "without `max_retries` a connected process retries a send without end while the broker is down"
        )
        settings = ((APP, RETRY_POLICY), (APP, RETRY))
        help_text = "write `max_retries`, such as 3"
        yield Hazard("publish-retry-unbounded", settings, message, help_text, (*_SETTINGS, RETRY_POLICY))


def _unconfirmed(plan: Plan) -> Hazard:
    path: SpecPath = ("broker", "options", "confirm_publish")
    settings: Makers = ((APP, OPTIONS),)
    fix = (Remove(path),)
    quorum = [queue for queue in plan.scopes("queue") if type_of(plan, queue) == "quorum"]
    if quorum:
        message = (
            f"queue {quorum[0].name} is a quorum queue, where most nodes must store a message: without a "
            "confirmation the publisher does not see that they did not"
        )
        settings = (*settings, (quorum[0], "type"))
        return Hazard("quorum-confirm", settings, message, UNPIN, path, fix=fix, about=(APP,))
    message = "if RabbitMQ does not accept a message, it is lost, and its publisher sees no error"
    return Hazard("publish-unconfirmed", settings, message, UNPIN, path, fix=fix)


def given_up(plan: Plan) -> Iterator[Hazard]:
    """Workers that stop when their broker is down for a while."""
    if not plan.scopes("worker"):
        return
    attempts = plan.get(APP, ATTEMPTS)
    pinned, forever = plan.written(APP, RECONNECT), plan.written(APP, ATTEMPTS)
    if pinned is not None and plan.get(APP, RECONNECT) is False:
        message = (
            f"with `{RECONNECT}: false` a worker that loses its connection stops, with all its runs: no "
            "worker consumes its queues until it is restarted"
        )
        yield _ends(RECONNECT, message, pinned)
    elif (
        forever is not None and isinstance(attempts, int) and not isinstance(attempts, bool) and attempts > 0
    ):
        message = (
            f"with `{ATTEMPTS}: {attempts}` a worker stops after {attempts} failed attempts to reach the "
            "broker: no worker consumes its queues until it is restarted"
        )
        yield _ends(ATTEMPTS, message, forever)


def _ends(key: str, message: str, path: SpecPath) -> Hazard:
    help_text = f"remove `{key}`; a worker then retries until the broker is back"
    return Hazard("broker-connection-given-up", ((APP, key),), message, help_text, path)
