"""How long a connection through Sentinel waits for a server that took the connection and never answers.

On it rests the policy connection-values. A socket that listens stands for such a server.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

CONNECT = """\
import sys
from kombu import Connection
from kombu.exceptions import OperationalError
with Connection(sys.argv[1], transport_options=dict(master_name="shop", **eval(sys.argv[2]))) as connection:
    try:
        connection.ensure_connection(max_retries=1, interval_start=0)
        connection.default_channel.queue_declare("q")
    except (OperationalError, OSError, *connection.connection_errors):
        print("gave up")
"""
# Twice what the longest one that gives up needs on an idle machine; a busy one may take longer to give up.
LONG_SECONDS = 12
PATIENCE_SECONDS = 90


@pytest.fixture
def silent() -> Iterator[str]:
    """The URL of a Sentinel that never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"sentinel://127.0.0.1:{server.getsockname()[1]}/0"


def gives_up(url: str, options: str, seconds: float) -> bool:
    command = [sys.executable, "-c", CONNECT, url, options]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=True)
    except subprocess.TimeoutExpired:
        return False
    return done.stdout == "gave up\n"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("{'socket_timeout': 0.5}", True),
        ("{'socket_timeout': 0.5, 'sentinel_kwargs': {'socket_timeout': 0.5}}", True),
        ("{'socket_timeout': 0.5, 'sentinel_kwargs': {'username': 'x'}}", False),
        ("{}", False),
    ],
)
def test_it_gives_up_only_with_a_timeout_for_the_sentinel(silent, options, expected):
    seconds = PATIENCE_SECONDS if expected else LONG_SECONDS
    assert gives_up(silent, options, seconds) == expected
