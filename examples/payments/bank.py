"""A bank to try the example with: a small server that is out of order when it is told to be.

Usage: python bank.py [PORT]

`POST /charges` with `{"order": …, "cents": …}` charges a card once for each `Idempotency-Key`. `PUT /outage`
with `{"seconds": 20}` makes it answer 503 for so long. `GET /charges` shows the numbers of orders, of
charges, and of calls that were answered or not.
"""

import json
import sys
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock

ANSWER_SECONDS = 0.2
"""How long a charge takes."""


class Bank(ThreadingHTTPServer):
    """The charges so far, by key."""

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", port), Desk)
        self.orders: set[str] = set()
        self.charges: dict[str, int] = {}
        self.answered = self.unanswered = 0
        self.down_until = 0.0
        self.lock = Lock()

    def charge(self, order: str, key: str) -> int | None:
        """The number of the charge; the same one for the same key. None during an outage."""
        time.sleep(ANSWER_SECONDS)
        with self.lock:
            if time.monotonic() < self.down_until:
                self.unanswered += 1
                return None
            self.answered += 1
            self.orders.add(order)
            return self.charges.setdefault(key, len(self.charges) + 1)


class Desk(BaseHTTPRequestHandler):
    """Answers one request."""

    server: Bank

    def do_POST(self) -> None:
        """Charge a card."""
        order = self._body()["order"]
        # Without a key, two requests are two charges.
        key = self.headers.get("Idempotency-Key") or f"none-{time.monotonic_ns()}"
        number = self.server.charge(order, key)
        self._answer(201 if number else 503, {"charge": number or 0})

    def do_PUT(self) -> None:
        """Begin an outage."""
        self.server.down_until = time.monotonic() + float(self._body()["seconds"])
        self._answer(200, {})

    def do_GET(self) -> None:
        """Show what was charged."""
        bank = self.server
        with bank.lock:
            found = {"orders": len(bank.orders), "charges": len(bank.charges)}
            self._answer(200, {**found, "answered": bank.answered, "unanswered": bank.unanswered})

    def log_message(self, *_: object) -> None:
        """Say nothing about each request."""

    def _body(self) -> dict[str, str]:
        return dict(json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0)))))

    def _answer(self, status: int, found: dict[str, int]) -> None:
        text = json.dumps(found).encode()
        # A worker that was killed waits no longer.
        with suppress(ConnectionError):
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)


if __name__ == "__main__":
    Bank(int(sys.argv[1]) if len(sys.argv) > 1 else 8099).serve_forever()
