"""What a client does to a broker that only wants to ask, and what workers and beats answer.

On it rest the looks of `reality/`.
"""

from __future__ import annotations

import pytest
import redis
from kombu import Connection, Queue
from processes import wait_until

pytestmark = pytest.mark.server


def test_on_redis_a_client_that_only_consumes_replies_restores_the_messages_of_others(on_redis):
    """By its own visibility timeout; so a look reads its replies without kombu."""
    lab = on_redis()
    url = lab.app.conf.broker_url
    with redis.Redis.from_url(url) as client, Connection(url) as holder:
        queue = Queue("held")(holder.default_channel)
        queue.declare()
        holder.Producer().publish({}, routing_key="held")
        assert queue.get() is not None
        assert (client.llen("held"), client.hlen("unacked")) == (0, 1)
        with (
            Connection(url, transport_options={"visibility_timeout": 1}) as asking,
            asking.Consumer(Queue("replies"), callbacks=[lambda *_: None], no_ack=True),
        ):

            def restored() -> bool:
                with pytest.raises(TimeoutError):
                    asking.drain_events(timeout=0.2)
                return bool(client.llen("held"))

            wait_until(restored, "the message is back in its queue")


def test_remote_control_of_celery_leaves_keys_on_redis(on_redis):
    lab = on_redis()
    lab.worker()
    with redis.Redis.from_url(lab.app.conf.broker_url) as client:
        before = set(client.zrange("_kombu.binding_deadlines", 0, -1))
        assert lab.app.control.inspect(timeout=1).ping()
        assert set(client.zrange("_kombu.binding_deadlines", 0, -1)) - before == {b"reply.celery.pidbox"}
