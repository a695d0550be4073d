"""When Kubernetes starts and stops processes of a worker.

Decides:
    With an image, for workers with `replicas: {min, max}`: with KEDA `worker:NAME/scaling_messages`, with an
    HPA `scaling_cpu_percent`; and `scaling_down_seconds`.

Because:
    A new pod is in time if the messages before it run within the latency target. So a pod gets as many
    messages as its slots run in that time, minus the time until the next pod works. Without declared run
    times it gets one message for each slot. If the broker also counts messages that run, these are added.

    A pod that is removed finishes its runs, within the stop timeout. But its replacement would start again
    for the next message, so pods stay for as long as the longest run. One pod is removed a minute.

Example:
    deploy: {image: "registry.example/shop:1.4.2"}
    tasks: {shop.a: {queue: q, latency: batch, runtime: {p50: 60s, p99: 60s}, rate: 1/m}}
    workers: {q: {concurrency: 2, replicas: {min: 1, max: 4}}}

    worker:q/scaling_messages = 28
    worker:q/scaling_down_seconds = 300

Refuses:
    PC944 scale-to-zero-late: set `min: 1`, or use a latency class that can wait for a pod.
        fires:
            deploy: {image: "registry.example/shop:1.4.2"}
            tasks: {shop.a: {latency: interactive, queue: q}}
            workers: {q: {replicas: {min: 0, max: 4}}}
        silent:
            deploy: {image: "registry.example/shop:1.4.2"}
            tasks: {shop.a: {latency: batch, queue: q}}
            workers: {q: {replicas: {min: 0, max: 4}}}
    PC945 scaling-slower-than-target: set `min` so that it carries the load at peak.
        fires:
            deploy: {image: "registry.example/shop:1.4.2"}
            tasks: {shop.a: {latency: interactive, queue: q}}
            workers: {q: {replicas: {min: 1, max: 4}}}
        silent:
            deploy: {image: "registry.example/shop:1.4.2"}
            tasks: {shop.a: {latency: batch, queue: q}}
            workers: {q: {replicas: {min: 1, max: 4}}}
    PC946 hpa-on-waiting-tasks: write `deploy: {autoscaler: keda}`, or a fixed number of replicas.
        fires:
            deploy: {image: "registry.example/shop:1.4.2", autoscaler: hpa}
            tasks: {shop.a: {queue: q}}
            workers: {q: {replicas: {min: 1, max: 4}}}
        silent:
            deploy: {image: "registry.example/shop:1.4.2", autoscaler: hpa}
            tasks: {shop.a: {queue: q, work: cpu}}
            workers: {q: {replicas: {min: 1, max: 4}}}
    PC947 hpa-from-zero: set `min: 1`, or write `deploy: {autoscaler: keda}`.
        fires:
            deploy: {image: "registry.example/shop:1.4.2", autoscaler: hpa}
            tasks: {shop.a: {latency: batch, queue: q, work: cpu}}
            workers: {q: {replicas: {min: 0, max: 4}}}
        silent:
            deploy: {image: "registry.example/shop:1.4.2", autoscaler: hpa}
            tasks: {shop.a: {latency: batch, queue: q, work: cpu}}
            workers: {q: {replicas: {min: 1, max: 4}}}
    PC948 prefetch-hides-messages: remove the pin, so that waiting messages stay in the queue.
        fires:
            deploy: {image: "registry.example/shop:1.4.2"}
            tasks: {shop.a: {queue: q, runtime: 20s}}
            workers: {q: {replicas: {min: 1, max: 4}, options: {disable_prefetch: false}}}
        silent:
            deploy: {image: "registry.example/shop:1.4.2"}
            tasks: {shop.a: {queue: q, runtime: 20s}}
            workers: {q: {replicas: {min: 1, max: 4}}}
    PC950 replicas-order: set `min` to at most `max`.
        fires:
            tasks: {shop.a: {queue: q}}
            workers: {q: {replicas: {min: 4, max: 1}}}
        silent:
            tasks: {shop.a: {queue: q}}
            workers: {q: {replicas: {min: 1, max: 4}}}

Parameters:
    `start_seconds`: the time from a waiting message to a new pod that runs it; 60.
    `least_down_seconds`: the shortest time that a pod stays after the load is gone; 300.
    `cpu_percent`: the load of the requested cores above which an HPA starts a pod; 70.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from policycompiler.diagnostics import Diagnostic, Profile, SpecPath, error, info, warning
from policycompiler.knowledge.brokers import scaler
from policycompiler.knowledge.kubernetes import KEDA, LONGEST_STABILIZATION_SECONDS
from policycompiler.model import PolicyParameters, Workload
from policycompiler.model.workload.workers import Scaling
from policycompiler.plan import APP, Constant, Decision, Derived, Origin, Plan, Scope
from policycompiler.policies.policy import parameter
from policycompiler.quantities import duration

NAME = "scaling"

SCALE_TO_ZERO_LATE = warning("PC944", "scale-to-zero-late")
SCALING_SLOWER_THAN_TARGET = info("PC945", "scaling-slower-than-target", Profile.STRICT)
HPA_ON_WAITING_TASKS = warning("PC946", "hpa-on-waiting-tasks")
HPA_FROM_ZERO = warning("PC947", "hpa-from-zero")
PREFETCH_HIDES_MESSAGES = warning("PC948", "prefetch-hides-messages")
REPLICAS_ORDER = error("PC950", "replicas-order")

MOST_MESSAGES = 1_000_000


class Parameters(PolicyParameters):
    """The parameters of the policy."""

    start_seconds: Annotated[int, Field(ge=1, le=3600)] = Field(
        60, description="time from a waiting message to a new pod that runs it, in seconds"
    )
    least_down_seconds: Annotated[int, Field(ge=0, le=3600)] = Field(
        300, description="shortest time that a pod stays after the load is gone, in seconds"
    )
    cpu_percent: Annotated[int, Field(ge=1, le=100)] = Field(
        70, description="load of the requested cores above which an HPA starts a pod, in percent"
    )


def apply(spec: Workload, plan: Plan, tuned: Parameters) -> Iterator[Decision | Diagnostic]:
    """Decide the scaling of each worker with bounds."""
    yield from _order(spec)
    kind = plan.get(APP, "autoscaler")
    for worker in plan.scopes("worker") if kind is not None else ():
        if plan.find(worker, "scaling") is None:
            continue
        if kind != KEDA:
            yield from _by_load(plan, worker, tuned)
        elif plan.find(worker, "scaling_sources") is not None:
            yield from _by_messages(plan, worker, tuned)


def _order(spec: Workload) -> Iterator[Diagnostic]:
    for name, worker in spec.workers.items():
        bounds = worker.replicas
        if isinstance(bounds, Scaling) and bounds.min > bounds.max:
            message = f"`min` is {bounds.min} processes, more than `max` with {bounds.max}"
            path: SpecPath = ("workers", name, "replicas", "min")
            yield REPLICAS_ORDER.at(path, message, help="swap `min` and `max`")


def _bounds(plan: Plan, worker: Scope) -> tuple[int, int]:
    found = plan.value(worker, "scaling")
    assert isinstance(found, dict)
    return int(str(found["min"])), int(str(found["max"]))


def _by_load(plan: Plan, worker: Scope, tuned: Parameters) -> Iterator[Decision | Diagnostic]:
    because = "an HPA can only see how busy the cores are"
    share = parameter(NAME, "cpu_percent", tuned.cpu_percent)
    origins = (share, Derived(APP, "autoscaler"))
    yield Decision(worker, "scaling_cpu_percent", tuned.cpu_percent, because, origins)
    yield _down(plan, worker, tuned)
    path: SpecPath = ("workers", worker.name, "replicas")
    tasks = [Scope("task", name) for name in plan.texts(worker, "tasks")]
    waiting = [task.name for task in tasks if plan.value(task, "work") != "cpu"]
    if waiting:
        message = (
            f"an HPA adds processes when cores are busy, but {waiting[0]} waits for other systems, so its "
            "messages may wait although no process is added"
        )
        help_text = "write `deploy: {autoscaler: keda}`, or a fixed number of replicas"
        yield HPA_ON_WAITING_TASKS.at(path, message, help=help_text)
    if _bounds(plan, worker)[0] == 0:
        message = f"an HPA does not stop the last process, so worker {worker.name} has at least 1"
        help_text = "set `min: 1`, or write `deploy: {autoscaler: keda}`"
        yield HPA_FROM_ZERO.at((*path, "min"), message, help=help_text)


def _by_messages(plan: Plan, worker: Scope, tuned: Parameters) -> Iterator[Decision | Diagnostic]:
    names = plan.texts(worker, "queues")
    queues = [queue for name in names if not plan.value(queue := Scope("queue", name), "broadcast")]
    held = scaler(plan.text(APP, "scaler")).held
    yield _messages(plan, worker, queues, tuned, held=held)
    yield _down(plan, worker, tuned)
    yield from _late(plan, worker, queues, tuned)
    if not held:
        yield from _hidden(plan, worker)


def _messages(plan: Plan, worker: Scope, queues: list[Scope], tuned: Parameters, *, held: bool) -> Decision:
    key = "autoscale" if plan.find(worker, "autoscale") else "concurrency"
    found = plan.value(worker, key)
    slots = int(str(found["max"])) if isinstance(found, dict) else int(plan.number(worker, key))
    origins: list[Origin] = [Derived(worker, key)]
    target, queue = _target(plan, queues)
    means = [
        (mean, task)
        for task in (Scope("task", name) for name in plan.texts(worker, "tasks"))
        if (mean := plan.number_if_any(task, "runtime_mean_seconds"))
    ]
    each = 1
    because = "one message for each slot"
    if means and queue is not None:
        mean, task = max(means)
        each = max(1, math.floor((target - tuned.start_seconds) / mean))
        because = (
            f"a slot runs {each:,} message{'s' * (each != 1)} in the latency target of {duration(target)}, "
            f"minus {duration(tuned.start_seconds)} until the next pod works"
        )
        origins += [Derived(task, "runtime_mean_seconds"), Derived(queue, "queue_wait_seconds")]
        origins.append(parameter(NAME, "start_seconds", tuned.start_seconds))
    number = slots * each
    if held:
        number += slots
        because += ", and the broker also counts the messages that run"
        origins.append(Derived(APP, "scaler"))
    return Decision(worker, "scaling_messages", min(number, MOST_MESSAGES), because, tuple(origins))


def _target(plan: Plan, queues: list[Scope]) -> tuple[float, Scope | None]:
    """The shortest latency target of the queues, and its queue."""
    found = [(plan.number(queue, "queue_wait_seconds"), queue) for queue in queues]
    return min(found, default=(math.inf, None))


def _down(plan: Plan, worker: Scope, tuned: Parameters) -> Decision:
    tasks = [Scope("task", name) for name in plan.texts(worker, "tasks")]
    runs = [(p99, task) for task in tasks if (p99 := plan.number_if_any(task, "runtime_p99_seconds"))]
    longest, task = max(runs, default=(0.0, worker))
    least: Origin = parameter(NAME, "least_down_seconds", tuned.least_down_seconds)
    if longest <= tuned.least_down_seconds:
        because = "the next messages often come soon, and a new pod would have to start for them"
        return Decision(worker, "scaling_down_seconds", tuned.least_down_seconds, because, (least,))
    seconds = min(math.ceil(longest), LONGEST_STABILIZATION_SECONDS)
    because = f"{task.name} may run {duration(longest)}, and a pod that is removed must finish its runs first"
    most = Constant("LONGEST_STABILIZATION_SECONDS", LONGEST_STABILIZATION_SECONDS)
    origins = (Derived(task, "runtime_p99_seconds"), least, most)
    return Decision(worker, "scaling_down_seconds", seconds, because, origins)


def _late(plan: Plan, worker: Scope, queues: list[Scope], tuned: Parameters) -> Iterator[Diagnostic]:
    target, queue = _target(plan, queues)
    if queue is None or target >= tuned.start_seconds:
        return
    fewest, most = _bounds(plan, worker)
    path: SpecPath = ("workers", worker.name, "replicas")
    start = duration(tuned.start_seconds)
    wait = f"messages in {queue.name} may wait {duration(target)}, and a new pod needs {start}"
    if fewest == 0:
        message = f"worker {worker.name} has no process without load: {wait}"
        help_text = "set `min: 1`, or use a latency class that can wait for a pod"
        yield SCALE_TO_ZERO_LATE.at((*path, "min"), message, help=help_text)
    elif fewest < most:
        message = f"scaling does not keep the latency target: {wait}"
        help_text = "set `min` so that these processes carry the load at peak"
        yield SCALING_SLOWER_THAN_TARGET.at(path, message, help=help_text)


def _hidden(plan: Plan, worker: Scope) -> Iterator[Diagnostic]:
    """A pin that lets a worker fetch messages which KEDA then does not count."""
    if plan.get(worker, "disable_prefetch") and plan.broker.disables_prefetch:
        return
    pins = [key for key in ("disable_prefetch", "prefetch_multiplier") if plan.written(worker, key)]
    multiplier = plan.number(worker, "prefetch_multiplier")
    tasks = [Scope("task", name) for name in plan.texts(worker, "tasks")]
    early = [task for task in tasks if not plan.value(task, "options.acks_late")]
    if not pins or not tasks or (multiplier == 1 and not early):
        return
    path = plan.written(worker, pins[0]) or ("workers", worker.name)
    message = (
        f"worker {worker.name} fetches messages before they run, and KEDA does not count them, so they wait "
        "although another pod could run them"
    )
    yield PREFETCH_HIDES_MESSAGES.at(path, message, help="remove the pin, so that messages stay in the queue")
