"""`celery`, `broker` and `results`: what every process of the app shares."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, JsonValue, WithJsonSchema
from pydantic_core import PydanticKnownError

from policycompiler.knowledge.brokers import BROKERS
from policycompiler.model.part import Part, shown_as
from policycompiler.model.units import Address, Namespace, PositiveDuration, Version


def _known(transport: object) -> object:
    """Refuses what no record answers for, as a literal of their names would."""
    if isinstance(transport, str) and transport in BROKERS:
        return transport
    *first, last = map(repr, BROKERS)
    raise PydanticKnownError("literal_error", {"expected": f"{', '.join(first)} or {last}"})


Transport = Annotated[str, BeforeValidator(_known), WithJsonSchema({"enum": [*BROKERS], "type": "string"})]
"""The name of a record of `knowledge/brokers`."""


class Celery(Part):
    """The Celery that runs the workload."""

    model_config = shown_as({"version": "5.7"})

    version: Version | None = Field(None, description="the Celery that runs; newest known by default")
    namespace: Namespace | None = Field(
        None, description="prefix of the settings, CELERY for Django; none by default"
    )
    settings: dict[str, JsonValue] | None = Field(
        None,
        description="pins, by Celery's own lowercase setting names",
        examples=[{"task_track_started": True}],
    )


class Broker(Part):
    """Where messages are kept."""

    model_config = shown_as({"transport": "redis", "url": "${CELERY_BROKER_URL}"})

    transport: Transport = Field(description="the kind of broker")
    url: Address = Field(description="one environment variable, or a URL without credentials")
    version: Version | None = Field(None, description="the broker's version")
    visibility_timeout: PositiveDuration | None = Field(
        None, description="pin: after this a message that nobody acknowledged is delivered again"
    )
    options: dict[str, JsonValue] | None = Field(
        None, description="pins, broker_transport_options verbatim", examples=[{"socket_timeout": 5}]
    )


class Results(Part):
    """Where return values are kept."""

    model_config = shown_as({"backend": "redis", "url": "${CELERY_RESULT_BACKEND}"})

    backend: Literal["redis", "database", "rpc", "memcached", "mongodb", "s3", "none"] = Field(
        description="the kind of store; none keeps nothing"
    )
    url: Address | None = Field(None, description="one environment variable, or a URL without credentials")
    keep: PositiveDuration | None = Field(None, description="how long results stay readable")
