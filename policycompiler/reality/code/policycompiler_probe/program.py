"""The whole look: load the app, note what it has, write one document.

Arguments: the file to write, and what is asked, as JSON:

- `app`, as for `celery -A`;
- `django`, whether Django is set up first;
- `calls`, a list of `name`, `task`, `args` and `kwargs` to compare with the signatures of the tasks;
- `rows`, whether to read the schedules of django-celery-beat from the database.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
import warnings
from typing import Any

from .loading import Loaded
from .places import is_below, relative
from .routing import destination_of, queue_of, routes_of
from .saying import Notes, masked
from .schedules import misfits_of, rows_of, schedules_of
from .settings import SECTIONS, addresses_of, is_known, settings_of, unknown_settings
from .tasks import task_of

FORMAT = 1


def main() -> None:
    """Write what the app has, or why it cannot be loaded."""
    answer, asked = sys.argv[1], json.loads(sys.argv[2])
    warnings.simplefilter("ignore")
    connects: set[str] = set()
    sys.addaudithook(lambda event, args: _note_connect(connects, event, args))
    try:
        found = document(asked)
    except BaseException as problem:  # noqa: BLE001 - an application may even exit while it is imported
        found = {"error": _told(problem)}
    with open(answer, "w", encoding="utf-8") as file:
        json.dump({**found, "connects": sorted(connects), "format": FORMAT}, file)
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads of the application must not keep the program alive.
    os._exit(0)


def document(asked: dict[str, Any]) -> dict[str, Any]:
    """Everything that was asked for."""
    import celery
    import kombu

    notes = Notes()
    loaded = Loaded(asked)
    app = loaded.app
    # Before anything is routed: routing adds the queues that nobody declared.
    declared = [queue_of(queue, notes, declared=True) for _, queue in sorted(app.amqp.queues.items())]
    names = sorted(name for name in app.tasks if not name.startswith("celery."))
    tasks = {
        name: {**task_of(loaded, app.tasks[name], notes), "destination": destination_of(app, name, notes)}
        for name in names
    }
    routes = list(routes_of(loaded, notes))
    settings = dict(settings_of(app, notes))
    return {
        "celery": celery.__version__,
        "kombu": kombu.__version__,
        "python": ".".join(map(str, sys.version_info[:3])),
        "place": loaded.place,
        "addresses": addresses_of(app),
        "settings": settings,
        "set": sorted(key for key in SECTIONS if app.conf.get(key)),
        "unsayable_settings": sorted(notes.settings),
        "in_code": sorted(key for key in app.conf.maps[0] if is_known(key)),
        "unknown_settings": sorted(unknown_settings(app)),
        "tasks": tasks,
        "routes": routes,
        "queues": declared,
        "schedules": schedules_of(app, notes),
        "misfits": list(misfits_of(app, asked.get("calls", ()))),
        "rows": list(rows_of(notes)) if asked.get("rows") else [],
        "unsaid": notes.unsaid,
    }


def _note_connect(connects: set[str], event: str, args: Any) -> None:
    if event == "socket.connect":
        address = args[1]
        connects.add(f"{address[0]}:{address[1]}" if isinstance(address, tuple) else str(address))


def _told(problem: BaseException) -> dict[str, Any]:
    """The kind, the text and the place of an exception, without passwords."""
    here = os.path.dirname(__file__)
    frames = [
        each for each in traceback.extract_tb(problem.__traceback__) if not each.filename.startswith(here)
    ]
    own = [each for each in frames if is_below(each.filename)] or frames
    where = f"{relative(own[-1].filename)}:{own[-1].lineno}" if own else ""
    return {"kind": type(problem).__name__, "text": masked(str(problem)), "place": where}
