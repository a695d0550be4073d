"""What a scheduler with a store of its own cannot carry, and which stores are known."""

from __future__ import annotations

import pytest
from workloads import compiled, workload

DATABASE = "beat: {scheduler: 'django_celery_beat.schedulers:DatabaseScheduler'}\n"
REDBEAT = "beat: {scheduler: redbeat.RedBeatScheduler}\n"
LONG = f"shop.{'a' * 200}"


def found(beat: str, schedule: str, task: str = "shop.a") -> list[tuple[str, str]]:
    """The findings about a schedule or beat: name and place."""
    text = workload(f"{beat}tasks: {{{task}: {{}}}}\nschedules: {{s: {{task: {task}, {schedule}}}}}\n")
    diagnostics = compiled(text).diagnostics
    about = [each for each in diagnostics if each.path[:1] in {("schedules",), ("beat",)}]
    return sorted((each.name, ".".join(map(str, each.path))) for each in about)


@pytest.mark.parametrize(
    ("beat", "schedule", "expected"),
    [
        (DATABASE, "every: 1h", []),
        (DATABASE, "every: 1h, expires: 90s, options: {queue: shop.standard.io}", []),
        (
            DATABASE,
            "every: 1h, options: {countdown: 9, shadow: x}",
            [
                ("schedule-option-dropped", "schedules.s.options.countdown"),
                ("schedule-option-dropped", "schedules.s.options.shadow"),
            ],
        ),
        (DATABASE, "every: 90500ms", [("schedule-fraction-dropped", "schedules.s.every")]),
        (DATABASE, "every: 1h, enabled: false, options: {countdown: 9}", []),
        (REDBEAT, "every: 90500ms, options: {countdown: 9}", []),
        (REDBEAT, "cron: 0 3 * * *", []),
        (REDBEAT, "cron: 0 3 * * *, timezone: UTC", []),
        (
            REDBEAT,
            "cron: 0 3 * * *, timezone: Europe/Paris",
            [("schedule-zone-dropped", "schedules.s.timezone")],
        ),
        (
            REDBEAT,
            "solar: {event: sunrise, latitude: 1, longitude: 2}",
            [("schedule-solar-refused", "schedules.s.solar")],
        ),
        (
            "beat: {scheduler: 'shop.beat:Own'}\n",
            "every: 1h",
            [("scheduler-store-unknown", "beat.scheduler")],
        ),
        ("beat: {scheduler: 'shop.beat:Own', store: file}\n", "every: 500ms", []),
        ("beat: {scheduler: django}\n", "every: 500ms", [("schedule-fraction-dropped", "schedules.s.every")]),
        (
            "beat: {scheduler: RedBeatScheduler}\n",
            "every: 1h",
            [("scheduler-without-module", "beat.scheduler")],
        ),
    ],
)
def test_what_a_store_cannot_carry_is_found(beat, schedule, expected):
    assert found(beat, schedule) == expected


def test_the_name_of_a_task_has_to_fit_into_its_row():
    expected = [("schedule-name-too-long", "schedules.s.task")]
    assert found(DATABASE, "every: 1h", LONG) == expected
    assert found(REDBEAT, "every: 1h", LONG) == []


def test_redbeat_needs_a_redis_of_its_own_beside_another_broker():
    broker = "broker: {transport: rabbitmq, url: '${CELERY_BROKER_URL}'}\n"
    expected = [("redbeat-without-redis", "beat.scheduler")]
    assert found(broker + REDBEAT, "every: 1h") == expected
    pinned = "celery: {settings: {redbeat_redis_url: 'redis://redis/1'}}\n"
    assert found(broker + REDBEAT + pinned, "every: 1h") == []
