"""Crontabs of other programs in Celery's syntax: Vixie cron, Quartz and Spring, Jenkins.

Celery reads five fields. Each may have numbers, names, `*`, ranges, lists, and steps of `*` or of a range.
A day must match both day-of-month and day-of-week (celery.schedules.crontab).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class Field(NamedTuple):
    """A field of a crontab: its name in Celery, its name for people, its smallest and largest number."""

    key: str
    called: str
    least: int
    most: int


FIELDS = (
    Field("minute", "minute", 0, 59),
    Field("hour", "hour", 0, 23),
    Field("day_of_month", "day-of-month", 1, 31),
    Field("month_of_year", "month", 1, 12),
    Field("day_of_week", "day-of-week", 0, 6),
)

_NICKNAMES: Mapping[str, str] = MappingProxyType(
    {
        "@hourly": "0 * * * *",
        "@daily": "0 0 * * *",
        "@midnight": "0 0 * * *",
        "@weekly": "0 0 * * 0",
        "@monthly": "0 0 1 * *",
        "@yearly": "0 0 1 1 *",
        "@annually": "0 0 1 1 *",
    }
)
_WEEK = 7
_DAY_OF_WEEK = 4
_STEP_FROM = re.compile(r"(\d+)/(\d+)")
_NTH_WEEKDAY = re.compile(r"([0-6]|[A-Za-z]{3,9})#([1-5])")
_WITH_SUNDAY = re.compile(r"(?:(\d)-)?7")


def in_celerys_words(text: str) -> str | None:
    """The equivalent crontab for Celery; None if there is none, or none that is certain."""
    if nickname := _NICKNAMES.get(text.strip().lower()):
        return nickname
    fields = text.split()
    if len(fields) == len(FIELDS) + 1 and fields[0] == "0" and _has_no_numbered_weekday(fields[-1]):
        # The first field of Quartz and Spring is the second; Quartz counts days of the week from 1.
        fields = fields[1:]
    if len(fields) != len(FIELDS):
        return None
    nth = _NTH_WEEKDAY.fullmatch(fields[_DAY_OF_WEEK])
    if nth and fields[2] in {"*", "?"}:
        last = min(_WEEK * int(nth[2]), FIELDS[2].most)
        fields[2], fields[_DAY_OF_WEEK] = f"{_WEEK * (int(nth[2]) - 1) + 1}-{last}", nth[1]
    return " ".join(_field(field, text) for field, text in zip(FIELDS, fields, strict=True))


def doubt(text: str) -> str:
    """A condition for an equivalent that the author may not mean; empty if it is certain."""
    if _may_be_quartz(text):
        return " if Sunday is 0 in your crontab (Quartz counts Sunday as 1)"
    return "" if is_sure(text) else " (or the next hour or day)"


def is_sure(text: str) -> bool:
    """Whether the equivalent is certain."""
    if _may_be_quartz(text):
        return False
    # Minute 60 and hour 24 may mean the next hour and day.
    ends = (str(field.most + 1) for field in FIELDS[:2])
    return not any(end in field.split(",") for end, field in zip(ends, text.split(), strict=False))


def _may_be_quartz(text: str) -> bool:
    """Whether it has characters of Quartz, and a day of the week as a number."""
    fields = text.split()
    return any("?" in field or "#" in field for field in fields) and any(
        character.isdigit() for character in fields[-1].partition("#")[0]
    )


def hint(text: str) -> str:
    """A help for a crontab without equivalent; may be empty."""
    lowered = text.strip().lower()
    if lowered.startswith("@every "):
        return f"write `every: {lowered.removeprefix('@every ').strip()}` instead of `cron`"
    if lowered == "@reboot":
        return "send the task from a handler of the signal `worker_ready`; beat does not support `@reboot`"
    fields = text.split()
    if len(fields) == len(FIELDS) + 1:
        return "remove the first field, or write `every: 30s`; Celery has no field for seconds"
    if any("L" in field.upper().split(",") for field in fields[2:3]):
        return (
            "write `28-31` and let the task check the date, or use the first day; Celery has no last day of "
            "the month"
        )
    return ""


def _has_no_numbered_weekday(field: str) -> bool:
    return not any(character.isdigit() for character in field)


def _field(field: Field, text: str) -> str:
    if text == "?":
        return "*"
    return ",".join(_part(field, part) for part in text.split(","))


def _part(field: Field, part: str) -> str:
    if step := _STEP_FROM.fullmatch(part):
        return f"{step[1]}-{field.most}/{step[2]}"
    if field.key == "day_of_week" and (sunday := _WITH_SUNDAY.fullmatch(part)):
        if sunday[1] is None:
            return "0"
        return "*" if int(sunday[1]) <= 1 else f"{sunday[1]}-6,0"
    # The end of an hour or day is the start of the next one.
    return "0" if field.least == 0 and field.key != "day_of_week" and part == str(field.most + 1) else part
