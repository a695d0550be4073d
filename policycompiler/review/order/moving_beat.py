"""How the one beat moves to another host."""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.plan import BEAT, Plan
from policycompiler.review.order.need import BEAT_MOVED
from policycompiler.review.outcome import Step

BEAT_PROCESS = "beat"


def is_moved(old: Plan, new: Plan) -> bool:
    """Whether beat runs before and after, and on another host."""
    both = old.keys(BEAT) and new.keys(BEAT)
    return bool(both) and old.get(BEAT, "host") != new.get(BEAT, "host")


def moving(old: Plan, new: Plan, folder: str, called: str) -> Iterator[Step]:
    """The old beat stops before the new beat starts from a folder and continues from its schedule file."""
    hosts = (plan.get(BEAT, "host") for plan in (old, new))
    there, here = (f"host `{host}`" if host else "its host" for host in hosts)
    yield Step(
        "switch",
        f"stop and disable beat on {there}, and copy its schedule file to {here}",
        BEAT_MOVED.says,
        f"start beat on {there} again",
        stop=(BEAT_PROCESS,),
    )
    yield Step(
        "switch",
        f"start beat on {here} with {called}",
        "the old beat has stopped; the new beat sends overdue schedules at once",
        f"stop beat on {here}, copy the schedule file back, and start beat on {there}",
        folder=folder,
        start=(BEAT_PROCESS,),
    )
