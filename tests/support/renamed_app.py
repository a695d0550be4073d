"""An app whose tasks are called `PREFIX` and a word: `celery --app renamed_app worker`.

Code of before a rename has another prefix than code of after it; the rest is the same. `SETTINGS` names the
module of the settings, `NAMESPACE` their prefix.
"""

from __future__ import annotations

import os

import witness
from celery import Celery, Task, shared_task, signals
from celery.exceptions import SoftTimeLimitExceeded

PREFIX = os.environ["PREFIX"]

app = Celery("renamed", namespace=os.environ.get("NAMESPACE"))
app.config_from_object(os.environ.get("SETTINGS", "celeryconfig"))
if "SPAWN" in os.environ:
    app.conf.worker_pool_start_method = "spawn"


@shared_task(name=f"{PREFIX}.tell", bind=True)
def tell(self, *_values):
    """Say by what name it runs, and with which options of the workload."""
    return [self.name, self.request.task, self.acks_late, self.time_limit]


@shared_task(name=f"{PREFIX}.again", bind=True)
def again(self):
    """Ask for one retry."""
    if not self.request.retries:
        raise self.retry(countdown=0)
    return self.name


@app.task(name=f"{PREFIX}.flaky", bind=True)
def flaky(self):
    """Meet a dependency that is down once; the workload says that this is retried."""
    if not self.request.retries:
        raise ConnectionError
    return self.name


@app.task(name=f"{PREFIX}.sturdy", bind=True, autoretry_for=(OSError,), default_retry_delay=0)
def sturdy(self):
    """The same, and its decorator says so."""
    if not self.request.retries:
        raise OSError
    return self.name


@app.task(name=f"{PREFIX}.long", bind=True)
def long(self):
    """Run until the soft limit of the workload."""
    try:
        while True:
            pass
    except SoftTimeLimitExceeded:
        return self.name


class Greeter(Task):
    """A task that is a class, and is made with an argument."""

    name = f"{PREFIX}.greet"

    def __init__(self, word):
        self.word = word

    def run(self, whom):
        return [self.name, f"{self.word} {whom}"]


app.register_task(Greeter("hello"))


def _record_ready(**_ignored):
    witness._append({"event": "ready"})


if "WITNESS" in os.environ:
    signals.worker_ready.connect(_record_ready, weak=False)
