"""`workers` and `hosts`: the processes that run tasks, and the machines that run processes."""

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticKnownError

from policycompiler.model.part import Part, shown_as
from policycompiler.model.units import (
    CommandWord,
    EnvironmentValue,
    Name,
    NodeName,
    ObjectPath,
    Pool,
    Positive,
    PositiveDuration,
    QueueName,
    QueueOrGlob,
    Size,
    Text,
    VariableName,
    refuse,
)

MOST_REPLICAS = 1000
AUTO = "auto"
"""One slot for each core of the machine."""


class Autoscale(Part):
    """Bounds of a pool with autoscaling."""

    model_config = shown_as({"min": 2, "max": 10})

    min: Annotated[int, Field(ge=0, le=10000)] = Field(description="slots of an idle pool")
    max: Annotated[int, Field(ge=1, le=10000)] = Field(description="slots of a busy pool")


class Scaling(Part):
    """Bounds of the number of processes, for platforms that scale them."""

    model_config = shown_as({"min": 1, "max": 4})

    min: Annotated[int, Field(ge=0, le=MOST_REPLICAS)] = Field(description="processes without load")
    max: Annotated[int, Field(ge=1, le=MOST_REPLICAS)] = Field(description="processes at peak")


class SlotsFrom(Autoscale):
    """A number of slots that is known only when the worker starts: `source` is `auto` or `${VARIABLE}`."""

    source: str


class WorkerOptions(Part):
    """`celery worker` options, by their own names."""

    model_config = shown_as({"prefetch_multiplier": 1})

    prefetch_multiplier: Annotated[int, Field(ge=0, le=10000)] | None = Field(
        None, description="messages prefetched for each slot; 0 means no limit"
    )
    max_tasks_per_child: Annotated[int, Field(ge=1)] | None = Field(
        None, description="runs after which a child process is replaced"
    )
    max_memory_per_child: Annotated[int, Field(ge=1)] | None = Field(
        None, description="memory at which a child process is replaced, in KiB"
    )
    without_gossip: bool | None = Field(None, description="true: ignore events of other workers")
    without_mingle: bool | None = Field(
        None, description="true: do not synchronize with other workers at startup"
    )
    without_heartbeat: bool | None = Field(None, description="true: send no heartbeat events")
    heartbeat_interval: Annotated[int, Field(ge=1)] | None = Field(
        None, description="interval of heartbeat events, in seconds"
    )
    optimization: Literal["default", "fair"] | None = Field(
        None, description="fair: assign a task only to a free child process"
    )
    time_limit: Positive | None = Field(
        None, description="hard time limit, in seconds, of tasks that have none and neither has the app"
    )
    soft_time_limit: Positive | None = Field(
        None, description="soft time limit, in seconds, of tasks that have none and neither has the app"
    )
    statedb: Text | None = Field(
        None,
        description="file with revoked tasks, kept over restarts; Celery replaces `%n` and `%h`",
    )
    exclude_queues: list[QueueName] | None = Field(
        None, description="queues that the worker does not consume (-X), of those that it would consume"
    )
    task_events: bool | None = Field(None, description="true: send events about tasks (-E)")
    disable_prefetch: bool | None = Field(None, description="true: fetch a message only when a slot is free")
    loglevel: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] | None = Field(
        None, description="lowest level of logged messages"
    )
    beat: bool | None = Field(None, description="true: run beat inside this worker (-B)")


_Slots = Annotated[int, Field(ge=1, le=10000)]


_AUTO_OR_VARIABLE = r"auto|\$\{[A-Za-z_][A-Za-z0-9_]{0,99}\}"
_Source = Annotated[
    str, Field(pattern=f"^({_AUTO_OR_VARIABLE})$", examples=["auto", "${CELERY_CONCURRENCY}"])
]


