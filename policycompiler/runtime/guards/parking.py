"""A task that must wait: its message is sent again for later, and no retry is used."""

from __future__ import annotations

import time
from logging import getLogger
from typing import Any, NoReturn

from celery.exceptions import Reject, Retry

from . import counts
from .errors import Later, Parked
from .told import Parking

PAUSE_SECONDS = 1.0
"""Before a message that cannot be parked goes back to its queue."""
_DELAYED, _DELAY_BITS = "celery_delayed_", 28


def park(task: Any, request: Any, parking: Parking, later: Later) -> NoReturn:
    """Send the message again with a countdown, and end this run; it always raises.

    The copy has the id, the expiry, the headers, the priority, the chord and the chain.
    """
    countdown = parking.countdown(later.seconds)
    try:
        task.signature_from_request(
            request,
            countdown=countdown,
            queue=_queue(task.app, request.delivery_info),
            retries=request.retries,
        ).apply_async()
    except Exception as error:
        message = "task %s cannot be parked (%s); its message goes back to its queue"
        getLogger(__name__).error(message, task.name, type(error).__name__)
        time.sleep(PAUSE_SECONDS)
        raise Reject(error, requeue=True) from error
    counts.add("parked_total", task=task.name, reason=later.reason)
    raise Retry(later.says, Parked(later.says), countdown)


def _queue(app: Any, info: Any) -> str | None:
    """The queue of a message that RabbitMQ has delayed: its address is no queue's."""
    exchange, key = ((info or {}).get(each) for each in ("exchange", "routing_key"))
    if not str(exchange).startswith(_DELAYED):
        return None
    key = str(key).split(".", _DELAY_BITS)[-1]
    queues = app.amqp.queues.items()
    return next((name for name, queue in queues if queue.routing_key == key), key)
