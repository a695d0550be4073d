"""`tasks` and `defaults`: what may be said of a task."""

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
    Rate,
    RateLimit,
    Size,
    TaskName,
    Text,
    WebAddress,
    WholeNumber,
    refuse,
)


class Runtime(Part):
    """Execution time of one run, without the wait in the queue."""

    model_config = shown_as({"p50": "300ms", "p99": "3s"})

    p50: PositiveDuration | None = Field(None, description="half of the runs are done within this")
    p99: PositiveDuration = Field(description="99 of 100 runs are done within this; limits follow from it")


class Arrivals(Part):
    """How often a task is sent."""

    model_config = shown_as({"mean": "1/s", "peak": "10/s"})

    mean: Rate = Field(description="over a day")
    peak: Rate | None = Field(None, description="in the busiest minutes; workers are sized for it")


class Retry(Part):
    """Which errors run a task again, how often and after how long."""

    on: list[DottedName] | None = Field(
        None, description="exception classes that are retried; without it only the task's own retry() calls"
    )
    max: Annotated[int, Field(ge=0, le=1000)] | None = Field(None, description="retries after the first run")
    delay: PositiveDuration | None = Field(
        None, description="wait before the first retry; it doubles each time"
    )
    max_delay: PositiveDuration | None = Field(None, description="longest wait between two runs")
    jitter: bool | None = Field(None, description="spread retries at random below the wait")


_Backoff = Annotated[int, Field(ge=0)] | Literal[True] | None


def _true_is_one(value: object) -> object:
    return 1 if value is True else value


class TaskOptions(Part):
    """Celery's task options, by their own names; each can be set by an annotation."""

    model_config = shown_as({"track_started": True})

    acks_late: bool | None = Field(None, description="acknowledge after the run, not before")
    acks_on_failure: bool | None = Field(None, description="late: acknowledge also after a failure")
    acks_on_timeout: bool | None = Field(None, description="late: acknowledge also after a time limit")
    autoretry_for: list[DottedName] | None = Field(None, description="exception classes that are retried")
    compression: str | None = Field(None, description="of the message body: gzip, zstd, …")
    default_retry_delay: NotNegative | None = Field(None, description="in seconds")
    delivery_mode: Annotated[Literal[1, 2], WholeNumber] | None = Field(
        None, description="1 transient, 2 persistent"
    )
    dont_autoretry_for: list[DottedName] | None = Field(
        None, description="exception classes that are never retried"
    )
    expires: Positive | None = Field(None, description="in seconds")
    ignore_result: bool | None = Field(None, description="do not store the return value")
    max_retries: Annotated[int, Field(ge=0, le=100000)] | None = Field(
        None, description="retries after the first run; null is without end"
    )
    priority: Annotated[int, Field(ge=0, le=255)] | None = Field(
        None, description="of the message, as the broker understands it"
    )
    rate_limit: RateLimit | None = Field(None, description="of each worker process, not of all together")
    reject_on_worker_lost: bool | None = Field(
        None, description="put the message back when the process dies under it"
    )
    retry_backoff: Annotated[
        Annotated[int, Field(ge=0)] | None, BeforeValidator(_true_is_one, json_schema_input_type=_Backoff)
    ] = Field(None, description="first wait in seconds; true is 1")
    retry_backoff_max: Annotated[int, Field(ge=1)] | None = Field(None, description="in seconds")
    retry_jitter: bool | None = Field(None, description="spread retries at random below the wait")
    retry_on_worker_lost: bool | None = Field(
        None, description="retry, and count, when the process dies under it (Celery 5.7)"
    )
    send_events: bool | None = Field(None, description="tell monitors about this task")
    serializer: str | None = Field(None, description="how the arguments are written: json, msgpack, …")
    soft_time_limit: Positive | None = Field(None, description="in seconds")
    store_errors_even_if_ignored: bool | None = Field(
        None, description="store errors although results are ignored"
    )
    throws: list[DottedName] | None = Field(
        None, description="expected exception classes, logged without a traceback"
    )
    time_limit: Positive | None = Field(None, description="in seconds")
    track_started: bool | None = Field(None, description="report when a run begins")
    trail: bool | None = Field(None, description="keep a list of the tasks that this one calls")


def _scalar_to(key: str, shape: object) -> BeforeValidator:
    def wrap(value: object) -> object:
        return value if isinstance(value, dict) or value is None else {key: value}

    return BeforeValidator(wrap, json_schema_input_type=shape)


def _retry_or_none(value: object) -> object:
    if isinstance(value, str) and value != "none":
        raise refuse("write `none`, or a mapping such as {on: [ConnectionError], max: 5}")
    return {"on": [], "max": 0} if value == "none" else value


class TaskFields(Part):
    """What may be said of a task."""

    model_config = shown_as({"latency": "batch", "idempotent": True})

    description: Text | None = Field(None, description="what it does, for people")
    latency: Name | None = Field(
        None,
        description="latency class, a bound on the wait in the queue",
        examples=["interactive", "standard", "batch"],
    )
    work: Literal["io", "cpu"] | None = Field(None, description="io waits for others, cpu computes")
    idempotent: bool | None = Field(
        None, description="may it run twice with the same arguments and do no harm?"
    )
    runtime: Annotated[Runtime | None, _scalar_to("p99", PositiveDuration | Runtime)] = Field(
        None, description="execution time: {p50: …, p99: …}, or one duration that nearly all runs stay below"
    )
    rate: Annotated[Arrivals | None, _scalar_to("mean", Rate | Arrivals)] = Field(
        None, description="arrivals: {mean: …, peak: …}, or one rate"
    )
    burst: Annotated[int, Field(ge=1)] | None = Field(None, description="tasks arriving at once")
    memory: Size | None = Field(None, description="peak resident memory of one execution")
    retry: Annotated[
        Retry | None,
        BeforeValidator(_retry_or_none, json_schema_input_type=Literal["none"] | Retry | None),
    ] = Field(
        None,
        description="`none`, or which errors are retried and how",
        examples=["none", {"on": ["ConnectionError"], "max": 5}],
    )
    result: Literal["ignore", "keep"] | None = Field(None, description="is the return value read by anybody?")
    payload: Size | None = Field(None, description="largest message")
    expires: PositiveDuration | None = Field(None, description="useless when it has waited longer than this")
    priority: Annotated[int, Field(ge=0, le=9)] | None = Field(None, description="0 to 9, 9 is most urgent")
    queue: Name | None = Field(None, description="pin: this queue")
    call_time_queues: list[Name] | None = Field(
        None, description="queues that a producer may choose when it sends the task"
    )
    max_countdown: Duration | None = Field(None, description="longest countdown or ETA a producer uses")
    external: bool | None = Field(None, description="true: another app runs it, this one only sends it")
    canvas: list[Literal["chain", "group", "chord"]] | None = Field(
        None, description="which of chain, group and chord it takes part in"
    )
    owner: Owner | None = Field(None, description="the team; alerts are routed by it")
    critical: bool | None = Field(None, description="true: each single failure matters")
    renamed_from: list[TaskName] | None = Field(None, description="earlier names that are still in flight")
    runbook: WebAddress | None = Field(None, description="where an on-call person reads on")
    options: TaskOptions | None = Field(None, description="pins, by Celery's own task option names")


def _nothing_said(value: object) -> object:
    return {} if value is None else value


Task = Annotated[TaskFields, BeforeValidator(_nothing_said, json_schema_input_type=TaskFields | None)]
"""An entry of `tasks`; nothing but the name is enough."""
