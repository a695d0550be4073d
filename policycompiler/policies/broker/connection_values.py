"""Connection values that a client library refuses, and options that only one of two connections has.

Decides:
    Nothing.

Because:
    redis-py and py-amqp receive connection options unchanged and check them when a process connects. A
    wrong value is no error when the configuration loads, but every process that connects fails. For
    `ssl_cert_reqs`, redis-py accepts `required`, `optional` and `none`. py-amqp accepts the numbers of
    Python's `ssl` module. Celery's Redis backend also accepts the names of its constants. `broker_use_ssl:
    true` is enough for RabbitMQ, but kombu ignores it for Redis. A `rediss://` URL of the result backend
    must contain `ssl_cert_reqs`; a `rediss://` URL of the broker need not
    (https://docs.celeryq.dev/en/stable/userguide/configuration.html#redis-backend-settings).

    If broker and result backend are the same Redis server, both connections need the same TLS, key prefix and
    Sentinel master. The compiler cannot see whether two URLs in variables point to the same server.

Example:
    celery: {settings: {broker_use_ssl: {ssl_cert_reqs: CERT_REQUIRED}}}
    tasks: {shop.a: {}}

    refuses connection-value-refused

Refuses:
    PC477 connection-option-one-sided: set the option for both connections.
        fires:
            broker: {transport: redis, url: "${B}", options: {global_keyprefix: "shop:"}}
            results: {backend: redis, url: "${R}"}
        silent:
            broker: {transport: redis, url: "${B}", options: {global_keyprefix: "shop:"}}
            results: {backend: redis, url: "${R}"}
            celery: {settings: {result_backend_transport_options: {global_keyprefix: "shop:"}}}
    PC478 connection-value-refused: write a value that the client library accepts.
        fires: celery: {settings: {broker_use_ssl: {ssl_cert_reqs: CERT_REQUIRED}}}
        silent: celery: {settings: {broker_use_ssl: {ssl_cert_reqs: required}}}

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, error, warning
from policycompiler.hazards.connections import connections
from policycompiler.hazards.hazard import as_findings
from policycompiler.model import Workload
from policycompiler.plan import Plan

NAME = "connection-values"

CONNECTION_OPTION_ONE_SIDED = warning("PC477", "connection-option-one-sided")
CONNECTION_VALUE_REFUSED = error("PC478", "connection-value-refused")


def apply(spec: Workload, plan: Plan) -> Iterator[Diagnostic]:
    """Check both connections."""
    del spec
    return as_findings(connections(plan), CONNECTION_OPTION_ONE_SIDED, CONNECTION_VALUE_REFUSED)
