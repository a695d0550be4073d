"""Schedules that beat still sends from its own store after the workload has removed them."""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.knowledge.beat_schedulers import DATABASE, NO_STORE, STORES, store_of
from policycompiler.plan import BEAT, Plan
from policycompiler.review.conditions import DeleteRows
from policycompiler.review.order.need import Need
from policycompiler.review.outcome import Step


def left_over(old: Plan, new: Plan) -> frozenset[str]:
    """The schedules whose entries stay in the store, enabled, and that the new plan does not have."""
    if not all(_keeps_removed(plan) for plan in (old, new)):
        return frozenset()
    known = {scope.name for kind in ("schedule", "disabled_schedule") for scope in new.scopes(kind)}
    return frozenset(scope.name for scope in old.scopes("schedule")) - known


def unknown_scheduler(old: Plan, new: Plan) -> str | None:
    """A scheduler of both plans whose store this program does not know."""
    schedulers = {plan.get(BEAT, "scheduler") for plan in (old, new)}
    scheduler = schedulers.pop()
    if schedulers or not isinstance(scheduler, str) or new.find(BEAT, "store"):
        return None
    return None if store_of(scheduler) else scheduler


def delete(new: Plan, left: Need | None) -> Iterator[Step]:
    """Delete the entries once beat runs with the new schedule: with the old schedule it writes them again."""
    if left is None:
        return
    gone = sorted(left.names)
    told = ", ".join(f"`{name}`" for name in gone)
    yield Step(
        "contract",
        f"delete the rows of {told} from beat's database",
        left.sentence,
        "roll beat back to the previous output: beat writes the rows again when it starts",
        run=(DeleteRows(schedules=tuple(gone)),)
        if store_of(new.text(BEAT, "scheduler")) == store_of(DATABASE)
        else (),
    )


def _keeps_removed(plan: Plan) -> bool:
    return STORES.get(str(plan.get(BEAT, "store")), NO_STORE).keeps_removed
