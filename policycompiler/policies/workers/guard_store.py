"""The Redis that the guards of all processes share: its own server, its configuration, its memory.

Decides:
    If guards need a store: `app/store_server.maxmemory-policy`, `app/store_server.appendonly`,
    `app/store_server.appendfsync`, `app/store_server.tcp-keepalive`. If every task with a key declares its
    `rate`, also `app/guard_store_memory_bytes` and `app/store_server.maxmemory`. No configuration in a policy
    file with `extends: as-is`.

Because:
    The Redis of results is often a cache: it evicts keys when its memory is full, and is emptied by hand. The
    Redis of the broker is full when workers fall behind. Then the guards stop too: tasks with a key wait, and
    nothing limits calls. Whether the servers behind two variables are the same, `verify --live` shows.

    A record that is evicted, or lost in a crash, is an effect that can happen again. A store that is full
    refuses records, and tasks with a key wait. So it needs memory for all effects of the time that they are
    kept. A record takes about 600 bytes, and 1.2 KiB and more with a result of more than 64 bytes (measured).

    Records, rates and breakers hold for all workers only if all ask the same Redis. A worker whose
    environment names another one lets an effect happen twice.

Example:
    tasks: {shop.charge: {idempotency_key: payment_id, runtime: 1s, rate: 1/s}}

    app/store_server.maxmemory-policy = "noeviction"
    app/store_server.appendonly = "yes"
    app/guard_store_memory_bytes = 1393557504
    app/store_server.maxmemory = "1329mb"

Refuses:
    PC997 store-not-own: give guards a Redis of their own, and its URL a variable of its own.
        fires:
            store: {url: "${CELERY_BROKER_URL}"}
            tasks: {shop.a: {idempotency_key: id, runtime: 1s}}
        silent:
            store: {url: "${CELERY_GUARD_STORE_URL}"}
            tasks: {shop.a: {idempotency_key: id, runtime: 1s}}
    PC998 store-split: remove the variable from the worker, and set it for all processes.
        fires:
            tasks: {shop.a: {queue: q, idempotency_key: id, runtime: 1s}}
            workers: {q: {environment: {CELERY_GUARD_STORE_URL: "redis://other:6379/0"}}}
        silent:
            tasks: {shop.a: {queue: q, idempotency_key: id, runtime: 1s}}
            workers: {q: {environment: {MALLOC_ARENA_MAX: "2"}}}

    PC954 store-memory-large: keep the key for less time.
        fires: tasks: {shop.a: {queue: q, idempotency_key: id, runtime: 1s, rate: 100/s}}
        silent: tasks: {shop.a: {queue: q, idempotency_key: {key: id, keep: 6h}, runtime: 1s, rate: 100/s}}

Parameters:
    `record_size`: the memory of a record with its result; 1536B.
    `headroom`: the memory of the store, as a multiple of what its records need; 1.5.
    `most_memory`: the memory of the records of a task above which a finding says so; 8GiB.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from policycompiler.diagnostics import Diagnostic, Related, SpecPath, error, warning
from policycompiler.hazards.guards import KEEP, KEY
from policycompiler.model import PolicyParameters, Workload
from policycompiler.model.units import Size
from policycompiler.plan import APP, Constant, Decision, Derived, Plan, Scope, Value
from policycompiler.policies.policy import parameter
from policycompiler.quantities import duration, size

NAME = "guard-store"

STORE_NOT_OWN = warning("PC997", "store-not-own")
STORE_SPLIT = error("PC998", "store-split")
STORE_MEMORY_LARGE = warning("PC954", "store-memory-large")

EVICTION = "noeviction"
"""A full Redis refuses a record instead of deleting another."""
APPEND = "yes"
"""Redis writes each change to a file, and reads the file when it starts."""
SYNC = "everysec"
"""Redis writes to the disk once a second; `always` is much slower."""
KEEPALIVE = 60
"""Seconds after which Redis asks a silent client whether it is still there."""
LEAST = 64 * 2**20
"""The smallest memory: Redis itself, its clients, rates and breakers need some too."""
MIB = 2**20
_RATE = "rate_mean_per_second"

_OTHERS: dict[str, tuple[SpecPath, str]] = {
    "broker_url_variable": (
        ("broker", "url"),
        "the broker: a backlog that fills its memory stops the guards too",
    ),
    "result_backend_variable": (
        ("results", "url"),
        "the results: what evicts or deletes these deletes the records of effects too",
    ),
}


class Parameters(PolicyParameters):
    """The parameters of the policy."""

    record_size: Size = Field(1536, description="memory of a record with its result")
    headroom: Annotated[float, Field(ge=1, le=100)] = Field(
        1.5, description="memory of the store as a multiple of what its records need"
    )
    most_memory: Size = Field(8 * 2**30, description="memory of the records of a task that needs no finding")


def apply(spec: Workload, plan: Plan, tuned: Parameters) -> Iterator[Decision | Diagnostic]:
    """The configuration of the store, and what else would use it, or would not."""
    variable = plan.get(APP, "guard_store_variable")
    if variable is None:
        return
    yield from _apart(spec, plan, str(variable))
    needed = {task: _records(plan, task) * tuned.record_size for task in _keyed(plan)}
    for task, memory in needed.items():
        if memory > tuned.most_memory:
            yield _large(plan, task, memory)
    if not plan.as_is(APP):
        yield from _server(plan, needed, tuned)


def _apart(spec: Workload, plan: Plan, variable: str) -> Iterator[Diagnostic]:
    """Compare the variable of the store with the others."""
    path: SpecPath = plan.written(APP, "guard_store_variable") or ("store", "url")
    for key, (other, what) in _OTHERS.items():
        if plan.get(APP, key) == variable:
            message = f"`{variable}` is the URL of the guards' store and of {what}"
            help_text = "give guards a Redis of their own, and write its variable in `store: {url: …}`"
            yield STORE_NOT_OWN.at(path, message, help=help_text, related=(Related(other, "the same"),))
    for name, worker in spec.workers.items():
        if variable in (worker.environment or {}):
            message = (
                f"`{variable}` gives worker {name} a store of its own, so the records, rates and breakers of "
                "its guards are not those of other workers"
            )
            where: SpecPath = ("workers", name, "environment", variable)
            help_text = "remove it, and set it for all processes"
            yield STORE_SPLIT.at(where, message, help=help_text, at_key=True)


def _keyed(plan: Plan) -> list[Scope]:
    return [task for task in plan.scopes("task") if plan.find(task, KEY) is not None]


def _records(plan: Plan, task: Scope) -> float:
    """How many records a task has at once; 0 without a rate."""
    return (plan.number_if_any(task, _RATE) or 0) * plan.number(task, KEEP)


def _large(plan: Plan, task: Scope, memory: float) -> Diagnostic:
    keep = duration(plan.number(task, KEEP))
    message = (
        f"the store keeps the effects of {task.name} for {keep}: at its rate that is "
        f"{_records(plan, task):,.0f} records, which take about {size(int(memory))}"
    )
    # How long that is, is not decided yet.
    help_text = "write a shorter `keep`, as long as a message can come again; `key-kept-short` tells how long"
    path: SpecPath = plan.written(task, KEEP) or ("tasks", task.name, KEY)
    related = (Related(("tasks", task.name, "rate"), "its rate"),)
    return STORE_MEMORY_LARGE.at(path, message, help=help_text, related=related)


def _server(plan: Plan, needed: dict[Scope, float], tuned: Parameters) -> Iterator[Decision]:
    fixed: dict[str, tuple[Value, str, str]] = {
        "maxmemory-policy": (EVICTION, "EVICTION", "an evicted record is an effect that can happen again"),
        "appendonly": (APPEND, "APPEND", "a restart must not lose records"),
        "appendfsync": (SYNC, "SYNC", "a crash of the machine then loses about one second"),
        "tcp-keepalive": (KEEPALIVE, "KEEPALIVE", "Redis closes connections of clients that are gone"),
    }
    for key, (value, constant, because) in fixed.items():
        origins = (Derived(APP, "guard_store_variable"), Constant(constant, value))
        yield Decision(APP, f"store_server.{key}", value, because, origins)
    if any(plan.number_if_any(task, _RATE) is None for task in needed):
        return
    memory = max(math.ceil(sum(needed.values()) * tuned.headroom / MIB) * MIB, LEAST)
    because = "all effects of the time that they are kept, and some room"
    facts = tuple(Derived(task, key) for task in needed for key in (_RATE, KEEP))
    tuning = tuple(parameter(NAME, key, getattr(tuned, key)) for key in ("record_size", "headroom"))
    yield Decision(APP, "guard_store_memory_bytes", memory, because, (*facts, *tuning))
    because = "Redis refuses records above this memory, and does not take all memory of the machine"
    origin = (Derived(APP, "guard_store_memory_bytes"),)
    yield Decision(APP, "store_server.maxmemory", f"{memory // MIB}mb", because, origin)
