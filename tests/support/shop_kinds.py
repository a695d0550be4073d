"""Tasks as people write them; each returns its argument and what it knows of its request."""

from __future__ import annotations

import functools
import os

import redis
from celery import Celery, Task, shared_task
from celery.worker.request import Request
from celeryconfig_guards import current_key
from pydantic import BaseModel

app = Celery("shop", config_source="celeryconfig")
effects = redis.Redis.from_url(os.environ["EFFECTS_URL"], decode_responses=True)


def told(task, payment_id):
    effects.incr(f"effect:{payment_id}")
    return [payment_id, task.request.id, task.request.retries, current_key() is not None]


class Counting(Request):
    """A request of the application's own, in the main process."""

    def on_accepted(self, *args, **kwargs):
        effects.incr("accepted")
        return super().on_accepted(*args, **kwargs)


class OwnCall(Task):
    """Calls the task in its own way."""

    Request = Counting

    def __call__(self, *args, **kwargs):
        return ["own", *super().__call__(*args, **kwargs)]


def twice(function):
    @functools.wraps(function)
    def inner(*args, **kwargs):
        return ["decorated", *function(*args, **kwargs)]

    return inner


class DecoratedCall(Task):
    """Has a decorator around its way to call the task."""

    @twice
    def __call__(self, *args, **kwargs):
        return super().__call__(*args, **kwargs)


class Order(BaseModel):
    """What a task of pydantic takes."""

    payment_id: str


class OwnStart(Task):
    """Has a hook before the start."""

    def before_start(self, task_id, args, kwargs):
        effects.incr("before start")
        super().before_start(task_id, args, kwargs)


class Written(Task):
    """A class of its own."""

    name = "kinds.written"

    def run(self, payment_id):
        return told(self, payment_id)


@app.task(name="kinds.plain")
def plain(payment_id):
    return told(app.tasks["kinds.plain"], payment_id)


@shared_task(name="kinds.shared")
def shared(payment_id):
    return told(app.tasks["kinds.shared"], payment_id)


app.task(told, name="kinds.bound", bind=True)
app.task(told, name="kinds.autoretry", bind=True, autoretry_for=(KeyError,))
app.task(told, name="kinds.own_call", bind=True, base=OwnCall)
app.task(told, name="kinds.decorated_call", bind=True, base=DecoratedCall)
app.task(told, name="kinds.own_start", bind=True, base=OwnStart)
app.register_task(Written())
shared_task(told, name="kinds.shared_bound", bind=True)


@app.task(name="kinds.pydantic", bind=True, pydantic=True)
def pydantic(self, order: Order):
    return told(self, order.payment_id)


@app.task(name="kinds.autoretry_plain", autoretry_for=(ConnectionError,), retry_kwargs={"countdown": 0.1})
def autoretry_plain(payment_id):
    if not app.tasks["kinds.autoretry_plain"].request.retries:
        raise ConnectionError
    return told(app.tasks["kinds.autoretry_plain"], payment_id)
