from __future__ import annotations

from textwrap import dedent

import pytest
from plans import plan_of

from policycompiler.plan import Scope, Value
from policycompiler.quantities import duration
from policycompiler.report.overview import overview
from policycompiler.report.values import as_emitted, value_text


def test_every_task_has_a_line_and_columns_fit() -> None:
    plan = plan_of(
        {
            "app": {"task_acks_late": True, "task_time_limit": 360},
            "task:shop.mail.send": {
                "queue": "shop.interactive.io",
                "workers": ["shop.interactive.io"],
                "options.acks_late": True,
                "options.soft_time_limit": 3.6,
                "options.time_limit": 6,
                "options.max_retries": 5,
                "options.retry_backoff_max": 300,
            },
            "task:shop.payments.charge_card": {
                "queue": "q",
                "workers": ["a", "b"],
                "options.acks_late": False,
                "options.soft_time_limit": 9.6,
                "options.time_limit": 12,
                "options.max_retries": 0,
            },
            "task:shop.poll": {
                "queue": "q",
                "workers": [],
                "options.max_retries": None,
                "options.default_retry_delay": 90,
            },
            "task:shop.sync": {
                "queue": "q",
                "workers": ["a"],
                "options.max_retries": 3,
                "options.retry_backoff": 2,
                "options.default_retry_delay": 5,
            },
            "task:請求.*": {"queue": "partner", "external": True, "workers": []},
        }
    )
    assert overview(plan) == dedent("""\
        task                       queue                worker               delivery       limits        retries
        shop.mail.send             shop.interactive.io  shop.interactive.io  at least once  3.6 s / 6 s   5, ≤ 5 min apart
        shop.payments.charge_card  q                    a, b                 at most once   9.6 s / 12 s  none
        shop.poll                  q                    none                 at least once  – / 6 min     unlimited, 1 min 30 s apart
        shop.sync                  q                    a                    at least once  – / 6 min     3, ≤ 10 min apart
        請求.*                     partner              external             –              –             –
        """)  # noqa: RUF001 - as wide as it gets


def test_an_app_without_tasks_has_the_header_alone() -> None:
    assert overview(plan_of({})) == "task  queue  worker  delivery  limits  retries\n"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.3, "0.3 s"),
        (0.0004, "0.0004 s"),
        (1, "1 s"),
        (3.6, "3.6 s"),
        (59.9999, "1 min"),
        (60, "1 min"),
        (90, "1 min 30 s"),
        (90.25, "1 min 30.25 s"),
        (8640, "2 h 24 min"),
        (8640.0000001, "2 h 24 min"),
        (90061, "1 d 1 h 1 min 1 s"),
        (259200, "3 d"),
    ],
)
def test_durations_read_as_people_say_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("kind", "key", "value", "text"),
    [
        ("worker", "stop_timeout_seconds", 8670.0, "2 h 24 min 30 s"),
        ("task", "options.time_limit", None, "null"),
        ("task", "options.retry_backoff", True, "true"),
        ("task", "options.retry_backoff_max", True, "true"),
        ("worker", "concurrency", 4, "4"),
        ("worker", "autoscale", {"min": 2, "max": 10}, "{min: 2, max: 10}"),
        ("worker", "queues", ["a", "b"], "[a, b]"),
        ("app", "namespace", "", '""'),
    ],
)
def test_values_read_as_one_line_with_their_unit(kind: str, key: str, value: Value, text: str) -> None:
    assert value_text(Scope(kind), key, value) == text


@pytest.mark.parametrize(
    ("kind", "key", "seconds"),
    [
        ("task", "options.soft_time_limit", True),
        ("queue", "queue_wait_seconds", True),
        ("app", "result_expires", True),
        ("app", "task_time_limit", True),
        ("worker", "concurrency", False),
        ("task", "options.rate_limit", False),
        ("task", "unheard_of_seconds", False),
    ],
)
def test_a_setting_counts_seconds_where_it_is_declared_so(kind: str, key: str, seconds: bool) -> None:  # noqa: FBT001
    assert as_emitted(Scope(kind), key, 60) == ("60 s" if seconds else "")
