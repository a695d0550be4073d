"""How far apart the runs of a crontab are."""

from __future__ import annotations

import pytest
from celery.schedules import crontab

from policycompiler.knowledge.cron_dialects import doubt, hint, in_celerys_words, is_sure
from policycompiler.knowledge.crontab import gaps, is_flood, read_crontab, uneven_steps

DAY = 86400
GAPS = {
    "* * * * *": (60, 60),
    "*/5 * * * *": (300, 300),
    "*/7 * * * *": (240, 420),
    "15 * * * *": (3600, 3600),
    "0 3 * * *": (DAY, DAY),
    "0 3 * * 1-5": (DAY, 3 * DAY),
    "*/5 9-17 * * *": (300, 54300),
    "0 4 1 * *": (28 * DAY, 31 * DAY),
    "0 0,12 1 1 *": (43200, 366 * DAY - 43200),
    "0 0 29 2 *": (1461 * DAY, 1461 * DAY),
}


@pytest.mark.parametrize(("text", "expected"), GAPS.items(), ids=GAPS)
def test_the_gaps_of(text, expected):
    assert gaps(text) == expected


@pytest.mark.parametrize("text", ["0 0 29 2 1", "0 0 29 2 thu"])
def test_what_is_hardly_ever_due_has_no_gaps(text):
    assert gaps(text) is None


def test_what_is_due_twice_on_its_only_day_has_the_gap_between():
    assert gaps("0 0,6 29 2 thu") == (6 * 3600, 6 * 3600)


def test_weekdays_count_from_sunday():
    assert read_crontab("0 0 * * sun,mon").weekdays == {0, 1}


def test_the_times_of_day():
    assert read_crontab("0,30 1-2 * * *").times == [60, 90, 120, 150]


@pytest.mark.parametrize(
    ("theirs", "celerys"),
    [
        ("@daily", "0 0 * * *"),
        ("@Weekly", "0 0 * * 0"),
        ("@annually", "0 0 1 1 *"),
        ("0 0 * * 7", "0 0 * * 0"),
        ("0 0 * * 5-7", "0 0 * * 5-6,0"),
        ("0 0 * * 1-7", "0 0 * * *"),
        ("0 0 * * 1,7", "0 0 * * 1,0"),
        ("0 0 ? * 1", "0 0 * * 1"),
        ("0/15 * * * *", "0-59/15 * * * *"),
        ("5/20 8/4 * * *", "5-59/20 8-23/4 * * *"),
        ("0 24 * * *", "0 0 * * *"),
        ("60 * * * *", "0 * * * *"),
        ("0 3 * * 5#2", "0 3 8-14 * 5"),
        ("0 3 ? * MON#5", "0 3 29-31 * MON"),
        ("0 0 3 * * ?", "0 3 * * *"),
        ("0 0 3 ? * MON-FRI", "0 3 * * MON-FRI"),
    ],
)
def test_the_crontab_of_another_program_has_an_equivalent_that_celery_reads(theirs, celerys):
    assert in_celerys_words(theirs) == celerys
    assert celery_reads(celerys)


@pytest.mark.parametrize(
    ("theirs", "sure"),
    [
        ("0 0 * * 7", True),
        ("0/15 * * * *", True),
        ("0 3 ? * *", True),
        ("0 3 ? * MON-FRI", True),
        # In Quartz 1 is Sunday.
        ("0 12 ? * 1", False),
        ("0 12 ? * 2-6", False),
        ("0 3 * * 5#2", False),
        # The day, or the hour, after?
        ("0 24 * * 1", False),
        ("60 3 * * *", False),
    ],
)
def test_only_what_can_mean_nothing_else_is_written_by_a_fix(theirs, sure):
    assert celery_reads(in_celerys_words(theirs) or "")
    assert is_sure(theirs) is sure
    assert (doubt(theirs) == "") is sure


@pytest.mark.parametrize(
    ("theirs", "expected"),
    [
        ("0 0 L * *", "no last day of the month"),
        ("@reboot", "worker_ready"),
        ("@every 5m", "every: 5m"),
        ("*/30 * * * * *", "no field for seconds"),
        # In Quartz 2 is Monday, in Celery Tuesday: nobody can tell which is meant.
        ("0 0 3 ? * 2", "no field for seconds"),
    ],
)
def test_what_has_no_sure_equivalent_says_what_to_do(theirs, expected):
    found = in_celerys_words(theirs)
    assert found is None or not celery_reads(found)
    assert expected in hint(theirs)


def celery_reads(text: str) -> bool:
    minute, hour, day, month, weekday = text.split()
    try:
        crontab(minute, hour, weekday, day, month)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("* 3 * * *", True),
        ("* 3,15 * * *", True),
        ("* */6 * * *", True),
        ("* 0-23/6 * * *", True),
        ("* * 1 * *", True),
        ("* * * * 1", True),
        ("*/1 3 * * *", True),
        ("* * * * *", False),
        ("* 9-17 * * *", False),
        ("* 22-4 * * *", False),
        ("* * * * 1-5", False),
        ("*/5 3 * * *", False),
        ("0 3 * * *", False),
    ],
)
def test_a_star_below_a_picked_hour_or_day_is_a_flood(text, expected):
    assert is_flood(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("*/90 * * * *", [("minute", 90, 60)]),
        ("*/45 * * * *", [("minute", 45, 60)]),
        ("0 */36 * * *", [("hour", 36, 24)]),
        ("0 0 */40 * *", [("day_of_month", 40, 31)]),
        ("0 0 1 */7 *", [("month_of_year", 7, 12)]),
        ("0 0 * * */5", [("day_of_week", 5, 7)]),
        ("*/30 */12 * */6 *", []),
        ("*/7 * * * *", []),
        ("5-55/50 * * * *", []),
        ("0-59/75 * * * *", [("minute", 75, 60)]),
    ],
)
def test_a_step_past_half_of_its_field_does_not_go_round(text, expected):
    assert [(step.field.key, step.step, step.size) for step in uneven_steps(text)] == expected
    # As Celery reads it: at most two values, and no equal gaps.
    for step in uneven_steps(text):
        assert len(getattr(crontab(**{step.field.key: step.text}), step.field.key)) <= 2
