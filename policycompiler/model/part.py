"""The base of every part of a file that a user writes."""

from pydantic import BaseModel, ConfigDict, JsonValue


class Part(BaseModel):
    """Immutable, strict about types, and without undeclared keys."""

    # Deferred: only whole files are validated, and building each part costs start-up time.
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", defer_build=True)


def shown_as(example: dict[str, JsonValue]) -> ConfigDict:
    """The configuration of a part with an example: for editors, and for findings about another shape."""
    return ConfigDict(json_schema_extra={"examples": [example]})
