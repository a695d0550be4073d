"""What each kind of pool can do (celery/concurrency/)."""

from __future__ import annotations

from typing import NamedTuple


class Pool(NamedTuple):
    """A kind of pool.

    `hard` and `soft`: it keeps these time limits, the hard one maybe only where a run waits. `cancels`: a run
    can be ended from outside, by `revoke(terminate=True)` and after a lost connection. `recycles`: its
    processes are replaced after many tasks or much memory. `answers`: the worker's main loop goes on while
    tasks run, so it sends heartbeats and answers remote control. `autoscales`: its slots can change.
    `processes`: each task has a process of its own; `green`: it patches the standard library; `slots`: it
    runs more than one task at once. `maintained`: its library is still developed, and Celery's extra
    installs it.
    """

    hard: bool
    soft: bool
    cancels: bool
    recycles: bool
    answers: bool
    autoscales: bool
    processes: bool
    green: bool
    slots: bool
    maintained: bool

    @property
    def shares_process(self) -> bool:
        """Whether a task that computes stops all others of its worker."""
        return self.slots and not self.processes

    @property
    def own_memory(self) -> bool:
        """Whether each slot is a process of its own, so that the memory of its tasks adds up."""
        return not self.shares_process


POOLS = {
    "prefork": Pool(
        hard=True,
        soft=True,
        cancels=True,
        recycles=True,
        answers=True,
        autoscales=True,
        processes=True,
        green=False,
        slots=True,
        maintained=True,
    ),
    "threads": Pool(
        hard=False,
        soft=False,
        cancels=False,
        recycles=False,
        answers=True,
        autoscales=False,
        processes=False,
        green=False,
        slots=True,
        maintained=True,
    ),
    "gevent": Pool(
        hard=True,
        soft=False,
        cancels=True,
        recycles=False,
        answers=True,
        autoscales=True,
        processes=False,
        green=True,
        slots=True,
        maintained=True,
    ),
    "eventlet": Pool(
        hard=False,
        soft=False,
        cancels=True,
        recycles=False,
        answers=True,
        autoscales=True,
        processes=False,
        green=True,
        slots=True,
        maintained=False,
    ),
    "solo": Pool(
        hard=False,
        soft=False,
        cancels=False,
        recycles=False,
        answers=False,
        autoscales=False,
        processes=False,
        green=False,
        slots=False,
        maintained=True,
    ),
}
"""By Celery's own names."""

UNKNOWN = POOLS["threads"]
"""A class of the user's own: nothing is taken for granted but that it runs tasks beside the main loop."""


def pool(name: str) -> Pool:
    """What a pool can do; of one that is not Celery's, the least."""
    return POOLS.get(name, UNKNOWN)
