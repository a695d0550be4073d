"""The configuration of the Redis that carries the messages.

Decides:
    For a broker that keeps all messages in memory: `app/server.maxmemory-policy`, `app/server.appendonly`,
    `app/server.appendfsync`, `app/server.tcp-keepalive`, `app/server.databases`. If every task declares its
    `rate` and its `payload`, also `app/broker_memory_bytes` and `app/server.maxmemory`. Nothing in a policy
    file with `extends: as-is`.

Because:
    A queue is one key of Redis. When the memory is full, a `maxmemory-policy` such as allkeys-lru deletes
    whole queues without an error. With `noeviction` Redis refuses new messages instead, and the publisher
    gets an error (https://redis.io/docs/latest/develop/reference/eviction/). Policy and memory are the
    server's, not a database's, so a cache needs a server of its own.

    Without an append-only file, a restart of Redis loses everything since the last snapshot. With
    `appendfsync everysec` a crash of the machine loses about one second.

    The memory must hold the messages that arrive while no worker runs, and those that wait within the latency
    target. It must also hold the results that Redis keeps. A task without `rate` or `payload` may need any
    memory, and a `maxmemory` that is too low stops publishers. So the compiler computes none then.

Example:
    results: {backend: redis, url: "${R}", keep: 1h}
    tasks: {shop.mail.send: {rate: 10/s, payload: 2KiB, result: keep}}

    app/server.maxmemory-policy = "noeviction"
    app/server.maxmemory = "727mb"
    app/broker_memory_bytes = 762314752

Refuses:
    Nothing.

Parameters:
    `outage`: how long messages may arrive while no worker runs; 1h.
    `result_size`: the size of a result that Redis keeps; 1KiB.
    `headroom`: the memory, as a multiple of what messages and results need; 2.0.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from policycompiler.model import PolicyParameters, Workload
from policycompiler.model.units import PositiveDuration, Size
from policycompiler.plan import APP, Constant, Decision, Derived, Origin, Plan, Scope, Value
from policycompiler.policies.policy import parameter
from policycompiler.quantities import duration, size

NAME = "redis-server"

EVICTION = "noeviction"
"""A full Redis refuses new messages instead of deleting queues."""
APPEND = "yes"
"""Redis writes each change to a file, and reads the file when it starts."""
SYNC = "everysec"
"""Redis writes to the disk once a second; `always` is much slower."""
KEEPALIVE = 60
"""Seconds after which Redis asks a silent client whether it is still there."""
DATABASES = 16
"""Redis's own default."""
MOST_DATABASES = 10_000
"""Redis takes memory for each; a higher number in a URL is a mistake."""
ENVELOPE = 3072
"""Bytes of a message beside its payload: its headers, with the first 1024 characters of its arguments."""
ENCODED = 5 / 3
"""kombu sends the payload in base64, which is 4/3 of it, and Redis rounds its memory up by a quarter."""
LEAST = 64 * 2**20
"""The smallest memory: Redis itself, its clients and remote control need some too."""
MIB = 2**20
PEAKS = ("rate_peak_per_second", "burst")
"""Facts of a task that add to its messages, if it declares them."""


class Parameters(PolicyParameters):
    """What a policy file may set."""

    outage: PositiveDuration = Field(
        3600, description="how long messages may arrive while no worker runs, before Redis refuses them"
    )
    result_size: Size = Field(1024, description="size of a result that Redis keeps")
    headroom: Annotated[float, Field(ge=1, le=100)] = Field(
        2.0, description="memory as a multiple of what messages and results need"
    )


