"""What redis-py, py-amqp and Celery's Redis backend take as values of TLS options; nothing is connected.

On it rests the policy connection-values.
"""

from __future__ import annotations

import socket
import ssl

import pytest
from amqp.transport import SSLTransport
from celery import Celery
from kombu import Connection
from redis.connection import SSLConnection
from redis.exceptions import RedisError

from policycompiler.knowledge.clients import KEEPALIVE_NAMES


@pytest.mark.parametrize("value", ["required", "optional", "none", ssl.CERT_REQUIRED, 2, 0])
def test_redis_takes(value):
    SSLConnection(ssl_cert_reqs=value)


@pytest.mark.parametrize("value", ["CERT_REQUIRED", "yes"])
def test_redis_refuses(value):
    with pytest.raises(RedisError):
        SSLConnection(ssl_cert_reqs=value)


@pytest.mark.parametrize("value", ["CERT_REQUIRED", "required"])
def test_py_amqp_refuses_words(value):
    near, far = socket.socketpair()
    with near, far, pytest.raises(TypeError):
        SSLTransport._wrap_socket_sni(None, near, cert_reqs=value)


@pytest.mark.parametrize(("given", "encrypted"), [(True, False), ({"ssl_cert_reqs": "required"}, True)])
def test_kombu_ignores_true_on_redis(monkeypatch, given, encrypted):
    asked: list[dict] = []
    monkeypatch.setattr("redis.ConnectionPool.__init__", lambda _, **options: asked.append(options))
    with Connection("redis://127.0.0.1:1/0", ssl=given) as connection, pytest.raises(AttributeError):
        connection.channel()
    assert issubclass(asked[0]["connection_class"], SSLConnection) is encrypted


def backend(url: str, **settings: object) -> object:
    app = Celery("clients", backend=url, set_as_current=False)
    app.conf.update(settings)
    return app.backend


@pytest.mark.parametrize("word", ["required", "CERT_REQUIRED", "none"])
def test_results_take_words_and_constants(word):
    backend(f"rediss://127.0.0.1/0?ssl_cert_reqs={word}")
    backend("rediss://127.0.0.1/0", redis_backend_use_ssl={"ssl_cert_reqs": word})


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("rediss://127.0.0.1/0", {}),
        ("rediss://127.0.0.1/0?ssl_cert_reqs=yes", {}),
        ("redis://127.0.0.1/0", {"redis_backend_use_ssl": {"ssl_ca_certs": "ca.pem"}}),
        ("redis://127.0.0.1/0", {"redis_backend_use_ssl": True}),
    ],
)
def test_results_refuse(url, options):
    with pytest.raises((ValueError, TypeError)):
        backend(url, **options)


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("redis://127.0.0.1:1/abc", {}),
        ("redis://127.0.0.1:99999/0", {}),
        ("sentinel://127.0.0.1:1", {}),
        ("http://127.0.0.1", {}),
        ("redis://127.0.0.1:1/0", {"queue_order_strategy": "foo"}),
    ],
)
def test_kombu_refuses_an_address_before_it_connects(url, options):
    with pytest.raises((ValueError, KeyError, ModuleNotFoundError)):
        Connection(url, transport_options=options).channel()


def test_results_refuse_a_database_that_is_no_number():
    with pytest.raises(ValueError, match="invalid literal"):
        assert backend("redis://127.0.0.1:1/abc").client


def test_the_numbers_of_socket_options_are_those_of_linux():
    assert {name: getattr(socket, name) for name in KEEPALIVE_NAMES} == KEEPALIVE_NAMES
