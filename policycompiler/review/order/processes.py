"""Which workers start, restart, reload or stop when a fleet goes from one plan to another."""

from __future__ import annotations

from typing import NamedTuple

from policycompiler.plan import APP, BEAT, Plan, Scope, vocabulary
from policycompiler.plan.vocabulary import Reader
from policycompiler.review.facts import fleet

_EVERYWHERE = (Reader.CONFIGURATION, Reader.ANNOTATION)
"""What celeryconfig.py says to all processes; the rest is for beat."""


class Processes(NamedTuple):
    """Workers as `worker:NAME`; a reload (SIGHUP) reads celeryconfig.py and the code, not the command."""

    start: tuple[str, ...]
    restart: tuple[str, ...]
    reload: tuple[str, ...]
    stop: tuple[str, ...]


def moves(running: Plan, target: Plan, *, new_code: bool = False) -> Processes:
    """What to do with each worker.

    A worker that would read the same as before keeps running, unless it needs `new_code`.
    """
    before, after = fleet.running(running), fleet.running(target)
    same_command = _same(running, target, APP, Reader.WORKER)
    had, has = set(before), set(after)
    staying = [worker for worker in after if worker in had]
    reload = [worker for worker in staying if same_command and _same(running, target, worker, Reader.WORKER)]
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
    """Whether celeryconfig.py says the same to workers and producers; an extra queue is harmless."""
    tasks = running.scopes("task")
    scopes = (APP, *tasks, *target.scopes("queue"))
    return tasks == target.scopes("task") and all(
        _same(running, target, scope, *_EVERYWHERE) for scope in scopes
    )


def beat_alike(running: Plan, target: Plan) -> bool:
    """Whether beat would do the same."""
    entries = {each for plan in (running, target) for kind in _ENTRIES for each in plan.scopes(kind)}
    return reads_alike(running, target) and all(
        _same(running, target, scope, Reader.BEAT, Reader.BEAT_CONFIGURATION)
        for scope in (APP, BEAT, *entries)
    )


_ENTRIES = ("schedule", "disabled_schedule")


def _same(running: Plan, target: Plan, scope: Scope, *readers: Reader) -> bool:
    """Whether two plans say the same of a scope to these readers."""
    keys = {*running.keys(scope), *target.keys(scope)}
    return all(
        fleet.same(running.get(scope, key), target.get(scope, key))
        for key in keys
        if _is_read(scope, key, readers)
    )


def _is_read(scope: Scope, key: str, readers: tuple[Reader, ...]) -> bool:
    """Whether one of these acts on a key; on an unknown key, any may."""
    declared = vocabulary.find(scope.kind, key)
    return declared is None or declared.is_read_by(*readers)


def _name(worker: Scope) -> str:
    return f"worker:{worker.name}"
