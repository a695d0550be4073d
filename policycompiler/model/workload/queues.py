"""`queues`: the fields of a queue."""

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from policycompiler.model.part import Part, shown_as
from policycompiler.model.units import QueueName, RoutingKey


class Queue(Part):
    """A queue with values that policies should not decide."""

    model_config = shown_as({"type": "quorum"})

    type: Literal["classic", "quorum"] | None = Field(None, description="queue type of RabbitMQ")
    dead_letter: bool | None = Field(None, description="keep messages of failed tasks in a dead-letter queue")
    priorities: Annotated[int, Field(ge=1, le=10)] | None = Field(
        None, description="number of priority levels"
    )
    broadcast: bool | None = Field(None, description="every worker receives every message")
    bound: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = Field(
        None, description="messages in the queue above which publishers are refused"
    )
    external: bool | None = Field(None, description="true: another app consumes the queue or publishes to it")
    exchange: QueueName | None = Field(None, description="AMQP exchange")
    exchange_type: Literal["direct", "topic", "fanout"] | None = Field(None, description="AMQP exchange type")
    routing_key: RoutingKey | None = Field(None, description="AMQP binding key")
    arguments: dict[str, JsonValue] | None = Field(
        None, description="AMQP queue arguments", examples=[{"x-max-length": 10000}]
    )
    consumer_arguments: dict[str, JsonValue] | None = Field(
        None, description="AMQP consumer arguments", examples=[{"x-priority": 5}]
    )
