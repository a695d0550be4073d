"""The statistics of RabbitMQ about its queues, from its management API or from `rabbitmqctl`.

They are a few seconds old: the management API collects them, and a quorum queue reports its own, every 5 s.
So a look waits for longer than that first.
"""

from __future__ import annotations

import json
import subprocess
import time
from base64 import b64encode
from collections.abc import Mapping, Sequence
from http.client import HTTPException
from shutil import which
from urllib.error import HTTPError, URLError
from urllib.parse import SplitResult, quote, unquote, urlsplit, urlunsplit
from urllib.request import Request, urlopen

from kombu.connection import Connection

from policycompiler.reality.connection import CONNECT_SECONDS, Client, UnreachableError, name_of
from policycompiler.reality.messages.counts import UncountableError

_TICK_SECONDS = 6
_CONTROL_SECONDS = 20
"""`rabbitmqctl` starts an Erlang machine; a node that does not answer costs it 10 s."""


def by_management(address: str, connection: Connection, queues: Sequence[str]) -> dict[str, int]:
    """The unacknowledged messages of each queue; the login of the broker, unless the URL has one."""
    parts = _checked(address)
    user, password = parts.username or connection.userid, parts.password or connection.password
    login = b64encode(f"{unquote(user or 'guest')}:{unquote(password or 'guest')}".encode()).decode()
    base = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))
    host = quote(connection.virtual_host, safe="")
    urls = {queue: f"{base}/api/queues/{host}/{quote(queue, safe='')}" for queue in queues}
    # Whoever cannot be asked need not be waited for.
    _got(next(iter(urls.values())), login)
    time.sleep(_TICK_SECONDS)
    found = {}
    for queue, url in urls.items():
        data = _got(url, login)
        number = data.get("messages_unacknowledged")
        if not isinstance(number, int):
            message = f"the management API has no statistics of `{queue}` yet"
            raise UncountableError(message)
        found[queue] = number
    return found


def _checked(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and parts.hostname and (parts.port is None or parts.port)
    except ValueError:
        usable = False
    if not usable:
        message = "--management is not a URL such as http://localhost:15672"
        raise UnreachableError(message)
    return parts


def _got(url: str, login: str) -> Mapping[str, object]:
    """The answer of the API; the login is never in the text of a failure."""
    request = Request(url, headers={"Authorization": f"Basic {login}"})  # noqa: S310 - http or https
    try:
        with urlopen(request, timeout=CONNECT_SECONDS) as answer:  # noqa: S310
            data = json.loads(answer.read())
    except HTTPError as problem:
        message = f"the management API refuses {url}: {problem.code} {problem.reason}"
        raise UnreachableError(message) from None
    except (URLError, HTTPException, OSError, ValueError) as problem:
        told = getattr(problem, "reason", problem)
        message = f"the management API does not answer at {url}: {told}"
        raise UnreachableError(message) from None
    return data if isinstance(data, dict) else {}


def by_rabbitmqctl(app: Client, connection: Connection, queues: Sequence[str]) -> dict[str, int] | None:
    """The unacknowledged messages of each queue; None if no `rabbitmqctl` of this broker runs here."""
    if which("rabbitmqctl") is None:
        return None
    # A broker on this machine need not be that of the URL: only that one knows this connection.
    if name_of(app) not in (_listed("list_connections", "client_properties") or ""):
        return None
    time.sleep(_TICK_SECONDS)
    host = ("-p", connection.virtual_host)
    rows = _listed(*host, "list_queues", "--no-table-headers", "name", "messages_unacknowledged")
    counts = dict(row.rsplit("\t", 1) for row in (rows or "").splitlines() if "\t" in row)
    if any(not counts.get(queue, "").isdecimal() for queue in queues):
        return None
    return {queue: int(counts[queue]) for queue in queues}


def _listed(*words: str) -> str | None:
    """What `rabbitmqctl` prints; None where it fails."""
    try:
        done = subprocess.run(  # noqa: S603 - names of queues are not among the words
            ["rabbitmqctl", "--quiet", *words],  # noqa: S607 - the one that a person would run
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=_CONTROL_SECONDS,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
