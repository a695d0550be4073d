"""The policy file: what a platform team sets for every workload of its organisation."""

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from policycompiler.model.units import (
    FindingName,
    Name,
    Owner,
    PositiveDuration,
    VersionRange,
    WholeNumber,
)
from policycompiler.model.workload import Part


class PolicyParameters(Part):
    """Base of what a policy file can set of one policy; each field has its unit in its type or name."""


class Promise(Part):
    """A latency class; what is left out stays as the built-in class of that name has it."""

    queue_wait_p99: PositiveDuration | None = Field(None, description="99 of 100 tasks start within this")
    runtime_p99_limit: PositiveDuration | None = Field(
        None, description="longest run that can share a queue under this promise"
    )


class WaiverRules(Part):
    """What a waiver must keep to."""

    longest: PositiveDuration | None = Field(None, description="how far ahead a waiver may expire")


class Custom(Part):
    """A finding of the organisation's own."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,79}$")] = Field(
        description="as users see it and waive it"
    )
    severity: Literal["error", "warning", "info"] = Field(description="how bad it is")
    when: Annotated[str, Field(min_length=1, max_length=2000)] = Field(
        description="CEL over task, queue, worker, schedule and app; true where it fires"
    )
    message: Annotated[str, Field(min_length=1, max_length=500)] = Field(description="what was found")
    help: Annotated[str, Field(max_length=500)] | None = Field(None, description="what to do")


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
        default_factory=dict, description="by policy; `policycompiler policy NAME` lists them"
    )
    severities: dict[FindingName | Literal["*"], SeverityOrOff] = Field(
        default_factory=dict, description='by finding; "*" is every one that is not named'
    )
    locked: list[FindingName] = Field(default_factory=list, description="findings that no workload can waive")
    waivers: WaiverRules | None = Field(None, description="what a waiver must keep to")
    targets: list[Name] | None = Field(None, description="what a compile makes")
    owners: list[Owner] | None = Field(None, description="the teams there are")
    custom: list[Custom] = Field(default_factory=list, description="findings of the organisation's own")
