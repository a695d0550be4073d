"""The differences in meaning between two plans, each with its class.

Every setting whose value differs is covered by exactly one change: its own, or that of the scope that was
added or removed. Sentences, policies and origins are not compared: they change no process.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import NamedTuple

from policycompiler.diagnostics import SpecPath
from policycompiler.knowledge.celery_settings import default_of
from policycompiler.plan import APP, Plan, Scope, Setting, Value, Written, vocabulary
from policycompiler.review.differences.firings import Firings, compared, firings
from policycompiler.review.differences.kinds import kind_of
from policycompiler.review.differences.same_times import are_alike
from policycompiler.review.differences.written_causes import cause, is_consequence
from policycompiler.review.facts import fleet
from policycompiler.review.order.need import NEW_LEVELS
from policycompiler.review.order.needs import Needs
from policycompiler.review.outcome import Change, Class
from policycompiler.review.risks.new_hazards import alarmed
from policycompiler.review.risks.other_apps import goes_along
from policycompiler.review.risks.rules import risk_of
from policycompiler.review.risks.verdicts import At, Judged


class Pair(NamedTuple):
    """The two plans, the order that they require, and the addresses of the settings that differ."""

    old: Plan
    new: Plan
    needs: Needs
    differing: frozenset[tuple[Scope, str]]


def changes(old: Plan, new: Plan, found: Needs, today: date | None) -> tuple[Change, ...]:
    """All changes: the riskiest first, consequences last; then by kind of scope and name."""
    differing = frozenset(_differing(old, new))
    pair = Pair(old, new, found, differing)
    earlier = {name: task for task, names in found.facts.renamed.items() for name in names}
    scopes = sorted({scope for scope, _ in differing})
    told = [change for scope in scopes for change in _of_scope(pair, scope, earlier, today)]
    told = alarmed(told, old, new, found.facts.renamed)
    # A reader must not miss an unsafe change, even if it is a consequence.
    told = [change._replace(follows=change.follows and change.risk is Class.SAFE) for change in told]
    return tuple(sorted(told, key=lambda change: (-change.risk.rank, change.follows)))


def _differing(old: Plan, new: Plan) -> Iterator[tuple[Scope, str]]:
    for kind in vocabulary.SCOPES:
        for scope in {*old.scopes(kind), *new.scopes(kind)}:
            before, after = old.keys(scope), new.keys(scope)
            for key in {*before, *after}:
                if not _are_equal(before.get(key), after.get(key)):
                    yield scope, key


def _are_equal(old: Setting | None, new: Setting | None) -> bool:
    """Whether both sides have the same value; a setting that is left to Celery says no more than none."""
    if old is not None and new is not None:
        return fleet.same(old.value, new.value)
    found = old or new
    return found is None or found.is_left_to_celery


def _of_scope(pair: Pair, scope: Scope, earlier: dict[str, str], today: date | None) -> Iterator[Change]:
    old, new = bool(pair.old.keys(scope)), bool(pair.new.keys(scope))
    if scope.kind == "task" and scope.name in earlier:
        return
    if scope.kind == "task" and scope.name in pair.needs.facts.renamed:
        yield from _renamed(pair, scope)
    elif old and new:
        keys = sorted({*pair.old.keys(scope), *pair.new.keys(scope)})
        times = [key for key in keys if key in _TIMES and (scope, key) in pair.differing]
        if scope.kind == "schedule" and times:
            alike = are_alike(pair.old, pair.new, scope)
            yield from _respelt(pair, scope, times) if alike else (_shifted(pair, scope, times, today),)
            keys = [key for key in keys if key not in times]
        for key in keys:
            if (scope, key) in pair.differing:
                yield _setting(pair, scope, scope, key)
    else:
        yield _whole(pair, scope, today)


_TIMES = ("cron", "every_seconds", "solar", "timezone")


def _setting(pair: Pair, before: Scope, scope: Scope, key: str) -> Change:
    about, sides = (scope, key), (pair.old.find(before, key), pair.new.find(scope, key))
    kind: str = kind_of(scope, key)
    at = At(pair.old, pair.new, pair.needs, before, scope, key)
    along = goes_along(at, kind)
    if key == "broker_transport_options":
        kind = _transport_kind(pair)
        another = pair.old.get(APP, "broker_transport") != pair.new.get(APP, "broker_transport")
        if kind == "visibility-timeout" or another:
            along = Judged(Class.SAFE, "the transport option repeats the setting")
    if along:
        return _change(pair, along, kind, about, sides)._replace(follows=True)
    if scope == APP and _says_the_default(key, sides):
        return _change(pair, Judged(Class.SAFE, "the value is Celery's default"), kind, about, sides)
    return _change(pair, risk_of(at, kind), kind, about, sides)


def _says_the_default(key: str, sides: tuple[Setting | None, Setting | None]) -> bool:
    """Whether a setting has, on one side, the default that applies on the other side."""
    was, now = (default_of(key) if side is None or side.value is None else side.value for side in sides)
    return fleet.same(was, now)


def _transport_kind(pair: Pair) -> str:
    """The kind of the change of the transport options."""
    old, new = (plan.get(APP, "broker_transport_options") or {} for plan in (pair.old, pair.new))
    assert isinstance(old, dict)
    assert isinstance(new, dict)
    keys = {key for key in {*old, *new} if old.get(key) != new.get(key)}
    if pair.needs.find(NEW_LEVELS):
        return "priorities"
    return "visibility-timeout" if keys == {"visibility_timeout"} else "broker"


def _change(
    pair: Pair,
    judged: Judged,
    kind: str,
    about: tuple[Scope, str],
    sides: tuple[Setting | None, Setting | None],
    values: tuple[Value, Value] | None = None,
) -> Change:
    old, new = sides
    decider = new or old
    assert decider is not None
    if values is None:
        values = (None if old is None else old.value, None if new is None else new.value)
    return Change(
        judged.risk,
        kind,
        *about,
        judged.because,
        *values,
        decider.policy,
        cause(pair.old, old, pair.differing),
        cause(pair.new, new, pair.differing),
        follows=is_consequence(old, new, pair.differing),
    )


def _whole(pair: Pair, scope: Scope, today: date | None) -> Change:
    """An added or removed scope, with its most important settings."""
    comes = bool(pair.new.keys(scope))
    plan = pair.new if comes else pair.old
    kind = f"{scope.kind}-{'added' if comes else 'removed'}"
    telling = (*_TELLING.get(scope.kind, ()), *sorted(plan.keys(scope)))
    setting = next(plan.setting(scope, key) for key in telling if plan.find(scope, key))
    judged = risk_of(At(pair.old, pair.new, pair.needs, scope, scope, ""), kind)
    value: dict[str, Value] = {
        each: plan.value(scope, each) for each in _TELLING.get(scope.kind, ()) if plan.find(scope, each)
    }
    if scope.kind == "queue":
        value["arguments"] = plan.below(scope, "arguments.")
    if scope.kind == "schedule":
        value |= _told(None if today is None else firings(plan, scope, today))
    values: tuple[Value, Value] = (None, value) if comes else (value, None)
    sides = (None, setting) if comes else (setting, None)
    change = _change(pair, judged, kind, (scope, ""), sides, values)
    if _is_written(plan, scope):
        path: SpecPath = (f"{scope.kind}s", scope.name)
        paths = ((), path) if comes else (path, ())
        return change._replace(follows=False, old_path=paths[0], new_path=paths[1])
    # Queues, workers and alerts are added and removed with tasks.
    return change._replace(follows=scope.kind in {"queue", "worker", "alert"})


_TELLING: dict[str, tuple[str, ...]] = {
    "task": ("queue", "latency", "work", "idempotent"),
    "queue": ("workers", "external"),
    "worker": ("queues", "pool", "concurrency", "replicas"),
    "schedule": ("task", "cron", "every_seconds", "solar", "timezone"),
    "alert": ("alert", "severity", "threshold"),
    "beat": ("scheduler", "host"),
    "host": ("workers", "beat"),
}


def _is_written(plan: Plan, scope: Scope) -> bool:
    """Whether the workload has its own entry for a scope."""
    section = f"{scope.kind}s"
    paths = (
        origin.path
        for setting in plan.keys(scope).values()
        for origin in setting.origins
        if isinstance(origin, Written)
    )
    return any(path[:2] == (section, scope.name) for path in paths)


def _renamed(pair: Pair, scope: Scope) -> Iterator[Change]:
    """A renamed task: the name, then each setting that differs from any earlier name, the riskiest each."""
    names = pair.needs.facts.renamed[scope.name]
    entries = [pair.needs.facts.before.entry(name) for name in names]
    entries += [scope] if pair.old.keys(scope) else []
    earlier_scopes = list(dict.fromkeys(entry for entry in entries if entry is not None)) or [scope]
    before = earlier_scopes[0]
    judged = risk_of(At(pair.old, pair.new, pair.needs, before, scope, ""), "task-renamed")
    setting = pair.new.setting(scope, "renamed_from")
    old = pair.old.find(before, "queue")
    values: tuple[Value, Value] = ([*names], scope.name)
    yield _change(pair, judged, "task-renamed", (scope, ""), (old, setting), values)._replace(follows=False)
    keys = {*pair.new.keys(scope), *(key for each in earlier_scopes for key in pair.old.keys(each))}
    for key in sorted(keys - {"renamed_from"}):
        found = [
            _setting(pair, each, scope, key)
            for each in earlier_scopes
            if not fleet.same(pair.old.get(each, key), pair.new.get(scope, key))
        ]
        if found:
            yield max(found, key=lambda change: (change.risk.rank, not change.follows))


def _shifted(pair: Pair, scope: Scope, times: list[str], today: date | None) -> Change:
    shown = compared(pair.old, pair.new, scope, today) if today is not None else (None, None)
    values = (_times(pair.old, scope, shown[0]), _times(pair.new, scope, shown[1]))
    at = At(pair.old, pair.new, pair.needs, scope, scope, times[0])
    judged = risk_of(at, "schedule-shifted")
    old = next((pair.old.setting(scope, key) for key in _TIMES if pair.old.find(scope, key)), None)
    new = next((pair.new.setting(scope, key) for key in _TIMES if pair.new.find(scope, key)), None)
    change = _change(pair, judged, "schedule-shifted", (scope, ""), (old, new), values)
    return change._replace(follows=False)


def _respelt(pair: Pair, scope: Scope, times: list[str]) -> Iterator[Change]:
    """The same times, written differently."""
    judged = Judged(Class.SAFE, "the schedule fires at the same times")
    for key in times:
        sides = pair.old.find(scope, key), pair.new.find(scope, key)
        change = _change(pair, judged, "schedule-spelling", (scope, key), sides)
        yield change._replace(follows=False)


def _times(plan: Plan, scope: Scope, found: Firings | None) -> Value:
    """How a schedule is timed, and its next firings where they are shown."""
    told: dict[str, Value] = {key: plan.value(scope, key) for key in _TIMES if plan.find(scope, key)}
    return told | _told(found)


def _told(found: Firings | None) -> dict[str, Value]:
    if found is None:
        return {}
    told: dict[str, Value] = {"next": [*found.next]}
    return told | ({"around_dst": [*found.around_dst]} if found.around_dst else {})
