"""Monitors hear of every task."""

from __future__ import annotations

import pytest
from workloads import after

from policycompiler.policies.watching import task_events

DECIDES = {
    "Redis": (
        "tasks: {shop.a: }",
        {
            "app/worker_send_task_events": (True, "celery-exporter and Flower require task events"),
            "app/task_send_sent_event": (True, "celery-exporter and Flower require task events"),
            "worker:shop.standard.io/task_events": (True, ("celery-exporter and Flower require task events")),
            "worker:shop.standard.io/without_gossip": (True, "no generated file uses gossip"),
            "worker:shop.standard.io/without_mingle": (
                False,
                "a starting worker asks the other workers which tasks were revoked",
            ),
            "worker:shop.standard.io/without_heartbeat": (
                False,
                ("heartbeats show monitors that the worker is alive"),
            ),
            "worker:shop.standard.io/log_level": ("INFO", "INFO logs one line for each run"),
        },
    ),
    "SQS carries none": (
        "broker: {transport: sqs, url: '${U}'}\ntasks: {shop.a: }",
        {
            "app/worker_send_task_events": (False, "this broker does not transport task events"),
            "app/task_send_sent_event": (False, "this broker does not transport task events"),
            "worker:shop-standard-io/task_events": (
                False,
                ("`worker_send_task_events` is false for the whole app"),
            ),
        },
    ),
    "gevent on RabbitMQ is slow with them": (
        (
            "broker: {transport: rabbitmq, url: '${U}'}\n"
            "queues: {q: {}}\n"
            "tasks: {shop.a: }\n"
            "workers: {q: {pool: gevent}}"
        ),
        {
            "worker:q/task_events": (False, ("events would limit this pool to about ten tasks a second")),
            "worker:q/without_heartbeat": (
                True,
                ("events would limit this pool to about ten tasks a second"),
            ),
            "worker:shop.standard.io/task_events": (True, ("celery-exporter and Flower require task events")),
            "app/worker_send_task_events": (
                False,
                "at least one worker must not send events, so each worker has its own flag",
            ),
        },
    ),
    "gevent without AMQP heartbeats is not": (
        (
            "celery: {settings: {broker_heartbeat: 0}}\n"
            "broker: {transport: rabbitmq, url: '${U}'}\n"
            "queues: {q: {}}\n"
            "workers: {q: {pool: gevent}}"
        ),
        {"worker:q/task_events": (True, "celery-exporter and Flower require task events")},
    ),
    "Celery 5.6 was not": (
        (
            "celery: {version: '5.6.1'}\n"
            "broker: {transport: rabbitmq, url: '${U}'}\n"
            "queues: {q: {}}\n"
            "workers: {q: {pool: gevent}}"
        ),
        {
            "worker:q/without_heartbeat": (False, ("heartbeats show monitors that the worker is alive")),
        },
    ),
    "threads are not": (
        ("broker: {transport: rabbitmq, url: '${U}'}\nqueues: {q: {}}\nworkers: {q: {pool: threads}}"),
        {
            "worker:q/without_heartbeat": (False, ("heartbeats show monitors that the worker is alive")),
        },
    ),
    "switched off for all": (
        "celery: {settings: {worker_send_task_events: false}}\ntasks: {shop.a: }",
        {
            "worker:shop.standard.io/task_events": (
                False,
                ("`worker_send_task_events` is false for the whole app"),
            ),
        },
    ),
}
STAYS_SILENT = {
    "pinned": (
        (
            "queues: {q: {}}\n"
            "workers: {q: {options: {without_gossip: false, without_mingle: true, "
            "without_heartbeat: true, loglevel: DEBUG}}}"
        ),
        [
            "worker:q/without_gossip",
            "worker:q/without_mingle",
            "worker:q/without_heartbeat",
            "worker:q/log_level",
        ],
    ),
    "the app's are pinned": (
        "celery: {settings: {worker_send_task_events: false, task_send_sent_event: false}}",
        ["app/worker_send_task_events", "app/task_send_sent_event"],
    ),
}
LEADS_TO = {
    "the broker": ("tasks: {shop.a: }", "app/task_send_sent_event", ["app/broker_transport"]),
    "the app's setting": (
        "tasks: {shop.a: }",
        "worker:shop.standard.io/task_events",
        ["app/worker_send_task_events"],
    ),
    "all three": (
        "broker: {transport: rabbitmq, url: '${U}'}\nqueues: {q: {}}\nworkers: {q: {pool: gevent}}",
        "worker:q/task_events",
        ["worker:q/pool", "app/broker_transport", "app/celery_version"],
    ),
}


@pytest.mark.parametrize(("fragment", "expected"), DECIDES.values(), ids=DECIDES)
def test_it_decides(fragment, expected):
    decided = after(task_events, fragment).decided
    assert {address: decided.get(address) for address in expected} == expected


@pytest.mark.parametrize(("fragment", "addresses"), STAYS_SILENT.values(), ids=STAYS_SILENT)
def test_it_stays_silent(fragment, addresses):
    assert after(task_events, fragment).decided.keys().isdisjoint(addresses)


@pytest.mark.parametrize(("fragment", "address", "places"), LEADS_TO.values(), ids=LEADS_TO)
def test_its_origins_lead_to(fragment, address, places):
    assert after(task_events, fragment).origins[address] == places
