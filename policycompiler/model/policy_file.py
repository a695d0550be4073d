"""The policy file: the rules of a platform team for every workload of its organization."""

from functools import cached_property
from typing import Annotated, Literal

from pydantic import Field, JsonValue

from policycompiler.diagnostics import Finding, Profile, Severity
from policycompiler.model.classes import LATENCY_CLASSES, PROMISES_APART, LatencyClass, LatencyClasses
from policycompiler.model.deploy import Deploy
from policycompiler.model.part import Part, shown_as
from policycompiler.model.units import (
    CustomName,
    FindingName,
    Name,
    Owner,
    PositiveDuration,
    VersionRange,
    WholeNumber,
)


class PolicyParameters(Part):
    """Base of the parameters of a policy in a policy file; the type or name of each field has its unit."""


class Promise(Part):
    """A latency class; a missing field keeps the value of the built-in class of that name."""

    model_config = shown_as({"queue_wait_p99": "30s", "runtime_p99_limit": "5m"})

    queue_wait_p99: PositiveDuration | None = Field(
        None, description="latency target: 99 of 100 tasks start within this time"
    )
    runtime_p99_limit: PositiveDuration | None = Field(
        None, description="longest run (p99) that can share a queue with this latency target"
    )


class WaiverRules(Part):
    """Limits for waivers."""

    model_config = shown_as({"longest": "180d"})

    longest: PositiveDuration | None = Field(None, description="longest time until a waiver expires")


CUSTOM_CODE = "ORG"
"""The code of every custom finding; their names differ."""


class Custom(Part):
    """A custom finding of the organization."""

    name: CustomName = Field(description="name of the finding in reports and waivers")
    severity: Literal["error", "warning", "info"] = Field(description="severity of the finding")
    when: Annotated[str, Field(min_length=1, max_length=2000)] = Field(
        description="CEL expression over task, queue, worker, schedule and app; true where the finding fires"
    )
    message: Annotated[str, Field(min_length=1, max_length=500)] = Field(description="message of the finding")
    help: Annotated[str, Field(max_length=500)] | None = Field(
        None, description="what to do about the finding"
    )

    def as_finding(self) -> Finding:
        """A finding with a name of its own and the code that all custom findings share."""
        return Finding(CUSTOM_CODE, self.name, Severity(self.severity), Profile.MINIMAL)


SeverityOrOff = Literal["error", "warning", "info", "off"]


class PolicyFile(Part):
    """The rules of a platform team for every workload."""

    version: Annotated[Literal[1], WholeNumber] = Field(description="version of the file format")
    extends: Literal["as-is", "minimal", "standard", "strict"] = Field(
        "standard",
        description="profile whose findings are reported; as-is also leaves to Celery what the workload does "
        "not set",
    )
    celery: VersionRange | None = Field(None, description="Celery versions that the platform allows")
    latency_classes: dict[Name, Promise] = Field(
        default_factory=dict, description="latency classes for tasks, in addition to the built-in classes"
    )
    parameters: dict[Name, dict[str, JsonValue]] = Field(
        default_factory=dict,
        description="parameters by policy; `policycompiler policy NAME` lists them",
        examples=[{"time-limits": {"hard_over_soft": 1.2}}],
    )
    severities: dict[FindingName | Literal["*"], SeverityOrOff] = Field(
        default_factory=dict,
        description='severity by finding; "*" stands for every finding that is not named',
        examples=[{"missing-runtime": "error"}],
    )
    locked: list[FindingName] = Field(default_factory=list, description="findings that no workload may waive")
    waivers: WaiverRules | None = Field(None, description="limits for waivers")
    deploy: Deploy | None = Field(
        None, description="where and how the processes run, if a workload does not say it"
    )
    targets: list[Name] | None = Field(None, description="targets that a compile emits")
    owners: list[Owner] | None = Field(None, description="names of all teams")
    custom: list[Custom] = Field(default_factory=list, description="custom findings of the organization")

    @classmethod
    def silent(cls) -> "PolicyFile":
        """An empty policy file, without validation, which takes long to build."""
        return cls.model_construct(version=1)

    def half_declared_classes(self) -> list[tuple[str, str]]:
        """New latency classes with each missing field."""
        return [
            (name, field)
            for name, promise in self.latency_classes.items()
            if name not in LATENCY_CLASSES
            for field in Promise.model_fields
            if getattr(promise, field) is None
        ]

    @property
    def promises_apart(self) -> float:
        """The factor from which latency targets share nothing, so no policy causes a `worker-mix` finding."""
        given = self.parameters.get("worker-mix", {}).get("promises_apart")
        number = isinstance(given, int | float) and not isinstance(given, bool)
        return float(given) if number and isinstance(given, int | float) else PROMISES_APART

    @cached_property
    def promises(self) -> LatencyClasses:
        """The built-in latency classes with the changes of this file, and its new classes."""
        classes = dict(LATENCY_CLASSES)
        for name, promise in self.latency_classes.items():
            wait, limit = classes.get(name) or (0, 0)
            classes[name] = LatencyClass(
                wait if promise.queue_wait_p99 is None else promise.queue_wait_p99,
                limit if promise.runtime_p99_limit is None else promise.runtime_p99_limit,
            )
        return dict(sorted(classes.items(), key=lambda item: (item[1], item[0])))
