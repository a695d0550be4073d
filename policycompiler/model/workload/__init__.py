"""The workload language: exactly what a team may write, and only what it wrote.

An absent value is None; defaults are decisions of policies. Field names are public. The top level of a file
is here; each section has a module of its own.
"""

from typing import Annotated, Literal

from pydantic import Field, JsonValue, PrivateAttr

from policycompiler.model.classes import LatencyClasses
from policycompiler.model.deploy import Deploy
from policycompiler.model.part import Part
from policycompiler.model.policy_file import PolicyFile
from policycompiler.model.units import (
    Name,
    ObjectPath,
    Owner,
    QueueName,
    ServiceName,
    TaskNameOrGlob,
    WholeNumber,
)
from policycompiler.model.workload.app import Broker, Celery, Results
from policycompiler.model.workload.guards import Dependency, Store
from policycompiler.model.workload.queues import Queue
from policycompiler.model.workload.schedules import Beat, Schedule
from policycompiler.model.workload.tasks import Task, TaskFields
from policycompiler.model.workload.waivers import AnyWaiver
from policycompiler.model.workload.workers import Budget, Host, Worker


class Sections(Part):
    """The sections that merge across files."""

    celery: Celery | None = Field(None, description="version and settings of Celery")
    results: Results | None = Field(None, description="result backend")
    tasks: dict[TaskNameOrGlob, Task] = Field(
        default_factory=dict,
        description="tasks by name; a glob declares every matching task without an entry of its own",
    )
    queues: dict[QueueName, Queue] = Field(
        default_factory=dict, description="queues; only for values that policies should not decide"
    )
    workers: dict[Name, Worker] = Field(default_factory=dict, description="worker pools; each entry is a pin")
    schedules: dict[Name, Schedule] = Field(default_factory=dict, description="periodic tasks")
    beat: Beat | None = Field(None, description="beat, the process that sends periodic tasks")
    hosts: dict[Name, Host] = Field(
        default_factory=dict, description="machines and the workers that they run"
    )
    dependencies: dict[Name, Dependency] = Field(
        default_factory=dict, description="what tasks call, with the limits that all workers share"
    )
    store: Store | None = Field(None, description="Redis of the guards: keys, breakers and rates")
    budget: Budget | None = Field(
        None, description="what all workers together may take, such as the quota of a namespace"
    )
    deploy: Deploy | None = Field(None, description="where and how the processes run")
    waivers: list[AnyWaiver] = Field(
        default_factory=list, description="findings that a team accepts until a date"
    )


class Workload(Sections):
    """All files of one compile, merged: one Celery app."""

    version: Annotated[Literal[1], WholeNumber] = Field(description="version of the workload format")
    service: ServiceName = Field(description="name of the service, used in all emitted names")
    app: ObjectPath = Field(description="Celery app, as for `celery -A`")
    owner: Owner | None = Field(None, description="team that owns everything without an owner")
    broker: Broker = Field(description="message broker")

    _platform: PolicyFile = PrivateAttr(default_factory=PolicyFile.silent)

    @property
    def platform(self) -> PolicyFile:
        """The policy file of the platform team."""
        return self._platform

    @property
    def latency_classes(self) -> LatencyClasses:
        """The latency classes that tasks may choose from."""
        return self._platform.promises

    def under(self, platform: PolicyFile) -> "Workload":
        """The same workload under a policy file."""
        same = self.model_copy()
        same._platform = platform  # noqa: SLF001 - its own
        return same

    def with_traffic(self, factor: float) -> "Workload":
        """The same workload with all rates multiplied."""
        return self.model_copy(
            update={"tasks": {name: _with_rates(task, factor) for name, task in self.tasks.items()}}
        )


def _with_rates(task: TaskFields, factor: float) -> TaskFields:
    rate = task.rate
    if rate is None:
        return task
    peak = None if rate.peak is None else rate.peak * factor
    return task.model_copy(
        update={"rate": rate.model_copy(update={"mean": rate.mean * factor, "peak": peak})}
    )


class FileOwn(Part):
    """The parts that belong to one file and are never merged."""

    owner: Owner | None = Field(None, description="team that owns the tasks and schedules of this file")
    defaults: TaskFields | None = Field(None, description="default fields for the tasks of this file")
    environments: dict[Name, dict[str, JsonValue]] | None = Field(
        None,
        description="by name, a JSON merge patch (RFC 7386) that `--env NAME` applies to this file",
    )


class WorkloadFile(FileOwn, Sections):
    """One workload file, as an editor checks it: another file of the compile may have the rest."""

    version: Annotated[Literal[1], WholeNumber] = Field(description="version of the workload format")
    service: ServiceName | None = Field(None, description="name of the service, used in all emitted names")
    app: ObjectPath | None = Field(None, description="Celery app, as for `celery -A`")
    broker: Broker | None = Field(None, description="message broker")
