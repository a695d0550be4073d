"""Arguments with which RabbitMQ refuses a queue, deletes it, or gives up its messages too early or never."""

from __future__ import annotations

import pytest
from workloads import Found, after, compiled, workload

from policycompiler.policies.routing import queue_arguments

LIMIT = (
    "broker: {transport: rabbitmq, url: '${U}'}\n"
    "queues: {q: {type: quorum, arguments: {x-delivery-limit: %s}}}\n"
    "tasks: {shop.a: {queue: q, idempotent: true}}"
)


def test_no_limit_of_deliveries():
    (found,) = after(queue_arguments, LIMIT % -1).findings
    assert found == Found(
        "delivery-limit-missing",
        "2:58",
        "the delivery limit -1 does not stop queue q from redelivering a message that kills its worker, "
        "for instance one of shop.a",
        "remove the limit (the compiler then sets one), or write a limit of 1 or more",
    )


def test_a_limit_of_no_delivery_after_the_first():
    (found,) = after(queue_arguments, LIMIT % 0).findings
    assert found == Found(
        "delivery-limit-zero",
        "2:58",
        "queue q has a delivery limit of 0: RabbitMQ does not redeliver a message of shop.a when its worker "
        "dies, although the task is acknowledged late",
        "remove the limit (the compiler then sets one), or write 1 or more",
    )


@pytest.mark.parametrize("limit", [1, 20])
def test_another_limit_is_fine(limit):
    assert after(queue_arguments, LIMIT % limit).findings == []


DROPS = "a message of shop.a that returned %s times, for instance because it kills its worker"
QUORUM = """\
broker: {transport: rabbitmq, url: '${B}'%s}
queues: {q: {type: quorum%s}}
tasks: {shop.a: {queue: q, idempotent: %s, critical: %s}}
"""


def drops(
    version: str, queue: str, idempotent: str, critical: str, platform: str = ""
) -> list[tuple[str, str]]:
    text = workload(QUORUM % (version, queue, idempotent, critical))
    found = compiled(text, platform or "version: 1\n").diagnostics
    return [(each.name, each.message) for each in found if each.name == "delivery-limit-drops"]


def test_a_critical_task_that_its_limit_drops():
    (found,) = drops("", "", "true", "true")
    assert found == (
        "delivery-limit-drops",
        f"queue q has a delivery limit of 3, and no dead letters: RabbitMQ silently drops {DROPS % 3}",
    )
    assert drops("", ", dead_letter: true", "true", "true") == []
    assert drops("", "", "true", "false") == []
    assert drops("", "", "false", "true") == []


@pytest.mark.parametrize(("version", "count"), [("", 0), (", version: '3.13'", 0), (", version: '4.0'", 1)])
def test_the_limit_that_rabbitmq_4_has_by_itself(version, count):
    """What is left to Celery declares no limit."""
    as_is = "version: 1\nextends: as-is\n"
    late = QUORUM.replace("idempotent: %s, critical: %s", "options: {acks_late: true}")
    text = workload(late % (version, ""))
    found = [each for each in compiled(text, as_is).diagnostics if each.name == "delivery-limit-drops"]
    assert len(found) == count
    if found:
        assert found[0].message == (
            "queue q has a delivery limit of 20, which is the default from RabbitMQ 4 on, and no dead letters: "
            f"RabbitMQ silently drops {DROPS % 20}"
        )
