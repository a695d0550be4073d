"""An app for looks at a running deployment: `celery --app live_app worker`.

`AHEAD` sets the clock of its events forward, in seconds.
"""

from __future__ import annotations

import os
import time

from celery import Celery
from celery.events import event

app = Celery("demo")
app.config_from_object("celeryconfig")

if ahead := float(os.environ.get("AHEAD", "0")):
    event.Event.__defaults__ = (None, dict, lambda: time.time() + ahead)


@app.task(name="demo.quick")
def quick():
    """Return at once."""


@app.task(name="demo.other")
def other(seconds: float = 0):
    """Run for a while."""
    time.sleep(seconds)
