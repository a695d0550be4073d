"""Which workers start, restart, reload or stop when a fleet goes from one plan to another."""

from __future__ import annotations

from typing import NamedTuple

from policycompiler.emitters.celeryconfig import settings
from policycompiler.plan import APP, BEAT, Plan, Scope, Value
from policycompiler.review import fleet

_ON_THE_COMMAND = (
    *("app", "service", "executable", "user", "working_directory", "environment_file"),
    *("broker_url_variable", "result_backend_variable"),
)
"""Settings of the app that stand in a worker's command or unit, which a reload does not read again."""
_ON_BEATS_COMMAND = ("state_directory",)
"""Those that stand in the unit of beat alone, besides."""

_FACTS_OF_QUEUES = frozenset(
    {"consumer_timeout_seconds", "tasks", "workers", "latency", "owner", "queue_wait_seconds"}
)
_OF_TASKS = ("options.", "queue", "renamed_from", "sent_as")
"""What celeryconfig.py shows of tasks, and what it does not of queues; of the app, its emitter says so."""


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
    own = (*_ON_THE_COMMAND, *_ON_BEATS_COMMAND, *_keys_of_beat(running), *_keys_of_beat(target))
    return (
        reads_alike(running, target)
        and all(fleet.same(running.get(APP, key), target.get(APP, key)) for key in own)
        and all(_same(running, target, scope) for scope in scopes)
    )


def _keys_of_beat(plan: Plan) -> list[str]:
    return [key for key in plan.keys(APP) if settings.is_of_beat(key)]


def _read(plan: Plan, scope: Scope) -> dict[str, Value]:
    """What celeryconfig.py says of a scope to workers and producers."""
    keys = plan.keys(scope)
    if scope.kind == "task":
        return {key: keys[key].value for key in keys if key.startswith(_OF_TASKS)}
    if scope.kind == "queue":
        return {key: keys[key].value for key in keys if key not in _FACTS_OF_QUEUES}
    shown = {key for key in keys if settings.shows(key) and not settings.is_of_beat(key)}
    # The variable of the URL holds another one with another kind of broker.
    shown |= {"broker_transport"} & keys.keys()
    return {key: keys[key].value for key in shown}


def _same(running: Plan, target: Plan, scope: Scope) -> bool:
    """Whether two plans say the same, but for what no process reads."""
    keys = {*running.keys(scope), *target.keys(scope)} - {"tasks", "description", "owner"}
    return all(fleet.same(running.get(scope, key), target.get(scope, key)) for key in keys)


def _name(worker: Scope) -> str:
    return f"worker:{worker.name}"
