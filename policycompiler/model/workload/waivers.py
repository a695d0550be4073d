"""`waivers`: findings that somebody answers for."""

from typing import Annotated

from pydantic import BeforeValidator, Field, JsonValue

from policycompiler.model.part import Part
from policycompiler.model.units import Date, FindingName, Owner, Text


class Waiver(Part):
    """A finding that somebody answers for until a date."""

    finding: FindingName = Field(description="name or code")
    at: Text = Field(description="a path or glob in the workload", examples=["tasks.shop.legacy.*"])
    reason: Text = Field(description="why this is acceptable, for the reviewer")
    owner: Owner = Field(description="the team that answers for it")
    expires: Date = Field(description="the last day it holds")


def _as_it_is(value: object) -> object:
    return value


AnyWaiver = Annotated[JsonValue, BeforeValidator(_as_it_is, json_schema_input_type=Waiver)]
"""A waiver in any form: one that is malformed counts as absent and hides nothing else that is wrong."""
