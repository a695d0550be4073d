"""What a policy file sets of the policies about workers is followed, and told as the origin."""

from __future__ import annotations

import pytest
from workloads import document_of, workload

from policycompiler import model
from policycompiler.plan import Parameter, scope_from_text
from policycompiler.policies import POLICIES, decide, tunable
from policycompiler.policies.limits import time_limits
from policycompiler.policies.workers import (
    capacity,
    concurrency,
    pool,
    prefetch,
    recycling,
    stop_timeout,
    worker_mix,
)

BUSY = "tasks: {shop.a: {queue: q, runtime: {p50: 1s, p99: 1s}, rate: 7/s}}"
URGENT = "tasks: {shop.a: {queue: q, latency: interactive, runtime: {p50: 400ms, p99: 900ms}, rate: 3/s}}"
MANY = "tasks: {shop.a: {queue: q, runtime: {p50: 1s, p99: 1s}, rate: 70/s}}"
SETS = {
    "more slots that a machine decides": (
        concurrency,
        {"assumed_slots": 9},
        "queues: {q: {}}\nworkers: {q: {concurrency: auto}}",
        "worker:q/concurrency",
        9,
    ),
    "busier slots": (concurrency, {"busy_at_peak": 0.5}, BUSY, "worker:q/concurrency", 14),
    "a few slots at least": (concurrency, {"fewest_slots": 12}, BUSY, "worker:q/concurrency", 12),
    "smaller processes": (concurrency, {"most_slots": 5}, BUSY, "worker:q/replicas", 2),
    "a larger margin": (
        concurrency,
        {"wait_margin": 10},
        URGENT.replace("rate: 3/s", "rate: {mean: 3/s, peak: 3/s}"),
        "worker:q/concurrency",
        5,
    ),
    "a smaller reserve in one process": (
        concurrency,
        {"busy_at_peak_shared": 0.5},
        MANY.replace("queue: q", "queue: q, work: io"),
        "worker:q/concurrency",
        140,
    ),
    "a larger margin without a peak": (
        concurrency,
        {"wait_margin_without_peak": 10},
        URGENT,
        "worker:q/concurrency",
        5,
    ),
    "larger processes that share": (
        concurrency,
        {"most_slots_shared": 40},
        f"{MANY}\nworkers: {{q: {{pool: threads}}}}",
        "worker:q/replicas",
        3,
    ),
    "fewer runs of a process": (
        concurrency,
        {"runs_per_second": 20},
        f"{MANY}\nworkers: {{q: {{pool: threads}}}}",
        "worker:q/replicas",
        4,
    ),
    "autoscale": (
        concurrency,
        {"autoscale": True},
        "tasks: {shop.a: {queue: q, runtime: {p50: 1s, p99: 1s}, rate: {mean: 1/s, peak: 7/s}}}",
        "worker:q/autoscale",
        {"min": 2, "max": 10},
    ),
    "more slots that wait": (concurrency, {"slots_io": 9}, "queues: {q: {}}", "worker:q/concurrency", 9),
    "more slots that compute": (
        concurrency,
        {"slots_cpu": 3},
        "tasks: {shop.a: {queue: q, work: cpu}}",
        "worker:q/concurrency",
        3,
    ),
    "a larger reserve": (
        prefetch,
        {"short_run_seconds": 2, "short_tasks_a_slot": 10},
        "tasks: {shop.a: {queue: q, runtime: 1s}}",
        "worker:q/prefetch_multiplier",
        10,
    ),
    "shorter long runs": (
        prefetch,
        {"long_run_seconds": 3},
        "tasks: {shop.a: {queue: q, runtime: 5s}}\nworkers: {q: {replicas: 2}}",
        "worker:q/disable_prefetch",
        True,
    ),
    "a soft limit by a factor": (
        time_limits,
        {"soft_over_p99": 1.2},
        "tasks: {shop.a: {runtime: 100s}}",
        "task:shop.a/options.soft_time_limit",
        120,
    ),
    "a hard limit by a factor": (
        time_limits,
        {"hard_over_soft": 2},
        "tasks: {shop.a: {runtime: 100s}}",
        "task:shop.a/options.time_limit",
        314,
    ),
    "fewer healthy runs that are killed": (
        time_limits,
        {"killed_healthy_runs": 0.000001},
        "tasks: {shop.a: {runtime: 100s}}",
        "task:shop.a/options.soft_time_limit",
        218,
    ),
    "more runs": (
        recycling,
        {"tasks_per_child": 50},
        "queues: {q: {}}",
        "worker:q/max_tasks_per_child",
        50,
    ),
    "less memory": (
        recycling,
        {"memory_margin": 2, "idle_child_kib": 1000},
        "tasks: {shop.a: {queue: q, memory: 1MiB}}",
        "worker:q/max_memory_per_child",
        3048,
    ),
    "a longer stop": (
        stop_timeout,
        {"margin_seconds": 60},
        "tasks: {shop.a: {queue: q, runtime: 100s}}",
        "worker:q/stop_timeout_seconds",
        249,
    ),
}
MAKES_FIND = {
    "busier on average": (
        capacity,
        {"busy_on_average": 0.5},
        BUSY + "\nworkers: {q: {concurrency: 12}}",
        "capacity-short",
    ),
    "fewer processes that are many": (
        concurrency,
        {"many_processes": 1},
        "tasks: {shop.a: {queue: q, rate: 100/s, runtime: {p50: 1s, p99: 1s}}}",
        "absurd-capacity",
    ),
    "fewer slots that are many": (
        concurrency,
        {"many_slots": 40},
        (
            "tasks: {shop.a: {queue: q, rate: 100/s, runtime: {p50: 1s, p99: 1s}}}\n"
            "workers: {q: {replicas: 2}}"
        ),
        "absurd-capacity",
    ),
    "promises closer to each other": (
        worker_mix,
        {"promises_apart": 20},
        "tasks: {shop.a: {queue: q, latency: interactive}, shop.b: {queue: q}}",
        "latency-mix",
    ),
}


