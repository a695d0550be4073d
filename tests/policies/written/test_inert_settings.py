"""Settings that nothing reads are named, and nothing else."""

from __future__ import annotations

import pytest
from workloads import Found, after

from policycompiler.policies.written import inert_settings

REFUSES = {
    "another backend's": (
        "results: {backend: database, url: '${R}'}\ncelery: {settings: {redis_max_connections: 20}}",
        [
            Found(
                "setting-unused",
                "2:21",
                (
                    "`redis_max_connections` has no effect: only the redis backend reads it, and results "
                    "are stored in database"
                ),
                "remove `redis_max_connections`",
            ),
        ],
    ),
    "no results": (
        "results: {backend: none}\ncelery: {settings: {database_short_lived_sessions: true}}",
        [
            Found(
                "setting-unused",
                "2:21",
                (
                    "`database_short_lived_sessions` has no effect: only the database backend reads it, "
                    "and the workload stores no results"
                ),
                "remove `database_short_lived_sessions`",
            ),
        ],
    ),
    "results are not spoken of": (
        "celery: {settings: {s3_bucket: a}}",
        [
            Found(
                "setting-unused",
                "1:21",
                (
                    "`s3_bucket` has no effect: only the s3 backend reads it, and the workload stores no "
                    "results"
                ),
                "remove `s3_bucket`",
            ),
        ],
    ),
    "AMQP's on Redis": (
        "celery: {settings: {broker_heartbeat: 10, worker_detect_quorum_queues: true}}",
        [
            Found(
                "setting-unused",
                "1:21",
                "`broker_heartbeat` has no effect: only RabbitMQ reads it, and the broker is redis",
                "remove `broker_heartbeat`",
            ),
            Found(
                "setting-unused",
                "1:43",
                (
                    "`worker_detect_quorum_queues` has no effect: only RabbitMQ reads it, and the broker "
                    "is redis"
                ),
                "remove `worker_detect_quorum_queues`",
            ),
        ],
    ),
    "the prefork pool's without one": (
        "celery: {settings: {worker_lost_wait: 5}}\nworkers: {w: {queues: ['*'], pool: threads}}",
        [
            Found(
                "setting-unused",
                "1:21",
                (
                    "`worker_lost_wait` has no effect: only the prefork pool reads it, and no worker uses "
                    "prefork"
                ),
                "remove `worker_lost_wait`",
            ),
        ],
    ),
}
ACCEPTS = {
    "the backend's own": (
        "results: {backend: redis, url: '${R}'}\ncelery: {settings: {redis_max_connections: 20}}"
    ),
    "AMQP's on RabbitMQ": (
        "broker: {transport: rabbitmq, url: '${U}'}\ncelery: {settings: {broker_heartbeat: 10}}"
    ),
    "one worker has the pool": (
        "celery: {settings: {worker_lost_wait: 5}}\n"
        "workers: {w: {queues: [a], pool: threads}, v: {queues: [b], pool: prefork}}\n"
        "queues: {a: {}, b: {}}"
    ),
    "a pool of the user's own": (
        "celery: {settings: {worker_lost_wait: 5}}\nworkers: {w: {queues: ['*'], pool: 'shop.pools:Pool'}}"
    ),
    "a scheduler may read it": (
        "beat: {scheduler: 'redbeat.RedBeatScheduler'}\ncelery: {settings: {redis_backend_use_ssl: true}}"
    ),
    "what is refused already": "celery: {settings: {redis_max_connections: many}}",
    "no worker": "celery: {settings: {worker_lost_wait: 5}}",
}


@pytest.mark.parametrize(("fragment", "findings"), REFUSES.values(), ids=REFUSES)
def test_it_refuses(fragment, findings):
    assert after(inert_settings, fragment).findings == findings


@pytest.mark.parametrize("fragment", ACCEPTS.values(), ids=ACCEPTS)
def test_it_accepts(fragment):
    assert after(inert_settings, fragment).findings == []
