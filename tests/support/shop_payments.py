"""Tasks that call a provider, which fails while the key `down` is there; `guarded` is what deploys them.

The list `calls NAME` has `+` and `-` where a call begins and ends, and `up` where the outage ends.
"""

from __future__ import annotations

import os
import time

import redis
from celery import Celery

app = Celery("shop", config_source="celeryconfig")
provider = redis.Redis.from_url(os.environ["EFFECTS_URL"], decode_responses=True)
CALL_SECONDS = 0.1
AT_MOST, OPEN_FOR = 5, 2.0
own = {"failures": 0, "open until": 0.0}
"""The breaker of this process, as people write it by hand."""


def call(task, number):
    provider.rpush(f"calls {task.name}", "+")
    time.sleep(CALL_SECONDS)
    provider.rpush(f"calls {task.name}", "-")
    if provider.exists("down"):
        raise ConnectionError
    provider.rpush(f"answers {task.name}", task.request.retries)
    return number


def pay(self, number):
    """Try three times again, after 1, 2 and 4 s."""
    try:
        return call(self, number)
    except ConnectionError as error:
        raise self.retry(exc=error, countdown=2**self.request.retries) from error


for name in ("shop.pay", "shop.pay_bare"):
    app.task(pay, name=name, bind=True, max_retries=3)


@app.task(name="shop.pay_by_hand", bind=True, max_retries=3)
def by_hand(self, number):
    """A breaker in each process; to wait uses a retry."""
    if time.monotonic() < own["open until"]:
        raise self.retry(countdown=OPEN_FOR)
    try:
        found = call(self, number)
    except ConnectionError as error:
        own["failures"] += 1
        if own["failures"] >= AT_MOST:
            own["open until"] = time.monotonic() + OPEN_FOR
        raise self.retry(exc=error, countdown=2**self.request.retries) from error
    own["failures"] = 0
    return found


@app.task(name="shop.pay_soon", bind=True, max_retries=3)
def soon(self, number):
    """Try again at once."""
    try:
        return call(self, number)
    except ConnectionError as error:
        raise self.retry(exc=error, countdown=0.1) from error


app.task(
    call,
    name="shop.pay_auto",
    bind=True,
    autoretry_for=(ConnectionError,),
    retry_kwargs={"max_retries": 3, "countdown": 0.1},
)


@app.task(name="shop.pay_never", bind=True, max_retries=0)
def never(self, number):
    """Never twice."""
    try:
        return call(self, number)
    except ConnectionError as error:
        raise self.retry(exc=error, countdown=0.1) from error
