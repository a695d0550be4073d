"""Sends the probes of a rehearsal, in the interpreter of the application.

Usage: driver.py APP PROBES, where PROBES is a file with JSON lines: `id`, `after` (seconds from the start),
and either `task` and `arguments`, or `schedule`. It imports Celery and the standard library only. Probes are
sent as the application sends them: by the name of a task, or as beat sends an entry of the schedule.
"""

from __future__ import annotations

import json
import os
import sys
import time


def main() -> None:
    """Send all probes, and note each as sent or refused."""
    sys.path[0] = os.getcwd()
    from celery.app.utils import find_app
    from celery.beat import Scheduler

    app = find_app(sys.argv[1])
    app.loader.import_default_modules()
    app.finalize()
    scheduler = Scheduler(app, lazy=True)
    note("loaded", "", "")
    with open(sys.argv[2], encoding="utf-8") as file:
        probes = [json.loads(line) for line in file]
    start = time.monotonic()
    for probe in probes:
        time.sleep(max(0.0, probe["after"] - (time.monotonic() - start)))
        try:
            if "schedule" in probe:
                fields = dict(app.conf.beat_schedule[probe["schedule"]])
                fields["options"] = {**(fields.get("options") or {}), "task_id": probe["id"]}
                entry = scheduler.Entry(name=probe["schedule"], app=app, **fields)
                scheduler.apply_async(entry, advance=False)
            else:
                app.send_task(probe["task"], kwargs=probe["arguments"], task_id=probe["id"])
        except Exception as problem:  # noqa: BLE001 - whatever a publish raises is the result of the probe
            cause = problem.__cause__ or problem
            note("refused", probe["id"], f"{type(cause).__name__}: {cause}")
        else:
            note("sent", probe["id"], "")


def note(event: str, identifier: str, why: str) -> None:
    """Append a line to the file of records."""
    fields = {"at": time.time(), "event": event, "id": identifier, "why": why}
    with open(os.environ["REHEARSAL_RECORDS"], "a", encoding="utf-8") as file:
        file.write(json.dumps(fields) + "\n")


if __name__ == "__main__":
    main()
