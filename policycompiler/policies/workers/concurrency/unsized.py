"""Workers whose slots or processes do not follow from their load: hosts or machines decide them."""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.knowledge import pools
from policycompiler.model import Workload
from policycompiler.plan import APP, Decision, Default, Derived, Origin, Plan, Scope, Written
from policycompiler.plan.lines import Limit
from policycompiler.policies.workers.concurrency.tuned import Parameters
from policycompiler.quantities import counted


def placed(spec: Workload, plan: Plan, scope: Scope) -> Iterator[Decision]:
    """The processes that the hosts run, unless the worker pins a number."""
    counts = {
        host: count
        for host, declared in sorted(spec.hosts.items())
        if (count := (declared.workers or {}).get(scope.name, 0))
    }
    if counts and plan.find(scope, "replicas") is None:
        origins = tuple(Written(("hosts", host, "workers", scope.name)) for host in counts)
        processes = sum(counts.values())
        yield Decision(scope, "replicas", processes, "the hosts run this many processes", origins)


def assumed(spec: Workload, plan: Plan, scope: Scope, tuned: Parameters) -> Iterator[Decision]:
    """The slots for policies if a machine or an environment decides them; no file has the number."""
    source = plan.find(scope, "concurrency_source")
    origins: tuple[Origin, ...] = (Derived(scope, "concurrency_source"),)
    if source is None:
        origins = (Default("--concurrency", plan.text(APP, "celery_version")),)
    if not pools.pool(plan.text(scope, "pool")).slots:
        because = f"a {plan.text(scope, 'pool')} pool has one slot"
        yield from _both(scope, 1, because, (*origins, Derived(scope, "pool")), Limit.POOL)
        return
    by_cores = source is None or not str(source.value).startswith("${")
    cores = [
        (host.cores, Written(("hosts", name, "cores")))
        for name, host in sorted(spec.hosts.items())
        if host.cores is not None and scope.name in (host.workers or {})
    ]
    if by_cores and cores:
        number, origin = min(cores)
        because = "the worker has one slot for each core of its machine"
        yield from _both(scope, number, because, (*origins, origin), Limit.CORES)
        return
    decides = (
        "the machine of the worker decides the number" if by_cores else "an environment variable decides it"
    )
    because = f"{decides}, and policies assume {counted(tuned.assumed_slots, 'slot')}"
    parameter = tuned.origin("assumed_slots")
    yield from _both(scope, tuned.assumed_slots, because, (*origins, parameter), Limit.ASSUMED)


def _both(
    scope: Scope, slots: int, because: str, origins: tuple[Origin, ...], limit: Limit
) -> Iterator[Decision]:
    yield Decision(scope, "sized_by", limit.value, because, origins)
    yield Decision(scope, "concurrency", slots, because, origins)
