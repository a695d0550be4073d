"""The workload language: exactly what a team may write, and only what it wrote.

An absent value is None; defaults are decisions of policies. Field names are public.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue

from policycompiler.model.units import (
    Address,
    CommandWord,
    Date,
    DottedName,
    Duration,
    EnvironmentValue,
    Name,
    NameOrGlob,
    NotNegative,
    ObjectPath,
    Owner,
    Pool,
    Positive,
    PositiveDuration,
    Rate,
    RateLimit,
    RoutingKey,
    ServiceName,
    Size,
    TaskName,
    TaskNameOrGlob,
    Text,
    VariableName,
    Version,
    WebAddress,
)

Options = dict[str, JsonValue]


class Part(BaseModel):
    """Base of everything in a workload: immutable, strict about types, unknown keys refused."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class Runtime(Part):
    """Execution time of one run, without the wait in the queue."""

    p50: PositiveDuration | None = Field(None, description="half of the runs are done within this")
    p99: PositiveDuration = Field(description="99 of 100 runs are done within this; limits follow from it")


class Arrivals(Part):
    """How often a task is sent."""

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


def _scalar_to(key: str) -> BeforeValidator:
    def wrap(value: object) -> object:
        return value if isinstance(value, dict) or value is None else {key: value}

    shape = {"p99": PositiveDuration | Runtime, "mean": Rate | Arrivals}[key]
    return BeforeValidator(wrap, json_schema_input_type=shape)


def _retry_or_none(value: object) -> object:
    return {"on": [], "max": 0} if value == "none" else value


class TaskOptions(Part):
    """Celery's task options, by their own names; each can be set by an annotation."""

    acks_late: bool | None = None
    acks_on_failure: bool | None = None
    acks_on_timeout: bool | None = None
    autoretry_for: list[DottedName] | None = None
    compression: str | None = None
    default_retry_delay: NotNegative | None = Field(None, description="in seconds")
    delivery_mode: Literal[1, 2] | None = Field(None, description="1 transient, 2 persistent")
    dont_autoretry_for: list[DottedName] | None = None
    expires: Positive | None = Field(None, description="in seconds")
    ignore_result: bool | None = None
    max_retries: Annotated[int, Field(ge=0, le=100000)] | None = None
    priority: Annotated[int, Field(ge=0, le=255)] | None = None
    rate_limit: RateLimit | None = Field(None, description="of each worker process, not of all together")
    reject_on_worker_lost: bool | None = None
    retry_backoff: Annotated[int, Field(ge=0)] | None = Field(None, description="first wait in seconds")
    retry_backoff_max: Annotated[int, Field(ge=1)] | None = Field(None, description="in seconds")
    retry_jitter: bool | None = None
    retry_on_worker_lost: bool | None = None
    send_events: bool | None = None
    serializer: str | None = None
    soft_time_limit: Positive | None = Field(None, description="in seconds")
    store_errors_even_if_ignored: bool | None = None
    throws: list[DottedName] | None = None
    time_limit: Positive | None = Field(None, description="in seconds")
    track_started: bool | None = None
    trail: bool | None = None


class TaskFields(Part):
    """What may be said of a task."""

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
    runtime: Annotated[Runtime | None, _scalar_to("p99")] = Field(
        None, description="execution time: {p50: …, p99: …}, or one duration that nearly all runs stay below"
    )
    rate: Annotated[Arrivals | None, _scalar_to("mean")] = Field(
        None, description="arrivals: {mean: …, peak: …}, or one rate"
    )
    burst: Annotated[int, Field(ge=1)] | None = Field(None, description="tasks arriving at once")
    memory: Size | None = Field(None, description="peak resident memory of one execution")
    retry: Annotated[
        Retry | None,
        BeforeValidator(_retry_or_none, json_schema_input_type=Literal["none"] | Retry | None),
    ] = Field(None, description="`none`, or which errors are retried and how")
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


class Celery(Part):
    """The Celery that runs the workload."""

    version: Version | None = Field(None, description="the Celery that runs; newest known by default")
    namespace: Annotated[str, Field(pattern=r"^([A-Z][A-Z0-9_]{0,30})?$")] | None = Field(
        None, description="prefix of the settings, CELERY for Django; none by default", examples=["CELERY"]
    )
    settings: Options | None = Field(None, description="pins, by Celery's own lowercase setting names")


