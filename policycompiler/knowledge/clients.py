"""Values of connection options that the client libraries accept; they check them only when they connect.

tests/knowledge/test_clients.py verifies this with redis-py, py-amqp and Celery's Redis backend.
"""

from __future__ import annotations

from typing import NamedTuple


class Tls(NamedTuple):
    """How a client reads a mapping of TLS options.

    `certificate` is the option that requires verification of the server's certificate. `words` are its values
    besides the numbers 0, 1 and 2. `needed`: the client refuses a mapping without it. `true` is the effect of
    `true` instead of a mapping, empty if that is correct. `schemes` are URL schemes with which the client
    connects without verification, unless the URL or a mapping requires it.
    """

    options: frozenset[str]
    certificate: str
    words: frozenset[str]
    needed: bool
    true: str
    schemes: frozenset[str]


_REDIS = frozenset(
    {
        *("ssl_keyfile", "ssl_certfile", "ssl_cert_reqs", "ssl_ca_certs", "ssl_ca_path", "ssl_ca_data"),
        *("ssl_check_hostname", "ssl_password", "ssl_min_version", "ssl_ciphers"),
        *("ssl_include_verify_flags", "ssl_exclude_verify_flags"),
        *("ssl_validate_ocsp", "ssl_validate_ocsp_stapled", "ssl_ocsp_context", "ssl_ocsp_expected_cert"),
    }
)
"""redis.connection.SSLConnection"""
_AMQP = frozenset(
    {
        *("keyfile", "certfile", "cert_reqs", "ca_certs", "ciphers", "server_hostname", "server_side"),
        *("ssl_version", "tls_minimum_version", "tls_maximum_version", "context"),
        *("do_handshake_on_connect", "suppress_ragged_eofs"),
    }
)
"""amqp.transport.SSLTransport"""
_WORDS = frozenset({"none", "optional", "required"})
_CONSTANTS = frozenset({"CERT_NONE", "CERT_OPTIONAL", "CERT_REQUIRED"})

REDIS_RESULTS = Tls(
    _REDIS,
    "ssl_cert_reqs",
    _WORDS | _CONSTANTS,
    needed=True,
    true="Celery fails with it",
    schemes=frozenset(),
)
"""celery.backends.redis, which reads the same words in a `rediss://` URL."""
REDIS_TLS = Tls(
    _REDIS,
    "ssl_cert_reqs",
    _WORDS,
    needed=False,
    true="kombu ignores it, and the connection is not encrypted",
    schemes=frozenset({"rediss"}),
)
"""`broker_use_ssl` for Redis."""
AMQP_TLS = Tls(_AMQP, "cert_reqs", frozenset(), needed=False, true="", schemes=frozenset())
"""`broker_use_ssl` for RabbitMQ."""
UNVERIFIED = (0, "none", "CERT_NONE")
"""The values that accept any certificate."""
NUMBERS = (0, 1, 2)
"""`ssl.CERT_NONE`, `CERT_OPTIONAL` and `CERT_REQUIRED`."""

KEEPALIVE_NAMES = {"TCP_KEEPIDLE": 4, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 6, "TCP_USER_TIMEOUT": 18}
"""Constants of Python's `socket` with their numbers on Linux; a socket needs the numbers, not the names."""

ALIKE = ("global_keyprefix", "master_name")
"""Options of Redis that must be equal for a broker and a result backend on one server."""

ONE_REDIS = frozenset({"redis", "rediss"})
"""URLs whose path is the number of a database."""
TIMEOUTS = ("socket_timeout", "socket_connect_timeout")
ORDER = "queue_order_strategy"
ORDERS = ("round_robin", "sorted", "priority")
"""The orders in which a virtual transport reads its queues (kombu.utils.scheduling.CYCLE_ALIASES)."""
