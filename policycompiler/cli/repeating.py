"""Commands that repeat a look: the rounds, and where their metrics go."""

from __future__ import annotations

import os
import re
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import click

Publish = Callable[[str], None]

_ADDRESS = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]*):(?P<port>[0-9]{1,5})")
_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_LAST_PORT = 65535


def rounds(interval: float, *, watch: bool) -> Iterator[int]:
    """The number of each round, from 0; only one round without `watch`. Ctrl-C ends them."""
    number = 0
    while True:
        yield number
        if not watch:
            return
        number += 1
        time.sleep(interval)


def publisher(where: str | None, *, watch: bool) -> Publish:
    """What publishes the metrics of each round: into a file, or at an address of this host."""
    if where is None:
        return lambda _: None
    address = _ADDRESS.fullmatch(where)
    if address is None:
        return lambda text: _write(Path(where), text)
    if not watch:
        raise click.UsageError("--metrics with an address needs --watch; without it, name a file")
    return _served(address["host"].strip("[]"), int(address["port"]), where)


def _write(path: Path, text: str) -> None:
    """Replace a file at once: a collector must not read half of it."""
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except OSError as problem:
        message = f"{path}: {problem.strerror}"
        raise click.UsageError(message) from None


def _served(host: str, port: int, where: str) -> Publish:
    current = [""]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.path.partition("?")[0] == "/metrics"
            body = current[0].encode() if known else b"see /metrics\n"
            self.send_response(200 if known else 404)
            self.send_header("Content-Type", _CONTENT_TYPE)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Standard error is for people."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    try:
        if port > _LAST_PORT:
            raise OSError(None, "the port does not exist")  # noqa: TRY301
        server = Server((host, port), Handler)
    except OSError as problem:
        message = f"--metrics {where}: {problem.strerror or problem}"
        raise click.UsageError(message) from None
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def publish(text: str) -> None:
        current[0] = text

    return publish
