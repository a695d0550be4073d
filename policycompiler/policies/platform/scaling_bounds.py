"""Between how many processes Kubernetes scales a worker that does not pin its bounds.

Decides:
    If `deploy.autoscaler` is declared, `worker:NAME/scaling` for workers whose mean rates need fewer
    processes than the peak.

Because:
    At peak a worker needs the processes that keep its promise, and at the mean rate fewer. A new pod takes
    about a minute to start. So a worker whose promise is shorter keeps all processes. A pod that is removed
    finishes its runs first. If its stop does not wait for the longest run, a message that is acknowledged
    early can be lost. Such a worker keeps all processes too
    (https://keda.sh/docs/latest/concepts/scaling-deployments/). An HPA sees only how busy the cores are.
    So it scales a worker only if all of its tasks compute.

Example:
    deploy: {image: "registry.example/shop:1.4.2", autoscaler: keda}
    tasks:
      shop.a:
        latency: batch
        runtime: {p50: 1s, p99: 1s}
        rate: {mean: 10/s, peak: 60/s}

    worker:shop.batch.io/scaling = {"max": 3, "min": 1}
    worker:shop.batch.io/replicas = 3

Refuses:
    Nothing.

Parameters:
    `start_seconds`: the time until a new pod runs messages; a shorter promise needs all processes; 60.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from policycompiler.knowledge.kubernetes import HPA
from policycompiler.model import PolicyParameters, Workload
from policycompiler.plan import APP, Decision, Derived, Plan, Scope, Written
from policycompiler.plan.lines import most_urgent
from policycompiler.plan.processes import slots_of
from policycompiler.policies.policy import deployed, parameter

NAME = "scaling-bounds"


class Parameters(PolicyParameters):
    """The parameters of the policy."""

    start_seconds: Annotated[int, Field(ge=1, le=3600)] = Field(
        60,
        description="time until a new pod runs messages, in seconds; a shorter promise needs all processes",
    )


def apply(spec: Workload, plan: Plan, tuned: Parameters) -> Iterator[Decision]:
    """Decide the bounds of each worker that can scale."""
    declared = deployed(spec, "autoscaler")
    if declared is None or plan.find(APP, "image") is None:
        return
    for worker in plan.scopes("worker"):
        least, urgent = plan.number_if_any(worker, "slots_at_mean"), most_urgent(plan, worker)
        pinned = any(isinstance(each, Written) for each in plan.setting(worker, "replicas").origins)
        if least is None or urgent is None or pinned or plan.find(worker, "scaling") is not None:
            continue
        if urgent[0] < tuned.start_seconds or not _drains(plan, worker):
            continue
        if declared[0] == HPA and not _computes(plan, worker):
            continue
        most = int(plan.number(worker, "replicas"))
        fewest = max(1, math.ceil(least / slots_of(plan, worker)))
        if fewest < most:
            slots = "autoscale" if plan.find(worker, "autoscale") else "concurrency"
            because = (
                "the mean rates need fewer processes than the peak, and the promise leaves time for a new pod"
            )
            origins = (
                declared[1],
                *(Derived(worker, key) for key in ("slots_at_mean", slots, "replicas")),
                Derived(urgent[1], "queue_wait_seconds"),
                parameter(NAME, "start_seconds", tuned.start_seconds),
            )
            yield Decision(worker, "scaling", {"min": fewest, "max": most}, because, origins)


def _computes(plan: Plan, worker: Scope) -> bool:
    return all(plan.value(Scope("task", name), "work") == "cpu" for name in plan.texts(worker, "tasks"))


def _drains(plan: Plan, worker: Scope) -> bool:
    """Whether a pod that is removed loses no run: its stop waits, or the message is redelivered."""
    stop = plan.number(worker, "stop_timeout_seconds")
    for task in (Scope("task", name) for name in plan.texts(worker, "tasks")):
        longest = plan.number_if_any(task, "longest_run_seconds")
        if not plan.value(task, "options.acks_late") and (longest is None or longest > stop):
            return False
    return True
