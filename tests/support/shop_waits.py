"""More of `shop_charges`: publishes that fail in a worker, and tasks that wait in the ways that people try."""

from __future__ import annotations

from celery.exceptions import Retry
from kombu.exceptions import OperationalError
from shop_charges import app, begin, effects


def failing(original):
    """Publish, but for so many times as the key says."""

    def send(*args, **kwargs):
        if effects.decr("publishes fail") >= 0:
            raise OperationalError
        return original(*args, **kwargs)

    return send


app.amqp.send_task_message = failing(app.amqp.send_task_message)


@app.task(name="shop.retries", bind=True, max_retries=2)
def retries(self, payment_id):
    """Wait by a retry, until a key is there."""
    begin(self, payment_id)
    if not effects.exists(f"go:{payment_id}"):
        raise self.retry(countdown=0.1)
    effects.incr(f"effect:{payment_id}")


@app.task(name="shop.raises", bind=True)
def raises(self, payment_id):
    """Wait by the exception alone."""
    begin(self, payment_id)
    raise Retry(message="later", when=0.1)
