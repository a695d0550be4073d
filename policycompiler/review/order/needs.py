"""The order that two plans require when processes go from the old plan to the new plan."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, TypeAlias

from policycompiler.knowledge.brokers import Levels
from policycompiler.plan import APP, BEAT, Plan, Scope
from policycompiler.plan.queue_lists import priority_steps
from policycompiler.review.facts import fleet, patience
from policycompiler.review.facts.both_plans import BothPlans, both_plans, sent_to
from policycompiler.review.order import need
from policycompiler.review.order.moving_beat import is_moved
from policycompiler.review.order.need import Asks, Kind, Need, reason
from policycompiler.review.order.schedule_rows import left_over


class Needs(NamedTuple):
    """The facts about two plans, and the reasons for an order, in the order of the sentences."""

    facts: BothPlans
    each: tuple[Need, ...]

    def find(self, kind: Kind, *names: str) -> Need | None:
        """A need of a kind: all of it, or the part about these names; None without one."""
        found = next((each for each in self.each if each.kind is kind), None)
        return found.of(names) if found and names else found

    def names(self, *kinds: Kind) -> frozenset[str]:
        """The names that needs of these kinds cover."""
        return frozenset().union(*(each.names for each in self.each if each.kind in kinds))

    def ask(self, *asks: Asks) -> bool:
        """Whether any need requires one of these."""
        return any(each.kind.asks.intersection(asks) for each in self.each)

    def why(self, *asks: Asks) -> str:
        """The sentences of the needs that require one of these."""
        return reason(each for each in self.each if each.kind.asks.intersection(asks))

    @property
    def gone(self) -> frozenset[str]:
        """The tasks that new workers do not know, with messages left."""
        return self.names(need.GONE, need.HANDED_ON)

    @property
    def accept_first(self) -> bool:
        """Whether all processes must read something new before any process may send it."""
        return self.ask(Asks.ACCEPT)

    @property
    def receive_first(self) -> bool:
        """Whether workers must come before producers and beat."""
        return self.ask(Asks.ACCEPT, Asks.RECEIVE)

    @property
    def overlap(self) -> bool:
        """Whether workers need a plan in between that processes both old and new messages."""
        return self.ask(Asks.KEEP) or (self.ask(Asks.DRAIN) and self.receive_first)

    @property
    def drain(self) -> bool:
        """Whether something old must be gone before the last step."""
        return self.ask(Asks.KEEP, Asks.DRAIN)


def needs(old: Plan, new: Plan) -> Needs:
    """Compare two plans."""
    facts = both_plans(old, new)
    found = ((kind, frozenset(finder(old, new, facts))) for kind, finder in _FINDERS)
    return Needs(facts, tuple(Need(kind, names) for kind, names in found if names))


def _new_form(old: Plan, new: Plan, facts: BothPlans) -> Iterable[str]:
    return () if facts.elsewhere else fleet.sent_content(new) - fleet.accepted(old)


def _old_form(old: Plan, new: Plan, facts: BothPlans) -> Iterable[str]:
    return () if facts.elsewhere else fleet.sent_content(old) - fleet.accepted(new)


def _new_results(old: Plan, new: Plan, facts: BothPlans) -> Iterable[str]:
    del facts
    return {fleet.result_content(new)} - fleet.accepted_results(old)


def _new_name(old: Plan, new: Plan, facts: BothPlans) -> Iterable[str]:
    del old, new
    return facts.renamed


def _new_queue(old: Plan, new: Plan, facts: BothPlans) -> Iterator[str]:
    del facts
    for queue in fleet.consumed(new) - fleet.consumed(old):
        if not old.get(Scope("queue", queue), "external") and _has_more_sent(old, new, queue):
            yield queue


def _has_more_sent(old: Plan, new: Plan, queue: str) -> bool:
    """Whether anything is sent to a queue that was not sent there before."""
    scope = Scope("queue", queue)
    if set(new.texts(scope, "tasks")) - set(old.texts(scope, "tasks") if old.keys(scope) else ()):
        return True
    return queue == new.text(APP, "task_default_queue") != old.text(APP, "task_default_queue")


def _new_task(old: Plan, new: Plan, facts: BothPlans) -> Iterable[str]:
    del old
    taken_over = {name for name in facts.handed if facts.after.runs(name)}
    return (_unknown(new, facts.before) - facts.renamed.keys() | taken_over) - _staying(facts)


def _staying(facts: BothPlans) -> set[str]:
    """Tasks whose queue stays the same: the app that now runs them consumes all their messages."""
    return {name for name in facts.handed if facts.before.queue(name) == facts.after.queue(name)}


def _unknown(plan: Plan, others: fleet.Names) -> set[str]:
    """The tasks whose messages are discarded by workers that know the other names."""
    return {
        scope.name
        for scope in plan.scopes("task")
        if fleet.runs_here(plan, scope) and not others.runs(scope.name)
    }


def _no_more_known(old: Plan, facts: BothPlans) -> set[str]:
    """The tasks of the old plan that no remaining consumer of their queue knows."""
    stay = _staying(facts)
    unknown = _unknown(old, facts.after) - _earlier(facts) - stay
    # A removed pattern removes the tasks that it stood for.
    return unknown | {name for name in facts.handed - stay if _pattern(facts.before, name) in unknown}


def _earlier(facts: BothPlans) -> set[str]:
    return {name for names in facts.renamed.values() for name in names}


def _pattern(names: fleet.Names, name: str) -> str | None:
    """The pattern that declares a task that has no entry of its own."""
    entry = names.entry(name)
    return entry.name if entry is not None and "*" in entry.name else None


def _all_gone(old: Plan, facts: BothPlans) -> set[str]:
    aliases = facts.before.earlier.keys() - facts.after.earlier.keys()
    # No process sends an earlier name now, so it does not matter that another app has it now.
    forgotten = {name for name in aliases if not facts.after.runs(name)} - facts.handed
    return _no_more_known(old, facts) | (forgotten - _earlier(facts))


def _gone(old: Plan, new: Plan, facts: BothPlans) -> Iterable[str]:
    del new
    return _all_gone(old, facts) - facts.handed


def _handed_on(old: Plan, new: Plan, facts: BothPlans) -> Iterable[str]:
    del new
    return _all_gone(old, facts) & facts.handed


def _leaving(old: Plan, new: Plan, facts: BothPlans) -> Iterable[str]:
    del old, new
    return facts.given_up - facts.unattended


def _deserted(old: Plan, new: Plan, facts: BothPlans) -> Iterable[str]:
    # A task of a pattern may continue under a name of its own.
    ended = {name for name in _no_more_known(old, facts) - facts.handed if "*" not in name}
    return {*_leaving(old, new, facts)} & sent_to(old, but=ended)


def _new_arguments(old: Plan, new: Plan, facts: BothPlans) -> Iterator[str]:
    del facts
    for schedule in new.scopes("schedule"):
        if old.keys(schedule) and any(
            not fleet.same(old.get(schedule, key), new.get(schedule, key)) for key in ("args", "kwargs")
        ):
            yield schedule.name


def _new_levels(old: Plan, new: Plan, facts: BothPlans) -> Iterable[str]:
    if new.broker.levels is not Levels.LISTS or facts.elsewhere:
        return ()
    return () if priority_steps(old) == priority_steps(new) else ("priority_steps",)


def _longer_hold(old: Plan, new: Plan, facts: BothPlans) -> Iterable[str]:
    return ("visibility_timeout_seconds",) if not facts.elsewhere and _is_raised(old, new) else ()


def _shorter_hold(old: Plan, new: Plan, facts: BothPlans) -> Iterable[str]:
    return _longer_hold(new, old, facts)


def _is_raised(old: Plan, new: Plan) -> bool:
    """Whether an old worker would redeliver messages that a new worker still holds."""
    if not new.broker.shares_timeout:
        return False
    before, after = (plan.number_if_any(APP, "visibility_timeout_seconds") for plan in (old, new))
    if before is None or after is None or before >= after:
        return False
    longest = new.number_if_any(APP, "longest_hold_seconds")
    return longest is None or longest >= before


def _forgotten(old: Plan, new: Plan, facts: BothPlans) -> Iterator[str]:
    """The name of a record begins with the service and the task; its end is the value of the key."""
    moved = any(old.get(APP, key) != new.get(APP, key) for key in ("service", "guard_store_variable"))
    for task in old.scopes("task"):
        key, after = old.get(task, "idempotency_key"), facts.after.entry(task.name)
        if key is None or after is None or not facts.after.runs(task.name):
            continue
        if moved or new.get(after, "idempotency_key") != key:
            yield task.name


_Finder: TypeAlias = Callable[[Plan, Plan, BothPlans], Iterable[str]]

_FINDERS: tuple[tuple[Kind, _Finder], ...] = (
    (need.NEW_FORM, _new_form),
    (need.NEW_RESULTS, _new_results),
    (need.NEW_NAME, _new_name),
    (need.NEW_QUEUE, _new_queue),
    (need.NEW_TASK, _new_task),
    (need.DESERTED, _deserted),
    (need.NEW_ARGUMENTS, _new_arguments),
    (need.NEW_LEVELS, _new_levels),
    (need.LONGER_RUN, lambda old, new, _: patience.outlasted(old, new)),
    (need.SHORTER_HOLD, _shorter_hold),
    (need.LASTING, lambda old, new, _: patience.lasting(old, new)),
    (need.HURRIED, lambda old, new, _: patience.hurried(old, new)),
    (need.OLD_FORM, _old_form),
    (need.HANDED_ON, _handed_on),
    (need.GONE, _gone),
    (need.LEAVING, _leaving),
    (need.LONGER_HOLD, _longer_hold),
    (need.REPLACED, lambda _, __, facts: facts.replaced),
    (need.LEFT_ROW, lambda old, new, _: left_over(old, new)),
    (need.BEAT_MOVED, lambda old, new, _: (str(BEAT),) if is_moved(old, new) else ()),
    (need.FORGOTTEN, _forgotten),
)
"""What each kind of need covers, by the two plans; reasons appear in this order."""
