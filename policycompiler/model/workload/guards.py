"""`dependencies`, `store` and the guards of a task: facts that run-time code enforces."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from policycompiler.model.part import Part, shown_as
from policycompiler.model.units import (
    DottedName,
    KeyPath,
    PositiveDuration,
    PositiveRate,
    PositiveSize,
    Size,
    StoreAddress,
)


class IdempotencyKey(Part):
    """What makes two messages the same effect."""

    model_config = shown_as({"key": "payment_id", "keep": "7d"})

    key: KeyPath = Field(description="argument of the task, or a dotted path in one: `order.payment_id`")
    keep: PositiveDuration | None = Field(
        None, description="how long an effect is remembered; after it, the effect can happen again"
    )
    duplicate: Literal["result", "ignore"] | None = Field(
        None, description="a message of a finished effect returns the stored result, or is ignored"
    )
    on_store_error: Literal["wait", "run"] | None = Field(
        None, description="without the store, the task waits, or it runs unguarded"
    )


class Payload(Part):
    """The size of the largest message."""

    model_config = shown_as({"max": "64KiB", "enforce": True})

    max: PositiveSize = Field(description="size of the largest message")
    enforce: bool | None = Field(None, description="true: a publisher refuses larger messages")


class Breaker(Part):
    """When all workers stop calling a dependency that is down."""

    model_config = shown_as({"failures": 10, "within": "30s", "open_for": "5m"})

    failures: Annotated[int, Field(ge=1, le=10_000)] | None = Field(
        None, description="failures within the time that open the breaker"
    )
    within: PositiveDuration | None = Field(None, description="time in which the failures count")
    open_for: PositiveDuration | None = Field(None, description="time without calls, until a probe")
    probes: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        None, description="calls at once that test whether the dependency is back"
    )
    on: list[DottedName] | None = Field(
        None, description="exception classes that count as failures; by default those of `retry.on`"
    )


class Dependency(Part):
    """What tasks call, shared by all workers."""

    model_config = shown_as({"rate": "100/s", "breaker": {"failures": 10, "within": "30s", "open_for": "5m"}})

    rate: PositiveRate | None = Field(None, description="most calls of all workers together")
    burst: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        None, description="calls that may come at once after a pause"
    )
    hold: PositiveDuration | None = Field(
        None, description="longest wait of a run in its slot for its turn; later turns are sent again"
    )
    breaker: Breaker | None = Field(None, description="stop calling while it is down")
    on_store_error: Literal["run", "wait"] | None = Field(
        None, description="without the store, tasks call it at a local share of the rate, or they wait"
    )


class Store(Part):
    """The Redis that guards share."""

    model_config = shown_as({"url": "${CELERY_GUARD_STORE_URL}"})

    url: StoreAddress = Field(description="environment variable with the URL of a persistent Redis")


def key_alone(value: object) -> object:
    """A key without further fields."""
    return value if isinstance(value, dict) or value is None else {"key": value}


def size_alone(value: object) -> object:
    """A size that nothing enforces."""
    return value if isinstance(value, dict) or value is None else {"max": value}


Key = Annotated[
    IdempotencyKey | None, BeforeValidator(key_alone, json_schema_input_type=KeyPath | IdempotencyKey | None)
]
LargestMessage = Annotated[
    Payload | None, BeforeValidator(size_alone, json_schema_input_type=Size | Payload | None)
]
