"""The entries of beat: those of the configuration, and those in the database."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from .saying import Notes, Unsayable, class_of, said

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_FIELDS = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")
_FIELD = re.compile(r"[\w*/,-]+")


def schedules_of(app: Any, notes: Notes) -> dict[str, dict[str, Any]]:
    """The entries of `beat_schedule`, with those that handlers of signals have added."""
    entries = sorted((str(name), entry) for name, entry in (app.conf.beat_schedule or {}).items())
    zone = app.conf.timezone or ("UTC" if app.conf.enable_utc else None)
    return {name: _entry(name, entry, _zone_name(zone), notes) for name, entry in entries}


def _zone_name(zone: Any) -> str | None:
    return None if zone is None else str(getattr(zone, "key", None) or zone)


def _entry(name: str, entry: Any, zone: str | None, notes: Notes) -> dict[str, Any]:
    entry = dict(entry) if hasattr(entry, "keys") else dict(vars(entry))
    found: dict[str, Any] = {"task": str(entry.get("task"))}
    # An entry is carried whole or without its times, that is, not at all: half of a call is another call.
    part = "when it is due"
    try:
        times = _times(entry.get("schedule"), relative=bool(entry.get("relative")))
        for part in ("args", "kwargs", "options"):
            if value := entry.get(part):
                found[part] = said(list(value) if part == "args" else _plain(dict(value)), "")
    except Unsayable as problem:
        notes.cannot(f"schedule {name}", f"{part}: {problem}")
        times = {}
    return {**found, "timezone": zone, **times}


def _plain(options: dict[str, Any]) -> dict[str, Any]:
    """Options of a send, with names instead of the objects of kombu."""
    objects = ("queue", "exchange")
    return {key: getattr(value, "name", value) if key in objects else value for key, value in options.items()}


def _times(schedule: Any, *, relative: bool) -> dict[str, Any]:
    """When an entry is due; `relative`: at whole intervals of the clock."""
    from celery.schedules import crontab, solar
    from celery.schedules import schedule as interval

    if relative or getattr(schedule, "relative", False):
        raise Unsayable("`relative` has no form in the workload")
    if isinstance(schedule, timedelta):
        return {"every_seconds": schedule.total_seconds()}
    if isinstance(schedule, (int, float)) and not isinstance(schedule, bool):
        return {"every_seconds": schedule}
    if isinstance(schedule, crontab) and _decides_like(schedule, crontab):
        return _cron(schedule)
    if type(schedule) is solar:
        return {"solar": {"event": schedule.event, "latitude": schedule.lat, "longitude": schedule.lon}}
    if type(schedule) is interval:
        return {"every_seconds": schedule.run_every.total_seconds()}
    raise Unsayable(class_of(schedule, "a schedule"))


def _cron(schedule: Any) -> dict[str, Any]:
    texts = [str(getattr(schedule, f"_orig_{field}")).replace(" ", "") for field in _FIELDS]
    for text in texts:
        if not _FIELD.fullmatch(text):
            message = f"the crontab field `{text}`"
            raise Unsayable(message)
    zone = _zone_name(vars(schedule).get("tz"))
    return {"cron": dict(zip(_FIELDS, texts)), **({"timezone": zone} if zone else {})}


def _decides_like(schedule: Any, kind: Any) -> bool:
    """Whether a class of its own changes nothing of its kind but the time zone."""
    kept = all(getattr(type(schedule), name) is getattr(kind, name) for name in ("is_due", "remaining_delta"))
    return kept or type(schedule).__name__ == "TzAwareCrontab"  # of django-celery-beat


def misfits_of(app: Any, calls: Iterable[dict[str, Any]]) -> Iterator[dict[str, str]]:
    """The calls whose arguments the signature of their task refuses; nothing is called."""
    for call in calls:
        task = app.tasks.get(call["task"])
        header, arguments = getattr(task, "__header__", None), call["args"]
        if header is None or not task.typing:
            continue
        try:
            header(*arguments, **call["kwargs"])
        except TypeError as problem:
            yield {"name": call["name"], "why": str(problem)}


def rows_of(notes: Notes) -> Iterator[dict[str, Any]]:
    """The schedules that django-celery-beat keeps in the database, without a change of it.

    A row with a part that a workload does not say is noted, and left to the database.
    """
    from django_celery_beat.models import PeriodicTask

    related = ("interval", "crontab", "solar", "clocked")
    kept = ("queue", "exchange", "routing_key", "priority")
    for row in PeriodicTask.objects.select_related(*related).order_by("name"):
        kind = next((each for each in related if getattr(row, f"{each}_id") is not None), None)
        options = {key: value for key in kept if (value := getattr(row, key)) not in (None, "")}
        if row.expire_seconds:
            options["expire_seconds"] = row.expire_seconds
        try:
            yield {
                "name": row.name,
                "task": row.task,
                **_row_times(row, kind),
                **_row_call(row),
                "options": said(options, ""),
                "enabled": row.enabled,
            }
        except Unsayable as problem:
            notes.cannot(f"schedule {row.name} (a row of the database)", str(problem))


def _row_call(row: Any) -> dict[str, Any]:
    """The arguments of a row, which are JSON."""
    unusual = {
        "`one_off`": row.one_off,
        "`start_time`": row.start_time,
        "`expires`": row.expires,
        "`headers`": (row.headers or "{}").strip() != "{}",
        "`exchange` with `routing_key`": row.exchange and row.routing_key,
    }
    for what, there in unusual.items():
        if there:
            message = f"{what} has no form in the workload"
            raise Unsayable(message)
    found = {}
    for key, kind, empty in (("args", list, "[]"), ("kwargs", dict, "{}")):
        try:
            value = json.loads(getattr(row, key) or empty)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, kind):
            message = f"its {key} are not the JSON that django-celery-beat expects"
            raise Unsayable(message)
        found[key] = said(value, "")
    return found


def _row_times(row: Any, kind: str | None) -> dict[str, Any]:
    if kind == "interval":
        return {"every_seconds": row.interval.schedule.run_every.total_seconds()}
    if kind == "crontab":
        cron = {field: str(getattr(row.crontab, field)).replace(" ", "") for field in _FIELDS}
        return {"cron": cron, "timezone": str(row.crontab.timezone)}
    if kind == "solar":
        place = {"latitude": float(row.solar.latitude), "longitude": float(row.solar.longitude)}
        return {"solar": {"event": row.solar.event, **place}}
    message = f"a time of the kind {kind}"
    raise Unsayable(message)
