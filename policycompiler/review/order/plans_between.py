"""The plans in between: what processes run while old and new messages are under way together."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeAlias

from policycompiler.plan import APP, Constant, Plan, Scope, Setting, Value, vocabulary
from policycompiler.review.facts import fleet
from policycompiler.review.order import need
from policycompiler.review.order.needs import Needs

POLICY = "rollout"
"""Who decides what stands in neither of the two plans."""

_Settings: TypeAlias = dict[Scope, dict[str, Setting]]

_SENDS = ("task_serializer", "result_serializer", "task_compression", "result_compression")


def raised(old: Plan, new: Plan) -> Plan:
    """The old plan with the longer visibility timeout of the new one, before anything needs it."""
    settings = _copy(old)
    _with_timeout(settings, new.number(APP, "visibility_timeout_seconds"))
    return Plan(settings)


def overlap(old: Plan, new: Plan, found: Needs) -> Plan:
    """The new plan, whose workers also take, read and hold what the old one sends; itself if it does so."""
    settings = _copy(new)
    taken, leaving = fleet.consumers(old), found.names(need.LEAVING)
    for name in sorted(found.gone):
        _keep_task(settings, old, name, found)
    for queue in sorted(leaving):
        _keep_queue(settings, old, queue, taken[queue])
    for queue in sorted(found.facts.unattended):
        _keep_workers(settings, old, queue, taken[queue])
    for alert in old.scopes("alert"):
        if old.get(alert, "queue") in leaving and alert not in settings:
            settings[alert] = dict(old.keys(alert))
    _read_both(settings, old, new)
    if found.find(need.SHORTER_HOLD):
        _with_timeout(settings, old.number(APP, "visibility_timeout_seconds"))
    if found.find(need.NEW_LEVELS):
        steps: list[Value] = [*sorted({*fleet.priority_steps(old), *fleet.priority_steps(new)})]
        _with_option(settings, "priority_steps", steps, "messages of old and of new levels are under way")
    for name, seconds in found.facts.patience.items():
        because = "what it takes in between may run as long as its sender said"
        _set(settings, Scope("worker", name), "stop_timeout_seconds", seconds, because)
    both = Plan(settings)
    return new if _values(both) == _values(new) else both


def accepting(old: Plan, both: Plan, found: Needs) -> Plan:
    """A plan of the overlap that reads both and still sends as the old one does."""
    settings = _copy(both)
    because = "old processes cannot read the new form yet"
    for key in _SENDS:
        _as_before(settings, old, APP, key, because)
    for scope in both.scopes("task"):
        entry = found.facts.before.entry(scope.name)
        for key in ("options.serializer", "options.compression"):
            if entry is not None and old.get(entry, key) != both.get(scope, key):
                _as_before(settings, old, scope, key, because, source=entry)
    for name, earlier in found.facts.renamed.items():
        because = "old workers throw away what has the new name"
        _set(settings, Scope("task", name), "sent_as", earlier[0], because)
    return Plan(settings)


def renamed_queues(old_plan: Plan, plan: Plan, names: Mapping[str, str]) -> Plan:
    """The plan with other names for some of its queues, and for their exchanges.

    So it is with the queues of their dead letters, where the old plan declares those otherwise.
    """
    settings: _Settings = {}
    for scope, keys in _copy(plan).items():
        renamed = scope.kind == "queue" and scope.name in names
        target = Scope("queue", names[scope.name]) if renamed else scope
        settings[target] = {key: setting._replace(scope=target) for key, setting in keys.items()}
    words = dict(names)
    for old, new in names.items():
        because = f"RabbitMQ refuses queue {old} with other arguments while it exists"
        exchange = plan.text(Scope("queue", old), "exchange")
        words[exchange] = new if exchange == old else f"{exchange}.{new.rpartition('.')[2]}"
        _set(settings, Scope("queue", new), "exchange", words[exchange], because)
        # Its own, whatever is written: RabbitMQ brings what it delayed to all queues with the same.
        _set(settings, Scope("queue", new), "routing_key", new, because)
        if _dead_letters_differ(old_plan, plan, Scope("queue", old)):
            _with_own_dead_letters(settings, Scope("queue", new), old)
    _without_written_keys(settings, plan, names)
    for scope, keys in settings.items():
        for key, setting in list(keys.items()):
            if (declared := vocabulary.find(scope.kind, key)) and declared.names_queues:
                value = _renaming(setting.value, words)
                if value != setting.value:
                    _set(settings, scope, key, value, "the queue has this name for a while")
    return Plan(settings)


def _without_written_keys(settings: _Settings, plan: Plan, names: Collection[str]) -> None:
    """Let schedules that send to these queues take the keys of those."""
    for schedule in plan.scopes("schedule"):
        options = plan.get(schedule, "options")
        if isinstance(options, dict) and "routing_key" in options:
            task = Scope("task", plan.text(schedule, "task"))
            if options.get("queue", plan.get(task, "queue")) in names:
                told: Value = {key: value for key, value in options.items() if key != "routing_key"}
                _set(settings, schedule, "options", told, "the queue has another key for a while")


def _dead_letters_differ(old: Plan, new: Plan, queue: Scope) -> bool:
    """Whether RabbitMQ would refuse the new declaration of the queue of a queue's dead letters."""
    before, after = (plan.get(queue, "dead_letter_arguments") for plan in (old, new))
    return before is not None and after is not None and before != after


