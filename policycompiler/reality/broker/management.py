"""The management API of RabbitMQ, read with the standard library: queues, bindings and alarms."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from http.client import HTTPException
from typing import Any, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from policycompiler.reality.web import got

TIMEOUT_SECONDS = 4
_COLUMNS = (
    "name,type,arguments,exclusive,messages_ready,messages_unacknowledged,consumers,head_message_timestamp"
)


class Managed(NamedTuple):
    """The queues of a virtual host by name, its bindings, and the alarms of the nodes."""

    queues: Mapping[str, Mapping[str, Any]]
    bindings: tuple[tuple[str, str, str], ...]
    alarms: tuple[str, ...]


def read(address: str, vhost: str, user: str | None, password: str | None) -> Managed | str:
    """What the API at `address` says about a virtual host; a sentence if it does not answer.

    The login is that of the address, else that of the broker.
    """
    try:
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            return "the management API (its address is not an http or https URL)"
        host = parts.hostname + (f":{parts.port}" if parts.port else "")
    except ValueError:
        return "the management API (its address is not a URL)"
    base = urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))
    login = (unquote(parts.username or user or "guest"), unquote(parts.password or password or "guest"))
    place = quote(vhost, safe="")
    try:
        queues = _get(f"{base}/api/queues/{place}?columns={_COLUMNS}", login)
        bindings = _get(f"{base}/api/bindings/{place}", login)
        nodes = _get(f"{base}/api/nodes", login)
    except HTTPError as problem:
        problem.close()
        return f"the management API at {base} (it answers {problem.code} {problem.reason})"
    except (URLError, HTTPException, OSError) as problem:
        return f"the management API at {base} ({getattr(problem, 'reason', None) or problem})"
    except (ValueError, RecursionError):
        return f"the management API at {base} (its answer is not the JSON of RabbitMQ)"
    return Managed(
        {str(each["name"]): each for each in _mappings(queues) if "name" in each},
        tuple(
            (str(each.get("source", "")), str(each.get("routing_key", "")), str(each.get("destination", "")))
            for each in _mappings(bindings)
            if each.get("source")
        ),
        tuple(_alarms(nodes)),
    )


def age(timestamp: float) -> float | None:
    """Seconds since a timestamp of a message; None for a time in the future."""
    seconds = time.time() - timestamp
    return seconds if seconds >= 0 else None


def _get(url: str, login: tuple[str, str]) -> object:
    found: object = json.loads(got(url, login, TIMEOUT_SECONDS))
    return found


def _mappings(told: object) -> Iterator[Mapping[str, Any]]:
    return (each for each in told if isinstance(each, dict)) if isinstance(told, list) else iter(())


def _alarms(nodes: object) -> Iterator[str]:
    for node in _mappings(nodes):
        for key, resource in (("mem_alarm", "memory"), ("disk_free_alarm", "disk")):
            if node.get(key) is True:
                yield f"{resource} on {node.get('name')}"
