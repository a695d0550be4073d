"""An alert that does not see every message says so."""

from __future__ import annotations

import pytest
from workloads import Found, after

from policycompiler.policies.watching import priority_monitoring

REFUSES = {
    "a step that is not the first": (
        "tasks: {shop.a: {queue: mail, priority: 2}}",
        [
            Found(
                "priority-monitoring",
                "1:41",
                (
                    "the backlog alert of queue mail counts only the most urgent messages: "
                    "celery-exporter does not count messages of priority step 7"
                ),
                (
                    "name `redis-exporter` before `celery-exporter` in `sources` of the policy "
                    "metric-sources, use RabbitMQ, or give urgent tasks a separate queue"
                ),
            )
        ],
    ),
    "several": (
        (
            "tasks: {shop.a: {queue: mail, priority: 9}, shop.b: {queue: mail}}\n"
            "queues: {mail: {priorities: 2}}"
        ),
        [
            Found(
                "priority-monitoring",
                "2:29",
                (
                    "the backlog alert of queue mail counts only the most urgent messages: "
                    "celery-exporter does not count messages of priority step 1"
                ),
                (
                    "name `redis-exporter` before `celery-exporter` in `sources` of the policy "
                    "metric-sources, use RabbitMQ, or give urgent tasks a separate queue"
                ),
            )
        ],
    ),
    "pinned": (
        "tasks: {shop.a: {options: {priority: 8}}}",
        [
            Found(
                "priority-monitoring",
                "1:38",
                (
                    "the backlog alert of queue shop.standard.io counts only the most urgent "
                    "messages: celery-exporter does not count messages of priority step 6"
                ),
                (
                    "name `redis-exporter` before `celery-exporter` in `sources` of the policy "
                    "metric-sources, use RabbitMQ, or give urgent tasks a separate queue"
                ),
            )
        ],
    ),
}
ACCEPTS = {
    "all are most urgent": "tasks: {shop.a: {queue: mail, priority: 9}}",
    "a pinned number of kombu's first step": "tasks: {shop.a: {options: {priority: 2}}}",
    "RabbitMQ": (
        "broker: {transport: rabbitmq, url: '${B}', version: '3.13'}\n"
        "tasks: {shop.a: {queue: mail, priority: 9}, shop.b: {queue: mail}}"
    ),
    "none is declared": "tasks: {shop.a: {}}",
    "nobody watches another app's queue": "tasks: {shop.a: {queue: q, external: true, priority: 2}}",
}


@pytest.mark.parametrize(("fragment", "findings"), REFUSES.values(), ids=REFUSES)
def test_it_refuses(fragment, findings):
    assert after(priority_monitoring, fragment).findings == findings


@pytest.mark.parametrize("fragment", ACCEPTS.values(), ids=ACCEPTS)
def test_it_accepts(fragment):
    assert after(priority_monitoring, fragment).findings == []
