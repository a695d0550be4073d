"""Whether each worker process runs as planned: its queues, its flags, its settings, its version, its clock.

Because:
    A process that was started by hand, or before the last deployment, keeps its own flags and settings.

Refuses:
    PC850 worker-queues-differ: restart the worker with the compiled command.
        when: a process of a worker does not consume the queues of the plan, or consumes others.
    PC851 worker-pool-differs: restart the worker with the compiled command.
        when: a process of a worker runs another pool; time limits and memory depend on the pool.
    PC852 worker-flags-differ: restart the worker with the compiled command, or change the workload.
        when: slots, autoscaling, prefetching or recycling of a process differ from the plan.
    PC853 worker-version-differs: deploy the Celery of the workload, or correct `celery.version`.
        when: a process runs another version of Celery than the plan is compiled for.
    PC854 worker-settings-differ: deploy the compiled `celeryconfig.py` and restart the worker.
        when: a process has other Celery settings than the plan.
    PC896 worker-plan-differs: deploy the compiled files and restart the worker.
        when: a process has read the `celeryconfig.py` of another plan. Its routes, queue declarations or
        guards can differ too, which a process does not show.
    PC858 clock-skewed: synchronize the clock of the host, for instance with NTP.
        when: the clock of a worker differs from the clock of this host by more than 5 s.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from policycompiler.diagnostics import Diagnostic, error, warning
from policycompiler.knowledge import pools
from policycompiler.plan import APP, Plan, Scope, Value, vocabulary
from policycompiler.plan.fingerprint import fingerprint
from policycompiler.plan.vocabulary import Reader
from policycompiler.quantities import duration
from policycompiler.reality.nodes import Node, Workers, multiplier
from policycompiler.verify.words import app_path, listed, same, shown, worker_path

WORKER_QUEUES_DIFFER = error("PC850", "worker-queues-differ")
WORKER_POOL_DIFFERS = error("PC851", "worker-pool-differs")
WORKER_FLAGS_DIFFER = warning("PC852", "worker-flags-differ")
WORKER_VERSION_DIFFERS = warning("PC853", "worker-version-differs")
WORKER_SETTINGS_DIFFER = warning("PC854", "worker-settings-differ")
WORKER_PLAN_DIFFERS = warning("PC896", "worker-plan-differs")
CLOCK_SKEWED = warning("PC858", "clock-skewed")

SKEW_SECONDS = 5.0
"""Far above the way of a heartbeat, and below the countdowns and expiries that people choose."""
MASKED = "********"
"""The answer of a worker for a setting whose name sounds like a secret, such as a routing key."""
_RESTART = "restart the worker with the compiled command"


def findings(plan: Plan, found: Workers, paused: Collection[str] = ()) -> Iterator[Diagnostic]:
    """The differences of the processes of each planned worker; `paused` queues need no consumer now."""
    by_worker = found.of(plan)
    for scope in plan.scopes("worker"):
        nodes = by_worker[scope.name]
        for node in nodes:
            yield from _queues(plan, scope, node, paused)
        for key, planned, values in _flags(plan, scope, nodes):
            yield from _flag(plan, scope, key, planned, values)
    ours = [node for worker, nodes in by_worker.items() for node in nodes if worker]
    yield from _versions(plan, ours)
    yield from _settings(plan, ours)
    yield from _plans(plan, ours)
    for node in ours:
        if node.ahead_seconds is not None and abs(node.ahead_seconds) > SKEW_SECONDS:
            way = "ahead of" if node.ahead_seconds > 0 else "behind"
            apart = duration(round(abs(node.ahead_seconds), 1))
            message = f"the clock of `{node.name}` is {apart} {way} the clock of this host; "
            message += "countdowns and expiries are wrong by as much"
            yield CLOCK_SKEWED.at(("workers",), message, help="synchronize the clocks, for instance with NTP")


def _queues(plan: Plan, scope: Scope, node: Node, paused: Collection[str]) -> Iterator[Diagnostic]:
    planned = set(plan.texts(scope, "queues"))
    broadcasts = {name for name in planned if plan.get(Scope("queue", name), "broadcast")}
    # A broadcast queue has a name of its own in each process: NAME.UUID.
    found = {each.name for each in node.queues}
    found = {next((name for name in broadcasts if each.startswith(f"{name}.")), each) for each in found}
    if found | planned.intersection(paused) == planned:
        return
    message = f"`{node.name}` consumes {listed(found) or 'nothing'}; planned: {listed(planned)}"
    yield WORKER_QUEUES_DIFFER.at(worker_path(plan, scope.name), message, help=_RESTART)


def _flags(plan: Plan, scope: Scope, nodes: list[Node]) -> Iterator[tuple[str, Value, Mapping[str, Value]]]:
    """The flags that a process shows, each with its planned value and the value of each node."""
    planned_pool = plan.text(scope, "pool")
    yield "pool", planned_pool, {node.name: node.pool for node in nodes if node.pool}
    autoscale = plan.get(scope, "autoscale")
    scaled: dict[str, Value] = {
        node.name: {"min": node.autoscale[0], "max": node.autoscale[1]} for node in nodes if node.autoscale
    }
    if isinstance(autoscale, dict):
        others: dict[str, Value] = {node.name: None for node in nodes if node.slots and not node.autoscale}
        yield "autoscale", autoscale, {**scaled, **others}
        return
    yield "autoscale", None, scaled
    plain = [node for node in nodes if not node.autoscale]
    yield (
        "concurrency",
        plan.get(scope, "concurrency"),
        {node.name: node.slots for node in plain if node.slots},
    )
    if not plan.get(scope, "disable_prefetch"):
        # After a lost connection a busy worker prefetches less for a while.
        idle = [node for node in plain if not node.busy]
        found: dict[str, Value] = {
            node.name: multiplier(node) for node in idle if multiplier(node) is not None
        }
        yield "prefetch_multiplier", plan.get(scope, "prefetch_multiplier"), found
    if pools.pool(planned_pool).recycles:
        recycled: dict[str, Value] = {
            node.name: node.recycles_after for node in nodes if node.pool == planned_pool
        }
        yield "max_tasks_per_child", plan.get(scope, "max_tasks_per_child"), recycled


def _flag(
    plan: Plan, scope: Scope, key: str, planned: Value, values: Mapping[str, Value]
) -> Iterator[Diagnostic]:
    different = {node: value for node, value in values.items() if not same(planned, value)}
    if not different:
        return
    found = ", ".join(sorted({shown(value) for value in different.values()}))
    message = (
        f"worker `{scope.name}` runs with `{key}` {found} on {listed(different)}; planned: {shown(planned)}"
    )
    finding = WORKER_POOL_DIFFERS if key == "pool" else WORKER_FLAGS_DIFFER
    yield finding.at(worker_path(plan, scope.name, key), message, help=_RESTART)


def _versions(plan: Plan, nodes: list[Node]) -> Iterator[Diagnostic]:
    planned = _release(plan.text(APP, "celery_version"))
    found: dict[str, list[str]] = {}
    for node in nodes:
        if node.version and planned and _release(node.version) != planned:
            found.setdefault(node.version, []).append(node.name)
    for version, names in sorted(found.items()):
        message = f"{listed(names)} run{'s' if len(names) == 1 else ''} Celery {version}; "
        message += f"the plan is compiled for {plan.text(APP, 'celery_version')}"
        path = app_path(plan, "celery_version", ("celery",))
        help_text = "deploy that version, or set `celery.version` to the version that runs"
        yield WORKER_VERSION_DIFFERS.at(path, message, help=help_text)


def _release(version: str) -> tuple[int, ...]:
    """Major and minor number; nothing for another form."""
    parts = version.split(".")[:2]
    return tuple(int(part) for part in parts) if all(part.isdigit() for part in parts) else ()


def _settings(plan: Plan, nodes: list[Node]) -> Iterator[Diagnostic]:
    """The settings that differ, each with the nodes; one finding for each setting."""
    told = plan.told().keys(APP)
    planned = {key: setting.value for key, setting in told.items() if _is_shown(key)}
    # A node that shows none of them has refused the question.
    telling = [node for node in nodes if node.settings]
    for key, value in sorted(planned.items()):
        values = {node.name: node.settings.get(key) for node in telling}
        different = {
            node: found for node, found in values.items() if not same(_as_shown(value, found), found)
        }
        if different:
            found = ", ".join(sorted({shown(each) for each in different.values()}))
            message = f"setting `{key}` is {found} on {listed(different)}; planned: {shown(value)}"
            help_text = "deploy the compiled `celeryconfig.py`, and restart the workers"
            path = app_path(plan, key, ("celery",))
            yield WORKER_SETTINGS_DIFFER.at(path, message, help=help_text)


def _plans(plan: Plan, nodes: list[Node]) -> Iterator[Diagnostic]:
    """The processes with the settings of another plan; files of others show no fingerprint."""
    planned, found = fingerprint(plan), {node.name: node.plan for node in nodes if node.plan}
    different = {name: shown for name, shown in found.items() if shown != planned}
    if different:
        plans = listed(set(different.values()))
        message = (
            f"{listed(different)} read the settings of plan {plans}; this is plan `{planned}`: its routes, "
            "queues and guards can differ"
        )
        help_text = "deploy the compiled files, and restart the workers"
        yield WORKER_PLAN_DIFFERS.at(("workers",), message, help=help_text)


def _as_shown(planned: Value, found: Value) -> Value:
    """The planned value as a worker shows it, which masks values with suspicious names at every depth."""
    if found == MASKED:
        return MASKED
    if isinstance(planned, dict) and isinstance(found, dict):
        return {key: _as_shown(value, found.get(key)) for key, value in planned.items()}
    return planned


def _is_shown(key: str) -> bool:
    """Whether a worker shows a setting of the plan: not the URLs, which it masks."""
    known = vocabulary.find("app", key)
    shown = known is not None and known.celerys and Reader.CONFIGURATION in known.readers
    return shown and key not in ("broker_url", "result_backend")
