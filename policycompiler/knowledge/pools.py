"""What each kind of pool can do (celery/concurrency/)."""

from __future__ import annotations

from typing import NamedTuple


class Pool(NamedTuple):
    """A kind of pool.

    `hard` and `soft`: the pool enforces these time limits, the hard one maybe only while a run waits.
    `cancels`: a run can be canceled, by `revoke(terminate=True)` and after a lost connection. `recycles`:
    child processes are replaced after many runs or too much memory. `answers`: the worker's main loop
    continues while tasks run, so it sends heartbeats and answers remote control. `autoscales`: its slots
    can change. `processes`: each run has its own process. `green`: it patches the standard library.
    `slots`: it runs several tasks at once.
    `maintained`: its library is still developed, and Celery's extra installs it. `slot_bytes`: the memory of
    an idle slot without an application.
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
    slot_bytes: int

    @property
    def shares_process(self) -> bool:
        """Whether a computing task blocks all other tasks of its worker."""
        return self.slots and not self.processes

    @property
    def own_memory(self) -> bool:
        """Whether each slot is a separate process, so the memory of its tasks adds up."""
        return not self.shares_process


# `slot_bytes` was measured with busy workers of Celery 5.7 on Redis: the growth of the proportional set size
# from 4 to 50 slots of prefork, and from 16 to 100 slots of the other pools.
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
        slot_bytes=22 * 2**20,
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
        slot_bytes=100 * 2**10,
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
        slot_bytes=64 * 2**10,
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
        slot_bytes=64 * 2**10,
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
        slot_bytes=0,
    ),
}
"""By Celery's names."""

UNKNOWN = POOLS["threads"]
"""A pool class of the user: the only assumption is that it runs tasks beside the main loop."""


def pool(name: str) -> Pool:
    """The capabilities of a pool; a pool that is not Celery's has the fewest."""
    return POOLS.get(name, UNKNOWN)
