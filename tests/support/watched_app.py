"""An application whose monitoring is tested: its tasks run, fail, wait, and are sent by beat."""

from __future__ import annotations

import os
import time

from celery import Celery

app = Celery("shop", config_source="celeryconfig")
if gone := os.environ.get("SCHEDULE_GONE"):
    app.conf.beat_schedule = {name: each for name, each in app.conf.beat_schedule.items() if name != gone}


@app.task(name="shop.mail")
def mail(seconds=0):
    """A task of people who wait."""
    time.sleep(seconds)


@app.task(name="shop.pay")
def pay(fails=0):
    """A task that may fail."""
    if fails:
        raise ConnectionError


@app.task(name="shop.call")
def call(fails=0):
    """A call that may fail."""
    if fails:
        raise ConnectionError


@app.task(name="shop.once")
def once(key):
    """A task with a key."""


@app.task(name="shop.tick")
def tick():
    """A task of a schedule."""


@app.task(name="shop.tock")
def tock():
    """A task of another schedule."""
