"""Tests of a policy file: workloads, and what it should find in them."""

from typing import Annotated, Literal

from pydantic import Field

from policycompiler.model.part import Part
from policycompiler.model.units import Date, FindingName, Name, Text, WholeNumber


class Expected(Part):
    """A finding that a case must have."""

    finding: FindingName = Field(description="name or code")
    at: Text | None = Field(None, description="its path in the workload, or a glob; anywhere by default")
    severity: Literal["error", "warning", "info"] | None = Field(None, description="how bad it is")
    waived: bool = Field(default=False, description="whether somebody answers for it")


class Case(Part):
    """A workload under the policy file, with all errors and warnings that are found in it."""

    name: Text = Field(description="what it shows, in a few words")
    workload: Text | Annotated[list[Text], Field(min_length=1)] = Field(
        description="files or folders, relative to this file"
    )
    env: Name | None = Field(None, description="the environment that is applied")
    today: Date | None = Field(None, description="the day on which waivers are held valid")
    expect: list[Expected] = Field(
        default_factory=list, description="every error and warning, and infos that must be there"
    )


class PolicyTests(Part):
    """A file of tests."""

    version: Annotated[Literal[1], WholeNumber] = Field(description="version of this language")
    policy: Text = Field(description="the policy file, relative to this file")
    cases: Annotated[list[Case], Field(min_length=1)] = Field(description="what to look at")
