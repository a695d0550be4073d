"""How far apart the runs of a crontab are."""

from __future__ import annotations

import pytest

from policycompiler.model.crontab import gaps, read_crontab

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
