"""All processes find the same broker."""

from __future__ import annotations

import pytest
from workloads import Found, after

from policycompiler.policies.broker import broker_addresses

REFUSES = {
    "several hosts of Redis": (
        "broker: {transport: redis, url: 'redis://one:6379,two:6379/0'}",
        [
            Found(
                "redis-cluster-url",
                "1:33",
                (
                    "`one:6379,two:6379` is not one host: a redis:// URL has one host, and Celery does not "
                    "support Redis Cluster"
                ),
                "write one host, or use Sentinel: `sentinel://one:26379;sentinel://two:26379`",
            ),
        ],
    ),
    "several hosts for results": (
        "results: {backend: redis, url: 'rediss://one,two,three/0'}",
        [
            Found(
                "redis-cluster-url",
                "1:32",
                (
                    "`one,two,three` is not one host: a redis:// URL has one host, and Celery does not "
                    "support Redis Cluster"
                ),
                "write one host, or use Sentinel: `sentinel://one:26379;sentinel://two:26379`",
            ),
        ],
    ),
    "several brokers": (
        "broker: {transport: rabbitmq, url: 'amqp://one;amqp://two;amqp://three'}",
        [
            Found(
                "broker-list-as-balancer",
                "1:36",
                (
                    "each process uses the first of 3 brokers that answers: they share no load, and "
                    "publishers and workers may use different brokers"
                ),
                "write one URL with the name of one broker, of a cluster or of its load balancer",
            ),
        ],
    ),
    "a worker that reads elsewhere": (
        (
            "broker: {transport: redis, url: '${B}'}\n"
            "workers: {w: {queues: ['*'], environment: {CELERY_BROKER_READ_URL: 'redis://two'}}}"
        ),
        [
            Found(
                "env-overrides-url",
                "2:44",
                (
                    "`CELERY_BROKER_READ_URL` overrides `broker.url` for worker w, but all other processes "
                    "still use `broker.url`"
                ),
                "remove it, or write `url: ${CELERY_BROKER_READ_URL}` and set it for all processes",
            ),
        ],
    ),
}
ACCEPTS = {
    "Sentinel": "broker: {transport: redis, url: 'sentinel://one:26379;sentinel://two:26379'}",
    "one host": "broker: {transport: redis, url: 'redis://one:6379/0'}",
    "a variable": "broker: {transport: redis, url: '${B}'}",
    "the variable that is declared": (
        "broker: {transport: redis, url: '${CELERY_BROKER_URL}'}\n"
        "workers: {w: {queues: ['*'], environment: {CELERY_BROKER_URL: 'redis://two'}}}"
    ),
    "any other variable": (
        "broker: {transport: redis, url: '${B}'}\n"
        "workers: {w: {queues: ['*'], environment: {BROKER_URL: 'redis://two'}}}"
    ),
}


@pytest.mark.parametrize(("fragment", "findings"), REFUSES.values(), ids=REFUSES)
def test_it_refuses(fragment, findings):
    assert after(broker_addresses, fragment).findings == findings


@pytest.mark.parametrize("fragment", ACCEPTS.values(), ids=ACCEPTS)
def test_it_accepts(fragment):
    assert after(broker_addresses, fragment).findings == []
