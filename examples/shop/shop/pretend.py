"""Stand-ins for real work, so that the example runs without a mail server, a bank or a search engine."""

import hashlib
import time


def wait(seconds: float) -> None:
    """Wait as for an answer from another machine."""
    time.sleep(seconds)


def compute(seconds: float) -> str:
    """Compute for so long, and at least one round; the digest of it."""
    deadline = time.monotonic() + seconds
    digest = b""
    while True:
        digest = hashlib.sha256(digest).digest()
        if time.monotonic() >= deadline:
            return digest.hex()
