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
    RoutingKey,
    TaskName,
    Text,
)


class Solar(Part):
    """A moment of the sun at a place."""

    model_config = shown_as({"event": "sunset", "latitude": 48.9, "longitude": 2.4})

    event: str = Field(
        description="Celery's name of the moment", examples=["sunrise", "sunset", "solar_noon"]
    )
    latitude: Annotated[float, Field(ge=-90, le=90)] = Field(description="degrees, north is positive")
    longitude: Annotated[float, Field(ge=-180, le=180)] = Field(description="degrees, east is positive")


class ScheduleOptions(Part):
    """Celery's `apply_async` options for a periodic task."""

    model_config = shown_as({"queue": "search"})

    compression: str | None = Field(None, description="of the message body: gzip, zstd, …")
    countdown: NotNegative | None = Field(None, description="wait before the run, in seconds")
    expires: Positive | None = Field(None, description="in seconds")
    headers: dict[str, JsonValue] | None = Field(None, description="added to the message")
    ignore_result: bool | None = Field(None, description="do not store the return value")
    priority: Annotated[int, Field(ge=0, le=255)] | None = Field(
        None, description="of the message, as the broker understands it"
    )
    queue: Name | None = Field(None, description="sent here, whatever the task's own queue")
    routing_key: RoutingKey | None = Field(None, description="AMQP routing key")
    serializer: str | None = Field(None, description="how the arguments are written: json, msgpack, …")
    shadow: str | None = Field(None, description="name shown in logs and monitors")
    soft_time_limit: Positive | None = Field(None, description="in seconds")
    time_limit: Positive | None = Field(None, description="in seconds")


class Schedule(Part):
    """A periodic task: exactly one of cron, every and solar."""

    model_config = shown_as({"task": "shop.reports.nightly", "every": "1h"})

    task: TaskName = Field(description="the task's full name")
    cron: Annotated[str, Field(max_length=200)] | None = Field(
        None, description="minute hour day-of-month month day-of-week", examples=["0 3 * * *"]
    )
    every: PositiveDuration | None = Field(None, description="interval from one send to the next")
    solar: Solar | None = Field(None, description="a moment of the sun at a place")
    timezone: Annotated[str, Field(max_length=64)] | None = Field(
        None, description="zone the cron is read in; UTC by default", examples=["Europe/Paris"]
    )
    args: list[JsonValue] | None = Field(None, description="positional arguments")
    kwargs: dict[str, JsonValue] | None = Field(
        None, description="arguments by name", examples=[{"full": True}]
    )
    expires: PositiveDuration | None = Field(None, description="a run that has waited longer is dropped")
    enabled: bool | None = Field(None, description="false: kept, but not sent")
    options: ScheduleOptions | None = Field(None, description="Celery's own apply_async options")
    owner: Owner | None = Field(None, description="the team")
    description: Text | None = Field(None, description="what it is for, for people")


class Beat(Part):
    """The one process that sends periodic tasks."""

    model_config = shown_as({"scheduler": "celery.beat:PersistentScheduler"})

    scheduler: ObjectPath | None = Field(None, description="scheduler class")
    store: StoreName | None = Field(
        None,
        description="where a scheduler class of your own keeps its entries: file (like Celery's own), "
        "database (like django-celery-beat) or redis (like RedBeat)",
    )
    host: Name | None = Field(None, description="the machine that runs it")
