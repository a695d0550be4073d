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
                "declared",
            ),
            "schedule:s/task": ("shop.a", "declared"),
            "schedule:s/args": ([1], "declared"),
            "schedule:s/kwargs": ({"full": True}, "declared"),
            "schedule:s/timezone": ("UTC", "no zone is declared, so the app's"),
            "app/timezone": ("UTC", "has no daylight saving; a schedule may name its own zone"),
            "app/enable_utc": (True, "machines in two zones agree"),
        },
    ),
    "a zone of its own": (
        ("tasks: {shop.a: }\nschedules: {s: {task: shop.a, cron: '0 3 * * *', timezone: Europe/Paris}}"),
        {
            "schedule:s/timezone": ("Europe/Paris", "declared"),
        },
    ),
    "the app's zone": (
        (
            "celery: {settings: {timezone: Europe/Paris}}\n"
            "tasks: {shop.a: }\n"
            "schedules: {s: {task: shop.a, cron: '0 3 * * *'}}"
        ),
        {
            "schedule:s/timezone": ("Europe/Paris", "no zone is declared, so the app's"),
        },
    ),
    "an interval": (
        "tasks: {shop.a: }\nschedules: {s: {task: shop.a, every: 10m, description: Sweeps., owner: team}}",
        {
            "schedule:s/every_seconds": (600, "declared"),
            "schedule:s/description": ("Sweeps.", "declared"),
            "schedule:s/owner": ("team", "declared"),
        },
    ),
    "a task that nobody declared": (
        "schedules: {s: {task: other.x, every: 1m}}",
        {
            "schedule:s/task": ("other.x", "declared"),
        },
    ),
    "the sun": (
        (
            "tasks: {shop.a: }\n"
            "schedules: {s: {task: shop.a, solar: {event: sunset, latitude: 48.9, longitude: "
            "2}}}"
        ),
        {
            "schedule:s/solar": ({"event": "sunset", "latitude": 48.9, "longitude": 2.0}, "declared"),
        },
    ),
    "a day that some years have": (
        "tasks: {shop.a: }\nschedules: {s: {task: shop.a, cron: '0 0 29 2 *'}}",
        {
            "schedule:s/cron": (
                {"minute": "0", "hour": "0", "day_of_month": "29", "month_of_year": "2", "day_of_week": "*"},
                "declared",
            ),
        },
    ),
    "a task of a glob": (
        "tasks: {shop.*: }\nschedules: {s: {task: shop.b, every: 1s}}",
        {
            "schedule:s/task": ("shop.b", "declared"),
        },
    ),
    "a task of Celery's own": (
        "schedules: {s: {task: celery.backend_cleanup, every: 1d}}",
        {
            "schedule:s/task": ("celery.backend_cleanup", "declared"),
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
                "only a cron is read in a zone; here it changes nothing",
                "remove it",
            )
        ],
    ),
    "a misspelt task": (
        "tasks: {shop.mail.send: }\nschedules: {s: {task: shop.mail.sent, every: 1m}}",
        [
            Found(
                "beat-unknown-task",
                "2:23",
                "no task `shop.mail.sent` is declared; beat would send it all the same",
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
                "no task `shop.old` is declared; beat would send it all the same",
                "it is called `shop.new` now",
            ),
        ],
    ),
    "an unknown task": (
        "schedules: {s: {task: other.x, every: 1m}}",
        [
            Found(
                "beat-unknown-task",
                "1:23",
                "no task `other.x` is declared; beat would send it all the same",
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
                "no task `other.x` is declared; beat would send it all the same",
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
                "a schedule has exactly one of cron, every and solar; found none of them",
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
                "a schedule has exactly one of cron, every and solar; found cron and every",
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
                "a crontab has 5 fields; found 4",
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
                    "the field hour is `25`; allowed are numbers from 0 to 23, `*`, ranges (`1-5`), "
                    "lists (`1,5`) and steps (`*/2`)"
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
                    "the field day-of-week is `noday`; allowed are numbers from 0 to 6, `*`, ranges (`1-5`), "
                    "lists (`1,5`) and steps (`*/2`)"
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
                    "the field minute is `*/0`; allowed are numbers from 0 to 59, `*`, ranges (`1-5`), "
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
                "no year has a day 31 in month 2,4",
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
                "no time zone `Europe/Pariss`",
                "write one such as Europe/Paris or UTC",
            ),
        ],
    ),
    "a zone that is a folder": (
        ("tasks: {shop.a: }\nschedules: {s: {task: shop.a, cron: '0 3 * * *', timezone: Europe}}"),
        [
            Found(
                "schedule-timezone", "2:60", "no time zone `Europe`", "write one such as Europe/Paris or UTC"
            ),
        ],
    ),
    "the app's zone": (
        "celery: {settings: {timezone: Nowhere}}",
        [
            Found(
                "schedule-timezone", "1:31", "no time zone `Nowhere`", "write one such as Europe/Paris or UTC"
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
                    "no event of the sun `sunup`; there are: dawn_astronomical, dawn_civil, "
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