class Broker(Part):
    """Where messages are kept."""

    transport: Literal["redis", "rabbitmq", "sqs", "filesystem", "memory"] = Field(
        description="the kind of broker"
    )
    url: Address = Field(description="one environment variable, or a URL without credentials")
    version: Version | None = Field(None, description="the broker's version")
    visibility_timeout: PositiveDuration | None = Field(
        None, description="pin: after this a message that nobody acknowledged is delivered again"
    )
    options: Options | None = Field(None, description="pins, broker_transport_options verbatim")


class Results(Part):
    """Where return values are kept."""

    backend: Literal["redis", "database", "rpc", "memcached", "mongodb", "s3", "none"]
    url: Address | None = Field(None, description="one environment variable, or a URL without credentials")
    keep: PositiveDuration | None = Field(None, description="how long results stay readable")


class Queue(Part):
    """A queue that policies should not decide alone."""

    type: Literal["classic", "quorum"] | None = Field(None, description="RabbitMQ's queue type")
    dead_letter: bool | None = Field(None, description="keep messages of tasks that failed for good")
    priorities: Annotated[int, Field(ge=1, le=10)] | None = Field(
        None, description="how many priority levels"
    )
    broadcast: bool | None = Field(None, description="every worker gets every message")
    external: bool | None = Field(None, description="consumed or produced by another app")
    exchange: Name | None = Field(None, description="AMQP exchange")
    exchange_type: Literal["direct", "topic", "fanout"] | None = Field(None, description="AMQP exchange type")
    routing_key: RoutingKey | None = Field(None, description="AMQP binding key")
    arguments: Options | None = Field(None, description="AMQP queue arguments")
    consumer_arguments: Options | None = Field(None, description="AMQP consumer arguments")


class Autoscale(Part):
    """Bounds of a pool that grows and shrinks with the load."""

    min: Annotated[int, Field(ge=0, le=10000)]
    max: Annotated[int, Field(ge=1, le=10000)]


class WorkerOptions(Part):
    """`celery worker` options, by their own names."""

    prefetch_multiplier: Annotated[int, Field(ge=0, le=10000)] | None = None
    max_tasks_per_child: Annotated[int, Field(ge=1)] | None = None
    max_memory_per_child: Annotated[int, Field(ge=1)] | None = Field(None, description="in KiB")
    without_gossip: bool | None = None
    without_mingle: bool | None = None
    without_heartbeat: bool | None = None
    heartbeat_interval: Annotated[int, Field(ge=1)] | None = Field(None, description="in seconds")
    optimization: Literal["default", "fair"] | None = None
    disable_prefetch: bool | None = None
    loglevel: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] | None = None
    beat: bool | None = Field(None, description="run beat inside this worker (-B)")


_Slots = Annotated[int, Field(ge=1, le=10000)]


def _slots_or_autoscale(value: object) -> object:
    return {"min": value, "max": value} if isinstance(value, int) and not isinstance(value, bool) else value


class Worker(Part):
    """A pool of identical processes with one launch command."""

    queues: list[NameOrGlob] | None = Field(None, description="what it consumes; globs allowed")
    pool: Pool | None = Field(None, description="prefork, threads, gevent, eventlet, solo, dotted.path:Class")
    concurrency: Annotated[
        Autoscale | None,
        BeforeValidator(_slots_or_autoscale, json_schema_input_type=_Slots | Autoscale | None),
    ] = Field(None, description="slots of one process, or {min, max} to autoscale")
    replicas: Annotated[int, Field(ge=0, le=1000)] | None = Field(None, description="how many processes")
    memory: Size | None = Field(None, description="budget of one process with its children")
    stop_timeout: PositiveDuration | None = Field(
        None, description="pin: how long a stop may wait for running tasks"
    )
    options: WorkerOptions | None = Field(None, description="pins, by Celery's own option names")
    node_name: Name | None = Field(None, description="by default the worker's name")
    command_prefix: list[CommandWord] | None = Field(None, description="words before `celery`")
    environment: dict[VariableName, EnvironmentValue] | None = Field(
        None, description="environment of the process; no secrets here"
    )


class Solar(Part):
    """A moment of the sun at a place."""

    event: str
    latitude: Annotated[float, Field(ge=-90, le=90)]
    longitude: Annotated[float, Field(ge=-180, le=180)]


