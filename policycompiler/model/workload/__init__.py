"""The workload language: exactly what a team may write, and only what it wrote.

An absent value is None; defaults are decisions of policies. Field names are public. What a file says at its
top is here, and what it says in a section is in the module of that section.
"""

from typing import Annotated, Literal

from pydantic import Field, JsonValue, PrivateAttr

from policycompiler.model.classes import LatencyClasses
from policycompiler.model.part import Part
from policycompiler.model.policy_file import PolicyFile
from policycompiler.model.units import Name, ObjectPath, Owner, ServiceName, TaskNameOrGlob, WholeNumber
from policycompiler.model.workload.app import Broker, Celery, Results
from policycompiler.model.workload.queues import Queue
from policycompiler.model.workload.schedules import Beat, Schedule
from policycompiler.model.workload.tasks import Task, TaskFields
from policycompiler.model.workload.waivers import AnyWaiver
from policycompiler.model.workload.workers import Host, Worker


class Sections(Part):
    """The sections that merge across files."""

    celery: Celery | None = Field(None, description="the Celery that runs")
    results: Results | None = Field(None, description="where return values are kept")
    tasks: dict[TaskNameOrGlob, Task] = Field(
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