def decided(policy, parameters, fragment):
    """The plan and the names of the findings, first as it is and then with the parameters."""
    spec, refused = model.parse(document_of(workload(fragment)))
    assert (spec is not None, refused) == (True, [])
    # A pool that the policy chooses has parameters of its own.
    chosen = {pool.NAME: pool.Parameters(up_to="gevent")}
    for tuning in (chosen, {**chosen, policy.NAME: tunable(policy)(**parameters)}):
        plan, findings = decide(spec, tuning)
        yield plan, {finding.name for finding in findings}


@pytest.mark.parametrize(("policy", "parameters", "fragment", "address", "value"), SETS.values(), ids=SETS)
def test_a_parameter_changes_what_is_decided(policy, parameters, fragment, address, value):
    (before, _), (after, _) = decided(policy, parameters, fragment)
    scope, _, key = address.rpartition("/")
    assert before.get(scope_from_text(scope), key) != value
    setting = after.setting(scope_from_text(scope), key)
    assert setting.value == value
    told = {origin.path for origin in setting.origins if isinstance(origin, Parameter)}
    assert told & {("parameters", policy.NAME, name) for name in parameters}


@pytest.mark.parametrize(("policy", "parameters", "fragment", "name"), MAKES_FIND.values(), ids=MAKES_FIND)
def test_a_parameter_changes_what_is_found(policy, parameters, fragment, name):
    (_, before), (_, after) = decided(policy, parameters, fragment)
    assert (name in before, name in after) == (False, True)


def test_every_parameter_is_shown_to_do_something():
    shown = {
        (policy.NAME, name)
        for policy, parameters, *_ in [*SETS.values(), *MAKES_FIND.values()]
        for name in parameters
    }
    policies = {policy.NAME for policy, *_ in [*SETS.values(), *MAKES_FIND.values()]}
    known = {
        (policy.NAME, name)
        for policy in POLICIES
        if policy.NAME in policies
        for name in tunable(policy).model_fields
    }
    assert shown == known
