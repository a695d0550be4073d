"""Tests of a policy file: workloads and their expected findings."""

from typing import Annotated, Literal

from pydantic import Field

from policycompiler.model.part import Part
from policycompiler.model.units import Date, FindingName, Name, Text, WholeNumber


class Expected(Part):
    """A finding that a case must have."""

    finding: FindingName = Field(description="name or code of the finding")
    at: Text | None = Field(None, description="path in the workload, or a glob; any path by default")
    severity: Literal["error", "warning", "info"] | None = Field(None, description="severity of the finding")
    waived: bool = Field(default=False, description="whether a waiver applies to the finding")


class Case(Part):
    """A workload, with all errors and warnings that the policy file finds in it."""

    name: Text = Field(description="what the case shows, in a few words")
    workload: Text | Annotated[list[Text], Field(min_length=1)] = Field(
        description="files or folders, relative to this file"
    )
    env: Name | None = Field(None, description="environment to apply")
    today: Date | None = Field(None, description="evaluate waivers as of this date")
    expect: list[Expected] = Field(
        default_factory=list, description="every error and warning, and required infos"
    )


class PolicyTests(Part):
    """A file of tests."""

    version: Annotated[Literal[1], WholeNumber] = Field(description="version of the file format")
    policy: Text = Field(description="policy file, relative to this file")
    cases: Annotated[list[Case], Field(min_length=1)] = Field(description="cases to check")
