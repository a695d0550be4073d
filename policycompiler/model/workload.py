"""The workload language: exactly what a team may write, and only what it wrote.

An absent value is None; defaults are decisions of policies. Field names are public.
"""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, JsonValue, PrivateAttr

from policycompiler.model.classes import LatencyClasses
from policycompiler.model.part import Part
from policycompiler.model.policy_file import PolicyFile
from policycompiler.model.units import (
    Address,
    CommandWord,
    Date,
    DottedName,
    Duration,
    EnvironmentValue,
    FindingName,
    Name,
    NameOrGlob,
    Namespace,
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
    WholeNumber,
    refuse,
)

Options = dict[str, JsonValue]


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
    if isinstance(value, str) and value != "none":
        raise refuse("write `none`, or a mapping such as {on: [ConnectionError], max: 5}")
    return {"on": [], "max": 0} if value == "none" else value


_Backoff = Annotated[int, Field(ge=0)] | Literal[True] | None


def _true_is_one(value: object) -> object:
    return 1 if value is True else value


class TaskOptions(Part):
    """Celery's task options, by their own names; each can be set by an annotation."""

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
    namespace: Namespace | None = Field(
        None, description="prefix of the settings, CELERY for Django; none by default"
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

    backend: Literal["redis", "database", "rpc", "memcached", "mongodb", "s3", "none"] = Field(
        description="the kind of store; none keeps nothing"
    )
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

    min: Annotated[int, Field(ge=0, le=10000)] = Field(description="slots of an idle pool")
    max: Annotated[int, Field(ge=1, le=10000)] = Field(description="slots of a busy pool")


class WorkerOptions(Part):
    """`celery worker` options, by their own names."""

    prefetch_multiplier: Annotated[int, Field(ge=0, le=10000)] | None = Field(
        None, description="messages taken ahead for each slot; 0 is without bound"
    )
    max_tasks_per_child: Annotated[int, Field(ge=1)] | None = Field(
        None, description="runs after which a pool process is replaced"
    )
    max_memory_per_child: Annotated[int, Field(ge=1)] | None = Field(None, description="in KiB")
    without_gossip: bool | None = Field(None, description="do not listen to other workers' events")
    without_mingle: bool | None = Field(None, description="do not ask other workers at the start")
    without_heartbeat: bool | None = Field(None, description="send no heartbeat events")
    heartbeat_interval: Annotated[int, Field(ge=1)] | None = Field(None, description="in seconds")
    optimization: Literal["default", "fair"] | None = Field(
        None, description="fair: hand a task only to a free pool process"
    )
    disable_prefetch: bool | None = Field(None, description="take a message only when a slot is free")
    loglevel: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] | None = Field(
        None, description="least severe message that is logged"
    )
    beat: bool | None = Field(None, description="run beat inside this worker (-B)")


_Slots = Annotated[int, Field(ge=1, le=10000)]


def _slots_or_autoscale(value: object) -> object:
    if isinstance(value, dict) or value is None:
        return value
    if isinstance(value, bool) or not isinstance(value, int):
        raise refuse("write a whole number of slots, or {min: 2, max: 10} to autoscale")
    return {"min": value, "max": value}


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

    event: str = Field(
        description="Celery's name of the moment", examples=["sunrise", "sunset", "solar_noon"]
    )
    latitude: Annotated[float, Field(ge=-90, le=90)] = Field(description="degrees, north is positive")
    longitude: Annotated[float, Field(ge=-180, le=180)] = Field(description="degrees, east is positive")


class ScheduleOptions(Part):
    """Celery's `apply_async` options for a periodic task."""

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

    scheduler: ObjectPath | None = Field(None, description="scheduler class")
    host: Name | None = Field(None, description="the machine that runs it")


class Host(Part):
    """A machine, its budget and what it runs."""

    cores: Annotated[int, Field(ge=1, le=4096)] | None = Field(None, description="processor cores")
    memory: Size | None = Field(None, description="memory for workers")
    workers: dict[Name, Annotated[int, Field(ge=0, le=1000)]] | None = Field(
        None, description="how many processes of each worker", examples=[{"search": 2}]
    )


class Waiver(Part):
    """A finding that somebody answers for until a date."""

    finding: FindingName = Field(description="name or code")
    at: Text = Field(description="a path or glob in the workload", examples=["tasks.shop.legacy.*"])
    reason: Text = Field(description="why it is borne, for whoever reviews it")
    owner: Owner = Field(description="the team that answers for it")
    expires: Date = Field(description="the last day it holds")


def _as_it_is(value: object) -> object:
    return value


AnyWaiver = Annotated[JsonValue, BeforeValidator(_as_it_is, json_schema_input_type=Waiver)]
"""A waiver in any form: one that is malformed counts as absent and hides nothing else that is wrong."""


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
    waivers: list[AnyWaiver] = Field(default_factory=list, description="findings somebody answers for")


class Workload(Sections):
    """All files of one compile, merged: one Celery app."""

    version: Annotated[Literal[1], WholeNumber] = Field(description="version of this language")
    service: ServiceName = Field(description="names everything that is emitted")
    app: ObjectPath = Field(description="what `celery -A` gets")
    owner: Owner | None = Field(None, description="who answers for what no team owns alone")
    broker: Broker = Field(description="where messages are kept")

    _platform: PolicyFile = PrivateAttr(default_factory=PolicyFile.silent)

    @property
    def platform(self) -> PolicyFile:
        """What the platform team asks of every workload."""
        return self._platform

    @property
    def latency_classes(self) -> LatencyClasses:
        """The promises that tasks may choose from."""
        return self._platform.promises

    def under(self, platform: PolicyFile) -> "Workload":
        """The same workload under a policy file."""
        same = self.model_copy()
        same._platform = platform  # noqa: SLF001 - its own
        return same


class FileOwn(Part):
    """What is of one file, and never merged."""

    owner: Owner | None = Field(None, description="team of this file's tasks and schedules")
    defaults: TaskFields | None = Field(None, description="fields for this file's tasks that lack them")
    environments: dict[Name, dict[str, JsonValue]] | None = Field(
        None, description="by name, a JSON merge patch to this file (RFC 7386), applied by --env NAME"
    )


class WorkloadFile(FileOwn, Sections):
    """One workload file, as an editor checks it: anything may stand in another file of the compile."""

    version: Annotated[Literal[1], WholeNumber] = Field(description="version of this language")
    service: ServiceName | None = Field(None, description="names everything that is emitted")
    app: ObjectPath | None = Field(None, description="what `celery -A` gets")
    broker: Broker | None = Field(None, description="where messages are kept")
