"""Facts about two plans together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from policycompiler.plan import APP, Plan, Scope
from policycompiler.review.facts import fleet, patience
from policycompiler.review.facts.binding_clashes import NO_CLASHES, Clashes, clashes
from policycompiler.review.facts.message_places import is_elsewhere
from policycompiler.review.facts.replaced_queues import replaced_queues


class BothPlans(NamedTuple):
    """Two plans compared; everything is empty or False where they say the same.

    `before` and `after` are the names that old and new workers know. `renamed` maps a task to its earlier
    names that only the old plan sends. `handed` are tasks that only one of the two plans runs in this app.
    `given_up` are queues that only old workers consume; `unattended` are those of them that the new plan
    still sends to. `replaced` are queues that RabbitMQ would refuse to declare, each with the name of its
    stand-in. `patience` are the seconds that a stop of a worker must wait during the rollout, where the new
    units wait less. `elsewhere` says that the broker keeps the messages in another place. `clashes` are the
    effects of bindings and exchanges of one plan on the other.
    """

    before: fleet.Names
    after: fleet.Names
    renamed: Mapping[str, list[str]]
    handed: frozenset[str]
    given_up: frozenset[str]
    unattended: frozenset[str]
    replaced: Mapping[str, str]
    patience: Mapping[str, float]
    elsewhere: bool
    clashes: Clashes


def both_plans(old: Plan, new: Plan) -> BothPlans:
    """Compare two plans."""
    before, after = fleet.Names(old), fleet.Names(new)
    elsewhere = is_elsewhere(old, new)
    consumed = fleet.consumed(old) - fleet.consumed(new)
    given_up = frozenset(queue for queue in consumed if not new.get(Scope("queue", queue), "external"))
    lasting, hurried = patience.lasting(old, new), patience.hurried(old, new)
    return BothPlans(
        before=before,
        after=after,
        renamed=_renamed(before, after),
        handed=frozenset(_handed(old, new, before, after)),
        given_up=given_up,
        unattended=frozenset(queue for queue in given_up & sent_to(new) if new.keys(Scope("queue", queue))),
        replaced={} if elsewhere else replaced_queues(old, new),
        patience={name: max(lasting.get(name, 0.0), hurried.get(name, 0.0)) for name in lasting | hurried},
        elsewhere=elsewhere,
        clashes=NO_CLASHES if elsewhere else clashes(old, new),
    )


def sent_to(plan: Plan, but: Iterable[str] = ()) -> set[str]:
    """The queues that tasks are sent to, including undeclared ones; without the tasks `but`."""
    aside = {*but}
    queues = {scope.name for scope in plan.scopes("queue") if {*plan.texts(scope, "tasks")} - aside}
    return queues | {plan.text(APP, "task_default_queue")}


def _handed(old: Plan, new: Plan, before: fleet.Names, after: fleet.Names) -> Iterator[str]:
    """The tasks that both plans know and that this app runs in only one of them."""
    for name in {scope.name for plan in (old, new) for scope in plan.scopes("task")}:
        known = before.entry(name) is not None and after.entry(name) is not None
        if known and before.runs(name) != after.runs(name):
            yield name


def _renamed(before: fleet.Names, after: fleet.Names) -> dict[str, list[str]]:
    """Tasks with the earlier names that only the old plan sends."""
    renamed: dict[str, list[str]] = {}
    for earlier, name in after.earlier.items():
        if earlier not in before.earlier and before.runs(earlier) and after.runs(name):
            renamed.setdefault(name, []).append(earlier)
    return renamed
