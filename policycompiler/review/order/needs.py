"""What two plans ask of the order in which processes go from the old one to the new one."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from enum import StrEnum
from typing import NamedTuple

from policycompiler.hazards.queues import arguments_of
from policycompiler.plan import APP, Plan, Scope
from policycompiler.review.facts import fleet
from policycompiler.review.facts.binding_clashes import NO_CLASHES, Clashes, clashes
from policycompiler.review.facts.message_places import is_elsewhere
from policycompiler.review.order.schedule_rows import left_over


class Asks(StrEnum):
    """What a need asks of the order."""

    ACCEPT = "accept"
    """All read something new before anybody sends it."""
    RECEIVE = "receive"
    """Workers are ready for something new before anybody sends it."""
    KEEP = "keep"
    """New workers go on with something old until nothing of it is left."""


class Need(NamedTuple):
    """Something that asks for an order, and why, in a sentence; empty where other needs say why."""

    asks: Asks
    sentence: str


_FORM = "an old process refuses the new form, so all read it before anybody writes it"
_MOST_TOLD = 6


def told(names: Iterable[str]) -> str:
    """Names in a sentence, and how many more there are than anybody reads."""
    listed = [f"`{name}`" for name in names]
    more = len(listed) - _MOST_TOLD
    return ", ".join(listed[:_MOST_TOLD]) + (f" and {more} more" if more > 0 else "")


def _told(names: Iterable[str]) -> str:
    return told(sorted(names))


class Needs(NamedTuple):
    """What has to happen in an order; everything is empty or False where any order will do.

    `leaving` and `arriving` are queues that only old, or only new workers consume; `deserted` are those of
    the leaving ones whose tasks go on being sent, to other queues. `unattended` are those that only old
    workers consume although the new plan goes on sending to them. `replaced` are those that RabbitMQ would
    refuse to declare, each with the name that it has in between. `handed` are tasks that another app runs
    from now on, or ran until now.
    `added` and `gone` are tasks that old, or new workers do not know; `renamed` maps a task to its earlier
    names. `new_content` is what old processes cannot read, `old_content` what new ones cannot, both of
    messages; `new_results` and `old_results` say so of results. `raised` and `lowered` are about the
    visibility timeout, `levels` about the lists that Redis keeps for each priority. `impatient` are workers
    that new units would stop sooner than what they run in between may last, each with the seconds that a stop
    has to wait; `lasting` says that some of them go on getting what lasts so long. `outlasted` are those that
    old units would stop sooner than what new producers send may last. `called` are schedules with other
    arguments, `rows` those that beat still sends until their rows are deleted. `elsewhere` says that the
    messages are kept in another place, `clashes` what bindings and exchanges of the one do to the other.
    `before` and `after` are the names that old and new workers know.
    """

    leaving: frozenset[str]
    arriving: frozenset[str]
    deserted: frozenset[str]
    unattended: frozenset[str]
    handed: frozenset[str]
    replaced: dict[str, str]
    added: frozenset[str]
    gone: frozenset[str]
    renamed: dict[str, list[str]]
    new_content: frozenset[str]
    old_content: frozenset[str]
    new_results: bool
    old_results: bool
    raised: bool
    lowered: bool
    levels: bool
    impatient: dict[str, float]
    lasting: bool
    outlasted: frozenset[str]
    called: frozenset[str]
    rows: frozenset[str]
    elsewhere: bool
    clashes: Clashes
    before: fleet.Names
    after: fleet.Names

    def each(self) -> Iterator[Need]:
        """What asks for an order, one by one, in the order in which people are told."""
        added = (
            f"a worker that does not know {_told(self.added)} throws its messages away: "
            "no code, that of tasks included, may send it before the next step"
        )
        renamed = "an old worker throws away what has the new name, so the new code still sends the old one"
        lasts = "a stop of an old worker would kill what may run for longer from now on"
        held = "what is under way may be held for longer than the new visibility timeout"
        accepted = self.new_content or self.new_results or self.renamed
        received = self.arriving or self.added or self.called or self.levels or self.outlasted
        left = self.gone & self.handed or ((self.leaving or self.gone) and (accepted or received))
        found: tuple[tuple[Asks, object, str], ...] = (
            (Asks.ACCEPT, self.new_content or self.new_results, _FORM),
            (Asks.ACCEPT, self.renamed, renamed),
            (Asks.RECEIVE, self.arriving, f"nobody consumes {_told(self.arriving)} yet"),
            (Asks.RECEIVE, self.added, added),
            (Asks.KEEP, self.deserted, f"tasks still send to {_told(self.deserted)} while old workers run"),
            (Asks.RECEIVE, self.called, f"old code may not take the new arguments of {_told(self.called)}"),
            (Asks.RECEIVE, self.levels, "an old worker does not look into the lists of the new levels"),
            (Asks.RECEIVE, self.outlasted, lasts),
            (Asks.KEEP, self.lowered, held),
            (Asks.KEEP, self.impatient, "what is under way may run for longer than the new stop timeout"),
            (Asks.KEEP, self.old_content, "what is under way is in the old form"),
            # Of these the sentences above say why.
            (Asks.KEEP, self.levels or left, ""),
        )
        return (Need(asks, sentence) for asks, needed, sentence in found if needed)

    def why(self, *asks: Asks) -> str:
        """The sentences of what asks for one of these."""
        return "; ".join(need.sentence for need in self.each() if need.asks in asks and need.sentence)

    def ask(self, *asks: Asks) -> bool:
        """Whether anything asks for one of these."""
        return any(need.asks in asks for need in self.each())

    @property
    def accept_first(self) -> bool:
        """Whether all have to read what is new before anybody may send it."""
        return self.ask(Asks.ACCEPT)

    @property
    def receive_first(self) -> bool:
        """Whether workers come before whoever sends."""
        return self.ask(Asks.ACCEPT, Asks.RECEIVE)

    @property
    def overlap(self) -> bool:
        """Whether workers need a configuration in between, which does the old and the new."""
        return self.ask(Asks.KEEP)

    @property
    def drain(self) -> bool:
        """Whether something old has to be gone before the last step."""
        return bool(self.overlap or self.leaving or self.gone)


def needs(old: Plan, new: Plan) -> Needs:
    """Compare two plans."""
    taken, taking = fleet.consumed(old), fleet.consumed(new)
    before, after = fleet.Names(old), fleet.Names(new)
    renamed = _renamed(before, after)
    earlier = {name for names in renamed.values() for name in names}
    aliases = before.earlier.keys() - after.earlier.keys()
    handed = frozenset(_handed(old, new, before, after))
    # Nobody sends by an earlier name any more: that another app has it now is settled with that.
    forgotten = {name for name in aliases if not after.runs(name)} - handed
    # The same queue brings their messages to whoever runs them: none is left behind.
    stay = {name for name in handed if before.queue(name) == after.queue(name)}
    taken_over = {name for name in handed if after.runs(name)}
    unknown = _unknown(old, after) - earlier - stay
    # What a pattern that goes stood for goes with it.
    unknown |= {name for name in handed - stay if _pattern(before, name) in unknown}
    given_up = {queue for queue in taken - taking if not _elsewhere(new, queue)}
    unattended = {queue for queue in given_up & _sent_to(new) if new.keys(Scope("queue", queue))}
    leaving = frozenset(given_up - unattended)
    elsewhere = is_elsewhere(old, new)
    lasting, hurried = dict(_lasting(old, new)), dict(_hurried(old, new))
    # What a pattern stood for may go on under a name of its own.
    ended = {name for name in unknown - handed if "*" not in name}
    return Needs(
        leaving=leaving,
        arriving=frozenset(
            queue
            for queue in taking - taken
            if not _elsewhere(old, queue) and _has_more_sent(old, new, queue)
        ),
        deserted=leaving & _sent_to(old, but=ended),
        unattended=frozenset(unattended),
        handed=handed,
        replaced=_replaced(old, new, sorted(taken & taking)),
        added=frozenset((_unknown(new, before) - renamed.keys() | taken_over) - stay),
        gone=frozenset(unknown | (forgotten - earlier)),
        renamed=renamed,
        new_content=frozenset() if elsewhere else frozenset(fleet.sent_content(new) - fleet.accepted(old)),
        old_content=frozenset() if elsewhere else frozenset(fleet.sent_content(old) - fleet.accepted(new)),
        new_results=fleet.result_content(new) not in fleet.accepted_results(old),
        old_results=fleet.result_content(old) not in fleet.accepted_results(new),
        raised=_raised(old, new),
        lowered=_raised(new, old),
        levels=_levels(old, new),
        impatient={name: max(lasting.get(name, 0.0), hurried.get(name, 0.0)) for name in lasting | hurried},
        lasting=bool(lasting),
        outlasted=frozenset(_outlasted(old, new)),
        called=frozenset(_called(old, new)),
        rows=left_over(old, new),
        elsewhere=elsewhere,
        clashes=NO_CLASHES if elsewhere else clashes(old, new),
        before=before,
        after=after,
    )


def _is_refused(old: Plan, new: Plan, queue: str) -> bool:
    """Whether RabbitMQ would refuse the new declaration of a queue that exists as the old one says."""
    scope = Scope("queue", queue)
    if any(plan.get(scope, "external") or plan.get(scope, "broadcast") for plan in (old, new)):
        return False
    same_exchange = old.get(scope, "exchange") == new.get(scope, "exchange")
    other_type = old.get(scope, "exchange_type") != new.get(scope, "exchange_type")
    return arguments_of(old, scope) != arguments_of(new, scope) or (same_exchange and other_type)


def _sent_to(plan: Plan, but: Collection[str] = ()) -> set[str]:
    """The queues that tasks are sent to, the undeclared ones too; `but` some tasks."""
    queues = {scope.name for scope in plan.scopes("queue") if set(plan.texts(scope, "tasks")) - set(but)}
    return queues | {plan.text(APP, "task_default_queue")}


def _has_more_sent(old: Plan, new: Plan, queue: str) -> bool:
    """Whether anything is sent to a queue that was not sent there before."""
    scope = Scope("queue", queue)
    if set(new.texts(scope, "tasks")) - set(old.texts(scope, "tasks") if old.keys(scope) else ()):
        return True
    return queue == new.text(APP, "task_default_queue") != old.text(APP, "task_default_queue")


def _handed(old: Plan, new: Plan, before: fleet.Names, after: fleet.Names) -> Iterable[str]:
    """The tasks that both plans know and that this app runs in only one of them."""
    for name in {scope.name for plan in (old, new) for scope in plan.scopes("task")}:
        known = before.entry(name) is not None and after.entry(name) is not None
        if known and before.runs(name) != after.runs(name):
            yield name


def _pattern(names: fleet.Names, name: str) -> str | None:
    """The pattern that declares a task that has no entry of its own."""
    entry = names.entry(name)
    return entry.name if entry is not None and "*" in entry.name else None


def _elsewhere(plan: Plan, queue: str) -> bool:
    """Whether another app consumes a queue."""
    return bool(plan.get(Scope("queue", queue), "external"))


def _replaced(old: Plan, new: Plan, queues: Iterable[str]) -> dict[str, str]:
    if new.get(APP, "broker_transport") != "rabbitmq" or is_elsewhere(old, new):
        return {}
    taken = {scope.name for plan in (old, new) for scope in plan.scopes("queue")}
    replaced: dict[str, str] = {}
    for queue in queues:
        if _is_refused(old, new, queue):
            replaced[queue] = _next_version(queue, taken)
            taken.add(replaced[queue])
    return replaced


def _next_version(queue: str, taken: Iterable[str]) -> str:
    """`mail.v2` of `mail`, `mail.v3` of `mail.v2`, and further where that is taken."""
    stem, _, last = queue.rpartition(".v")
    if not stem or not last.isdigit():
        stem, last = queue, "1"
    number = int(last) + 1
    while f"{stem}.v{number}" in taken:
        number += 1
    return f"{stem}.v{number}"


def _unknown(plan: Plan, others: fleet.Names) -> set[str]:
    """The tasks whose messages workers that know the other names would throw away."""
    return {
        scope.name
        for scope in plan.scopes("task")
        if fleet.runs_here(plan, scope) and not others.runs(scope.name)
    }


def _renamed(before: fleet.Names, after: fleet.Names) -> dict[str, list[str]]:
    """Tasks with the earlier names that only the old plan sends by."""
    renamed: dict[str, list[str]] = {}
    for earlier, name in after.earlier.items():
        if earlier not in before.earlier and before.runs(earlier) and after.runs(name):
            renamed.setdefault(name, []).append(earlier)
    return renamed


def _raised(old: Plan, new: Plan) -> bool:
    """Whether an old worker would give back what a new one still holds."""
    if new.get(APP, "broker_transport") != fleet.SHARED_TIMEOUT or is_elsewhere(old, new):
        return False
    before, after = (plan.number_if_any(APP, "visibility_timeout_seconds") for plan in (old, new))
    if before is None or after is None or before >= after:
        return False
    longest = new.number_if_any(APP, "longest_hold_seconds")
    return longest is None or longest >= before


def _levels(old: Plan, new: Plan) -> bool:
    if new.get(APP, "broker_transport") != fleet.SHARED_TIMEOUT or is_elsewhere(old, new):
        return False
    return fleet.priority_steps(old) != fleet.priority_steps(new)


def _outlasted(old: Plan, new: Plan) -> Iterator[str]:
    """Workers that old units would stop sooner than what new producers send them may last."""
    for worker in fleet.running(old):
        if _missing_patience(old, worker, old.texts(worker, "queues"), new):
            yield worker.name


def _lasting(old: Plan, new: Plan) -> Iterator[tuple[str, float]]:
    """Workers to which what old producers sent may come that lasts longer than new units wait."""
    for worker in fleet.running(new):
        if needed := _missing_patience(new, worker, new.texts(worker, "queues"), old):
            yield worker.name, needed


def _hurried(old: Plan, new: Plan) -> Iterator[tuple[str, float]]:
    """Workers whose old processes may have longer runs than the new units wait that will stop them."""
    before = set(fleet.running(old))
    for worker in fleet.running(new):
        queues = old.texts(worker, "queues") if worker in before else []
        if needed := max(_missing_patience(new, worker, queues, sender) for sender in (old, new)):
            yield worker.name, needed


def _missing_patience(runner: Plan, worker: Scope, queues: Iterable[str], sender: Plan) -> float:
    """How long a stop of a worker would have to wait for what another plan sends to queues; 0 if it does.

    A worker that is no more patient under the other plan is so on purpose.
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


def _called(old: Plan, new: Plan) -> Iterable[str]:
    for schedule in new.scopes("schedule"):
        if old.keys(schedule) and any(
            not fleet.same(old.get(schedule, key), new.get(schedule, key)) for key in ("args", "kwargs")
        ):
            yield schedule.name
