"""Ends what a rehearsal has started, also if the rehearsal itself is killed.

Usage: keeper.py FOLDER. It reads the numbers of process groups from its standard input, one on a line. When
that ends, because the rehearsal has ended in whatever way, it kills all groups and removes the folder.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from contextlib import suppress


def main() -> None:
    """Wait for the end, then clean up."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups = [int(line) for line in sys.stdin]
    for group in groups:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
    shutil.rmtree(sys.argv[1], ignore_errors=True)


if __name__ == "__main__":
    main()
