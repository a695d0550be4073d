"""`waivers`: findings that a team accepts until a date."""

from typing import Annotated

from pydantic import BeforeValidator, Field, JsonValue

from policycompiler.model.part import Part
from policycompiler.model.units import Date, FindingName, Owner, Text


class Waiver(Part):
    """A finding that a team accepts until a date."""

    finding: FindingName = Field(description="name or code of the finding")
    at: Text = Field(description="path in the workload, or a glob", examples=["tasks.shop.legacy.*"])
    reason: Text = Field(description="why this is acceptable")
    owner: Owner = Field(description="team that is responsible for the waiver")
    expires: Date = Field(description="last day of the waiver")


def _as_it_is(value: object) -> object:
    return value


AnyWaiver = Annotated[JsonValue, BeforeValidator(_as_it_is, json_schema_input_type=Waiver)]
"""A waiver in any form: a malformed waiver counts as absent and hides no other mistake."""
