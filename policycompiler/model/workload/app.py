"""`celery`, `broker` and `results`: the settings that every process of the app shares."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, JsonValue, WithJsonSchema
from pydantic_core import PydanticKnownError

from policycompiler.knowledge.brokers import BROKERS
from policycompiler.model.part import Part, shown_as
from policycompiler.model.units import Address, Namespace, PositiveDuration, Version


def _known(transport: object) -> object:
    """Refuses unknown transports, like a literal of their names."""
    if isinstance(transport, str) and transport in BROKERS:
        return transport
    *first, last = map(repr, BROKERS)
    raise PydanticKnownError("literal_error", {"expected": f"{', '.join(first)} or {last}"})


Transport = Annotated[str, BeforeValidator(_known), WithJsonSchema({"enum": [*BROKERS], "type": "string"})]
"""The name of a record of `knowledge/brokers`."""


class Celery(Part):
    """Version and settings of Celery."""

    model_config = shown_as({"version": "5.7"})

    version: Version | None = Field(
        None, description="installed Celery version; by default the newest known version"
    )
    namespace: Namespace | None = Field(
        None, description="prefix of the setting names, `CELERY` for Django; no prefix by default"
    )
    settings: dict[str, JsonValue] | None = Field(
        None,
        description="pins by Celery's lowercase setting names",
        examples=[{"task_track_started": True}],
    )


class Broker(Part):
    """The message broker."""

    model_config = shown_as({"transport": "redis", "url": "${CELERY_BROKER_URL}"})

    transport: Transport = Field(description="kind of broker")
    url: Address = Field(
        description="one environment variable, a URL without credentials, or `app` if the application sets it"
    )
    version: Version | None = Field(None, description="version of the broker")
    visibility_timeout: PositiveDuration | None = Field(
        None, description="pin: the broker redelivers an unacknowledged message after this time"
    )
    options: dict[str, JsonValue] | None = Field(
        None, description="pins in broker_transport_options, verbatim", examples=[{"socket_timeout": 5}]
    )


class Results(Part):
    """The result backend."""

    model_config = shown_as({"backend": "redis", "url": "${CELERY_RESULT_BACKEND}"})

    backend: Literal["redis", "database", "rpc", "memcached", "mongodb", "s3", "none"] = Field(
        description="kind of result backend; `none` stores no results"
    )
    url: Address | None = Field(
        None,
        description="one environment variable, a URL without credentials, or `app` if the application "
        "sets it",
    )
    keep: PositiveDuration | None = Field(None, description="time until a result expires")
