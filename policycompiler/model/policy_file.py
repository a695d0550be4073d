"""The policy file: what a platform team sets for every workload of its organisation."""

from functools import cached_property
from typing import Annotated, Literal

from pydantic import Field, JsonValue

from policycompiler.diagnostics import Finding, Profile, Severity
from policycompiler.model.classes import LATENCY_CLASSES, PROMISES_APART, LatencyClass, LatencyClasses
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
    """Base of what a policy file can set of one policy; each field has its unit in its type or name."""


class Promise(Part):
    """A latency class; what is left out stays as the built-in class of that name has it."""

    model_config = shown_as({"queue_wait_p99": "30s", "runtime_p99_limit": "5m"})

    queue_wait_p99: PositiveDuration | None = Field(None, description="99 of 100 tasks start within this")
    runtime_p99_limit: PositiveDuration | None = Field(
        None, description="longest run that can share a queue under this promise"
    )


class WaiverRules(Part):
    """What a waiver must keep to."""

    model_config = shown_as({"longest": "180d"})

    longest: PositiveDuration | None = Field(None, description="how far ahead a waiver may expire")


CUSTOM_CODE = "ORG"
"""Of every finding that a policy file declares; their names tell them apart."""


class Custom(Part):
    """A finding of the organisation's own."""

    name: CustomName = Field(description="as users see it and waive it")
    severity: Literal["error", "warning", "info"] = Field(description="how bad it is")
    when: Annotated[str, Field(min_length=1, max_length=2000)] = Field(
        description="CEL over task, queue, worker, schedule and app; true where it fires"
    )
    message: Annotated[str, Field(min_length=1, max_length=500)] = Field(description="what was found")
    help: Annotated[str, Field(max_length=500)] | None = Field(None, description="what to do")

    def as_finding(self) -> Finding:
        """As every other finding: it has a name of its own and shares its code."""
        return Finding(CUSTOM_CODE, self.name, Severity(self.severity), Profile.MINIMAL)


SeverityOrOff = Literal["error", "warning", "info", "off"]


class PolicyFile(Part):
    """All of it."""

    version: Annotated[Literal[1], WholeNumber] = Field(description="version of this language")
    extends: Literal["minimal", "standard", "strict"] = Field(
        "standard", description="the profile whose findings count"
    )
    celery: VersionRange | None = Field(None, description="the versions of Celery that the platform allows")
    latency_classes: dict[Name, Promise] = Field(
        default_factory=dict, description="promises to choose from; the built-in ones stay"
    )
    parameters: dict[Name, dict[str, JsonValue]] = Field(
        default_factory=dict,
        description="by policy; `policycompiler policy NAME` lists them",
        examples=[{"time-limits": {"hard_over_soft": 1.2}}],
    )
    severities: dict[FindingName | Literal["*"], SeverityOrOff] = Field(
        default_factory=dict,
        description='by finding; "*" is every one that is not named',
        examples=[{"missing-runtime": "error"}],
    )
    locked: list[FindingName] = Field(default_factory=list, description="findings that no workload can waive")
    waivers: WaiverRules | None = Field(None, description="what a waiver must keep to")
    targets: list[Name] | None = Field(None, description="what a compile makes")
    owners: list[Owner] | None = Field(None, description="the teams there are")
    custom: list[Custom] = Field(default_factory=list, description="findings of the organisation's own")

    @classmethod
    def silent(cls) -> "PolicyFile":
        """The one that says nothing; there is nothing to check in it, and the checks take long to build."""
        return cls.model_construct(version=1)

    def half_declared_classes(self) -> list[tuple[str, str]]:
        """New latency classes with the field that they lack."""
        return [
            (name, field)
            for name, promise in self.latency_classes.items()
            if name not in LATENCY_CLASSES
            for field in Promise.model_fields
            if getattr(promise, field) is None
        ]

    @property
    def promises_apart(self) -> float:
        """How far apart promises are that share nothing: nobody may decide what `worker-mix` warns of."""
        given = self.parameters.get("worker-mix", {}).get("promises_apart")
        number = isinstance(given, int | float) and not isinstance(given, bool)
        return float(given) if number and isinstance(given, int | float) else PROMISES_APART

    @cached_property
    def promises(self) -> LatencyClasses:
        """The built-in latency classes as this file changes them, and its own."""
        classes = dict(LATENCY_CLASSES)
        for name, promise in self.latency_classes.items():
            wait, limit = classes.get(name) or (0, 0)
            classes[name] = LatencyClass(
                wait if promise.queue_wait_p99 is None else promise.queue_wait_p99,
                limit if promise.runtime_p99_limit is None else promise.runtime_p99_limit,
            )
        return dict(sorted(classes.items(), key=lambda item: (item[1], item[0])))
