"""`tasks` and `defaults`: the fields of a task."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from policycompiler.model.part import Part, shown_as
from policycompiler.model.units import (
    DottedName,
    Duration,
    Name,
    NotNegative,
    Owner,
    Positive,
    PositiveDuration,
    QueueName,
    Rate,
    RateLimit,
    Size,
    TaskName,
    Text,
    WebAddress,
    WholeNumber,
    refuse,
)
from policycompiler.model.workload.guards import Key, LargestMessage

Need = Literal["time_limit", "soft_time_limit", "terminate", "recycling", "no_patching"]
"""What a task relies on a pool for."""


class Runtime(Part):
    """Run time of a task, without the wait in the queue."""

    model_config = shown_as({"p50": "300ms", "p99": "3s"})

    p50: PositiveDuration | None = Field(None, description="half of the runs finish within this time")
    p99: PositiveDuration = Field(
        description="99 of 100 runs finish within this time; it sets the time limits"
    )


class Arrivals(Part):
    """Rate at which a task is sent."""

    model_config = shown_as({"mean": "1/s", "peak": "10/s"})

    mean: Rate = Field(description="average rate over a day")
    peak: Rate | None = Field(
        None, description="rate in the busiest minutes; workers are sized for this rate"
    )


class Retry(Part):
    """Which errors are retried, how often and after which wait."""

    on: list[DottedName] | None = Field(
        None,
        description="exception classes that are retried; without `on`, only the task's retry() calls retry",
    )
    max: Annotated[int, Field(ge=0, le=1000)] | None = Field(None, description="retries after the first run")
    delay: PositiveDuration | None = Field(
        None, description="wait before the first retry; the wait doubles with each retry"
    )
    max_delay: PositiveDuration | None = Field(None, description="longest wait between two runs")
    jitter: bool | None = Field(None, description="randomize each wait between 0 and its full length")


_Backoff = Annotated[int, Field(ge=0)] | Literal[True] | None


def _true_is_one(value: object) -> object:
    return 1 if value is True else value


class TaskOptions(Part):
    """Celery's task options by their own names; an annotation can set each of them."""

    model_config = shown_as({"track_started": True})

    acks_late: bool | None = Field(None, description="acknowledge the message after the run, not before")
    acks_on_failure: bool | None = Field(
        None, description="with late acknowledgment: acknowledge after a failure too"
    )
    acks_on_timeout: bool | None = Field(
        None, description="with late acknowledgment: acknowledge after a time limit too"
    )
    autoretry_for: list[DottedName] | None = Field(None, description="exception classes that are retried")
    compression: str | None = Field(None, description="compression of the message body: gzip, zstd, …")
    default_retry_delay: NotNegative | None = Field(None, description="wait before a retry, in seconds")
    delivery_mode: Annotated[Literal[1, 2], WholeNumber] | None = Field(
        None, description="1: transient, 2: persistent"
    )
    dont_autoretry_for: list[DottedName] | None = Field(
        None, description="exception classes that are never retried"
    )
    expires: Positive | None = Field(None, description="time until the message expires, in seconds")
    ignore_result: bool | None = Field(None, description="true: do not store the return value")
    max_retries: Annotated[int, Field(ge=0, le=100000)] | None = Field(
        None, description="retries after the first run; null retries without end"
    )
    priority: Annotated[int, Field(ge=0, le=255)] | None = Field(
        None, description="priority of the message, as the broker defines it"
    )
    rate_limit: RateLimit | None = Field(
        None, description="rate limit of each worker process, not of all together"
    )
    reject_on_worker_lost: bool | None = Field(
        None, description="requeue the message if its worker process dies"
    )
    retry_backoff: Annotated[
        Annotated[int, Field(ge=0)] | None, BeforeValidator(_true_is_one, json_schema_input_type=_Backoff)
    ] = Field(None, description="wait before the first retry, in seconds; true means 1")
    retry_backoff_max: Annotated[int, Field(ge=1)] | None = Field(
        None, description="longest wait between two runs, in seconds"
    )
    retry_jitter: bool | None = Field(None, description="randomize each wait between 0 and its full length")
    retry_on_worker_lost: bool | None = Field(
        None, description="retry, and count the retry, if the worker process dies (Celery 5.7)"
    )
    send_events: bool | None = Field(None, description="send task events to monitors")
    serializer: str | None = Field(None, description="serializer of the arguments: json, msgpack, …")
    soft_time_limit: Positive | None = Field(None, description="soft time limit of a run, in seconds")
    store_errors_even_if_ignored: bool | None = Field(
        None, description="store errors even if results are ignored"
    )
    throws: list[DottedName] | None = Field(
        None, description="expected exception classes, logged without a traceback"
    )
    time_limit: Positive | None = Field(None, description="hard time limit of a run, in seconds")
    track_started: bool | None = Field(None, description="report the state STARTED when a run starts")
    trail: bool | None = Field(None, description="store the list of tasks that this task calls")


