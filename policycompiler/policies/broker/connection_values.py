"""Values that a client library refuses when it connects, and options that only one of two connections has.

Decides:
    Nothing.

Because:
    Options of a connection go as they are to redis-py or py-amqp, which judge them when a process connects:
    a wrong value is no error at the start of an application and one in every process that runs it. redis-py
    knows `required`, `optional` and `none`, py-amqp the numbers of Python's `ssl`, and Celery's Redis backend
    also the names of its constants. `broker_use_ssl: true` is enough for RabbitMQ; for Redis kombu ignores
    it. A `rediss://` URL of results must say `ssl_cert_reqs`, that of the broker need not
    (https://docs.celeryq.dev/en/stable/userguide/configuration.html#redis-backend-settings).

    A Redis that asks for TLS, a key prefix or a Sentinel master of the broker's connection asks for it of the
    other connection too, where both lead to one server; a URL in a variable does not say whether they do.

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
    PC478 connection-value-refused: write a value that the client knows.
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
    """Look at both connections."""
    del spec
    return as_findings(connections(plan), CONNECTION_OPTION_ONE_SIDED, CONNECTION_VALUE_REFUSED)