class ScheduleOptions(Part):
    """Celery's `apply_async` options for a periodic task."""

    compression: str | None = None
    countdown: NotNegative | None = Field(None, description="in seconds")
    expires: Positive | None = Field(None, description="in seconds")
    headers: dict[str, JsonValue] | None = None
    ignore_result: bool | None = None
    priority: Annotated[int, Field(ge=0, le=255)] | None = None
    queue: Name | None = None
    routing_key: RoutingKey | None = None
    serializer: str | None = None
    shadow: str | None = None
    soft_time_limit: Positive | None = Field(None, description="in seconds")
    time_limit: Positive | None = Field(None, description="in seconds")


class Schedule(Part):
    """A periodic task: exactly one of cron, every and solar."""

    task: TaskName
    cron: Annotated[str, Field(max_length=200)] | None = Field(
        None, description="minute hour day-of-month month day-of-week", examples=["0 3 * * *"]
    )
    every: PositiveDuration | None = None
    solar: Solar | None = None
    timezone: Annotated[str, Field(max_length=64)] | None = Field(
        None, description="zone the cron is read in; UTC by default", examples=["Europe/Paris"]
    )
    args: list[JsonValue] | None = None
    kwargs: dict[str, JsonValue] | None = None
    expires: PositiveDuration | None = Field(None, description="a run that has waited longer is dropped")
    enabled: bool | None = Field(None, description="false: kept, but not sent")
    options: ScheduleOptions | None = Field(None, description="Celery's own apply_async options")
    owner: Owner | None = None
    description: Text | None = None


class Beat(Part):
    """The one process that sends periodic tasks."""

    scheduler: ObjectPath | None = Field(None, description="scheduler class")
    host: Name | None = Field(None, description="the machine that runs it")


class Host(Part):
    """A machine, its budget and what it runs."""

    cores: Annotated[int, Field(ge=1, le=4096)] | None = None
    memory: Size | None = None
    workers: dict[Name, Annotated[int, Field(ge=0, le=1000)]] | None = None


class Waiver(Part):
    """A finding that somebody answers for until a date."""

    finding: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,80}$")]
    at: Text
    reason: Text
    owner: Owner
    expires: Date


def _nothing_said(value: object) -> object:
    """A task with nothing but a name."""
    return {} if value is None else value


class Sections(Part):
    """The sections that merge across files."""

    celery: Celery | None = Field(None, description="the Celery that runs")
    results: Results | None = Field(None, description="where return values are kept")
    tasks: dict[
        TaskNameOrGlob,
        Annotated[TaskFields, BeforeValidator(_nothing_said, json_schema_input_type=TaskFields | None)],
    ] = Field(
        default_factory=dict,
        description="tasks by name; a glob declares every task it matches that has no entry of its own",
    )
    queues: dict[Name, Queue] = Field(
        default_factory=dict, description="only for what policies should not decide"
    )
    workers: dict[Name, Worker] = Field(default_factory=dict, description="pins which processes there are")
    schedules: dict[Name, Schedule] = Field(default_factory=dict, description="periodic tasks")
    beat: Beat | None = Field(None, description="the process that sends periodic tasks")
    hosts: dict[Name, Host] = Field(default_factory=dict, description="which machine runs what")
    waivers: list[Waiver] = Field(default_factory=list, description="findings somebody answers for")


class Workload(Sections):
    """All files of one compile, merged: one Celery app."""

    version: Literal[1]
    service: ServiceName
    app: ObjectPath
    broker: Broker


class WorkloadFile(Sections):
    """One workload file, as an editor checks it: anything may stand in another file of the compile."""

    version: Literal[1] = Field(description="version of this language")
    service: ServiceName | None = Field(None, description="names everything that is emitted")
    app: ObjectPath | None = Field(None, description="what `celery -A` gets")
    owner: Owner | None = Field(None, description="team of this file's tasks and schedules")
    broker: Broker | None = Field(None, description="where messages are kept")
    defaults: TaskFields | None = Field(None, description="fields for this file's tasks that lack them")
    environments: dict[Name, dict[str, JsonValue]] | None = Field(
        None, description="by name, a JSON merge patch to this file (RFC 7386), applied by --env NAME"
    )
