"""`schedules` and `beat`: periodic tasks, and the process that sends them."""

from typing import Annotated

from pydantic import Field, JsonValue

from policycompiler.knowledge.beat_schedulers import StoreName
from policycompiler.model.part import Part, shown_as
from policycompiler.model.units import (
    Name,
    NotNegative,
    ObjectPath,
    Owner,
    Positive,
    PositiveDuration,
    QueueName,
    RoutingKey,
    TaskName,
    Text,
)


class Solar(Part):
    """A solar event at a place."""

    model_config = shown_as({"event": "sunset", "latitude": 48.9, "longitude": 2.4})

    event: str = Field(description="Celery's name of the event", examples=["sunrise", "sunset", "solar_noon"])
    latitude: Annotated[float, Field(ge=-90, le=90)] = Field(description="degrees, north is positive")
    longitude: Annotated[float, Field(ge=-180, le=180)] = Field(description="degrees, east is positive")


class ScheduleOptions(Part):
    """Celery's `apply_async` options for a periodic task."""

    model_config = shown_as({"queue": "search"})

    compression: str | None = Field(None, description="compression of the message body: gzip, zstd, …")
    countdown: NotNegative | None = Field(None, description="wait before the run, in seconds")
    expires: Positive | None = Field(None, description="time until the message expires, in seconds")
    headers: dict[str, JsonValue] | None = Field(None, description="headers to add to the message")
    ignore_result: bool | None = Field(None, description="true: do not store the return value")
    priority: Annotated[int, Field(ge=0, le=255)] | None = Field(
        None, description="priority of the message, as the broker defines it"
    )
    queue: QueueName | None = Field(None, description="queue to send to, instead of the task's queue")
    routing_key: RoutingKey | None = Field(None, description="AMQP routing key")
    serializer: str | None = Field(None, description="serializer of the arguments: json, msgpack, …")
    shadow: str | None = Field(None, description="name in logs and monitors")
    soft_time_limit: Positive | None = Field(None, description="soft time limit of a run, in seconds")
    time_limit: Positive | None = Field(None, description="hard time limit of a run, in seconds")


class Schedule(Part):
    """A periodic task, with exactly one of cron, every and solar."""

    model_config = shown_as({"task": "shop.reports.nightly", "every": "1h"})

    task: TaskName = Field(description="full name of the task")
    cron: Annotated[str, Field(max_length=200)] | None = Field(
        None, description="crontab: minute hour day-of-month month day-of-week", examples=["0 3 * * *"]
    )
    every: PositiveDuration | None = Field(None, description="interval between two sends")
    solar: Solar | None = Field(None, description="solar event at a place")
    timezone: Annotated[str, Field(max_length=64)] | None = Field(
        None, description="time zone of `cron`; UTC by default", examples=["Europe/Paris"]
    )
    args: list[JsonValue] | None = Field(None, description="positional arguments")
    kwargs: dict[str, JsonValue] | None = Field(
        None, description="keyword arguments", examples=[{"full": True}]
    )
    expires: PositiveDuration | None = Field(
        None, description="workers discard a message that has waited longer than this"
    )
    enabled: bool | None = Field(None, description="false: beat does not send the task")
    options: ScheduleOptions | None = Field(None, description="`apply_async` options by Celery's names")
    owner: Owner | None = Field(None, description="team that owns the schedule")
    description: Text | None = Field(None, description="purpose of the schedule, for people")


class Beat(Part):
    """The process that sends periodic tasks."""

    model_config = shown_as({"scheduler": "celery.beat:PersistentScheduler"})

    app: ObjectPath | None = Field(
        None, description="Celery app of beat, if it differs from `app` of the workload"
    )
    scheduler: ObjectPath | None = Field(None, description="scheduler class")
    store: StoreName | None = Field(
        None,
        description="where a custom scheduler class stores its entries: file (like Celery's scheduler), "
        "database (like django-celery-beat) or redis (like RedBeat)",
    )
    host: Name | None = Field(None, description="host that runs beat")
