"""Replays again and again, each time in a process of its own that may be killed: `replayer.py WORKLOAD URL QUEUE`.

For each line of its input it starts one, and prints its number; then a point for each letter that is moved, and
at last how the process ended. It has no threads, so that it can fork.
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from policycompiler import letters
from policycompiler.compiler import compile_workload
from policycompiler.letters import Deed, Wanted
from policycompiler.reality.connection import client


def main(workload: str, url: str, dead: str) -> None:
    plan = compile_workload([Path(workload)], targets=()).plan
    assert plan is not None
    for _ in sys.stdin:
        child = os.fork()
        if not child:
            for _ in letters.replay(plan, client(plan, url), dead, Wanted(), Deed(datetime.now(UTC))):
                os.write(1, b".\n")
            os._exit(0)
        os.write(1, f"{child}\n".encode())
        os.write(1, f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n".encode())


if __name__ == "__main__":
    main(*sys.argv[1:])