def apply(spec: Workload, plan: Plan, tuned: Parameters) -> Iterator[Decision]:
    """Keep every message, in memory and on disk."""
    del spec
    if not plan.broker.evicts or plan.as_is(APP):
        return
    fixed: dict[str, tuple[Value, str, str]] = {
        "maxmemory-policy": (EVICTION, "EVICTION", "any other policy may delete whole queues"),
        "appendonly": (APPEND, "APPEND", "a restart must not lose messages"),
        "appendfsync": (SYNC, "SYNC", "a crash of the machine then loses about one second"),
        "tcp-keepalive": (KEEPALIVE, "KEEPALIVE", "Redis closes connections of clients that are gone"),
    }
    for key, (value, constant, because) in fixed.items():
        yield Decision(APP, f"server.{key}", value, because, (Constant(constant, value),))
    yield _databases(plan)
    yield from _memory(plan, tuned)


def _databases(plan: Plan) -> Decision:
    """Redis refuses a database whose number is not below this."""
    used = {
        key: int(last)
        for key in ("broker_url", "result_backend")
        if (last := str(plan.get(APP, key, "")).partition("?")[0].rpartition("/")[2]).isdecimal()
    }
    most = max(used, key=lambda key: used[key], default="")
    if most and DATABASES <= used[most] < MOST_DATABASES:
        because = f"the highest database that a URL names is {used[most]}"
        return Decision(APP, "server.databases", used[most] + 1, because, (Derived(APP, most),))
    origin = Constant("DATABASES", DATABASES)
    return Decision(APP, "server.databases", DATABASES, "this is Redis's own default", (origin,))


def _memory(plan: Plan, tuned: Parameters) -> Iterator[Decision]:
    tasks = plan.scopes("task")
    facts = ("rate_mean_per_second", "payload_bytes")
    if not tasks or any(plan.number_if_any(task, key) is None for task in tasks for key in facts):
        return
    expires = plan.number_if_any(APP, "result_expires") or None
    kept = [task for task in tasks if _keeps_result(plan, task)]
    if kept and expires is None:
        return
    messages = sum(_backlog(plan, task, tuned) for task in tasks)
    results = sum(_rate(plan, task) * (expires or 0) * (tuned.result_size + ENVELOPE) for task in kept)
    needed = max(math.ceil((messages + results) * tuned.headroom / MIB) * MIB, LEAST)
    origins: list[Origin] = [
        *(Derived(task, key) for task in tasks for key in (*facts, *PEAKS) if plan.find(task, key)),
        parameter(NAME, "outage", tuned.outage),
        parameter(NAME, "headroom", tuned.headroom),
        Constant("ENVELOPE", ENVELOPE),
    ]
    of_results = ""
    if kept:
        origins += [Derived(APP, "result_expires"), parameter(NAME, "result_size", tuned.result_size)]
        of_results = f" and {size(math.ceil(results))} of results"
    because = (
        f"{size(math.ceil(messages))} of messages in {duration(tuned.outage)} without workers{of_results}, "
        f"times {tuned.headroom:g}"
    )
    yield Decision(APP, "broker_memory_bytes", needed, because, tuple(origins))
    because = "Redis refuses new messages above this memory, and does not take all memory of the machine"
    yield Decision(
        APP, "server.maxmemory", f"{needed // MIB}mb", because, (Derived(APP, "broker_memory_bytes"),)
    )


def _rate(plan: Plan, task: Scope) -> float:
    return plan.number(task, "rate_mean_per_second")


def _backlog(plan: Plan, task: Scope, tuned: Parameters) -> float:
    """The bytes of a task's messages after an outage, or after the longest wait that its queue allows."""
    queue = Scope("queue", plan.text(task, "queue"))
    rate = plan.number_if_any(task, "rate_peak_per_second") or _rate(plan, task)
    waits = max(tuned.outage, plan.number_if_any(queue, "queue_wait_seconds") or 0)
    count = rate * waits + (plan.number_if_any(task, "burst") or 0)
    return count * (plan.number(task, "payload_bytes") * ENCODED + ENVELOPE)


def _keeps_result(plan: Plan, task: Scope) -> bool:
    """Whether Redis keeps the results of a task; they may be on the server of the messages."""
    elsewhere = plan.get(APP, "result_backend_kind") != plan.broker.server
    return not elsewhere and not plan.value(task, "external") and not plan.get(task, "options.ignore_result")
