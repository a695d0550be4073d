"""Which workers a unit would stop before tasks of another plan are finished."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from policycompiler.plan import Plan, Scope
from policycompiler.review.facts import fleet


def outlasted(old: Plan, new: Plan) -> Iterator[str]:
    """Workers whose old units stop them sooner than tasks of new producers may last."""
    for worker in fleet.running(old):
        if _missing_patience(old, worker, old.texts(worker, "queues"), new):
            yield worker.name


def lasting(old: Plan, new: Plan) -> dict[str, float]:
    """Workers whose new units wait for less time than tasks of old producers may last.

    Each has the seconds that a stop must wait.
    """
    found = {
        worker.name: _missing_patience(new, worker, new.texts(worker, "queues"), old)
        for worker in fleet.running(new)
    }
    return {name: seconds for name, seconds in found.items() if seconds}


def hurried(old: Plan, new: Plan) -> dict[str, float]:
    """Workers whose new units wait for less time than runs of the old processes they stop may last.

    Each has the seconds that a stop must wait.
    """
    found: dict[str, float] = {}
    before = set(fleet.running(old))
    for worker in fleet.running(new):
        queues = old.texts(worker, "queues") if worker in before else []
        if needed := max(_missing_patience(new, worker, queues, sender) for sender in (old, new)):
            found[worker.name] = needed
    return found


def _missing_patience(runner: Plan, worker: Scope, queues: Iterable[str], sender: Plan) -> float:
    """How long a stop of a worker must wait for tasks that another plan sends to queues; 0 if it does.

    If the other plan does not wait longer either, the short wait is intended.
    """
    patience = runner.number_if_any(worker, "stop_timeout_seconds")
    needed = 0.0
    for queue in queues:
        scope = Scope("queue", queue)
        longest = fleet.longest_run_seconds(
            sender, sender.texts(scope, "tasks") if sender.keys(scope) else []
        )
        takers = sender.texts(scope, "workers") if longest else []
        among = [worker.name] if worker.name in takers else takers
        waits = (sender.number_if_any(Scope("worker", name), "stop_timeout_seconds") for name in among)
        usual = max((wait for wait in waits if wait is not None), default=longest)
        if patience is not None and patience < min(longest, usual):
            needed = max(needed, usual)
    return needed
