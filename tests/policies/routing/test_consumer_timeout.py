"""How long RabbitMQ lets a message of each queue be held."""

from __future__ import annotations

import pytest
from workloads import after

from policycompiler.policies.routing import consumer_timeout

RABBITMQ = "broker: {transport: rabbitmq, url: '${B}'%s}\nqueues: {q: %s}"
DECIDES = {
    "the broker's": (RABBITMQ % ("", "{}"), 1800),
    "the queue's": (RABBITMQ % ("", "{arguments: {x-consumer-timeout: 7200000}}"), 7200),
    "the consumer's before the queue's": (
        RABBITMQ
        % (
            "",
            "{arguments: {x-consumer-timeout: 7200000}, consumer_arguments: {x-consumer-timeout: 60000}}",
        ),
        60,
    ),
    "an old broker ignores it": (
        RABBITMQ % (", version: '3.11'", "{arguments: {x-consumer-timeout: 7200000}}"),
        1800,
    ),
    "another app's queue": (RABBITMQ % ("", "{external: true}"), None),
    "another broker": ("queues: {q: {}}", None),
}


@pytest.mark.parametrize(("fragment", "seconds"), DECIDES.values(), ids=DECIDES)
def test_it_decides(fragment, seconds):
    decided = after(consumer_timeout, fragment).decided.get("queue:q/consumer_timeout_seconds")
    assert (decided and decided[0]) == seconds
