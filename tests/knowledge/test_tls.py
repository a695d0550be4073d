"""Which connections over TLS check the certificate, and which are not encrypted at all; on real servers.

On it rests the policy connection-values.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator

import pytest
from certificates import Certificates, certificates
from kombu import Connection
from kombu.exceptions import OperationalError
from servers import free_port, start_rabbitmq, start_redis

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Certificates:
    return certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def redis_port(files, tmp_path_factory) -> Iterator[int]:
    """The port for TLS of a Redis; clients need no certificate."""
    folder, port = tmp_path_factory.mktemp("redis"), free_port()
    configuration = folder / "redis.conf"
    configuration.write_text(
        f"tls-port {port}\ntls-auth-clients no\ntls-cert-file {files.server}\ntls-key-file {files.key}\n"
        f"tls-ca-cert-file {files.authority}\nsave ''\n"
    )
    with start_redis(folder, configuration=configuration):
        yield port


@pytest.fixture(scope="module")
def rabbitmq_port(files, tmp_path_factory) -> Iterator[int]:
    """The same of a RabbitMQ."""
    folder, port = tmp_path_factory.mktemp("rabbitmq"), free_port()
    (folder / "conf.d").mkdir()
    (folder / "conf.d" / "tls.conf").write_text(
        f"listeners.ssl.1 = 127.0.0.1:{port}\nssl_options.certfile = {files.server}\n"
        f"ssl_options.keyfile = {files.key}\nssl_options.cacertfile = {files.authority}\n"
        "ssl_options.verify = verify_none\nssl_options.fail_if_no_peer_cert = false\n"
    )
    with start_rabbitmq(folder):
        yield port


def connects(url: str, **options: object) -> bool:
    with Connection(url, connect_timeout=5, **options) as connection:
        try:
            connection.ensure_connection(max_retries=1, interval_start=0.1, timeout=5)
            connection.default_channel.queue_declare("tls")
        except (OperationalError, OSError, ssl.SSLError, *connection.connection_errors):
            return False
    return True


OF_REDIS: dict[str, tuple[str, dict | bool | None, bool]] = {
    "a bare URL": ("rediss://localhost:{port}/0", None, True),
    "a bare URL and another name": ("rediss://127.0.0.1:{port}/0", None, True),
    "required, without the authority": ("rediss://localhost:{port}/0?ssl_cert_reqs=required", None, False),
    "required, with the authority": (
        "rediss://localhost:{port}/0?ssl_cert_reqs=required&ssl_ca_certs={ca}",
        None,
        True,
    ),
    "required, with the authority and another name": (
        "rediss://127.0.0.1:{port}/0?ssl_cert_reqs=required&ssl_ca_certs={ca}",
        None,
        False,
    ),
    "required not": ("rediss://127.0.0.1:{port}/0?ssl_cert_reqs=none&ssl_ca_certs={other}", None, True),
    "another authority alone": ("rediss://localhost:{port}/0?ssl_ca_certs={other}", None, False),
    "a bare URL and a mapping with another authority": (
        "rediss://localhost:{port}/0",
        {"ssl_ca_certs": "{other}"},
        False,
    ),
    "a mapping": (
        "redis://localhost:{port}/0",
        {"ssl_cert_reqs": "required", "ssl_ca_certs": "{ca}"},
        True,
    ),
    "a mapping with another authority": (
        "redis://localhost:{port}/0",
        {"ssl_cert_reqs": "required", "ssl_ca_certs": "{other}"},
        False,
    ),
    "a mapping without a requirement": ("redis://localhost:{port}/0", {"ssl_ca_certs": "{other}"}, False),
    "true": ("redis://localhost:{port}/0", True, False),
}
OF_RABBITMQ: dict[str, tuple[str, dict | bool | None, bool]] = {
    "a bare URL, without the authority": ("amqps://guest:guest@localhost:{port}//", None, False),
    "true, without the authority": ("amqp://guest:guest@localhost:{port}//", True, False),
    "required not": ("amqp://guest:guest@localhost:{port}//", {"cert_reqs": ssl.CERT_NONE}, True),
    "no TLS": ("amqp://guest:guest@localhost:{port}//", None, False),
    "a mapping without a requirement": (
        "amqp://guest:guest@localhost:{port}//",
        {"ca_certs": "{other}"},
        False,
    ),
    "required, without the authority": (
        "amqp://guest:guest@localhost:{port}//",
        {"cert_reqs": ssl.CERT_REQUIRED},
        False,
    ),
    "required, with the authority": (
        "amqp://guest:guest@localhost:{port}//",
        {"cert_reqs": ssl.CERT_REQUIRED, "ca_certs": "{ca}"},
        True,
    ),
    "required, with another authority": (
        "amqp://guest:guest@localhost:{port}//",
        {"cert_reqs": ssl.CERT_REQUIRED, "ca_certs": "{other}"},
        False,
    ),
}


def told(files: Certificates, port: int, url: str, tls) -> bool:
    texts = {"port": port, "ca": files.authority, "other": files.stranger}
    if isinstance(tls, dict):
        tls = {key: value.format(**texts) if isinstance(value, str) else value for key, value in tls.items()}
    return connects(url.format(**texts), **({} if tls is None else {"ssl": tls}))


@pytest.mark.parametrize("case", OF_REDIS)
def test_redis(files, redis_port, case):
    url, tls, expected = OF_REDIS[case]
    assert told(files, redis_port, url, tls) == expected


@pytest.mark.parametrize("case", OF_RABBITMQ)
def test_rabbitmq(files, rabbitmq_port, case):
    url, tls, expected = OF_RABBITMQ[case]
    assert told(files, rabbitmq_port, url, tls) == expected


@pytest.mark.parametrize("tls", [None, True])
def test_rabbitmq_is_checked_by_the_authorities_of_the_system(files, rabbitmq_port, monkeypatch, tls):
    """So what is refused above is refused for its certificate."""
    monkeypatch.setenv("SSL_CERT_FILE", str(files.authority))
    scheme = "amqp" if tls else "amqps"
    assert told(files, rabbitmq_port, f"{scheme}://guest:guest@localhost:{{port}}//", tls)


@pytest.mark.parametrize(("name", "expected"), [(None, True), ("localhost", True), ("other.test", False)])
def test_py_amqp_checks_the_name_of_the_server_only_if_it_is_told_one(files, rabbitmq_port, name, expected):
    """Unlike redis-py, which checks the name in the URL."""
    tls = {"cert_reqs": ssl.CERT_REQUIRED, "ca_certs": "{ca}"}
    tls |= {} if name is None else {"server_hostname": name}
    assert told(files, rabbitmq_port, "amqp://guest:guest@127.0.0.1:{port}//", tls) == expected
