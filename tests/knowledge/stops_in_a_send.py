"""Imported by beat, stops it at the moment that `test_beat` asks about: it has begun to send."""

import os
import signal

from celery import signals


def _stop(**_ignored):
    os.kill(os.getpid(), signal.SIGTERM)


signals.before_task_publish.connect(_stop, weak=False)
