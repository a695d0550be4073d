"""What is pinned is decided as it is; what Celery would not understand is left out."""

from __future__ import annotations

import pytest
from workloads import after

from policycompiler.policies.written import as_written

DECIDES = {
    "identity": (
        "tasks: {}",
        {
            "app/service": ("shop", "the workload declares it"),
            "app/app": ("shop.celery_app:app", "the workload declares it"),
            "app/broker_transport": ("redis", "the workload declares it"),
            "app/broker_url_variable": ("CELERY_BROKER_URL", "the workload declares it"),
            "app/celery_version": (
                "5.7",
                ("the workload declares no Celery version, and this is the newest known one"),
            ),
        },
    ),
    "a URL without credentials": (
        (
            "broker: {transport: redis, url: 'redis://127.0.0.1:6379/0', version: '7.2'}\n"
            "results: {backend: redis, url: '${R}'}\n"
            "celery: {version: '5.6', namespace: CELERY}"
        ),
        {
            "app/broker_url": ("redis://127.0.0.1:6379/0", "the workload declares it"),
            "app/broker_version": ("7.2", "the workload declares it"),
            "app/result_backend_variable": ("R", "the workload declares it"),
            "app/celery_version": ("5.6", "the workload declares it"),
            "app/namespace": ("CELERY", "the workload declares it"),
        },
    ),
    "settings": (
        (
            "celery: {settings: {worker_proc_alive_timeout: 20, task_acks_late: true, "
            "result_expires: null, accept_content: [json, yaml]}}"
        ),
        {
            "app/worker_proc_alive_timeout": (20, "the workload pins it"),
            "app/task_acks_late": (True, "the workload pins it"),
            "app/result_expires": (None, "the workload pins it"),
            "app/accept_content": (["json", "yaml"], "the workload pins it"),
        },
    ),
    "task options and queue": (
        (
            "tasks: {shop.a: {queue: search, options: {rate_limit: 10/m, time_limit: 5, "
            "acks_late: false, throws: [KeyError]}}}"
        ),
        {
            "task:shop.a/queue": ("search", "the workload pins it"),
            "task:shop.a/options.rate_limit": ("10/m", "the workload pins it"),
            "task:shop.a/options.time_limit": (5, "the workload pins it"),
            "task:shop.a/options.acks_late": (False, "the workload pins it"),
            "task:shop.a/options.throws": (["KeyError"], "the workload pins it"),
        },
    ),
    "retries without end, and the shortest backoff": (
        "tasks: {shop.a: {options: {max_retries: null, retry_backoff: true, time_limit: null}}}",
        {
            "task:shop.a/options.max_retries": (None, "the workload pins it"),
            "task:shop.a/options.retry_backoff": (1, "the workload pins it"),
            "task:shop.a/options.time_limit": (None, "the workload pins it"),
        },
    ),
    "options of another app's task": (
        "tasks: {shop.a: {external: true, queue: partner, options: {expires: 5}}}",
        {
            "task:shop.a/options.expires": (5, "the workload pins it"),
        },
    ),
    "a setting that this Celery does not have yet": (
        "celery: {version: '5.4', settings: {worker_soft_shutdown_timeout: 10}}",
        {"app/worker_soft_shutdown_timeout": (10, "the workload pins it")},
    ),
    "a glob": (
        "tasks: {shop.*: {queue: search}}",
        {
            "task:shop.*/queue": ("search", "the workload pins it"),
        },
    ),
    "a queue spelt out": (
        (
            "queues: {legacy: {exchange: tasks, exchange_type: topic, routing_key: task.#, "
            "consumer_arguments: {x-priority: 5}, broadcast: true, external: false}}"
        ),
        {
            "queue:legacy/exchange": ("tasks", "the workload pins it"),
            "queue:legacy/exchange_type": ("topic", "the workload pins it"),
            "queue:legacy/routing_key": ("task.#", "the workload pins it"),
            "queue:legacy/consumer_arguments": ({"x-priority": 5}, "the workload pins it"),
            "queue:legacy/broadcast": (True, "the workload pins it"),
            "queue:legacy/external": (False, "the workload pins it"),
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
            "worker:w/pool": ("threads", "the workload pins it"),
            "worker:w/concurrency": (8, "the workload pins it"),
            "worker:w/replicas": (0, "the workload pins it"),
            "worker:w/memory_bytes": (2147483648, "the workload pins it"),
            "worker:w/stop_timeout_seconds": (600, "the workload pins it"),
            "worker:w/command_prefix": (["nice", "celery"], "the workload pins it"),
            "worker:w/environment": ({"A": "b"}, "the workload pins it"),
            "worker:w/prefetch_multiplier": (2, "the workload pins it"),
            "worker:w/max_tasks_per_child": (5, "the workload pins it"),
            "worker:w/max_memory_per_child": (9, "the workload pins it"),
            "worker:w/without_gossip": (False, "the workload pins it"),
            "worker:w/without_mingle": (True, "the workload pins it"),
            "worker:w/without_heartbeat": (True, "the workload pins it"),
            "worker:w/heartbeat_interval": (3, "the workload pins it"),
            "worker:w/optimization": ("fair", "the workload pins it"),
            "worker:w/disable_prefetch": (True, "the workload pins it"),
            "worker:w/log_level": ("DEBUG", "the workload pins it"),
        },
    ),
    "autoscale": (
        "workers: {w: {concurrency: {min: 2, max: 10}}}",
        {
            "worker:w/autoscale": ({"min": 2, "max": 10}, "the workload pins it"),
        },
    ),
    "bounds that agree are no autoscale": (
        "workers: {w: {concurrency: {min: 4, max: 4}}}",
        {
            "worker:w/concurrency": (4, "the workload pins it"),
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
    assert decided["app/redbeat_lock_timeout"] == (60, "the workload pins it")
    assert decided["app/beat_dburi"] == ("sqlite:///b", "the workload pins it")
