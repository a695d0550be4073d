"""What is pinned for the app reaches every worker that says nothing else."""

from __future__ import annotations

import pytest
from workloads import after, for_its_rabbitmq

from policycompiler.policies.delivery import serialization
from policycompiler.policies.routing import app_wide_pins, queue_declarations
from policycompiler.policies.schedules import beat
from policycompiler.policies.workers import prefetch

HEAD = "tasks: {shop.a: }\n"
WHY = (
    "quorum queues do not work with Celery 5.4: Celery requests a global prefetch, which RabbitMQ refuses "
    "for quorum queues (540)"
)
CASES = {
    "every worker setting": (
        app_wide_pins,
        (
            f"{HEAD}celery:\n"
            "  settings: {worker_prefetch_multiplier: 10, worker_concurrency: 7, worker_pool: threads}"
        ),
        {
            "worker:shop.standard.io/prefetch_multiplier": (
                10,
                ("`worker_prefetch_multiplier` is pinned for all workers"),
            ),
            "worker:shop.standard.io/concurrency": (7, "`worker_concurrency` is pinned for all workers"),
            "worker:shop.standard.io/pool": ("threads", "`worker_pool` is pinned for all workers"),
        },
    ),
    "a worker's own pin stands": (
        app_wide_pins,
        (
            "tasks: {shop.a: {queue: q}}\ncelery: {settings: {worker_concurrency: 7}}\n"
            "workers: {q: {concurrency: {min: 1, max: 3}}}"
        ),
        {"worker:q/concurrency": None, "worker:q/autoscale": None},
    ),
    "limits and results of every task": (
        app_wide_pins,
        (
            f"{HEAD}celery:\n"
            "  settings: {task_time_limit: 2100, task_soft_time_limit: 1800, task_ignore_result: true,\n"
            "    task_store_errors_even_if_ignored: false}"
        ),
        {
            "task:shop.a/options.time_limit": (2100, "`task_time_limit` is pinned for all tasks"),
            "task:shop.a/options.soft_time_limit": (1800, ("`task_soft_time_limit` is pinned for all tasks")),
            "task:shop.a/options.ignore_result": (True, "`task_ignore_result` is pinned for all tasks"),
            "task:shop.a/options.store_errors_even_if_ignored": (
                False,
                ("`task_store_errors_even_if_ignored` is pinned for all tasks"),
            ),
        },
    ),
    "a task's own pins and facts stand": (
        app_wide_pins,
        (
            "tasks: {shop.a: {runtime: 1s, result: keep}, shop.c: {external: true, queue: c}, "
            "shop.b: {options: {time_limit: 5, ignore_result: true}}, shop.d: {canvas: [chord]}}\n"
            "celery: {settings: {task_time_limit: 60, task_soft_time_limit: 50, task_ignore_result: true}}"
        ),
        {
            "task:shop.a/options.time_limit": None,
            "task:shop.a/options.ignore_result": None,
            "task:shop.b/options.time_limit": None,
            # Above the task's hard limit it would never come first.
            "task:shop.b/options.soft_time_limit": None,
            "task:shop.b/options.ignore_result": None,
            "task:shop.c/options.time_limit": None,
            "task:shop.c/options.ignore_result": None,
            "task:shop.d/options.time_limit": (60, "`task_time_limit` is pinned for all tasks"),
            "task:shop.d/options.ignore_result": None,
        },
    ),
    "null is handed on, and what is no limit is not": (
        app_wide_pins,
        f"{HEAD}celery: {{settings: {{task_time_limit: 0, task_soft_time_limit: null}}}}",
        {
            "task:shop.a/options.time_limit": None,
            "task:shop.a/options.soft_time_limit": (None, ("`task_soft_time_limit` is pinned for all tasks")),
        },
    ),
    "beat's interval": (
        beat,
        f"{HEAD}celery: {{settings: {{beat_max_loop_interval: 3}}}}\nbeat: {{host: h}}",
        {"beat/max_interval_seconds": (3, "the workload pins it")},
    ),
    "a serializer of one task is accepted": (
        serialization,
        "tasks: {shop.a: {options: {serializer: msgpack}}}",
        {
            "app/accept_content": (
                ["json", "msgpack"],
                ("tasks, results and Celery's control messages use these serializers"),
            )
        },
    ),
    "no quorum queue for a Celery that cannot consume one": (
        queue_declarations,
        f"{HEAD}celery: {{version: '5.4'}}\nbroker: {{transport: rabbitmq, url: '${{U}}'}}",
        {"queue:shop.standard.io/exchange_type": ("direct", WHY)},
    ),
}


@pytest.mark.parametrize(("policy", "fragment", "expected"), CASES.values(), ids=CASES)
def test_it_decides(policy, fragment, expected):
    decided = after(policy, fragment, for_its_rabbitmq(fragment)).decided
    assert {address: decided.get(address) for address in expected} == expected


@pytest.mark.parametrize(
    ("fragment", "names"),
    [
        (
            "workers: {w: {queues: [shop.standard.io], options: {prefetch_multiplier: 0}}}",
            ["prefetch-unlimited"],
        ),
        ("celery: {settings: {worker_prefetch_multiplier: 0}}", ["prefetch-unlimited"]),
        ("celery: {settings: {worker_prefetch_multiplier: 1}}", []),
    ],
)
def test_a_prefetch_without_end_is_objected_to(fragment, names):
    assert [finding.name for finding in after(prefetch, f"{HEAD}{fragment}").findings] == names


def test_a_pinned_accept_content_must_take_what_each_task_sends():
    fragment = "celery: {settings: {accept_content: [json]}}\ntasks: {shop.a: {options: {serializer: yaml}}}"
    assert "serializer-not-accepted" in {found.name for found in after(serialization, fragment).findings}
