"""Connections that accept any certificate, and those that wait forever for a server that stopped."""

from __future__ import annotations

import pytest
from workloads import after

from policycompiler.policies.broker import connection_values

RESULTS = "results: {backend: redis, url: '%s'}\n"
TLS = "celery: {settings: {%s}}\n"
REDIS = "broker: {transport: redis, url: '%s'}\n"
OPEN = {
    "a bare URL": REDIS % "rediss://h/0",
    "a URL that says so": REDIS % "rediss://h/0?ssl_cert_reqs=none",
    "a constant": REDIS % "rediss://h/0?ssl_cert_reqs=CERT_NONE",
    "results": RESULTS % "rediss://h/0?ssl_cert_reqs=none",
    "a mapping": TLS % "broker_use_ssl: {ssl_cert_reqs: none}",
    "a mapping with a number": TLS % "broker_use_ssl: {ssl_cert_reqs: 0}",
    "a mapping of results": TLS % "redis_backend_use_ssl: {ssl_cert_reqs: CERT_NONE}",
    "a mapping of RabbitMQ": "broker: {transport: rabbitmq, url: '${B}'}\n"
    + TLS % "broker_use_ssl: {cert_reqs: 0}",
}
CLOSED = {
    "a URL that requires": REDIS % "rediss://h/0?ssl_cert_reqs=required",
    "a URL with an authority": REDIS % "rediss://h/0?ssl_ca_certs=/ca.pem",
    "a bare URL with a mapping": REDIS % "rediss://h/0" + TLS % "broker_use_ssl: {ssl_ca_certs: /ca.pem}",
    "no TLS": REDIS % "redis://h/0",
    "a variable": REDIS % "${B}",
    "RabbitMQ": "broker: {transport: rabbitmq, url: 'amqps://h/'}\n",
    "true": "broker: {transport: rabbitmq, url: '${B}'}\n" + TLS % "broker_use_ssl: true",
}


def found(fragment: str, name: str) -> list[str]:
    findings = after(connection_values, fragment + "tasks: {shop.a: {}}\n").findings
    return [each.message for each in findings if each.name == name]


@pytest.mark.parametrize("fragment", OPEN.values(), ids=OPEN)
def test_any_certificate_is_accepted(fragment):
    (message,) = found(fragment, "tls-unverified")
    assert "any certificate: any server on the way can answer" in message


@pytest.mark.parametrize("fragment", CLOSED.values(), ids=CLOSED)
def test_a_certificate_is_checked_or_nothing_is_known(fragment):
    assert found(fragment, "tls-unverified") == []


def through(options: str) -> str:
    return f"broker: {{transport: redis, url: '${{B}}', options: {{{options}}}}}\n"


WAITS = {
    "no timeout": through("master_name: shop, socket_timeout: null"),
    "own options for the Sentinels": through("master_name: shop, sentinel_kwargs: {username: x}"),
    "no name of the master yet": "broker: {transport: redis, url: 'sentinel://h', options: {socket_timeout: null}}\n",
}
ENDS = {
    "the timeout of the compiler": through("master_name: shop"),
    "its own": through("master_name: shop, socket_timeout: 5"),
    "both": through("master_name: shop, sentinel_kwargs: {socket_timeout: 2}"),
    "no Sentinel": through("socket_timeout: null"),
}


@pytest.mark.parametrize("fragment", WAITS.values(), ids=WAITS)
def test_a_process_waits_forever(fragment):
    assert len(found(fragment, "sentinel-waits-forever")) == 1


@pytest.mark.parametrize("fragment", ENDS.values(), ids=ENDS)
def test_a_process_gives_up_in_time(fragment):
    assert found(fragment, "sentinel-waits-forever") == []
