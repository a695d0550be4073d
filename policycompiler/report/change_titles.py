"""The title of a change, and the words for counting changes of its kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from policycompiler.plan import Scope, Value
from policycompiler.quantities import duration
from policycompiler.report.text import clean, clipped, counted
from policycompiler.report.values import flow, value_text
from policycompiler.review import Change, Class

LONGEST_VALUE = 80
MOST_NAMED = 3
MOST_KINDS = 6

_CRONTAB = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")
"""The fields of a crontab, in the order of a line of one."""


class Kind(NamedTuple):
    """The words for one change of a kind, for several, and for the title of one.

    `by_setting`: each setting counts. Otherwise a thing counts once, whatever the number of its changed
    settings.

    A title takes `name`, `subject` (kind and name of the scope), `old`, `new`, and `both` (the key with its
    value before → after).
    """

    one: str
    several: str
    title: str
    by_setting: bool = False


def _comes_and_goes(thing: str) -> dict[str, Kind]:
    return {
        f"{thing}-added": Kind(f"{thing} added", f"{thing}s added", f"{thing} {{name}} is added"),
        f"{thing}-removed": Kind(f"{thing} removed", f"{thing}s removed", f"{thing} {{name}} is removed"),
    }


def _of(thing: str, what: str, title: str = "") -> Kind:
    """A kind that is about one property of a thing."""
    return Kind(f"{thing} changes {what}", f"{thing}s change {what}", title or "{subject}: {both}")


def _setting_of(what: str) -> Kind:
    """A kind whose settings count one by one."""
    return Kind(
        f"setting of {what} changes", f"settings of {what} change", "{subject}: {both}", by_setting=True
    )


_KINDS: Mapping[str, Kind] = {
    **_comes_and_goes("task"),
    "task-renamed": Kind("task renamed", "tasks renamed", "task {old} is renamed to {name}"),
    "task-moved": Kind("task changes queue", "tasks change queue", "{who} moves from queue {old} to {new}"),
    "task-external": Kind(
        "task changes app", "tasks change app", "the app that runs task {name} changes: {both}"
    ),
    "task-delivery": _of("task", "delivery"),
    "task-limits": _of("task", "time limits"),
    "task-retries": _of("task", "retries"),
    "task-results": _of("task", "results"),
    "task-priority": _of("task", "priority"),
    "task-expiry": _of("task", "expiry"),
    "policies": Kind("change of `policies`", "changes of `policies`", "{subject}: {both}"),
    "task-facts": _of("task", "declared facts"),
    "task-options": _of("task", "options"),
    **_comes_and_goes("queue"),
    "queue-arguments": _of("queue", "arguments", "{subject}: declaration changes: {both}"),
    "queue-binding": _of("queue", "binding", "{subject}: binding changes: {both}"),
    "queue-promise": _of("queue", "latency target", "{subject}: latency target changes: {both}"),
    "queue-options": _of("queue", "options"),
    **_comes_and_goes("worker"),
    "worker-queues": _of("worker", "queues", "{subject} consumes different queues: {old} → {new}"),
    "worker-pool": _of("worker", "pool", "{subject} changes pool: {old} → {new}"),
    "worker-prefetch": _of("worker", "prefetch"),
    "worker-grace": _of("worker", "stop timeout"),
    "worker-options": _of("worker", "options"),
    "worker-resources": _of("worker", "resources"),
    **_comes_and_goes("host"),
    "dependency-added": Kind("dependency added", "dependencies added", "dependency {name} is added"),
    "dependency-removed": Kind("dependency removed", "dependencies removed", "dependency {name} is removed"),
    "guard": Kind("guard changes", "guards change", "{subject}: {both}", by_setting=True),
    "placement": _of("host", "processes"),
    **_comes_and_goes("schedule"),
    "disabled_schedule-added": Kind("schedule disabled", "schedules disabled", "schedule {name} is disabled"),
    "disabled_schedule-removed": Kind(
        "disabled schedule removed",
        "disabled schedules removed",
        "schedule {name} is no longer disabled",
    ),
    "disabled_schedule-changed": Kind(
        "disabled schedule changes", "disabled schedules change", "disabled schedule {name}: {both}"
    ),
    "schedule-shifted": Kind(
        "schedule fires at different times",
        "schedules fire at different times",
        "schedule {name} fires at different times: {old} → {new}",
    ),
    "schedule-spelling": Kind(
        "schedule is spelled differently",
        "schedules are spelled differently",
        "schedule {name} is spelled differently and fires at the same times: {old} → {new}",
    ),
    "schedule-options": _of("schedule", "options"),
    "beat-added": Kind("beat added", "beats added", "beat is added: it now sends scheduled tasks"),
    "beat-removed": Kind("beat removed", "beats removed", "beat is removed: nothing sends scheduled tasks"),
    "beat-moved": Kind("beat moves", "beats move", "beat moves: {both}"),
    "beat-options": _setting_of("beat"),
    **_comes_and_goes("alert"),
    "alert-changed": Kind("alert changes", "alerts change", "{subject}: {both}"),
    "broker": _setting_of("the broker"),
    "broker-server": _setting_of("the broker's own configuration"),
    "serialization": _setting_of("serialization"),
    "visibility-timeout": Kind(
        "visibility timeout changes", "visibility timeouts change", "{subject}: {both}"
    ),
    "priorities": _setting_of("priorities"),
    "results": _setting_of("results"),
    "installation": _setting_of("the installation"),
    "app-setting": _setting_of("the app"),
    "capacity": _of("worker", "capacity"),
}
_NAMELESS = {"app": "every process"}
_ANY = Kind("other change", "other changes", "{address}: {old} → {new}", by_setting=True)

KINDS = frozenset(_KINDS)
"""The kinds that have words here."""


def title(change: Change) -> str:
    """A change in words, on one line; names and values stand in backticks."""
    kind = _KINDS.get(change.kind, _ANY)
    subject, name = change.scope
    key = change.key.removeprefix("options.")
    said = {
        "address": code(change.address),
        "name": code(name),
        "who": code(name) if name else "every task without a queue",
        "subject": f"{clean(subject)} {code(name)}" if name else _NAMELESS.get(subject, clean(subject)),
        "old": _said(key, change, change.old),
        "new": _said(key, change, change.new),
        "both": _both(key, change),
    }
    return kind.title.format_map(said)


def likewise(changes: Sequence[Change]) -> str:
    """The end of a title where other changes differ only in the name: `; also a, b and 3 more`."""
    names = [named(change) for change in changes[:MOST_NAMED]]
    more = len(changes) - len(names)
    return f"; also {', '.join(names)}{f' and {more} more' if more else ''}" if names else ""


def named(change: Change) -> str:
    """The name of the thing that changes."""
    return code(change.scope.name)


def _both(key: str, change: Change) -> str:
    what = f"{code(key)} " if key else ""
    if change.old is None:
        return f"{what}is now {_said(key, change, change.new)}"
    if change.new is None:
        return f"{what}was {_said(key, change, change.old)} and is no longer set"
    return f"{what}{_said(key, change, change.old)} → {_said(key, change, change.new)}"


def _said(key: str, change: Change, value: Value) -> str:
    if value is None:
        return "not set"
    if change.kind == "task-renamed" and isinstance(value, list):
        return ", ".join(code(str(item)) for item in value)
    if change.kind == "schedule-shifted" and isinstance(value, dict):
        return code(when(value))
    if change.kind == "schedule-spelling" and key == "cron":
        return code(when({key: value}))
    return code(value_in_words(change.scope, change.key, value))


def when(firing: Mapping[str, Value]) -> str:
    """When a schedule fires, without the computed times."""
    said = {key: value for key, value in firing.items() if key not in {"next", "around_dst"}}
    every, cron, zone = said.pop("every_seconds", None), said.pop("cron", None), said.pop("timezone", None)
    words = [f"every {duration(every)}"] if isinstance(every, int | float) else []
    if isinstance(cron, dict):
        words.append(" ".join(str(cron.get(field, "*")) for field in _CRONTAB))
    elif cron is not None:
        words.append(str(cron))
    words += [flow(value) for value in said.values() if value is not None]
    return " ".join([*words, str(zone)] if zone else words)


def value_in_words(scope: Scope, key: str, value: Value) -> str:
    """The value of a setting on one line, for people; not clipped."""
    return clean(value_text(scope, key, value))


def code(text: str) -> str:
    """A name or a value between backticks, short enough for a title."""
    return f"`{clipped(clean(text), LONGEST_VALUE)}`"


def kinds_counted(changes: Iterable[Change]) -> str:
    """The number of changes by kind, in their order; the silent ones in one number."""
    found = list(changes)
    told = [change for change in found if not silent(change)]
    kinds = Counter(kind for kind, _ in dict.fromkeys(map(_subject, told)))
    words = [_kind_counted(kind, number) for kind, number in list(kinds.items())[:MOST_KINDS]]
    if len(kinds) > MOST_KINDS:
        words.append(f"{len(kinds) - MOST_KINDS} more kinds of changes")
    follow = len(found) - len(told)
    return ", ".join([*words, *([following(follow)] if follow else [])])


def silent(change: Change) -> bool:
    """Whether a change gets no line: it is safe, follows from other changes, and needs no capacity."""
    return change.follows and change.risk is Class.SAFE and change.kind != "capacity"


def _subject(change: Change) -> tuple[str, str]:
    """The unit of counting: a thing once, or each of its settings."""
    by_setting = _KINDS.get(change.kind, _ANY).by_setting
    return change.kind, change.address if by_setting else str(change.scope)


def _kind_counted(kind: str, number: int) -> str:
    words = _KINDS.get(kind, _ANY)
    return f"{number} {words.one if number == 1 else words.several}"


def following(number: int) -> str:
    """The number of changes without a line."""
    return f"{counted(number, 'setting')} {'follows' if number == 1 else 'follow'} from these changes"
