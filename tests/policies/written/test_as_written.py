"""What is pinned is decided as it is; what Celery would not understand is left out."""

from __future__ import annotations

import pytest
from workloads import after

from policycompiler.policies.written import as_written

DECIDES = {
    "identity": (
        "tasks: {}",
        {
            "app/service": ("shop", "declared"),
            "app/app": ("shop.celery_app:app", "declared"),
            "app/broker_transport": ("redis", "declared"),
            "app/broker_url_variable": ("CELERY_BROKER_URL", "declared"),
            "app/celery_version": ("5.7", "the newest Celery known"),
        },
    ),
    "a URL without credentials": (
        (
            "broker: {transport: redis, url: 'redis://127.0.0.1:6379/0', version: '7.2'}\n"
            "results: {backend: redis, url: '${R}'}\n"
            "celery: {version: '5.6', namespace: CELERY}"
        ),
        {
            "app/broker_url": ("redis://127.0.0.1:6379/0", "declared"),
            "app/broker_version": ("7.2", "declared"),
            "app/result_backend_variable": ("R", "declared"),
            "app/celery_version": ("5.6", "declared"),
            "app/namespace": ("CELERY", "declared"),
        },
    ),
    "settings": (
        (
            "celery: {settings: {worker_proc_alive_timeout: 20, task_acks_late: true, "
            "result_expires: null, accept_content: [json, yaml]}}"
        ),
        {
            "app/worker_proc_alive_timeout": (20, "pinned in the workload"),
            "app/task_acks_late": (True, "pinned in the workload"),
            "app/result_expires": (None, "pinned in the workload"),
            "app/accept_content": (["json", "yaml"], "pinned in the workload"),
        },
    ),
    "task options and queue": (
        (
            "tasks: {shop.a: {queue: search, options: {rate_limit: 10/m, time_limit: 5, "
            "acks_late: false, throws: [KeyError]}}}"
        ),
        {
            "task:shop.a/queue": ("search", "pinned in the workload"),
            "task:shop.a/options.rate_limit": ("10/m", "pinned in the workload"),
            "task:shop.a/options.time_limit": (5, "pinned in the workload"),
            "task:shop.a/options.acks_late": (False, "pinned in the workload"),
            "task:shop.a/options.throws": (["KeyError"], "pinned in the workload"),
        },
    ),
    "retries without end, and the shortest backoff": (
        "tasks: {shop.a: {options: {max_retries: null, retry_backoff: true, time_limit: null}}}",
        {
            "task:shop.a/options.max_retries": (None, "pinned in the workload"),
            "task:shop.a/options.retry_backoff": (1, "pinned in the workload"),
            "task:shop.a/options.time_limit": (None, "pinned in the workload"),
        },
    ),
    "options of another app's task": (
        "tasks: {shop.a: {external: true, queue: partner, options: {expires: 5}}}",
        {
            "task:shop.a/options.expires": (5, "pinned in the workload"),
        },
    ),
    "a setting that this Celery does not have yet": (
        "celery: {version: '5.4', settings: {worker_soft_shutdown_timeout: 10}}",
        {"app/worker_soft_shutdown_timeout": (10, "pinned in the workload")},
    ),
    "a glob": (
        "tasks: {shop.*: {queue: search}}",
        {
            "task:shop.*/queue": ("search", "pinned in the workload"),
        },
    ),
    "a queue spelt out": (
        (
            "queues: {legacy: {exchange: tasks, exchange_type: topic, routing_key: task.#, "
            "consumer_arguments: {x-priority: 5}, broadcast: true, external: false}}"
        ),
        {
            "queue:legacy/exchange": ("tasks", "pinned in the workload"),
            "queue:legacy/exchange_type": ("topic", "pinned in the workload"),
            "queue:legacy/routing_key": ("task.#", "pinned in the workload"),
            "queue:legacy/consumer_arguments": ({"x-priority": 5}, "pinned in the workload"),
            "queue:legacy/broadcast": (True, "pinned in the workload"),
            "queue:legacy/external": (False, "pinned in the workload"),
        },
    ),
    "a worker with everything": (
        (
            "workers: {w: {queues: [q], pool: threads, concurrency: 8, replicas: 0, memory: "
            "2GiB, stop_timeout: 10m, command_prefix: [nice, celery], environment: {A: b}, "
            "options: {prefetch_multiplier: 2, max_tasks_per_child: 5, max_memory_per_child: "
            "9, without_gossip: false, without_mingle: true, without_heartbeat: true, "
            "heartbeat_interval: 3, optimization: fair, disable_prefetch: true, loglevel: "
            "DEBUG}}}"
        ),
        {
            "worker:w/pool": ("threads", "pinned in the workload"),
            "worker:w/concurrency": (8, "pinned in the workload"),
            "worker:w/replicas": (0, "pinned in the workload"),
            "worker:w/memory_bytes": (2147483648, "pinned in the workload"),
            "worker:w/stop_timeout_seconds": (600, "pinned in the workload"),
            "worker:w/command_prefix": (["nice", "celery"], "pinned in the workload"),
            "worker:w/environment": ({"A": "b"}, "pinned in the workload"),
            "worker:w/prefetch_multiplier": (2, "pinned in the workload"),
            "worker:w/max_tasks_per_child": (5, "pinned in the workload"),
            "worker:w/max_memory_per_child": (9, "pinned in the workload"),
            "worker:w/without_gossip": (False, "pinned in the workload"),
            "worker:w/without_mingle": (True, "pinned in the workload"),
            "worker:w/without_heartbeat": (True, "pinned in the workload"),
            "worker:w/heartbeat_interval": (3, "pinned in the workload"),
            "worker:w/optimization": ("fair", "pinned in the workload"),
            "worker:w/disable_prefetch": (True, "pinned in the workload"),
            "worker:w/log_level": ("DEBUG", "pinned in the workload"),
        },
    ),
    "autoscale": (
        "workers: {w: {concurrency: {min: 2, max: 10}}}",
        {
            "worker:w/autoscale": ({"min": 2, "max": 10}, "pinned in the workload"),
        },
    ),
    "bounds that agree are no autoscale": (
        "workers: {w: {concurrency: {min: 4, max: 4}}}",
        {
            "worker:w/concurrency": (4, "pinned in the workload"),
        },
    ),
}
STAYS_SILENT = {
    "nothing is said of the task": ("tasks: {shop.a: }", ["task:shop.a/queue"]),
    "no result is stored": ("results: {backend: none, url: '${R}'}", ["app/result_backend_variable"]),
    "no version of the broker": ("tasks: {}", ["app/broker_version", "app/namespace"]),
    "autoscale pins no slots": ("workers: {w: {concurrency: {min: 2, max: 10}}}", ["worker:w/concurrency"]),
    "no setting": ("celery: {settings: {task_ack_late: true}}", ["app/task_ack_late"]),
    "a value that cannot be read": (
        "celery: {settings: {task_acks_late: 'yes'}}",
        ["app/task_acks_late"],
    ),
    "a setting of another section": ("celery: {settings: {task_routes: {}}}", ["app/task_routes"]),
    "a queue that has no name": (
        "celery: {settings: {task_default_queue: 'a,b'}}",
        ["app/task_default_queue"],
    ),
}
LEADS_TO = {
    "a setting": (
        "celery: {settings: {worker_proc_alive_timeout: 20}}",
        "app/worker_proc_alive_timeout",
        ["1:48"],
    ),
    "an option": (
        "tasks:\n  shop.a:\n    options: {rate_limit: 10/m}",
        "task:shop.a/options.rate_limit",
        ["3:27"],
    ),
    "a worker's option": ("workers: {w: {options: {loglevel: DEBUG}}}", "worker:w/log_level", ["1:35"]),
    "the newest Celery": ("tasks: {}", "app/celery_version", ["NEWEST_CELERY"]),
}


@pytest.mark.parametrize(("fragment", "expected"), DECIDES.values(), ids=DECIDES)
def test_it_decides(fragment, expected):
    decided = after(as_written, fragment).decided
    assert {address: decided.get(address) for address in expected} == expected


@pytest.mark.parametrize(("fragment", "addresses"), STAYS_SILENT.values(), ids=STAYS_SILENT)
def test_it_stays_silent(fragment, addresses):
    assert after(as_written, fragment).decided.keys().isdisjoint(addresses)


@pytest.mark.parametrize(("fragment", "address", "places"), LEADS_TO.values(), ids=LEADS_TO)
def test_its_origins_lead_to(fragment, address, places):
    assert after(as_written, fragment).origins[address] == places


def test_a_setting_that_an_extension_reads_is_decided_too():
    fragment = "celery: {settings: {redbeat_lock_timeout: 60, beat_dburi: 'sqlite:///b'}}"
    decided = after(as_written, fragment).decided
    assert decided["app/redbeat_lock_timeout"] == (60, "pinned in the workload")
    assert decided["app/beat_dburi"] == ("sqlite:///b", "pinned in the workload")
