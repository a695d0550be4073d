"""Beat sends what exists, when it is meant."""

from __future__ import annotations

import pytest
from workloads import Found, after

from policycompiler.policies.schedules import schedules

DECIDES = {
    "a crontab": (
        (
            "tasks: {shop.a: }\n"
            "schedules: {s: {task: shop.a, cron: '0 3 * * 1-5', args: [1], kwargs: {full: "
            "true}}}"
        ),
        {
            "schedule:s/cron": (
                {"minute": "0", "hour": "3", "day_of_month": "*", "month_of_year": "*", "day_of_week": "1-5"},
                "the schedule declares it",
            ),
            "schedule:s/task": ("shop.a", "the schedule declares it"),
            "schedule:s/args": ([1], "the schedule declares it"),
            "schedule:s/kwargs": ({"full": True}, "the schedule declares it"),
            "schedule:s/timezone": ("UTC", ("the schedule declares no time zone, and the app has this one")),
            "app/timezone": (
                "UTC",
                ("UTC has no daylight saving time, and a schedule may declare its own zone"),
            ),
            "app/enable_utc": (True, "machines in different time zones must agree on times"),
        },
    ),
    "a zone of its own": (
        ("tasks: {shop.a: }\nschedules: {s: {task: shop.a, cron: '0 3 * * *', timezone: Europe/Paris}}"),
        {
            "schedule:s/timezone": ("Europe/Paris", "the schedule declares it"),
        },
    ),
    "the app's zone": (
        (
            "celery: {settings: {timezone: Europe/Paris}}\n"
            "tasks: {shop.a: }\n"
            "schedules: {s: {task: shop.a, cron: '0 3 * * *'}}"
        ),
        {
            "schedule:s/timezone": (
                "Europe/Paris",
                ("the schedule declares no time zone, and the app has this one"),
            ),
        },
    ),
    "an interval": (
        "tasks: {shop.a: }\nschedules: {s: {task: shop.a, every: 10m, description: Sweeps., owner: team}}",
        {
            "schedule:s/every_seconds": (600, "the schedule declares it"),
            "schedule:s/description": ("Sweeps.", "the schedule declares it"),
            "schedule:s/owner": ("team", "the schedule declares it"),
        },
    ),
    "a task that nobody declared": (
        "schedules: {s: {task: other.x, every: 1m}}",
        {
            "schedule:s/task": ("other.x", "the schedule declares it"),
        },
    ),
    "the sun": (
        (
            "tasks: {shop.a: }\n"
            "schedules: {s: {task: shop.a, solar: {event: sunset, latitude: 48.9, longitude: "
            "2}}}"
        ),
        {
            "schedule:s/solar": (
                {"event": "sunset", "latitude": 48.9, "longitude": 2.0},
                ("the schedule declares it"),
            ),
        },
    ),
    "a day that some years have": (
        "tasks: {shop.a: }\nschedules: {s: {task: shop.a, cron: '0 0 29 2 *'}}",
        {
            "schedule:s/cron": (
                {"minute": "0", "hour": "0", "day_of_month": "29", "month_of_year": "2", "day_of_week": "*"},
                "the schedule declares it",
            ),
        },
    ),
    "a task of a glob": (
        "tasks: {shop.*: }\nschedules: {s: {task: shop.b, every: 1s}}",
        {
            "schedule:s/task": ("shop.b", "the schedule declares it"),
        },
    ),
    "a task of Celery's own": (
        "schedules: {s: {task: celery.backend_cleanup, every: 1d}}",
        {
            "schedule:s/task": ("celery.backend_cleanup", "the schedule declares it"),
        },
    ),
}
STAYS_SILENT = {
    "not enabled": (
        "tasks: {shop.a: }\nschedules: {s: {task: shop.a, every: 10m, enabled: false}}",
        ["schedule:s/task", "schedule:s/every_seconds"],
    ),
    "nothing to say": (
        "tasks: {shop.a: }\nschedules: {s: {task: shop.a, every: 1s}}",
        ["schedule:s/description", "schedule:s/args", "schedule:s/kwargs", "schedule:s/timezone"],
    ),
    "pinned": ("celery: {settings: {timezone: null, enable_utc: false}}", ["app/timezone", "app/enable_utc"]),
}
LEADS_TO = {
    "the crontab": (
        "tasks: {shop.a: }\nschedules: {s: {task: shop.a, cron: '0 3 * * *'}}",
        "schedule:s/cron",
        ["2:37"],
    ),
    "the app's zone": (
        "tasks: {shop.a: }\nschedules: {s: {task: shop.a, cron: '0 3 * * *'}}",
        "schedule:s/timezone",
        ["app/timezone"],
    ),
}
REFUSES = {
    "a zone for an interval": (
        "tasks: {shop.a: }\nschedules: {s: {task: shop.a, every: 1h, timezone: Europe/Paris}}",
        [
            Found(
                "timezone-unused",
                "2:52",
                "`timezone` has no effect here: it applies only to `cron`",
                "remove `timezone`",
            )
        ],
    ),
    "a misspelled task": (
        "tasks: {shop.mail.send: }\nschedules: {s: {task: shop.mail.sent, every: 1m}}",
        [
            Found(
                "beat-unknown-task",
                "2:23",
                "task `shop.mail.sent` is not declared, but beat would send it anyway",
                "did you mean `shop.mail.send`?",
            ),
        ],
    ),
    "a name that a task had": (
        "tasks: {shop.new: {renamed_from: [shop.old]}}\nschedules: {s: {task: shop.old, every: 1m}}",
        [
            Found(
                "beat-unknown-task",
                "2:23",
                "task `shop.old` is not declared, but beat would send it anyway",
                "write `shop.new`, its new name",
            ),
        ],
    ),
    "an unknown task": (
        "schedules: {s: {task: other.x, every: 1m}}",
        [
            Found(
                "beat-unknown-task",
                "1:23",
                "task `other.x` is not declared, but beat would send it anyway",
                "declare it under `tasks:`",
            ),
        ],
    ),
    "not even if it is off": (
        "schedules: {s: {task: other.x, every: 1m, enabled: false}}",
        [
            Found(
                "beat-unknown-task",
                "1:23",
                "task `other.x` is not declared, but beat would send it anyway",
                "declare it under `tasks:`",
            ),
        ],
    ),
    "no time": (
        "tasks: {shop.a: }\nschedules: {s: {task: shop.a, enabled: true}}",
        [
            Found(
                "schedule-kind",
                "2:16",
                ("a schedule must have exactly one of `cron`, `every` and `solar`; found none of them"),
                "add one of them",
            ),
        ],
    ),
    "two times": (
        "tasks: {shop.a: }\nschedules: {s: {task: shop.a, cron: '0 3 * * *', every: 1d}}",
        [
            Found(
                "schedule-kind",
                "2:57",
                ("a schedule must have exactly one of `cron`, `every` and `solar`; found cron and every"),
                "keep one of them",
            ),
        ],
    ),
    "too few fields": (
        "tasks: {shop.a: }\nschedules: {s: {task: shop.a, cron: '0 3 * *'}}",
        [
            Found(
                "schedule-cron",
                "2:37",
                "a crontab must have 5 fields; found 4",
                "write `minute hour day-of-month month day-of-week`, such as `0 3 * * *`",
            ),
        ],
    ),
    "an hour that is none": (
        "tasks: {shop.a: }\nschedules: {s: {task: shop.a, cron: '0 25 * * *'}}",
        [
            Found(
                "schedule-cron",
                "2:37",
                (
                    "the hour field is `25`; it may have numbers from 0 to 23, `*`, ranges (`1-5`), lists "
                    "(`1,5`) and steps (`*/2`)"
                ),
                "write `minute hour day-of-month month day-of-week`, such as `0 3 * * *`",
            ),
        ],
    ),
    "a word that is no day": (
        "tasks: {shop.a: }\nschedules: {s: {task: shop.a, cron: '0 3 * * noday'}}",
        [
            Found(
                "schedule-cron",
                "2:37",
                (
                    "the day-of-week field is `noday`; it may have numbers from 0 to 6, `*`, ranges "
                    "(`1-5`), lists (`1,5`) and steps (`*/2`)"
                ),
                "write `minute hour day-of-month month day-of-week`, such as `0 3 * * *`",
            ),
        ],
    ),
    "a step of nothing": (
        "tasks: {shop.a: }\nschedules: {s: {task: shop.a, cron: '*/0 * * * *'}}",
        [
            Found(
                "schedule-cron",
                "2:37",
                (
                    "the minute field is `*/0`; it may have numbers from 0 to 59, `*`, ranges (`1-5`), "
                    "lists (`1,5`) and steps (`*/2`)"
                ),
                "write `minute hour day-of-month month day-of-week`, such as `0 3 * * *`",
            ),
        ],
    ),
    "a day that no year has": (
        "tasks: {shop.a: }\nschedules: {s: {task: shop.a, cron: '0 0 31 2,4 *'}}",
        [
            Found(
                "schedule-cron",
                "2:37",
                "day 31 does not exist in month 2,4",
                "write `minute hour day-of-month month day-of-week`, such as `0 3 * * *`",
            ),
        ],
    ),
    "a zone that is none": (
        ("tasks: {shop.a: }\nschedules: {s: {task: shop.a, cron: '0 3 * * *', timezone: Europe/Pariss}}"),
        [
            Found(
                "schedule-timezone",
                "2:60",
                "`Europe/Pariss` is not a known time zone",
                "write an IANA time zone, such as Europe/Paris or UTC",
            ),
        ],
    ),
    "a zone that is a folder": (
        ("tasks: {shop.a: }\nschedules: {s: {task: shop.a, cron: '0 3 * * *', timezone: Europe}}"),
        [
            Found(
                "schedule-timezone",
                "2:60",
                "`Europe` is not a known time zone",
                ("write an IANA time zone, such as Europe/Paris or UTC"),
            ),
        ],
    ),
    "the app's zone": (
        "celery: {settings: {timezone: Nowhere}}",
        [
            Found(
                "schedule-timezone",
                "1:31",
                "`Nowhere` is not a known time zone",
                ("write an IANA time zone, such as Europe/Paris or UTC"),
            ),
        ],
    ),
    "no event of the sun": (
        (
            "tasks: {shop.a: }\n"
            "schedules: {s: {task: shop.a, solar: {event: sunup, latitude: 1, longitude: 2}}}"
        ),
        [
            Found(
                "schedule-solar",
                "2:46",
                (
                    "`sunup` is not a solar event; Celery supports: dawn_astronomical, dawn_civil, "
                    "dawn_nautical, dusk_astronomical, dusk_civil, dusk_nautical, solar_noon, sunrise, "
                    "sunset"
                ),
                "",
            ),
        ],
    ),
}
ACCEPTS = {
    "a declared task": "tasks: {shop.a: }\nschedules: {s: {task: shop.a, every: 1m}}",
    "a day in one of the months": ("tasks: {shop.a: }\nschedules: {s: {task: shop.a, cron: '0 0 31 2-3 *'}}"),
    "names of days and months": (
        "tasks: {shop.a: }\nschedules: {s: {task: shop.a, cron: '*/15 0-6/2 1,15 jan-mar mon'}}"
    ),
    "UTC": "tasks: {shop.a: }\nschedules: {s: {task: shop.a, cron: '0 3 * * *', timezone: UTC}}",
    "an event of the sun": (
        "tasks: {shop.a: }\n"
        "schedules: {s: {task: shop.a, solar: {event: dawn_civil, latitude: 1, "
        "longitude: 2}}}"
    ),
    "the app's zone": "celery: {settings: {timezone: Asia/Tokyo}}",
}


@pytest.mark.parametrize(("fragment", "expected"), DECIDES.values(), ids=DECIDES)
def test_it_decides(fragment, expected):
    decided = after(schedules, fragment).decided
    assert {address: decided.get(address) for address in expected} == expected


@pytest.mark.parametrize(("fragment", "addresses"), STAYS_SILENT.values(), ids=STAYS_SILENT)
def test_it_stays_silent(fragment, addresses):
    assert after(schedules, fragment).decided.keys().isdisjoint(addresses)


@pytest.mark.parametrize(("fragment", "address", "places"), LEADS_TO.values(), ids=LEADS_TO)
def test_its_origins_lead_to(fragment, address, places):
    assert after(schedules, fragment).origins[address] == places


@pytest.mark.parametrize(("fragment", "findings"), REFUSES.values(), ids=REFUSES)
def test_it_refuses(fragment, findings):
    assert after(schedules, fragment).findings == findings


@pytest.mark.parametrize("fragment", ACCEPTS.values(), ids=ACCEPTS)
def test_it_accepts(fragment):
    assert after(schedules, fragment).findings == []
