"""The few answers of SQS that a look needs, over real HTTP in its JSON protocol; there is no real SQS here."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Queues = Mapping[str, Mapping[str, str]]


@contextmanager
def stub_sqs(queues: Queues, asked: list[str]) -> Iterator[str]:
    """The broker URL of a server with these attributes of queues; `asked` gets the names of all actions."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            action = self.headers["X-Amz-Target"].partition(".")[2]
            given = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append(action)
            status, answer = self.answer(action, given)
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.0")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def answer(self, action: str, given: dict) -> tuple[int, dict]:
            base = f"http://{self.headers['Host']}/1/"
            name = given.get("QueueName") or str(given.get("QueueUrl", "")).rpartition("/")[2]
            if action == "ListQueues":
                return 200, {"QueueUrls": [base + each for each in queues]}
            if name not in queues:
                kind = "com.amazonaws.sqs#QueueDoesNotExist"
                return 400, {"__type": kind, "message": "The specified queue does not exist."}
            return 200, {"QueueUrl": base + name} if action == "GetQueueUrl" else {"Attributes": queues[name]}

        def log_message(self, *_: object) -> None:
            """Tests read no log of it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"sqs://key:sekret@127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
