"""The cheapest pool that keeps what the tasks of a worker rely on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

from pydantic import Field

from policycompiler.hazards.pools import slowed_by_events
from policycompiler.knowledge import pools
from policycompiler.knowledge.pools import Pool
from policycompiler.model import PolicyParameters, Workload
from policycompiler.plan import APP, Derived, Origin, Plan, Scope, Written
from policycompiler.policies.policy import parameter

NAME = "pool"

PREFORK = "prefork"
"""The only pool that does everything that a task can rely on."""
LADDER = (PREFORK, "threads", "gevent")
"""How far a platform may go; each step gives up more."""
NO_LIMIT = (None, 0)
_HARD, _SOFT = "options.time_limit", "options.soft_time_limit"
_NEEDED = {
    "time_limit": "hard",
    "soft_time_limit": "soft",
    "terminate": "cancels",
    "recycling": "recycles",
}
"""What a task can declare to need, and the capability of a pool that provides it."""
_LOST = {
    "hard": "hard time limits",
    "soft": "soft time limits",
    "cancels": "canceled runs",
    "recycles": "replaced child processes",
    "processes": "the survival of other runs when one crashes its process",
}
"""The capabilities, as what a worker without them gives up."""


class Parameters(PolicyParameters):
    """The parameters of the policy."""

    up_to: Literal["prefork", "threads", "gevent"] = Field(
        "prefork",
        description="pools that the policy may choose: prefork, also threads, or also gevent",
    )
    keep_limits: Literal["all", "pinned"] = Field(
        "all",
        description="time limits that a chosen pool must enforce: all, or only those that the workload pins",
    )


class Need(NamedTuple):
    """What a pool must have: a capability, or the absence of patching; and the origin."""

    capability: str
    origin: Origin

    def met_by(self, pool: Pool) -> bool:
        """Whether the pool does it."""
        return not pool.green if self.capability == _UNPATCHED else bool(getattr(pool, self.capability))


class Choice(NamedTuple):
    """A pool, the reason, and the origins."""

    pool: str
    because: str
    origins: tuple[Origin, ...]


_UNPATCHED = "unpatched"


def chosen(spec: Workload, plan: Plan, worker: Scope, tuned: Parameters) -> Choice | None:
    """A pool whose slots share a process; None if only prefork will do."""
    allowed = LADDER[1 : LADDER.index(tuned.up_to) + 1]
    tasks = [Scope("task", name) for name in plan.texts(worker, "tasks")]
    waiting = [plan.setting(task, "work") for task in tasks]
    if not allowed or not tasks or any(plan.as_is(task) for task in tasks):
        return None
    # A task that only counts as waiting because nobody said otherwise may compute.
    if not all(each.value == "io" and isinstance(each.origins[0], Written) for each in waiting):
        return None
    declared = spec.workers.get(worker.name)
    if declared is not None and declared.options is not None and declared.options.beat:
        return None
    needs = [*_needs(plan, worker, tasks, tuned)]
    for name in allowed:
        pool = pools.pool(name)
        if all(need.met_by(pool) for need in needs) and not slowed_by_events(plan, name):
            return Choice(name, _because(name), (*_origins(tasks, tuned), *(need.origin for need in needs)))
    return None


def unmet(plan: Plan, worker: Scope, kind: str) -> Iterator[tuple[str, int, str]]:
    """The needs of tasks that a pool does not meet: the task, the place in its list, and the need.

    It is unknown what a pool class of the user provides.
    """
    for task in (Scope("task", name) for name in plan.texts(worker, "tasks")):
        for number, need in enumerate(plan.texts(task, "needs") if plan.find(task, "needs") else ()):
            capability = Need(_NEEDED.get(need, _UNPATCHED), Derived(task, "needs"))
            if kind in pools.POOLS and not capability.met_by(pools.pool(kind)):
                yield task.name, number, need


def _because(name: str) -> str:
    pool, prefork = pools.pool(name), pools.pool(PREFORK)
    lost = [what for key, what in _LOST.items() if getattr(prefork, key) and not getattr(pool, key)]
    lost += ["libraries that break when the standard library is patched"] if pool.green else []
    return (
        f"its tasks wait, and a slot of {name} takes {pool.slot_bytes // 1024} KiB instead of a child "
        f"process; it gives up {', '.join(lost[:-1])} and {lost[-1]}, which no task declares to need"
    )


def _origins(tasks: list[Scope], tuned: Parameters) -> tuple[Origin, ...]:
    chosen_by = (parameter(NAME, "up_to", tuned.up_to), parameter(NAME, "keep_limits", tuned.keep_limits))
    return (*chosen_by, *(Derived(task, "work") for task in tasks))


def _needs(plan: Plan, worker: Scope, tasks: list[Scope], tuned: Parameters) -> Iterator[Need]:
    """What the tasks and the pins of the worker rely on."""
    for task in tasks:
        for need in plan.texts(task, "needs") if plan.find(task, "needs") else ():
            yield Need(_NEEDED.get(need, _UNPATCHED), Derived(task, "needs"))
        for key, capability in ((_HARD, "hard"), (_SOFT, "soft")):
            limit = plan.find(task, key)
            if limit is None or limit.value in NO_LIMIT:
                continue
            pinned = isinstance(limit.origins[0], Written)
            # A hard limit also ends a run whose derived soft limit is ignored.
            if pinned or (key == _HARD and tuned.keep_limits == "all"):
                yield Need(capability, Derived(task, key))
    for scope, key, capability in (
        (APP, "task_time_limit", "hard"),
        (APP, "task_soft_time_limit", "soft"),
        (worker, "time_limit", "hard"),
        (worker, "soft_time_limit", "soft"),
        (worker, "max_tasks_per_child", "recycles"),
        (worker, "max_memory_per_child", "recycles"),
        (worker, "autoscale", "processes"),
        (worker, "concurrency_source", "processes"),
    ):
        found = plan.find(scope, key)
        if found is not None and found.value not in NO_LIMIT:
            yield Need(capability, Derived(scope, key))
