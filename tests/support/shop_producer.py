"""The shop as a producer: it imports its tasks and calls them, as a web application would.

Standard input is a JSON list of `[name, kwargs, options]`; standard output has the ids, and the names of all
tasks that the app knows.
"""

from __future__ import annotations

import json
import sys

import extra_tasks  # noqa: F401 - registers its tasks
from shop import app


def main():
    app.loader.import_default_modules()
    ids = [
        app.tasks[name].apply_async(kwargs=kwargs, **options).id
        for name, kwargs, options in json.load(sys.stdin)
    ]
    json.dump({"ids": ids, "registered": sorted(app.tasks)}, sys.stdout)


if __name__ == "__main__":
    main()
