"""What guards are for: a dependency that does not answer, and a worker that is killed while it runs tasks."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import ceil
from typing import Any, NamedTuple

from policycompiler.plan import Plan, Scope
from policycompiler.rehearse import guarded
from policycompiler.rehearse.fleet import Fleet
from policycompiler.rehearse.outcome import Kill, Outage, Pace
from policycompiler.rehearse.probes import Probe, name_of
from policycompiler.rehearse.processes import until

SECONDS = 60.0
"""How long the scenes take at most, on a busy machine."""
_OUTAGE_SECONDS = 6.0
_OUTAGE_MESSAGES, _KILL_MESSAGES = 24, 16
"""For each dependency, and for all tasks with a key, if the slots can run so many."""
_FEWEST_MESSAGES = 8
"""A breaker opens after five failures, and some messages come before the outage."""
_MESSAGES_OF_A_SLOT = 20
"""A slot runs so many in eight seconds."""
MOST_TASKS, MOST_DEPENDENCIES = 24, 12
"""A rehearsal shows no more of them."""
_SPREAD_SECONDS = 4.0
_WAVE, _WAVE_SECONDS = 4, guarded.RUN_SECONDS + 0.3
_DUPLICATE_OF = 3
"""Of so many keys, one is sent twice."""
_SETTLE_SECONDS = 25.0
_MIDDLE_SECONDS, _MIDDLE_WAIT_SECONDS = (0.05 * guarded.RUN_SECONDS, 0.6 * guarded.RUN_SECONDS), 10.0
"""A kill shall come in the middle of all runs; so long it waits for such a moment."""
_LATE = 0.7
"""Once this part of the messages is sent, any moment with runs will do: a busy machine may have no other."""
_OUTAGE, _KILL = f"{guarded.PREFIX}outage", f"{guarded.PREFIX}kill"


class Guarded(NamedTuple):
    """A task with guards that a worker of the rehearsal runs. `name` is one of those that it declares."""

    scope: Scope
    name: str
    key: str
    calls: tuple[str, ...]

    def arguments(self, value: str) -> Mapping[str, Any]:
        """The arguments by name that have this value where the key is."""
        found: Any = value
        for part in reversed(self.key.split(".")):
            found = {part: found}
        return found if self.key else {}


def guarded_tasks(plan: Plan, registered: Iterable[str], workers: Iterable[str]) -> list[Guarded]:
    """The tasks with a key or a dependency that these workers run; the first ones, if there are many."""
    names, there, found = sorted(registered), set(workers), []
    for scope in plan.scopes("task"):
        key, calls = str(plan.get(scope, "idempotency_key") or ""), plan.find(scope, "calls")
        if (key or calls) and there.intersection(plan.texts(scope, "workers")):
            name = name_of(plan, scope, names)
            found.append(Guarded(scope, name, key, tuple(plan.texts(scope, "calls")) if calls else ()))
    return [each for each in found if each.name][:MOST_TASKS]


def play(fleet: Fleet, tasks: Sequence[Guarded]) -> list[Outage | Pace | Kill]:
    """Both scenes; what they showed."""
    found: list[Outage | Pace | Kill] = []
    called = sorted({name for each in tasks for name in each.calls})[:MOST_DEPENDENCIES]
    broken = [each for each in called if fleet.plan.get(Scope("dependency", each), "breaker")]
    begin = time.time()
    if broken:
        found += _outage(fleet, tasks, broken)
    keyed = [each for each in tasks if each.key]
    if keyed:
        found += _kill(fleet, keyed)
    if not broken and not keyed:
        _send(fleet, list(_calls(fleet, tasks, called)))
    return [*found, *_paces(fleet, tasks, called, begin)]


# An outage --------------------------------------------------------------------------------------------------


def _calls(fleet: Fleet, tasks: Sequence[Guarded], dependencies: Sequence[str]) -> Iterator[Probe]:
    """Messages of tasks that call these dependencies."""
    slots = min((_slots(fleet, [each]) for each in tasks if each.calls), default=1)
    share = _MESSAGES_OF_A_SLOT * slots // max(1, len(dependencies))
    messages = max(_FEWEST_MESSAGES, min(_OUTAGE_MESSAGES, share))
    sent = Counter[str]()
    for dependency in dependencies:
        callers = [each for each in tasks if dependency in each.calls]
        for number in range(max(messages, len(callers))):
            task = callers[number % len(callers)]
            sent[task.name] += 1
            identifier = f"{_OUTAGE}-{task.name}-{sent[task.name]}"
            after = number * _SPREAD_SECONDS / messages
            yield Probe(identifier, "guard", task.name, "", after, task.arguments(identifier))


def _outage(fleet: Fleet, tasks: Sequence[Guarded], dependencies: Sequence[str]) -> Iterator[Outage]:
    """Nothing answers for some seconds, in the middle of the messages."""
    probes = list(_calls(fleet, tasks, dependencies))
    mark = fleet.stage.folder / guarded.OUTAGE

    def answered() -> bool:
        return any(each["event"] == "effect" for each in fleet.records())

    def begin_and_end() -> None:
        until(answered, fleet.stage.allowed(_SETTLE_SECONDS))
        mark.touch()
        until(lambda: False, fleet.stage.allowed(_OUTAGE_SECONDS))
        mark.unlink()

    _send(fleet, probes, begin_and_end)
    records = fleet.records()
    ended = {each["id"]: each["state"] for each in records if each["event"] == "ended"}
    for dependency in dependencies:
        callers = {each.name: each for each in tasks if dependency in each.calls}
        mine = [each for each in probes if each.task in callers]
        unanswered = [each for each in records if each["event"] == "unanswered" and each["task"] in callers]
        yield Outage(
            dependency,
            _OUTAGE_SECONDS,
            len(mine),
            len(unanswered),
            _most_calls(fleet, dependency, callers.values()),
            sum(ended.get(each.id) == "FAILURE" for each in mine),
            sum(each.id not in ended for each in mine),
            all(fleet.plan.get(each.scope, "autoretry_for") for each in callers.values()),
        )


def _slots(fleet: Fleet, tasks: Iterable[Guarded]) -> int:
    """The slots of all workers that run one of these tasks."""
    workers = {worker for each in tasks for worker in fleet.plan.texts(each.scope, "workers")}
    return sum(number for name, number in fleet.slots.items() if name in workers)


def _most_calls(fleet: Fleet, dependency: str, callers: Iterable[Guarded]) -> int:
    """The failures that open a breaker, the calls that go on meanwhile, and its probes."""
    breaker = fleet.plan.value(Scope("dependency", dependency), "breaker")
    assert isinstance(breaker, dict)
    failures, open_for = (
        guarded.shortened(name, float(str(breaker[key])))
        for name, key in (("failures", "failures"), ("open_for", "open_for_seconds"))
    )
    rounds = ceil(_OUTAGE_SECONDS / open_for)
    return int(failures) + _slots(fleet, callers) - 1 + rounds * int(str(breaker["probes"]))


# A killed worker --------------------------------------------------------------------------------------------


class _Killed(NamedTuple):
    """A worker that was killed: when, and the keys of what it ran."""

    worker: str
    keys: frozenset[str]
    at: float

    def explains(self, key: str, effects: Sequence[float]) -> bool:
        """Whether the kill came between an effect and its record, so that it happened once more."""
        return key in self.keys and sum(each > self.at for each in effects) == 1 == len(effects) - 1


def _kill(fleet: Fleet, tasks: Sequence[Guarded]) -> Iterator[Kill]:
    """A worker is killed while it runs tasks with keys, and is started again."""
    probes = list(_keyed(tasks))
    killed = _Killed("", frozenset(), 0.0)

    def kill() -> None:
        nonlocal killed
        moment = _in_the_middle(fleet, _LATE * len(probes))
        if moment.runs:
            fleet.kill(moment.worker)
            killed = _Killed(moment.worker, frozenset(map(_key, moment.runs)), time.time())
            fleet.start_worker(moment.worker)

    _send(fleet, probes, kill)
    records = fleet.records()
    ended = {each["id"] for each in records if each["event"] == "ended"}
    effects: dict[str, list[float]] = {}
    for each in records:
        if each["event"] == "effect":
            effects.setdefault(_key(each["id"]), []).append(each["at"])
    for task in tasks:
        mine = [each for each in probes if each.task == task.name]
        keys = {_key(each.id) for each in mine}
        repeated = {key for key in keys if len(effects.get(key, ())) > 1}
        yield Kill(
            task.name,
            killed.worker,
            len(killed.keys & keys),
            len(mine),
            len(keys),
            len(keys - set(effects)),
            len(repeated),
            sum(killed.explains(key, effects[key]) for key in repeated),
            sum(each.id not in ended for each in mine),
        )


def _keyed(tasks: Sequence[Guarded]) -> Iterator[Probe]:
    """Messages with keys; some are sent twice."""
    for number in range(max(_KILL_MESSAGES, len(tasks))):
        task = tasks[number % len(tasks)]
        for copy in range(1 + (number % _DUPLICATE_OF == 0)):
            identifier = f"{_KILL}-{number}.{copy}"
            arguments = task.arguments(_key(identifier))
            # In waves, so that all of them are in the middle of their runs at some moment.
            after = number // _WAVE * _WAVE_SECONDS
            yield Probe(identifier, "guard", task.name, "", after, arguments)


def _key(identifier: str) -> str:
    return identifier.rpartition(".")[0]


class _Moment(NamedTuple):
    """The worker that runs most messages, these, and how many were sent.

    `calm`: no run begins or ends, and no message comes.
    """

    worker: str = ""
    runs: tuple[str, ...] = ()
    calm: bool = False
    sent: int = 0


def _in_the_middle(fleet: Fleet, late: float) -> _Moment:
    """A calm moment, or any with runs once so many messages were sent.

    Redis loses a message if its worker is killed while it fetches it: no guard can prevent that.
    """
    found = _Moment()

    def there() -> bool:
        nonlocal found
        found = _moment(fleet.records(), fleet.slots, time.time())
        return found.calm or (found.sent >= late and bool(found.runs))

    until(there, fleet.stage.allowed(_MIDDLE_WAIT_SECONDS))
    return found


def _moment(records: Iterable[Mapping[str, Any]], slots: Mapping[str, int], now: float) -> _Moment:
    """What runs at this time, once some messages have ended."""
    records = [each for each in records if str(each.get("id")).startswith(_KILL)]
    sent, received, ended = (
        {each["id"] for each in records if each["event"] == event} for event in ("sent", "received", "ended")
    )
    running = [each for each in records if each["event"] == "run" and each["id"] not in ended]
    if not ended or not running:
        return _Moment()
    worker, most = Counter(each["worker"] for each in running).most_common(1)[0]
    shortest, longest = _MIDDLE_SECONDS
    in_the_middle = all(shortest <= now - each["at"] <= longest for each in running)
    nothing_comes = sent <= received or most >= slots[worker]
    runs = tuple(each["id"] for each in running if each["worker"] == worker)
    return _Moment(worker, runs, in_the_middle and nothing_comes, len(sent))


# Both -------------------------------------------------------------------------------------------------------


def _paces(fleet: Fleet, tasks: Sequence[Guarded], called: Sequence[str], begin: float) -> Iterator[Pace]:
    """The calls of each dependency with a rate."""
    records = [each for each in fleet.records() if each["at"] >= begin]
    for name in called:
        dependency = Scope("dependency", name)
        rate = fleet.plan.number_if_any(dependency, "rate_per_second")
        if rate is None:
            continue
        callers = {each.name: each for each in tasks if name in each.calls}
        made = ("answered", "unanswered")
        times = sorted(each["at"] for each in records if each["event"] in made and each["task"] in callers)
        most = max((sum(at <= each < at + 1 for each in times) for at in times), default=0)
        here = guarded.shortened("rate", rate)
        allowed = here + fleet.plan.number(dependency, "burst") + _slots(fleet, callers.values())
        yield Pace(name, most, int(allowed), here)


def _send(fleet: Fleet, probes: Sequence[Probe], meanwhile: Callable[[], None] = lambda: None) -> None:
    """Send the messages, and wait until all have ended or the time is over."""
    driver = fleet.send(probes)
    meanwhile()
    awaited = {each.id for each in probes}

    def all_over() -> bool:
        over = {each["id"] for each in fleet.records() if each["event"] in ("ended", "refused")}
        return driver.poll() is not None and awaited <= over

    until(all_over, fleet.stage.allowed(_SETTLE_SECONDS))
