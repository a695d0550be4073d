"""The records of a runbook: what an alert or a symptom means, and what people do about it.

Texts are Markdown. The name of an alert in them becomes a link if the runbook has its section.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, TypeAlias


class Deed(StrEnum):
    """A command that a plan completes with its own names; the value says what the command does."""

    STATUS = "queues, workers and schedules as they are now"
    DIFFERENCES = "differences between the plan and what runs"
    LETTERS = "dead letters by task, reason and exception"
    REPLAY = "what would be sent again; without `--dry-run` it is sent"
    ANSWERS = "workers that answer"
    RUNS = "tasks that run now, with their start"
    RESERVED = "messages that workers hold and have not started"
    SCHEDULED = "messages that workers hold because of a countdown"
    CONSUMED = "queues that each worker consumes"
    REGISTERED = "tasks that each worker knows"
    PROCESSES = "state of the worker processes"
    LOGS = "logs of the workers"
    START = "start the workers"
    MORE = "one more process of each worker, at once; look at the memory of the host first"
    RESTART = "restart the workers; running tasks may finish first"
    KILLS = "processes that the kernel killed for lack of memory"
    BEAT_STATE = "state of beat"
    BEAT_LOGS = "log of beat"
    BEAT_RESTART = "start or restart beat"
    BROKER = "whether the broker answers, on its host"
    SOURCES = "whether the sources of metrics answer, on the host of Prometheus"
    EXPORTER_STATE = "state of celery-exporter"
    EXPORTER_RESTART = "start or restart celery-exporter"


class Fact(StrEnum):
    """Something that is true of a plan; a cause may apply only then."""

    BEAT = "beat sends schedules"
    CHILDREN = "a worker runs tasks in child processes"
    CONSUMER_TIMEOUT = "the broker closes a channel that holds a message for too long"
    CONTAINERS = "processes run in containers"
    CONTROL = "the broker transports remote control"
    EXPORTER = "the plan starts celery-exporter"
    EVENTS = "a source of metrics counts task events"
    LETTERS = "a queue has a dead-letter queue"
    NO_LETTERS = "no queue has a dead-letter queue"
    NO_LIMITS = "a pool ignores time limits"
    REDELIVERY = "the broker redelivers a message after a time"
    RESULTS = "results are stored"
    SCALED = "a platform scales a worker"
    SOLO = "a worker does not answer while it runs a task"
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
