"""Walks the model: the form at a location, and every key below a part."""

from __future__ import annotations

import types
from collections.abc import Iterator
from functools import cache
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from policycompiler.diagnostics import SpecPath

NAME = "NAME"
"""Stands in a path for the name of a task, a queue or a worker."""


def form_at(model: type[BaseModel], location: SpecPath) -> object:
    """The form at a location: a part of the model, a list, a mapping, or a plain type."""
    current: Any = model
    for part in location:
        current = _inner(current)
        if isinstance(current, type) and issubclass(current, BaseModel):
            field = current.model_fields.get(str(part))
            current = field.annotation if field else None
        elif get_origin(current) in {dict, list}:
            current = get_args(current)[-1]
    return _inner(current)


def keys_of(shape: object) -> list[str]:
    """The keys of a part of the model; none for anything else."""
    return list(shape.model_fields) if isinstance(shape, type) and issubclass(shape, BaseModel) else []


@cache
def paths_below(shape: object) -> tuple[tuple[str, ...], ...]:
    """The path of every key below a part of the model, at any depth."""
    return tuple(_walk(shape, ()))


def _walk(shape: object, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    shape = _inner(shape)
    if get_origin(shape) in {dict, list}:
        yield from _walk(get_args(shape)[-1], (*path, NAME))
    elif isinstance(shape, type) and issubclass(shape, BaseModel):
        for name, info in shape.model_fields.items():
            yield (*path, name)
            yield from _walk(info.annotation, (*path, name))


def _inner(annotation: Any) -> Any:  # noqa: ANN401 - type forms have no common type
    """The form without Annotated and `| None`."""
    while True:
        origin = get_origin(annotation)
        if origin is Annotated:
            annotation = get_args(annotation)[0]
        elif origin in {Union, types.UnionType}:
            annotation = next(arg for arg in get_args(annotation) if arg is not type(None))
        else:
            return annotation
