"""The base of everything that a user may write."""

from pydantic import BaseModel, ConfigDict, JsonValue


class Part(BaseModel):
    """Immutable, strict about types, and without a key that is not declared."""

    # Deferred: only whole files are ever validated, and each part built by itself costs start-up time.
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", defer_build=True)


def shown_as(example: dict[str, JsonValue]) -> ConfigDict:
    """The configuration of a part with an example: for editors, and for findings about another shape."""
    return ConfigDict(json_schema_extra={"examples": [example]})
