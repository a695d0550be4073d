"""Which workers start, restart, reload or stop when a fleet goes from one plan to another."""

from __future__ import annotations

from typing import NamedTuple

from policycompiler.plan import APP, BEAT, Plan, Scope, Value
from policycompiler.review import fleet

_ON_THE_COMMAND = (
    *("app", "service", "executable", "user", "working_directory", "environment_file"),
    *("broker_url_variable", "result_backend_variable"),
)
"""Settings of the app that stand in a worker's command or unit, which a reload does not read again."""

_FACTS_OF_THE_APP = frozenset(
    {"owner", "service", "longest_hold_seconds", "longest_run_seconds", "celery_version", "broker_version"}
)
_FACTS_OF_QUEUES = frozenset(
    {"consumer_timeout_seconds", "tasks", "workers", "latency", "owner", "queue_wait_seconds"}
)
_OF_TASKS = ("options.", "queue", "renamed_from", "sent_as")
"""What celeryconfig.py shows to processes of each kind of thing, and what it does not."""


class Processes(NamedTuple):
    """Workers as `worker:NAME`; a reload (SIGHUP) reads celeryconfig.py and the code, not the command."""

    start: tuple[str, ...]
    restart: tuple[str, ...]
    reload: tuple[str, ...]
    stop: tuple[str, ...]


def moves(running: Plan, target: Plan, *, new_code: bool = False) -> Processes:
    """What to do with each worker.

    One that would read the same as before is left alone, unless it is for `new_code`.
    """
    before, after = fleet.running(running), fleet.running(target)
    same_command = all(running.get(APP, key) == target.get(APP, key) for key in _ON_THE_COMMAND)
    had, has = set(before), set(after)
    staying = [worker for worker in after if worker in had]
    reload = [worker for worker in staying if same_command and _same(running, target, worker)]
    reloaded = set(reload)
    restart = [worker for worker in staying if worker not in reloaded]
    if not new_code and reads_alike(running, target):
        reload = []
    return Processes(
        tuple(_name(worker) for worker in after if worker not in had),
        tuple(_name(worker) for worker in restart),
        tuple(_name(worker) for worker in reload),
        tuple(_name(worker) for worker in before if worker not in has),
    )


def reads_alike(running: Plan, target: Plan) -> bool:
    """Whether celeryconfig.py says the same to workers and producers; a queue too many does no harm."""
    tasks = running.scopes("task")
    scopes = (APP, *tasks, *target.scopes("queue"))
    return tasks == target.scopes("task") and all(
        fleet.same(_read(running, scope), _read(target, scope)) for scope in scopes
    )


def beat_alike(running: Plan, target: Plan) -> bool:
    """Whether beat would do the same."""
    scopes = {BEAT, *running.scopes("schedule"), *target.scopes("schedule")}
    return reads_alike(running, target) and all(_same(running, target, scope) for scope in scopes)


def _read(plan: Plan, scope: Scope) -> dict[str, Value]:
    """What celeryconfig.py says of a scope to workers and producers."""
    keys = plan.keys(scope)
    if scope.kind == "task":
        return {key: keys[key].value for key in keys if key.startswith(_OF_TASKS)}
    facts = _FACTS_OF_QUEUES if scope.kind == "queue" else _FACTS_OF_THE_APP
    return {key: keys[key].value for key in keys if key not in facts}


def _same(running: Plan, target: Plan, scope: Scope) -> bool:
    """Whether two plans say the same, but for what no process reads."""
    keys = {*running.keys(scope), *target.keys(scope)} - {"tasks", "description", "owner"}
    return all(fleet.same(running.get(scope, key), target.get(scope, key)) for key in keys)


def _name(worker: Scope) -> str:
    return f"worker:{worker.name}"
