"""When Kubernetes starts and stops processes, and how KEDA counts messages."""

from __future__ import annotations

import pytest
from workloads import Found, after

from policycompiler.policies.platform import scaler, scaling

IMAGE = 'deploy: {image: "registry.example/shop:1.4.2"}\n'
HPA = 'deploy: {image: "registry.example/shop:1.4.2", autoscaler: hpa}\n'
BOUNDS = "workers: {q: {concurrency: 4, replicas: {min: 1, max: 4}}}\n"

REFUSES = {
    "a broker that KEDA cannot read": (
        scaler,
        f'broker: {{transport: sqs, url: "${{B}}"}}\n{IMAGE}tasks: {{shop.a: {{queue: q}}}}\n{BOUNDS}',
        [
            Found(
                "scaling-unreadable",
                "4:41",
                "KEDA cannot count messages on SQS with what a workload says, so worker q has 4 processes "
                "all the time",
                "write `deploy: {autoscaler: hpa}` if its tasks compute, or a fixed number of replicas",
            )
        ],
    ),
    "keys of the Secret": (
        scaler,
        f"{IMAGE}tasks: {{shop.a: {{queue: q}}}}\n{BOUNDS}",
        [
            Found(
                "scaling-needs-keys",
                "1:9",
                "KEDA reads the address of the broker from key KEDA_REDIS_ADDRESS of Secret shop-celery, and if they "
                "are there KEDA_REDIS_PASSWORD, KEDA_REDIS_USERNAME; it reads database 0 without TLS",
                "add KEDA_REDIS_ADDRESS to the Secret, and set `database` and `tls` of the policy scaler if they "
                "differ",
            )
        ],
    ),
    "nobody runs an interactive task": (
        scaling,
        (
            f"{IMAGE}tasks: {{shop.a: {{queue: q, latency: interactive}}}}\n"
            "workers: {q: {concurrency: 4, replicas: {min: 0, max: 4}}}"
        ),
        [
            Found(
                "scale-to-zero-late",
                "3:47",
                "worker q has no process without load: messages in q may wait 1 s, and a new pod needs 1 min",
                "set `min: 1`, or use a latency class that can wait for a pod",
            )
        ],
    ),
    "an HPA for tasks that wait, from 0": (
        scaling,
        f"{HPA}tasks: {{shop.a: {{queue: q}}}}\nworkers: {{q: {{concurrency: 4, replicas: {{min: 0, max: 4}}}}}}",
        [
            Found(
                "hpa-on-waiting-tasks",
                "3:41",
                "an HPA adds processes when cores are busy, but shop.a waits for other systems, so its messages "
                "may wait although no process is added",
                "write `deploy: {autoscaler: keda}`, or a fixed number of replicas",
            ),
            Found(
                "hpa-from-zero",
                "3:47",
                "an HPA does not stop the last process, so worker q has at least 1",
                "set `min: 1`, or write `deploy: {autoscaler: keda}`",
            ),
        ],
    ),
    "a pin that hides messages": (
        scaling,
        (
            f"{IMAGE}tasks: {{shop.a: {{queue: q, latency: batch, runtime: 20s}}}}\n"
            "workers: {q: {concurrency: 4, replicas: {min: 1, max: 4}, options: {prefetch_multiplier: 4}}}"
        ),
        [
            Found(
                "prefetch-hides-messages",
                "3:90",
                "worker q fetches messages before they run, and KEDA does not count them, so they wait although "
                "another pod could run them",
                "remove the pin, so that messages stay in the queue",
            )
        ],
    ),
    "bounds in the wrong order": (
        scaling,
        "tasks: {shop.a: {queue: q}}\nworkers: {q: {concurrency: 4, replicas: {min: 5, max: 4}}}",
        [
            Found(
                "replicas-order",
                "2:47",
                "`min` is 5 processes, more than `max` with 4",
                "swap `min` and `max`",
            )
        ],
    ),
}


@pytest.mark.parametrize(("policy", "fragment", "expected"), REFUSES.values(), ids=REFUSES)
def test_each_mistake_is_found_at_its_place(policy, fragment, expected):
    found = after(policy, fragment).findings
    assert found == expected


MESSAGES = {
    "one a slot without run times": ("shop.a: {queue: q}", "redis", 4),
    "as many as run in the target, minus the start": (
        "shop.a: {queue: q, latency: batch, runtime: {p50: 60s, p99: 60s}}",
        "redis",
        4 * 14,
    ),
    "a target shorter than a start": (
        "shop.a: {queue: q, latency: interactive, runtime: {p50: 1s, p99: 1s}}",
        "redis",
        4,
    ),
    "those that run count on RabbitMQ": ("shop.a: {queue: q}", "rabbitmq", 8),
}


@pytest.mark.parametrize(("task", "broker", "messages"), MESSAGES.values(), ids=MESSAGES)
def test_a_pod_gets_as_many_messages_as_run_in_time(task, broker, messages):
    text = f'broker: {{transport: {broker}, url: "${{B}}"}}\n{IMAGE}tasks: {{{task}}}\n{BOUNDS}'
    plan = after(scaling, text).plan
    (worker,) = [each for each in plan.scopes("worker") if each.name == "q"]
    assert plan.value(worker, "scaling_messages") == messages


@pytest.mark.parametrize(("runtime", "seconds"), [("10s", 300), ("20m", 1200), ("3h", 3600)])
def test_pods_stay_for_as_long_as_the_longest_run(runtime, seconds):
    text = f"{IMAGE}tasks: {{shop.a: {{queue: q, latency: batch, runtime: {runtime}}}}}\n{BOUNDS}"
    plan = after(scaling, text).plan
    (worker,) = [each for each in plan.scopes("worker") if each.name == "q"]
    assert plan.value(worker, "scaling_down_seconds") == seconds
