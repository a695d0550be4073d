"""What is pinned for the app reaches every worker that says nothing else."""

from __future__ import annotations

import pytest
from workloads import after

from policycompiler.policies import app_wide_pins, beat, prefetch, queue_declarations, serialization

HEAD = "tasks: {shop.a: }\n"
CASES = {
    "every worker setting": (
        app_wide_pins,
        (
            f"{HEAD}celery:\n"
            "  settings: {worker_prefetch_multiplier: 10, worker_concurrency: 7, worker_pool: threads}"
        ),
        {
            "worker:shop.standard.io/prefetch_multiplier": (10, "pinned for all workers"),
            "worker:shop.standard.io/concurrency": (7, "pinned for all workers"),
            "worker:shop.standard.io/pool": ("threads", "pinned for all workers"),
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
    "beat's interval": (
        beat,
        f"{HEAD}celery: {{settings: {{beat_max_loop_interval: 3}}}}\nbeat: {{host: h}}",
        {"beat/max_interval_seconds": (3, "pinned in the workload")},
    ),
    "a serializer of one task is accepted": (
        serialization,
        "tasks: {shop.a: {options: {serializer: msgpack}}}",
        {"app/accept_content": (["json", "msgpack"], "what is sent, and Celery's control messages")},
    ),
    "no quorum queue for a Celery that cannot consume one": (
        queue_declarations,
        f"{HEAD}celery: {{version: '5.4'}}\nbroker: {{transport: rabbitmq, url: '${{U}}'}}",
        {"queue:shop.standard.io/exchange_type": ("direct", "this Celery cannot consume quorum queues")},
    ),
}


@pytest.mark.parametrize(("policy", "fragment", "expected"), CASES.values(), ids=CASES)
def test_it_decides(policy, fragment, expected):
    decided = after(policy, fragment).decided
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
    assert [found.name for found in after(serialization, fragment).findings] == ["serializer-not-accepted"]
