"""The plans in between: what processes run while both old and new messages exist."""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.plan import APP, Derived, Origin, Plan, Scope, Setting, Value
from policycompiler.plan.queue_lists import priority_steps
from policycompiler.review.facts import fleet
from policycompiler.review.order import need
from policycompiler.review.order.needs import Needs
from policycompiler.review.order.plan_between import PlanBetween

_SENDS = ("task_serializer", "result_serializer", "task_compression", "result_compression")


def raised(old: Plan, new: Plan) -> Plan:
    """The old plan with the longer visibility timeout of the new one, before a message needs it."""
    between = PlanBetween(old)
    _with_timeout_of(new, between)
    return between.finished()


def overlap(old: Plan, new: Plan, found: Needs) -> Plan:
    """The new plan, whose workers also process what the old plan sends; itself if it already does."""
    between = PlanBetween(new)
    taken, leaving = fleet.consumers(old), found.names(need.LEAVING)
    for name in sorted(found.gone):
        _keep_task(between, old, new, name, found)
    for queue in sorted(leaving):
        _keep_queue(between, old, queue, taken[queue])
    for queue in sorted(found.facts.unattended):
        _keep_workers(between, old, queue, taken[queue])
    for alert in old.scopes("alert"):
        if old.get(alert, "queue") in leaving and not between.keys(alert):
            between.take(alert, old.keys(alert))
    _read_both(between, old, new)
    if found.find(need.SHORTER_HOLD):
        _with_timeout_of(old, between)
    if found.find(need.NEW_LEVELS):
        steps: list[Value] = [*sorted({*priority_steps(old), *priority_steps(new)})]
        said = [plan.find(APP, _OPTIONS) for plan in (old, new)]
        _with_option(
            between, "priority_steps", steps, "the queues hold messages of old and new levels", *said
        )
    for name, seconds in found.facts.patience.items():
        because = "during the rollout, a run may last as long as its sender allowed"
        said = [next(_saying(seconds, old, new), None)]
        between.decide(Scope("worker", name), "stop_timeout_seconds", seconds, because, *said)
    both = between.finished()
    return new if _values(both) == _values(new) else both


def accepting(old: Plan, both: Plan, found: Needs) -> Plan:
    """A plan of the overlap that reads both and still sends like the old plan."""
    between = PlanBetween(both)
    because = "old processes cannot read the new content type yet"
    for key in _SENDS:
        between.as_in(old, APP, APP, key, because)
    for scope in both.scopes("task"):
        entry = found.facts.before.entry(scope.name)
        for key in ("options.serializer", "options.compression"):
            if entry is not None and old.get(entry, key) != both.get(scope, key):
                between.as_in(old, entry, scope, key, because)
    for name, earlier in found.facts.renamed.items():
        task = Scope("task", name)
        because = "old workers discard messages with the new name"
        between.decide(task, "sent_as", earlier[0], because, Derived(task, "renamed_from"))
    return between.finished()


def _keep_task(between: PlanBetween, old: Plan, new: Plan, name: str, found: Needs) -> None:
    """Run messages with a removed name: as the task that has the name, or had it earlier."""
    facts = found.facts
    entry = facts.before.entry(name)
    if entry is None or not old.keys(entry):
        return
    if name in facts.handed:
        task, after = Scope("task", name), facts.after.entry(name)
        between.take(task, old.keys(entry))
        because = "another app now runs the task and already receives its messages"
        said = None if after is None else new.find(after, "queue")
        between.decide(task, "queue", facts.after.queue(name), because, said)
        return
    if entry.name == name:
        between.take(entry, old.keys(entry))
        return
    renamed = next((new for new, names in facts.renamed.items() if entry.name in names), entry.name)
    task = Scope("task", renamed)
    if not between.keys(task):
        between.take(task, old.keys(entry))
    known = between.find(task, "renamed_from")
    names = known.value if known is not None and isinstance(known.value, list) else []
    because = "messages with this name may still be in the queues"
    told: Value = [*sorted({*map(str, names), name})]
    between.decide(task, "renamed_from", told, because, known, old.find(entry, "renamed_from"))


def _keep_queue(between: PlanBetween, old: Plan, queue: str, workers: list[str]) -> None:
    """Declare a removed queue as before, and let its workers still consume it."""
    scope = Scope("queue", queue)
    because = "the queue may still hold messages"
    between.take(scope, old.keys(scope))
    known: Value = [*_known(between, old, queue)]
    between.decide(scope, "tasks", known, because, old.find(scope, "tasks"))
    _keep_workers(between, old, queue, workers)


def _keep_workers(between: PlanBetween, old: Plan, queue: str, workers: list[str]) -> None:
    """Let the workers of a queue still consume it."""
    because = "the queue may still hold messages"
    for name in workers:
        worker = Scope("worker", name)
        if not between.keys(worker):
            between.take(worker, old.keys(worker))
            for key in ("queues", "tasks"):
                between.decide(worker, key, [], because, old.find(worker, key))
        if between.get(worker, "replicas") == 0:
            between.as_in(old, worker, worker, "replicas", because)
        for key, more in (("queues", [queue]), ("tasks", _known(between, old, queue))):
            value: Value = [*sorted({*between.texts(worker, key), *more})]
            between.decide(worker, key, value, because, between.find(worker, key), old.find(worker, key))


def _known(between: Plan, old: Plan, queue: str) -> list[str]:
    """The tasks that the old plan sends to a queue, without those that the plan no longer has."""
    return [name for name in old.texts(Scope("queue", queue), "tasks") if between.keys(Scope("task", name))]


def _read_both(between: PlanBetween, old: Plan, new: Plan) -> None:
    because = "the queues hold messages of both content types"
    for key in ("accept_content", "result_accept_content"):
        both = _union(new, old, key)
        if both != new.get(APP, key) and (key == "accept_content" or new.get(APP, key) is not None):
            between.decide(APP, key, both, because, new.find(APP, key), old.find(APP, key))


def _union(new: Plan, old: Plan, key: str) -> Value:
    union: list[Value] = []
    for value in (new.get(APP, key), old.get(APP, key)):
        union += [each for each in (value if isinstance(value, list) else []) if each not in union]
    return union


_TIMEOUT = "visibility_timeout_seconds"
_OPTIONS = "broker_transport_options"


def _with_timeout_of(plan: Plan, between: PlanBetween) -> None:
    because = "each worker redelivers the messages of all workers after its own timeout, so all need the same"
    seconds = plan.number(APP, _TIMEOUT)
    between.decide(APP, _TIMEOUT, seconds, because, plan.find(APP, _TIMEOUT))
    own = between.find(APP, _OPTIONS)
    _with_option(between, "visibility_timeout", seconds, because, own, Derived(APP, _TIMEOUT))


def _with_option(
    between: PlanBetween, key: str, value: Value, because: str, *sources: Setting | Origin | None
) -> None:
    given = between.get(APP, _OPTIONS)
    options = given if isinstance(given, dict) else {}
    between.decide(APP, _OPTIONS, {**options, key: value}, because, *sources)


def _saying(seconds: float, *plans: Plan) -> Iterator[Setting]:
    """The settings of workers and their tasks that have this number of seconds."""
    for kind, key in (
        ("worker", "stop_timeout_seconds"),
        ("task", "longest_run_seconds"),
        ("task", "options.time_limit"),
    ):
        for plan in plans:
            for scope in plan.scopes(kind):
                found = plan.find(scope, key)
                if found is not None and found.value == seconds:
                    yield found


def _values(plan: Plan) -> list[tuple[Scope, str, Value]]:
    return [(setting.scope, setting.key, setting.value) for setting in plan]
