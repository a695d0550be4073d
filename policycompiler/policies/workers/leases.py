"""How long a run of a task with a key owns its effect.

Decides:
    For tasks with `idempotency_key`: `idempotency_lease_seconds` and `idempotency_heartbeat`.

Because:
    The lease must outlast the hard time limit, or a second run starts beside the first. Without a hard limit
    the run renews its lease. A task that computes can keep Python from renewing it.

    A message that is acknowledged before it runs does not come again after a crash, whatever its key allows.
    Nor does a late one whose process dies, unless Celery returns it to the queue or retries it.

Example:
    tasks: {shop.charge: {idempotency_key: payment_id, runtime: {p50: 1s, p99: 10s}}}

    task:shop.charge/idempotency_lease_seconds = 58
    task:shop.charge/idempotency_heartbeat = false

Refuses:
    PC989 lease-unrenewed: pin a hard time limit, or use prefork.
        when: a task that computes has a key, and no hard time limit ends its runs.
    PC991 key-without-late-ack: remove the pin, so that a lost run is repeated.
        fires: tasks: {shop.a: {idempotency_key: id, runtime: 1s, options: {acks_late: false}}}
        silent: tasks: {shop.a: {idempotency_key: id, runtime: 1s}}

    PC955 key-without-restart: remove the pin, so that a lost run is repeated.
        fires:
            tasks:
              shop.a:
                idempotency_key: id
                runtime: 1s
                options: {reject_on_worker_lost: false, retry_on_worker_lost: false}
        silent:
            tasks: {shop.a: {idempotency_key: id, runtime: 1s, options: {reject_on_worker_lost: false}}}

Parameters:
    `margin_seconds`: the lease beyond the hard time limit; 10.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from policycompiler.diagnostics import Diagnostic, Related, SpecPath, error, warning
from policycompiler.knowledge import pools
from policycompiler.model import PolicyParameters, Workload
from policycompiler.plan import APP, Constant, Decision, Derived, Origin, Plan, Scope, Written
from policycompiler.policies.policy import parameter

NAME = "leases"

LEASE_UNRENEWED = error("PC989", "lease-unrenewed")
KEY_WITHOUT_LATE_ACK = warning("PC991", "key-without-late-ack")
KEY_WITHOUT_RESTART = warning("PC955", "key-without-restart")

_RESTARTS = ("reject_on_worker_lost", "retry_on_worker_lost")
UNLIMITED_LEASE_SECONDS = 60
"""A run without a hard limit renews its lease three times in this time."""


class Parameters(PolicyParameters):
    """The parameters of the policy."""

    margin_seconds: Annotated[int, Field(ge=1, le=3600)] = Field(
        10, description="lease beyond the hard time limit, for a kill and a slow clock"
    )


def apply(spec: Workload, plan: Plan, tuned: Parameters) -> Iterator[Decision | Diagnostic]:
    """The lease of each task with a key, and keys that repeat no lost run."""
    del spec
    for scope in plan.scopes("task"):
        if plan.find(scope, "idempotency_key") is None:
            continue
        path: SpecPath = ("tasks", scope.name, "idempotency_key")
        yield from _lease(plan, scope, path, tuned)
        if not plan.get(scope, "options.acks_late"):
            message = (
                f"{scope.name} has a key, which protects it from duplicates, but its message is acknowledged "
                "before it runs: a run is lost when its worker dies"
            )
            pin = plan.written(scope, "options.acks_late") or path
            related = (Related(path, "its key"),)
            help_text = "remove the pin of `acks_late`: with the key, a repeated run does no harm"
            yield KEY_WITHOUT_LATE_ACK.at(pin, message, help=help_text, related=related)
        elif _is_lost(plan, scope):
            message = (
                f"{scope.name} has a key, which protects it from duplicates, but nothing repeats a run whose "
                "process dies: Celery acknowledges its message"
            )
            pins = (plan.written(scope, f"options.{each}") for each in _RESTARTS)
            where = next((pin for pin in pins if pin is not None), path)
            help_text = (
                "write `options: {reject_on_worker_lost: true}`: the record of the key counts lost runs"
            )
            yield KEY_WITHOUT_RESTART.at(where, message, help=help_text)


def _is_lost(plan: Plan, task: Scope) -> bool:
    """Whether a run ends with its process, in a pool of processes."""
    kinds = {plan.text(Scope("worker", name), "pool") for name in plan.texts(task, "workers")}
    broadcast = plan.get(Scope("queue", plan.text(task, "queue")), "broadcast")
    if broadcast or not any(pools.pool(kind).processes for kind in kinds):
        return False
    own = {each: plan.find(task, f"options.{each}") for each in _RESTARTS}
    return not any(plan.get(APP, f"task_{key}") if each is None else each.value for key, each in own.items())


def _lease(plan: Plan, scope: Scope, path: SpecPath, tuned: Parameters) -> Iterator[Decision | Diagnostic]:
    """How long a run owns its effect, and whether it has to renew that."""
    limit = plan.number_if_any(scope, "options.time_limit") or plan.number_if_any(APP, "task_time_limit")
    workers = [Scope("worker", name) for name in plan.texts(scope, "workers")]
    kinds = {plan.text(worker, "pool") for worker in workers}
    # Gevent ends a run at its hard limit only while it waits.
    ended = bool(limit) and all(pools.pool(kind).hard and not pools.pool(kind).green for kind in kinds)
    origins: tuple[Origin, ...] = tuple(Derived(worker, "pool") for worker in workers)
    if limit:
        key = (
            (scope, "options.time_limit")
            if plan.find(scope, "options.time_limit")
            else (APP, "task_time_limit")
        )
        margin = parameter(NAME, "margin_seconds", tuned.margin_seconds)
        because = "the lease outlasts the hard time limit, so no second run starts beside the first"
        lease = limit + tuned.margin_seconds
        yield Decision(scope, "idempotency_lease_seconds", lease, because, (Derived(*key), margin))
    else:
        because = "no hard time limit ends a run, so it renews a short lease"
        constant = Constant("UNLIMITED_LEASE_SECONDS", UNLIMITED_LEASE_SECONDS)
        yield Decision(scope, "idempotency_lease_seconds", UNLIMITED_LEASE_SECONDS, because, (constant,))
    because = "the hard time limit ends a run within its lease" if ended else "no hard limit ends every run"
    origins = origins or (Written((*path, "key")),)
    yield Decision(scope, "idempotency_heartbeat", not ended, because, origins)
    if not ended and plan.value(scope, "work") == "cpu":
        message = (
            f"no hard time limit ends a run of {scope.name}, so it has to renew its lease; a task that "
            "computes can keep Python from doing so, and a second run would start beside it"
        )
        help_text = "declare `runtime`, which sets a hard time limit, and use `pool: prefork`"
        yield LEASE_UNRENEWED.at(path, message, help=help_text)
