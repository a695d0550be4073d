"""Names of queues that one broker accepts and another does not."""

from __future__ import annotations

import pytest
from workloads import after

from policycompiler.policies.broker import sqs_queues


@pytest.mark.parametrize(
    ("transport", "name", "message"),
    [
        ("redis", "a/b ü{x}", None),
        ("rabbitmq", "ü" * 127, None),
        ("filesystem", "a b", None),
        ("filesystem", "a/b", "queue a/b has `/` in its name, which the file system cannot store"),
        ("sqs", "mail:in", None),
        (
            "sqs",
            "high priority",
            "queue high priority is called high priority on SQS, which does not accept ` ` in a name",
        ),
        ("sqs", "größe", "queue größe is called größe on SQS, which does not accept `ö` in a name"),
    ],
)
def test_a_name_that_the_broker_does_not_accept_is_refused(transport, name, message):
    fragment = f'broker: {{transport: {transport}, url: "${{U}}"}}\ntasks: {{shop.a: {{queue: "{name}"}}}}\n'
    found = [each.message for each in after(sqs_queues, fragment).findings]
    assert found == ([] if message is None else [message])


@pytest.mark.parametrize("transport", ["rabbitmq", "redis"])
def test_a_dead_letter_queue_has_a_longer_name(transport):
    fragment = (
        f'broker: {{transport: {transport}, url: "${{U}}"}}\nqueues: {{{"q" * 252}: {{dead_letter: true}}}}\n'
    )
    (found,) = after(sqs_queues, fragment).findings
    assert found.message.startswith("the dead-letter queue of q")
    assert found.message.endswith("q has more than 255 bytes in its name")
