"""Reads an answer over HTTP with the standard library: bounded in time and size, without redirects."""

from __future__ import annotations

import time
from base64 import b64encode
from urllib.request import HTTPRedirectHandler, Request, build_opener

LARGEST_BYTES = 64 * 1024 * 1024
_CHUNK_BYTES = 1 << 16


class _NoRedirect(HTTPRedirectHandler):
    """The login must not go to another address."""

    def redirect_request(self, *_: object) -> None:
        return None


def got(url: str, login: tuple[str, str] | None, timeout_seconds: float) -> bytes:
    """The body of the answer.

    Raises the errors of urllib and http.client, and `OSError` if the body is too large or takes too long. The
    login is never in their texts.
    """
    deadline = time.monotonic() + timeout_seconds
    headers = {}
    if login is not None:
        headers["Authorization"] = f"Basic {b64encode(':'.join(login).encode()).decode()}"
    request = Request(url, headers=headers)  # noqa: S310 - the caller allows http and https only
    parts, size = list[bytes](), 0
    with build_opener(_NoRedirect).open(request, timeout=timeout_seconds) as answer:
        while chunk := answer.read1(_CHUNK_BYTES):
            parts.append(chunk)
            size += len(chunk)
            if size > LARGEST_BYTES:
                message = f"the answer is larger than {LARGEST_BYTES // 2**20} MiB"
                raise OSError(message)
            if time.monotonic() > deadline:
                message = f"no whole answer within {timeout_seconds:g} s"
                raise TimeoutError(message)
    return b"".join(parts)
