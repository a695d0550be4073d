"""The application of `guarded`: tasks with an effect that can be counted. Copied beside `celeryconfig.py`."""

from __future__ import annotations

import json
import os
import signal
import time

import redis
from celery import Celery
from celery.exceptions import Ignore

app = Celery("shop", config_source="celeryconfig")
effects = redis.Redis.from_url(os.environ["EFFECTS_URL"], decode_responses=True)


def begin(task, payment_id):
    effects.rpush(f"runs:{payment_id}", f"{task.request.id} {task.request.retries}")


@app.task(name="shop.charge", bind=True, max_retries=5)
def charge(self, payment_id, seconds=0.0, how="ok"):
    """Wait, have the effect, and end in a way that says `how`; only the first run is lost or fails."""
    begin(self, payment_id)
    first = effects.llen(f"runs:{payment_id}") == 1
    if seconds:
        time.sleep(seconds)
    if how == "retry" and first:
        raise self.retry(countdown=1)
    if how == "fail" and first:
        raise ValueError(payment_id)
    if how == "kill" or (how == "kill once" and first):
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "hang" and first:
        time.sleep(60)
    effects.incr(f"effect:{payment_id}")
    effects.rpush("effects", f"{payment_id} {os.getpid()}")
    if how == "die after" and first:
        os.kill(os.getpid(), signal.SIGKILL)
    return {"charged": payment_id, "by": self.request.id}


@app.task(name="shop.limited", bind=True, time_limit=1)
def limited(self, payment_id):
    """Pass its hard limit the first time."""
    begin(self, payment_id)
    if effects.llen(f"runs:{payment_id}") == 1:
        time.sleep(30)
    effects.incr(f"effect:{payment_id}")
    return payment_id


def locked(payment_id):
    """What many people write by hand: a lock with an expiry."""
    effects.rpush(f"runs:{payment_id}", "")
    return not effects.set(f"lock:{payment_id}", 1, nx=True, ex=600)


@app.task(name="shop.replaced", bind=True)
def replaced(self, payment_id, how):
    """Have the effect, and let another task give the result, or nobody."""
    begin(self, payment_id)
    effects.incr(f"effect:{payment_id}")
    if how == "ignored":
        raise Ignore
    raise self.replace(add.s(1, 2))


@app.task(name="shop.nx")
def nx(payment_id, seconds=0.0, how="ok"):
    """The lock is kept, until it expires."""
    if locked(payment_id):
        return "another one does it"
    time.sleep(seconds)
    if how == "fail":
        raise ValueError(payment_id)
    effects.incr(f"effect:{payment_id}")
    return "done"


@app.task(name="shop.nx_freed", bind=True)
def nx_freed(self, payment_id):
    """The lock is given back at the end, also of a try that failed."""
    if locked(payment_id):
        return "another one does it"
    try:
        if not self.request.retries:
            raise self.retry(countdown=1)
        effects.incr(f"effect:{payment_id}")
    finally:
        effects.delete(f"lock:{payment_id}")
    return "done"


@app.task(name="shop.nx_ignored")
def nx_ignored(payment_id):
    """A duplicate is ignored."""
    if locked(payment_id):
        raise Ignore
    return "done"


@app.task(name="shop.after")
def after(payment_id, seconds=0.0):
    """What others write by hand: look first, and mark it afterwards."""
    effects.rpush(f"runs:{payment_id}", "")
    if effects.exists(f"mark:{payment_id}"):
        return "it is done"
    time.sleep(seconds)
    effects.incr(f"effect:{payment_id}")
    effects.set(f"mark:{payment_id}", 1)
    return "done"


@app.task(name="shop.add")
def add(*numbers):
    """Of chords and chains: numbers, or the lists of them."""
    return sum(sum(each) if isinstance(each, list) else each for each in numbers)


@app.task(name="shop.call", bind=True, max_retries=6)
def call(self, number, seconds=0.0):
    """Call a provider that fails while the key `down` is there."""
    effects.rpush("calls", f"{time.time()} {number}")
    if seconds:
        time.sleep(seconds)
    if effects.exists("down"):
        raise self.retry(exc=ConnectionError("down"), countdown=0.3)
    effects.rpush("answers", f"{number} {self.request.retries}")
    return number


@app.task(name="shop.parked", bind=True)
def parked(self, payment_id, number=0):
    """Say with what request it runs at last."""
    begin(self, payment_id)
    request = self.request
    told = {name: getattr(request, name) for name in ("id", "retries", "expires")}
    told |= {name: request.delivery_info.get(name) for name in ("priority", "routing_key")}
    effects.set(f"request:{payment_id}", json.dumps(told | {"mine": (request.headers or {}).get("mine")}))
    return number