def _slots_or_autoscale(value: object) -> object:
    if isinstance(value, dict) or value is None:
        return value
    if isinstance(value, str) and re.fullmatch(_AUTO_OR_VARIABLE, value):
        return SlotsFrom(min=1, max=1, source=value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise refuse(
            "write a whole number of slots, {min: 2, max: 10} to autoscale, `auto` for the number of cores, "
            "or one environment variable, `${CELERY_CONCURRENCY}`"
        )
    return {"min": value, "max": value}


_Processes = Annotated[int, Field(ge=0, le=MOST_REPLICAS)]


def _processes(value: object) -> object:
    if isinstance(value, dict) or value is None:
        return value
    if isinstance(value, bool) or not isinstance(value, int):
        raise PydanticKnownError("int_type")
    if not 0 <= value <= MOST_REPLICAS:
        raise refuse("the value must be at least 0" if value < 0 else "the value must be at most 1000")
    return value


_Cores = Annotated[float, Field(gt=0, le=4096)]


def _cores(value: object) -> object:
    if value is None:
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise PydanticKnownError("float_type")
    if not 0 < value <= 4096:  # noqa: PLR2004 - as in the schema
        raise refuse("write a number of cores from 0 to 4096, such as 0.5 or 2")
    return float(value)


class Worker(Part):
    """A pool of identical processes with one launch command."""

    model_config = shown_as({"queues": ["search"], "concurrency": 4})

    queues: list[QueueOrGlob] | None = Field(
        None, description="queues that the worker consumes; globs are allowed"
    )
    pool: Pool | None = Field(
        None, description="pool: prefork, threads, gevent, eventlet, solo or dotted.path:Class"
    )
    concurrency: Annotated[
        Autoscale | None,
        BeforeValidator(_slots_or_autoscale, json_schema_input_type=_Slots | _Source | Autoscale | None),
    ] = Field(
        None,
        description="slots of one process, {min, max} to autoscale, `auto` for the number of cores, or the "
        "environment variable with the number",
    )
    replicas: Annotated[
        int | Scaling | None, BeforeValidator(_processes, json_schema_input_type=_Processes | Scaling | None)
    ] = Field(
        None,
        description="number of worker processes; {min, max} if the platform scales them, elsewhere `max` run",
    )
    memory: Size | None = Field(
        None, description="memory budget of one worker process, including its child processes"
    )
    cores: Annotated[float | None, BeforeValidator(_cores, json_schema_input_type=_Cores | None)] = Field(
        None, description="processor cores of one worker process: its request, and its limit in containers"
    )
    stop_timeout: PositiveDuration | None = Field(
        None, description="pin: how long a stop may wait for tasks in progress"
    )
    options: WorkerOptions | None = Field(None, description="pins by Celery's option names")
    node_name: NodeName | None = Field(
        None,
        description="node name; a name with an `@` is used as it is; by default the name of the worker",
    )
    app: ObjectPath | None = Field(
        None, description="Celery app of the worker, if it differs from `app` of the workload"
    )
    command_prefix: list[CommandWord] | None = Field(None, description="command words before `celery`")
    environment: dict[VariableName, EnvironmentValue] | None = Field(
        None,
        description="environment of the process; it must not contain secrets",
        examples=[{"MALLOC_ARENA_MAX": "2"}],
    )


class Budget(Part):
    """What all workers together may take, such as the quota of a namespace."""

    model_config = shown_as({"cores": 16, "memory": "32GiB", "connections": 100})

    cores: Annotated[float | None, BeforeValidator(_cores, json_schema_input_type=_Cores | None)] = Field(
        None, description="processor cores"
    )
    memory: Size | None = Field(None, description="memory")
    connections: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        None, description="connections to the database that workers may hold at once"
    )


class Host(Part):
    """A machine with its capacity and its workers."""

    model_config = shown_as({"cores": 8, "memory": "16GiB"})

    cores: Annotated[int, Field(ge=1, le=4096)] | None = Field(None, description="processor cores")
    memory: Size | None = Field(None, description="memory for workers")
    workers: dict[Name, Annotated[int, Field(ge=0, le=1000)]] | None = Field(
        None, description="number of processes of each worker", examples=[{"search": 2}]
    )