def _with_own_dead_letters(settings: _Settings, stand_in: Scope, queue: str) -> None:
    """Name the queue of a stand-in's dead letters after it, and bring them there."""
    dead = settings[stand_in]["dead_letter_queue"].value
    assert isinstance(dead, str)
    own = stand_in.name + dead.removeprefix(queue)
    because = f"RabbitMQ refuses queue {dead} with other arguments while it exists"
    _set(settings, stand_in, "dead_letter_queue", own, because)
    # What is pinned stays.
    to_queue = Plan(settings).get(stand_in, "arguments.x-dead-letter-exchange") == ""
    if to_queue and settings[stand_in][_LETTERS_TO].value == dead:
        _set(settings, stand_in, _LETTERS_TO, own, because)


_LETTERS_TO = "arguments.x-dead-letter-routing-key"


def _renaming(value: Value, words: Mapping[str, str]) -> Value:
    if isinstance(value, str):
        return words.get(value, value)
    if isinstance(value, list):
        return [*sorted(words.get(str(each), str(each)) for each in value)]
    if isinstance(value, dict) and str(value.get("queue")) in words:
        return {**value, "queue": words[str(value["queue"])]}
    return value


def _keep_task(settings: _Settings, old: Plan, name: str, found: Needs) -> None:
    """Run what comes under a name that goes: as the task that has it, or whose earlier name it is."""
    entry = found.facts.before.entry(name)
    if entry is None or not old.keys(entry):
        return
    if name in found.facts.handed:
        task = Scope("task", name)
        settings[task] = {key: setting._replace(scope=task) for key, setting in old.keys(entry).items()}
        because = "another app runs it from now on, and is sent it already"
        _set(settings, task, "queue", found.facts.after.queue(name), because)
        return
    if entry.name == name:
        settings[entry] = dict(old.keys(entry))
        return
    renamed = next((new for new, names in found.facts.renamed.items() if entry.name in names), entry.name)
    task = Scope("task", renamed)
    if task not in settings:
        settings[task] = dict(old.keys(entry))
    known = settings[task].get("renamed_from")
    names = known.value if known is not None and isinstance(known.value, list) else []
    because = "messages under this name are still under way"
    _set(settings, task, "renamed_from", [*sorted({*map(str, names), name})], because)


def _keep_queue(settings: _Settings, old: Plan, queue: str, workers: list[str]) -> None:
    """Declare a queue that leaves as it is, and let the workers that consume it go on with that."""
    scope = Scope("queue", queue)
    because = "its messages are not all taken yet"
    settings[scope] = dict(old.keys(scope))
    _set(settings, scope, "tasks", [*_known(settings, old, queue)], because)
    _keep_workers(settings, old, queue, workers)


def _keep_workers(settings: _Settings, old: Plan, queue: str, workers: list[str]) -> None:
    """Let the workers that consume a queue go on with that."""
    because = "its messages are not all taken yet"
    for name in workers:
        worker = Scope("worker", name)
        if worker not in settings:
            settings[worker] = dict(old.keys(worker))
            _set(settings, worker, "queues", [], because)
            _set(settings, worker, "tasks", [], because)
        if "replicas" in settings[worker] and settings[worker]["replicas"].value == 0:
            _as_before(settings, old, worker, "replicas", because)
        for key, more in (("queues", [queue]), ("tasks", _known(settings, old, queue))):
            value = settings[worker][key].value
            assert isinstance(value, list)
            _set(settings, worker, key, [*sorted({*map(str, value), *more})], because)


def _known(settings: _Settings, old: Plan, queue: str) -> list[str]:
    """The tasks that the old plan sends to a queue, without those that nobody knows any more."""
    return [name for name in old.texts(Scope("queue", queue), "tasks") if settings.get(Scope("task", name))]


def _read_both(settings: _Settings, old: Plan, new: Plan) -> None:
    because = "messages of both kinds are under way"
    both = _union(new, old, "accept_content")
    if both != new.get(APP, "accept_content"):
        _set(settings, APP, "accept_content", both, because)
    if new.get(APP, "result_accept_content") is not None:
        _set(settings, APP, "result_accept_content", _union(new, old, "result_accept_content"), because)


def _union(new: Plan, old: Plan, key: str) -> Value:
    union: list[Value] = []
    for value in (new.get(APP, key), old.get(APP, key)):
        union += [each for each in (value if isinstance(value, list) else []) if each not in union]
    return union


def _with_timeout(settings: _Settings, seconds: float) -> None:
    because = "the same for old and new workers: each gives back the messages of all by its own"
    _set(settings, APP, "visibility_timeout_seconds", seconds, because)
    _with_option(settings, "visibility_timeout", seconds, because)


def _with_option(settings: _Settings, key: str, value: Value, because: str) -> None:
    given = settings[APP].get("broker_transport_options")
    options = dict(given.value) if given is not None and isinstance(given.value, dict) else {}
    _set(settings, APP, "broker_transport_options", {**options, key: value}, because)


def _as_before(
    settings: _Settings, old: Plan, scope: Scope, key: str, because: str, *, source: Scope | None = None
) -> None:
    value = old.get(source or scope, key)
    given = settings[scope].get(key)
    if value == (None if given is None else given.value):
        return
    if value is not None:
        _set(settings, scope, key, value, because)
    else:
        settings[scope].pop(key, None)


def _set(settings: _Settings, scope: Scope, key: str, value: Value, because: str) -> None:
    origin = Constant(POLICY, value)
    settings.setdefault(scope, {})[key] = Setting(scope, key, value, because, (origin,), POLICY)


def _values(plan: Plan) -> list[tuple[Scope, str, Value]]:
    return [(setting.scope, setting.key, setting.value) for setting in plan]


def _copy(plan: Plan) -> _Settings:
    settings: _Settings = {}
    for setting in plan:
        settings.setdefault(setting.scope, {})[setting.key] = setting
    return settings
