"""The declaration of a plan key: type, unit, readers, and kind of change."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Type(StrEnum):
    """The type of a value."""

    TEXT = "text"
    FLAG = "true or false"
    NUMBER = "number"
    COUNT = "count"
    """A whole number of processes, from 0."""
    TEXTS = "list of texts"
    LIST = "list"
    MAPPING = "mapping"
    VARIABLE = "environment variable"
    """The name of an environment variable."""
    ANY = "any"


class Unit(StrEnum):
    """The unit of a number."""

    SECONDS = "s"
    BYTES = "bytes"
    CORES = "cores"
    KIB = "KiB"
    PER_SECOND = "per second"


class Reader(StrEnum):
    """The readers of a value; a value that only people read changes no process."""

    CONFIGURATION = "configuration"
    """Every process and producer, through `celeryconfig.py`."""
    ANNOTATION = "task annotation"
    """An option of a task in `celeryconfig.py`, under its own name."""
    BEAT_CONFIGURATION = "configuration of beat"
    """A part of `celeryconfig.py` that only beat reads."""
    WORKER = "command of a worker"
    """The command, or its unit."""
    BEAT = "command of beat"
    """The command, or its unit."""
    ALERT = "alert"
    SERVER = "broker"
    """The broker itself: its configuration, its queues, the rights of its users."""
    PEOPLE = "people"
    """Tables, descriptions and comments; and sources of other settings."""


class ChangeKind(StrEnum):
    """The kind of a change of a setting in a review."""

    ALERT = "alert-changed"
    APP_SETTING = "app-setting"
    BEAT_MOVED = "beat-moved"
    BEAT_OPTIONS = "beat-options"
    BROKER = "broker"
    BROKER_SERVER = "broker-server"
    """What the broker itself is told."""
    CAPACITY = "capacity"
    DISABLED_SCHEDULE = "disabled_schedule-changed"
    GUARD = "guard"
    """What run-time code enforces: keys of effects, breakers, rates and bounds."""
    INSTALLATION = "installation"
    PLACEMENT = "placement"
    POLICIES = "policies"
    """Whether values that the workload does not set are left to Celery."""
    QUEUE_ARGUMENTS = "queue-arguments"
    QUEUE_BINDING = "queue-binding"
    QUEUE_OPTIONS = "queue-options"
    QUEUE_PROMISE = "queue-promise"
    RESULTS = "results"
    SCHEDULE_OPTIONS = "schedule-options"
    SERIALIZATION = "serialization"
    TASK_DELIVERY = "task-delivery"
    TASK_EXPIRY = "task-expiry"
    TASK_EXTERNAL = "task-external"
    TASK_FACTS = "task-facts"
    TASK_LIMITS = "task-limits"
    TASK_MOVED = "task-moved"
    TASK_OPTIONS = "task-options"
    TASK_PRIORITY = "task-priority"
    TASK_RENAMED = "task-renamed"
    TASK_RESULTS = "task-results"
    TASK_RETRIES = "task-retries"
    UNKNOWN = "unknown"
    """A key that this version does not know, so it is unknown whether the change is safe."""
    VISIBILITY_TIMEOUT = "visibility-timeout"
    WORKER_GRACE = "worker-grace"
    WORKER_OPTIONS = "worker-options"
    WORKER_POOL = "worker-pool"
    WORKER_PREFETCH = "worker-prefetch"
    WORKER_QUEUES = "worker-queues"
    WORKER_RESOURCES = "worker-resources"


class Key(NamedTuple):
    """A key of a plan; a name that ends in a dot stands for each key with that prefix.

    `says` is its description in the manual. A `nullable` key may be null. A `mirror` key repeats other
    settings, so it has no changes of its own. `names_queues`: its value is the name of a queue, contains such
    names, or contains one below `queue`. `celerys`: a Celery setting or option, emitted by that name. A
    `local` key affects each process alone, independently of the others.
    """

    scope: str
    name: str
    type: Type
    change: ChangeKind
    readers: frozenset[Reader]
    says: str
    unit: Unit | None = None
    nullable: bool = False
    mirror: bool = False
    names_queues: bool = False
    celerys: bool = False
    local: bool = False

    @property
    def is_prefix(self) -> bool:
        """Whether it stands for each key that starts with its name."""
        return self.name.endswith(".")

    def is_read_by(self, *readers: Reader) -> bool:
        """Whether one of these readers uses it."""
        return not self.readers.isdisjoint(readers)


def readers(*found: Reader) -> frozenset[Reader]:
    """The readers of a value."""
    return frozenset(found)