def _scalar_to(key: str, shape: object) -> BeforeValidator:
    def wrap(value: object) -> object:
        return value if isinstance(value, dict) or value is None else {key: value}

    return BeforeValidator(wrap, json_schema_input_type=shape)


def _retry_or_none(value: object) -> object:
    if isinstance(value, str) and value != "none":
        raise refuse("write `none`, or a mapping such as {on: [ConnectionError], max: 5}")
    return {"on": [], "max": 0} if value == "none" else value


class TaskFields(Part):
    """The facts about a task, and its pins."""

    model_config = shown_as({"latency": "batch", "idempotent": True})

    description: Text | None = Field(None, description="purpose of the task, for people")
    latency: Name | None = Field(
        None,
        description="latency class: the target for the wait in the queue",
        examples=["interactive", "standard", "batch"],
    )
    work: Literal["io", "cpu"] | None = Field(
        None, description="io: mostly waits for other systems; cpu: mostly computes"
    )
    idempotent: bool | None = Field(
        None, description="true: the task is safe to run twice with the same arguments"
    )
    runtime: Annotated[Runtime | None, _scalar_to("p99", PositiveDuration | Runtime)] = Field(
        None, description="run time: {p50: …, p99: …}, or the p99 alone"
    )
    rate: Annotated[Arrivals | None, _scalar_to("mean", Rate | Arrivals)] = Field(
        None, description="rate of messages: {mean: …, peak: …}, or the mean alone"
    )
    burst: Annotated[int, Field(ge=1)] | None = Field(
        None, description="number of messages that arrive at once"
    )
    memory: Size | None = Field(None, description="peak resident memory of one run")
    connections: Annotated[int, Field(ge=0, le=1000)] | None = Field(
        None, description="connections to the database of `budget.connections` that one run holds"
    )
    needs: list[Need] | None = Field(
        None,
        description="capabilities of the pool that the task relies on: `time_limit`, `soft_time_limit`, "
        "`terminate` (revoke with terminate), `recycling` (child processes that are replaced), "
        "`no_patching` (a library that breaks under gevent)",
    )
    retry: Annotated[
        Retry | None,
        BeforeValidator(_retry_or_none, json_schema_input_type=Literal["none"] | Retry | None),
    ] = Field(
        None,
        description="`none`, or the retried errors with number and wait of retries",
        examples=["none", {"on": ["ConnectionError"], "max": 5}],
    )
    result: Literal["ignore", "keep"] | None = Field(
        None, description="keep: a program reads the return value; ignore: no program does"
    )
    payload: LargestMessage = Field(
        None, description="size of the largest message; {max, enforce: true} refuses larger ones"
    )
    idempotency_key: Key = Field(
        None,
        description="argument that names an effect; messages with the same value have the effect once",
    )
    calls: list[Name] | None = Field(
        None, description="entries of `dependencies` that the task calls", examples=[["stripe"]]
    )
    expires: PositiveDuration | None = Field(
        None, description="workers discard a message that has waited longer than this"
    )
    priority: Annotated[int, Field(ge=0, le=9)] | None = Field(
        None, description="priority from 0 to 9; 9 is most urgent"
    )
    queue: QueueName | None = Field(None, description="pin: queue of the task")
    call_time_queues: list[QueueName] | None = Field(
        None, description="queues that a producer may choose when it sends the task"
    )
    max_countdown: Duration | None = Field(None, description="longest countdown or ETA that a producer uses")
    external: bool | None = Field(
        None, description="true: another app runs the task, and this app only sends it"
    )
    canvas: list[Literal["chain", "group", "chord"]] | None = Field(
        None, description="canvas types that the task takes part in: chain, group, chord"
    )
    owner: Owner | None = Field(None, description="team that owns the task; alerts carry this label")
    critical: bool | None = Field(None, description="true: every single failure matters")
    renamed_from: list[TaskName] | None = Field(
        None, description="earlier names of the task that messages may still have"
    )
    runbook: WebAddress | None = Field(None, description="runbook for the person on call")
    policies: Literal["as-is", "standard"] | None = Field(
        None,
        description="as-is: leave to Celery what the workload does not set; standard: policies decide it; by "
        "default as the policy file says",
    )
    options: TaskOptions | None = Field(None, description="pins by Celery's task option names")


def _nothing_said(value: object) -> object:
    return {} if value is None else value


Task = Annotated[TaskFields, BeforeValidator(_nothing_said, json_schema_input_type=TaskFields | None)]
"""An entry of `tasks`; the name alone is enough."""
