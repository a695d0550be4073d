"""The records of a runbook: what an alert or a symptom means, and what people do about it.

Texts are Markdown. The name of an alert in them becomes a link if the runbook has its section. Texts and
commands have words of the plan: `{visibility}` is the visibility timeout, and `{url}` the URL of the broker
for the shell. `{store}` is that of the store of guards. `{memory}` is the planned memory limit of the broker.
`{counters}` are the sources of metrics that count only the queues that they are told.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, TypeAlias


class Deed(StrEnum):
    """A command that a plan completes with its own names; the value says what the command does."""

    STATUS = "queues, workers and schedules as they are now"
    DIFFERENCES = "differences between the plan and what runs"
    SCHEDULES = "the last send of each schedule, as its store has it"
    LETTERS = "dead letters by task, reason and exception"
    SHOW = "the oldest dead letters, with the line of code that failed"
    REPLAY = "what would be sent again; without `--dry-run` it is sent; try one with `--id` first"
    DROP = "what would be deleted; without `--dry-run` it is gone"
    ANSWERS = "workers that answer"
    RUNS = "tasks that run now, with their start"
    RESERVED = "messages that workers hold and have not started"
    SCHEDULED = "messages that workers hold because of a countdown"
    CONSUMED = "queues that each worker consumes"
    REGISTERED = "tasks that each worker knows"
    PROCESSES = "state of the worker processes"
    LOGS = "logs of the workers"
    FAILURES = "failed runs in the logs of the workers, each with its exception"
    START = "start the workers"
    MORE = "one more process of each worker, at once; look at the memory of the host first"
    RESTART = "restart the workers; running tasks may finish first"
    KILLS = "processes that the kernel killed for lack of memory"
    BEAT_STATE = "state of beat"
    BEAT_LOGS = "log of beat"
    SENDS = "what beat has sent, and what it could not send"
    SEND = "only if it did not run: send the task of a schedule once"
    BEAT_RESTART = "start or restart beat"
    BREAKERS = "state of the breaker, and until when it is open, in milliseconds since 1970"
    BROKER = "whether the broker answers"
    SOURCES = "whether the sources of metrics answer (200), on the host of Prometheus"
    EXPORTER_STATE = "state of the exporters"
    EXPORTER_RESTART = "start or restart the exporters"


class Fact(StrEnum):
    """Something that is true of a plan; a cause may apply only then."""

    BEAT = "beat sends schedules"
    BREAKERS = "a dependency has a breaker"
    BLOCKS = "the broker blocks publishers at an alarm"
    CHILDREN = "a worker runs tasks in child processes"
    CONSUMER_TIMEOUT = "the broker closes a channel that holds a message for too long"
    CONTAINERS = "processes run in containers"
    CONTROL = "the broker transports remote control"
    DECLARED = "the broker stores the declarations of queues"
    EXPORTER = "the plan starts celery-exporter"
    EVENTS = "a source of metrics counts task events"
    IN_MEMORY = "the broker keeps all messages in memory"
    KEYED = "a task has an idempotency key"
    LETTERS = "a queue has a dead-letter queue"
    MEMORY_LIMIT = "the plan computes the memory limit of the broker"
    NO_MEMORY_LIMIT = "the plan computes no memory limit of the broker"
    NO_LETTERS = "no queue has a dead-letter queue"
    NO_LIMITS = "a pool ignores time limits"
    REFUSES = "publishers refuse large messages, or messages of full queues"
    REDELIVERY = "the broker redelivers a message after a time"
    RESULTS = "results are stored"
    SCALED = "a platform scales a worker"
    SILENT_BEAT = "beat answers no question"
    SOLO = "a worker does not answer while it runs a task"
    TELEMETRY_PORTS = "processes of a host have ports for their own metrics"
    TOLD_QUEUES = "a source counts only the queues that it is told"
    UNITS = "processes run as units"


class Cause(NamedTuple):
    """Why it happens, and the fix; `only` if this is true of the plan."""

    text: str
    fix: str
    only: Fact | None = None


class Never(NamedTuple):
    """What makes it worse, `only` if this is true of the plan."""

    text: str
    only: Fact | None = None


Command: TypeAlias = Deed | str
"""A command of a plan, or a line for the shell as it is."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What the runbook says about one kind of alert.

    `limit` has the numbers of an alert in words: `{threshold}`, `{share}`, `{seconds}`, `{minimum}`,
    `{bound}` and `{window}` are replaced. `looks` are commands that confirm it, `causes` the likely ones
    first, and `fixes` the commands that fix it. `resolves` says when the alert ends.
    """

    means: str
    limit: str
    looks: tuple[Command, ...]
    causes: tuple[Cause, ...]
    fixes: tuple[Command, ...]
    never: tuple[Never, ...]
    resolves: str


class Reason(NamedTuple):
    """A cause behind a symptom, how to see it, and the fix; `only` if this is true of the plan."""

    text: str
    see: str
    fix: str
    only: Fact | None = None


class Symptom(NamedTuple):
    """What people see, commands that tell the causes apart, and these causes."""

    name: str
    looks: tuple[Command, ...]
    reasons: tuple[Reason, ...]
