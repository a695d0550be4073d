"""How a message to a `Broadcast` is lost: the policy queue-declarations and the emitted class rest on it."""

from __future__ import annotations

import pytest
from broadcasts import listening, send
from celery import Celery
from kombu import Exchange
from kombu.common import Broadcast

pytestmark = pytest.mark.server

KOMBUS_OWN = 'app.conf.update(broker_url={url!r}, task_queues=[Broadcast("news", routing_key="news")])'


def test_a_message_to_kombus_broadcast_is_lost_on_redis_where_its_sender_never_consumed(redis_url, tmp_path):
    """A sender declares no `Broadcast`, and Redis does not tell it that the exchange copies to everybody."""
    with listening(redis_url, Broadcast("news", routing_key="news")) as drain:
        send(KOMBUS_OWN.format(url=redis_url), tmp_path)
        here = Celery("here", set_as_current=False)
        here.conf.update(broker_url=redis_url, task_queues=[Broadcast("news", routing_key="news")])
        here.send_task("shop.b", queue="news", declare=[Exchange("news", type="fanout")])
        assert drain(1) == ["shop.b"]
