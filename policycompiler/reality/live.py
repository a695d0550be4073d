"""One look at a whole deployment, from its broker: workers, beats, queues, server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import NamedTuple

from policycompiler.plan import Plan, Setting
from policycompiler.reality import nodes
from policycompiler.reality.nodes import Workers
from policycompiler.reality.seen import Seen


class Failure(StrEnum):
    """Why a broker could not be looked at."""

    UNREACHABLE = "unreachable"
    REFUSED = "refused"
    LIBRARY = "library"
    """A library is missing here."""
    UNSUPPORTED = "unsupported"
    """There is no look at this kind of broker."""


class Problem(NamedTuple):
    """A failed look; `message` has no secret. `extra` is the extra of this package with a missing library."""

    failure: Failure
    message: str
    extra: str = ""


class Live(NamedTuple):
    """A look at a deployment.

    `workers` is None if they cannot be asked. `unasked` says why; it is empty if this kind of broker does not
    transport remote control. `broker` is None after a `problem`.
    """

    workers: Workers | None = None
    broker: Seen | None = None
    problem: Problem | None = None
    unasked: str = ""


def look(
    plan: Plan, environment: Mapping[str, str], *, broker: str | None = None, management: str | None = None
) -> Live:
    """Look at the deployment of a plan; it takes 30 s at most, and changes nothing.

    `broker` is the URL of the broker, by default that of the plan or of the variable of the `environment`
    that the plan names. `management` is the URL of RabbitMQ's management API.
    """
    # Celery is imported only where its client is needed: it is slow to import.
    from policycompiler.reality import broker as brokers  # noqa: PLC0415
    from policycompiler.reality import connection, workers  # noqa: PLC0415

    if not brokers.can_look(plan):
        message = f"there is no look at {plan.broker.label}"
        return Live(problem=Problem(Failure.UNSUPPORTED, message))
    try:
        app = connection.client(plan, connection.broker_url(plan, broker, environment))
        with connection.bounded(connection.LOOK_SECONDS), connection.connected(app) as connected:
            seen = brokers.look(connected, plan, management)
            if not workers.can_answer(plan):
                return Live(broker=seen)
            try:
                # A broker without memory refuses the list for the answers.
                with connection.reaching(app.conf.broker_url):
                    return Live(workers.look(app, connected, plan), seen)
            except connection.UnreachableError as problem:
                return Live(broker=seen, unasked=str(problem))
    except connection.UnreachableError as problem:
        return Live(problem=Problem(problem.failure, str(problem), problem.extra))


def settings_of(plan: Plan, found: Live) -> Iterator[Setting]:
    """The plan of today, as far as workers and broker show it."""
    from policycompiler.reality import broker as brokers  # noqa: PLC0415 - imports Celery

    if found.workers is not None:
        yield from nodes.settings_of(plan, found.workers)
    if found.broker is not None:
        yield from brokers.settings_of(found.broker)
