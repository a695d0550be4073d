"""An application whose tasks end in each way that an exporter tells apart: `python scraped_app.py` sends them.

`BROKER` is the URL of its broker. The queue `orders` has priorities, `reports` has no worker, and
`orders.dead` has what a worker would have put aside.
"""

from __future__ import annotations

import os
import time

from celery import Celery
from celery.exceptions import Reject
from kombu import Queue

app = Celery("scraped", broker=os.environ["BROKER"])
app.conf.update(
    broker_connection_retry_on_startup=True,
    task_acks_late=True,
    task_create_missing_queues=True,
    task_default_queue="mail",
    task_ignore_result=True,
    task_routes={"shop.mail": {"queue": "mail"}, "shop.*": {"queue": "orders"}},
    task_send_sent_event=True,
    worker_send_task_events=True,
)
_ON_RABBITMQ = os.environ["BROKER"].startswith("amqp")
_DEAD = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "orders.dead"}
app.conf.task_queues = [
    Queue("orders", routing_key="orders", max_priority=10, queue_arguments=_DEAD if _ON_RABBITMQ else None),
    Queue("mail", routing_key="mail"),
    Queue("reports", routing_key="reports"),
    Queue("orders.dead", routing_key="orders.dead"),
]

SENT = {
    "shop.pay": 4,
    "shop.mail": 3,
    "shop.fail": 2,
    "shop.retry": 1,
    "shop.reject": 1,
    "shop.slow": 1,
    "shop.slower": 1,
    "shop.gone": 1,
    "shop.stale": 1,
}
"""How often each task is sent; `shop.gone` is no task of this application, and `shop.stale` comes too late."""


@app.task(name="shop.pay")
def pay():
    """Succeed."""


@app.task(name="shop.mail")
def mail():
    """Succeed after a while."""
    time.sleep(0.2)


@app.task(name="shop.fail")
def fail():
    """Fail."""
    raise ValueError("no such order")


@app.task(name="shop.retry", bind=True, max_retries=2, default_retry_delay=0)
def retry(self):
    """Fail, after two more attempts."""
    raise self.retry(exc=ConnectionError("refused"))


@app.task(name="shop.reject")
def reject():
    """Go to the dead letter queue, if the broker has one."""
    raise Reject("not ours", requeue=False)


@app.task(name="shop.slow", soft_time_limit=1)
def slow():
    """Go past the soft time limit."""
    time.sleep(60)


@app.task(name="shop.slower", time_limit=1)
def slower():
    """Go past the hard time limit."""
    time.sleep(60)


@app.task(name="shop.stale")
def stale():
    """Never start."""


def send() -> None:
    """Send all, and leave messages of three priorities in a queue that has no worker."""
    with app.connection_for_write() as connection:
        for queue in app.conf.task_queues:
            queue(connection.default_channel).declare()  # a dead letter needs its queue
    for name, times in SENT.items():
        for _ in range(times):
            app.send_task(name, **({"countdown": 2, "expires": 1} if name == "shop.stale" else {}))
    for priority in (0, 3, 9):
        app.send_task("shop.pay", queue="reports", priority=priority)
    app.send_task("shop.reject", queue="orders.dead")
    app.send_task("shop.mail", countdown=3600)


if __name__ == "__main__":
    send()
