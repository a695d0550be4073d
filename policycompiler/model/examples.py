"""An example for a value of the wrong shape, read from the model."""

from __future__ import annotations

import json
import re
from typing import Annotated, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from policycompiler.diagnostics import SpecPath
from policycompiler.model.shapes import NAME, form_at
from policycompiler.model.units import parse_duration, parse_size

LONGEST_EXAMPLE = 40
"""Characters of a value that an example repeats."""

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_ENCODED = frozenset({"null", "true", "false"})


def for_type(kind: str, found: object, location: SpecPath, model: type[BaseModel]) -> str:
    """What to write instead of a value of the wrong type; an example for lists and mappings."""
    if kind == "bool_type" and isinstance(found, str):
        return "write true or false without quotes; yes, no, on and off are text"
    if kind == "string_type" and isinstance(found, int | float):
        return "quote it"
    if kind in _NUMBERS:
        return for_number(found, location, model)
    return _structure(kind, found, location, model) if kind in _STRUCTURED else ""


def _structure(kind: str, found: object, location: SpecPath, model: type[BaseModel]) -> str:
    if kind == "list_type" and _is_short(found):
        return f"write a list: `[{flow(found)}]`"
    shape = "list" if kind == "list_type" else "mapping"
    examples = [flow(each) for each in _examples_at(model, location)]
    if not examples:
        return f"write a {shape}"
    words = [f"`{each}`" for each in examples if each[:1] not in "{["]
    shown = next((f"a {shape} such as `{each}`" for each in examples if each[:1] in "{["), "")
    return f"write {' or '.join(filter(None, [*words, shown]))}"


_NUMBERS = frozenset({"int_type", "float_type"})
_STRUCTURED = frozenset({"list_type", "dict_type", "model_type", "model_attributes_type"})


def for_number(found: object, location: SpecPath, model: type[BaseModel]) -> str:
    """What to write instead of text for a number with a unit."""
    info = _field_at(model, location)
    return number_help(found, (info and info.description) or "") if isinstance(found, str) else ""


def number_help(found: str, description: str) -> str:
    """The number without its unit; the description names the unit of the field."""
    if re.fullmatch(r"\d{1,12}(\.\d{1,9})?", found):
        return "write it without quotes"
    for unit, parse, factor in (("in seconds", parse_duration, 1), ("in KiB", parse_size, 1024)):
        if unit in description:
            try:
                return f"write a number {unit}: {max(1, round(parse(found) / factor))}"
            except PydanticCustomError:
                continue
    return ""


def _is_short(value: object) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool) and len(str(value)) <= LONGEST_EXAMPLE


def flow(value: object) -> str:
    """A value as YAML writes it on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{flow(key)}: {flow(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(flow, value))}]"
    if isinstance(value, str) and (value.lower() in _ENCODED or not _PLAIN.fullmatch(value)):
        return value if re.fullmatch(r"\d[\w.]*/?\w*[a-zA-Z]", value) else json.dumps(value)
    return value if isinstance(value, str) else json.dumps(value)


def _field_at(model: type[BaseModel], location: SpecPath) -> FieldInfo | None:
    above = form_at(model, location[:-1]) if location else None
    if isinstance(above, type) and issubclass(above, BaseModel):
        return above.model_fields.get(str(location[-1]))
    return None


def _examples_at(model: type[BaseModel], location: SpecPath) -> list[object]:
    """The examples of the field at a location, or of its part."""
    info = _field_at(model, location)
    return [*info.examples] if info and info.examples else _examples_of(form_at(model, location))


def _examples_of(shape: object) -> list[object]:
    """The examples of a part; for a list or a mapping of names, with one entry."""
    if get_origin(shape) is Annotated:
        extras = [each.json_schema_extra for each in get_args(shape) if isinstance(each, FieldInfo)]
        found = [each for extra in extras for each in _examples_in(extra)[:1]]
        return found or _examples_of(get_args(shape)[0])
    if get_origin(shape) is Literal:
        return [get_args(shape)[0]]
    if get_origin(shape) is list:
        return [[each] for each in _examples_of(get_args(shape)[0])]
    if get_origin(shape) is dict:
        return [{NAME: each} for each in _examples_of(get_args(shape)[-1])]
    if isinstance(shape, type) and issubclass(shape, BaseModel):
        return _examples_in(shape.model_config.get("json_schema_extra"))
    return []


def _examples_in(extra: object) -> list[object]:
    found = extra.get("examples") if isinstance(extra, dict) else None
    return [*found] if isinstance(found, list) else []
