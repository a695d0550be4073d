"""What the client libraries take as values of connection options, which they judge only when they connect.

Run by tests/knowledge/test_clients.py on redis-py, py-amqp and Celery's Redis backend.
"""

from __future__ import annotations

from typing import NamedTuple


class Tls(NamedTuple):
    """How a client takes a mapping of TLS options.

    `certificate` is the option that says whether the other side's certificate is verified, `words` what it
    may be besides the numbers 0, 1 and 2; `needed` where a mapping without it is refused. `true` is what
    comes of `true` in place of a mapping: empty where that is fine.
    """

    options: frozenset[str]
    certificate: str
    words: frozenset[str]
    needed: bool
    true: str


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

REDIS_RESULTS = Tls(_REDIS, "ssl_cert_reqs", _WORDS | _CONSTANTS, needed=True, true="Celery fails on it")
"""celery.backends.redis, which reads the same words in a `rediss://` URL."""
REDIS_TLS = Tls(
    _REDIS,
    "ssl_cert_reqs",
    _WORDS,
    needed=False,
    true="kombu ignores it, and the connection is not encrypted",
)
"""Of `broker_use_ssl` where the broker is Redis."""
AMQP_TLS = Tls(_AMQP, "cert_reqs", frozenset(), needed=False, true="")
"""Of `broker_use_ssl` where the broker is RabbitMQ."""
NUMBERS = (0, 1, 2)
"""`ssl.CERT_NONE`, `CERT_OPTIONAL` and `CERT_REQUIRED`."""

KEEPALIVE_NAMES = frozenset({"TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_USER_TIMEOUT"})
"""Constants of Python's `socket` on Linux, which a socket wants in place of their names."""

ALIKE = ("global_keyprefix", "master_name")
"""Options of Redis that a broker and a result store of one server need alike."""

ONE_REDIS = frozenset({"redis", "rediss"})
"""URLs whose path is the number of a database."""
TIMEOUTS = ("socket_timeout", "socket_connect_timeout")
ORDER = "queue_order_strategy"
ORDERS = ("round_robin", "sorted", "priority")
"""In which order a virtual transport looks into its queues (kombu.utils.scheduling.CYCLE_ALIASES)."""
