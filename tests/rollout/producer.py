"""A producer that does not stop until it is told to: it sends each call in turn, ten times a second.

Its only argument is a JSON list of `[task, options]`. What cannot be sent is dropped, as a web application
would do it; `published` has noted the attempt.
"""

from __future__ import annotations

import json
import random
import signal
import sys
import threading
from itertools import cycle

from shop import app

# Not in step with other producers: a broker that gives to each worker in turn would keep them apart.
SECONDS_BETWEEN = (0.05, 0.15)


def main():
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    app.loader.import_default_modules()
    for task, options in cycle(json.loads(sys.argv[1])):
        try:
            app.tasks[task].apply_async(retry=False, **options)
        except Exception as refusal:  # noqa: BLE001 - whatever it is, this call was not sent
            print(task, repr(refusal), file=sys.stderr, flush=True)  # noqa: T201
        if stopping.wait(random.uniform(*SECONDS_BETWEEN)):
            break


if __name__ == "__main__":
    main()
