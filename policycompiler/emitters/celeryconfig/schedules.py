"""The entries of beat's schedule."""

from __future__ import annotations

import math
from collections.abc import Iterator

from policycompiler.emitters.base import Raw, Reading, one_line
from policycompiler.emitters.python import Call, InOrder, laid_out, python_literal
from policycompiler.knowledge.cron_dialects import FIELDS
from policycompiler.plan import APP, BEAT, Scope, Value


def schedules(reading: Reading) -> Iterator[tuple[str, Raw, Raw]]:
    """Name, entry, and a comment that may be empty."""
    for scope in _entries(reading):
        entry: dict[str, object] = {"task": reading.value(scope, "task"), "schedule": _when(reading, scope)}
        keys = reading.keys(scope)
        entry |= {key: reading.value(scope, key) for key in ("args", "kwargs") if key in keys}
        if "options" in keys:
            entry["options"] = _options(reading, scope)
        if scope.kind == "disabled_schedule":
            entry["enabled"] = False
        text = laid_out(InOrder(entry), indent=4, before=4 + len(python_literal(scope.name)) + 2, after=1)
        yield scope.name, Raw(text), Raw(_in_words(reading, scope))


def any_is_solar(reading: Reading) -> bool:
    """Whether a schedule is solar."""
    return any("solar" in reading.keys(scope) for scope in _entries(reading))


def _entries(reading: Reading) -> list[Scope]:
    """The entries of beat, including disabled ones."""
    scopes = (*reading.scopes("schedule"), *reading.scopes("disabled_schedule"))
    return sorted(scopes, key=lambda scope: scope.name)


def _options(reading: Reading, scope: Scope) -> Value:
    """The options of an entry, with the expiry option that the scheduler reads."""
    options, name = reading.value(scope, "options"), str(reading.get(BEAT, "expiry_option", "expires"))
    assert isinstance(options, dict)
    if name == "expires" or "expires" not in options:
        return options
    seconds = options["expires"]
    assert isinstance(seconds, int | float)
    # A store with its own expiry option keeps whole seconds.
    return {**{key: options[key] for key in options if key != "expires"}, name: math.ceil(seconds)}


def _when(reading: Reading, scope: Scope) -> object:
    keys = reading.keys(scope)
    if "cron" in keys:
        zone, fields = reading.get(scope, "timezone"), _restricting(reading.value(scope, "cron"))
        if zone is None or zone == reading.get(APP, "timezone"):
            return Call("crontab", (), fields)
        return Call("ZonedCrontab", (zone,), fields)
    if "solar" in keys:
        sun = reading.value(scope, "solar")
        assert isinstance(sun, dict)
        place = {"event": sun["event"], "lat": sun["latitude"], "lon": sun["longitude"]}
        return Call("solar", (), place)
    return reading.value(scope, "every_seconds")


def _restricting(fields: Value) -> dict[str, Value]:
    assert isinstance(fields, dict)
    # In the order of a crontab: a plan that was read from a file has its keys sorted.
    return {each.key: fields[each.key] for each in FIELDS if fields.get(each.key, "*") != "*"}


def _in_words(reading: Reading, scope: Scope) -> str:
    """The declared description and owner of a schedule."""
    description, owner = reading.get(scope, "description"), reading.get(scope, "owner")
    said = [one_line(description)] if description else []
    return " ".join([*said, *([f"(owner: {one_line(owner)})"] if owner else [])])
