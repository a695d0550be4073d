"""From data to the typed workload; refusals of pydantic become findings in the words of the workload.

Because:
    An unknown key, or text in place of a number, would silently have no effect. The team would rely on a
    promise that no setting keeps. So every value of a workload has one form. Any other form is refused
    at its line, with the most similar word.

Refuses:
    PC101 unknown-key: correct the name, or remove the key.
        fires: tasks: {shop.a: {latncy: batch}}
        silent: tasks: {shop.a: {latency: batch}}
    PC102 missing-key: add the key.
        fires:
            tasks: {shop.a: {idempotent: true}}
            schedules: {nightly: {cron: "0 3 * * *"}}
        silent:
            tasks: {shop.a: {idempotent: true}}
            schedules: {nightly: {task: shop.a, cron: "0 3 * * *"}}
    PC103 wrong-type: write a value of the expected type; a value in quotes is text.
        fires: tasks: {shop.a: {idempotent: "true"}}
        silent: tasks: {shop.a: {idempotent: true}}
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from policycompiler.diagnostics import Diagnostic, SpecPath, fatal
from policycompiler.load import TOO_LARGE, Data, Document, Mapped, Mark, OneFile, place_in
from policycompiler.model import advice, examples
from policycompiler.model.anywhere import INVALID_VALUE, refused_anywhere
from policycompiler.model.policy_file import PolicyFile
from policycompiler.model.readable import readable
from policycompiler.model.workload import FileOwn, Workload, WorkloadFile

UNKNOWN_KEY = fatal("PC101", "unknown-key")
MISSING_KEY = fatal("PC102", "missing-key")
WRONG_TYPE = fatal("PC103", "wrong-type")

LONGEST_ECHO = 40
"""Characters of a wrong word that a message repeats; a longer word is no misspelling."""

MOST_FINDINGS = 1000
"""A reader fixes the first ones before reading more."""

_EXPECTED = {
    "bool_type": "true or false",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "text",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}

_LIMITS = {
    "greater_than_equal": "the value must be at least {ge:g}",
    "less_than_equal": "the value must be at most {le:g}",
    "string_too_long": "the text must have at most {max_length} characters",
    "string_too_short": "the text must not be empty",
}


def parse(document: Document) -> tuple[Workload | None, list[Diagnostic]]:
    """The typed workload or None, and all problems, up to `MOST_FINDINGS` of a kind."""
    findings = list(islice(_refused_anywhere(document), MOST_FINDINGS))
    if any(finding.code == TOO_LARGE.code for finding in findings):
        return None, findings
    secret = {finding.place for finding in findings}
    for data, mark in document.per_file:
        own = {key: data[key] for key in FileOwn.model_fields if key in data}
        more = islice(_per_file_findings(own, mark), MOST_FINDINGS) if own else ()
        overlays = islice(_overlay_findings(data.get("environments"), mark), MOST_FINDINGS)
        # A value with a password gets that finding only.
        findings += [found for found in (*more, *overlays) if found.place not in secret]
    try:
        workload = Workload.model_validate(document.data)
    except ValidationError as refused:
        for found in islice(_findings(refused, document.data, Workload), MOST_FINDINGS):
            # The owner has been refused in its own file.
            if found.path != ("owner",) and document.place(found.path, key=found.at_key) not in secret:
                findings.append(found)
        return None, findings
    return workload, findings


_Kind = TypeVar("_Kind", bound=BaseModel)


def checked(kind: type[_Kind], data: Data, path: SpecPath = ()) -> tuple[_Kind | None, list[Diagnostic]]:
    """The part at a path, or None and all its problems."""
    try:
        return kind.model_validate(data), []
    except ValidationError as refused:
        return None, [
            replace(found, path=(*path, *found.path))
            for found in islice(_findings(refused, data, kind, base=path), MOST_FINDINGS)
        ]


def parse_policy_file(file: OneFile) -> tuple[PolicyFile | None, list[Diagnostic]]:
    """The typed policy file, and all problems of its form.

    With problems, it is what is left, for a search for more mistakes and not for a judgment; None if nothing
    is left.
    """
    refused = list(refused_anywhere(file.data))
    if any(finding.code == TOO_LARGE.code for finding in refused):
        return None, [_placed(finding, file.mark) for finding in refused]
    secret = {finding.path for finding in refused}
    policy, wrong = checked(PolicyFile, file.data)
    findings = [*refused, *(each for each in wrong if each.path not in secret)]
    left = readable(file.data, findings) if findings else policy
    for name, field in left.half_declared_classes() if left else ():
        message = f"`{field}` is missing; `{name}` is not a built-in class, so there is no default"
        findings.append(
            MISSING_KEY.at(("latency_classes", name), message, help=f"add `{field}:`", at_key=True)
        )
    return left, [_placed(finding, file.mark) for finding in findings]


def _refused_anywhere(document: Document) -> Iterator[Diagnostic]:
    """Also in an environment that is not applied."""
    for data, mark in document.per_file:
        for finding in refused_anywhere(data):
            yield _placed(finding, mark)


def _placed(finding: Diagnostic, mark: Mark) -> Diagnostic:
    """With the place of a path in one file, not in the merged document."""
    return replace(finding, place=place_in(mark, finding.path, key=finding.at_key))


def workload_schema() -> str:
    """The JSON Schema of one workload file, for editors, as text."""
    return schema_text(WorkloadFile, "policycompiler workload, version 1")


def schema_text(kind: type[BaseModel], title: str) -> str:
    """The JSON Schema of a file, as text."""
    schema = kind.model_json_schema()
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title}
    return json.dumps(_without_noise({**schema, **head}), indent=2, sort_keys=True) + "\n"


def _per_file_findings(own: Mapped, mark: Mark) -> Iterator[Diagnostic]:
    _, refused = checked(FileOwn, own)
    for finding in refused:
        yield _placed(finding, mark)


def _overlay_findings(environments: object, mark: Mark) -> Iterator[Diagnostic]:
    """The form of overlays, applied or not. A patch may be partial, and removes with null."""
    for name, patch in environments.items() if isinstance(environments, dict) else ():
        try:
            WorkloadFile.model_validate(
                {"version": 1, **patch} if isinstance(patch, dict) else {"version": 1}
            )
        except ValidationError as refused:
            for finding in _findings(refused, patch, WorkloadFile, partial=True):
                yield _placed(replace(finding, path=("environments", name, *finding.path)), mark)


def _findings(
    refused: ValidationError,
    data: Data,
    model: type[BaseModel],
    *,
    partial: bool = False,
    base: SpecPath = (),
) -> Iterator[Diagnostic]:
    for problem in refused.errors(include_url=False):
        kind = problem["type"]
        if partial and (kind == "missing" or problem["input"] is None):
            continue
        location: SpecPath = tuple(problem["loc"])
        at_key = bool(location) and location[-1] == "[key]"
        path = _path_in(data, location[:-1] if at_key else location)
        context = problem.get("ctx", {})
        if kind == "extra_forbidden":
            yield _unknown_key(path, location, model)
        elif kind == "missing":
            where = ".".join(str(part) for part in (*base, *location[:-1]))
            message = f"`{location[-1]}` is missing" + (f" in `{where}`" if where else "")
            yield MISSING_KEY.at(location[:-1], message, help=advice.for_missing(location, model))
        elif kind == "literal_error":
            yield _not_one_of(path, problem["input"], str(context["expected"]))
        elif kind in _EXPECTED:
            found = _kind_of(problem["input"])
            help_text = examples.for_type(kind, problem["input"], location, model)
            yield WRONG_TYPE.at(path, f"expected {_EXPECTED[kind]}, found {found}", help=help_text)
        else:
            message = _LIMITS[kind].format(**context) if kind in _LIMITS else _in_our_words(problem["msg"])
            help_text = "" if at_key else examples.for_number(problem["input"], location, model)
            yield INVALID_VALUE.at(path, message, help=help_text, at_key=at_key)


def _unknown_key(path: SpecPath, location: SpecPath, model: type[BaseModel]) -> Diagnostic:
    key = str(location[-1])
    help_text = advice.for_key(key, location, model)
    if len(location) == 1 and model in {Workload, WorkloadFile} and key in PolicyFile.model_fields:
        help_text = "write it in a policy file, and pass that file with `--policy`"
    if len(location) == 1 and model is PolicyFile and key in WorkloadFile.model_fields:
        help_text = "move it to a workload file"
    return UNKNOWN_KEY.at(path, f"unknown key `{key}`", help=help_text, at_key=True)


def _not_one_of(path: SpecPath, found: object, expected: str) -> Diagnostic:
    allowed = expected.replace("'", "").replace(" or ", ", ")
    if found == allowed:
        return WRONG_TYPE.at(
            path, f"expected the number {allowed}, found text", help="write it without quotes"
        )
    shown = f"`{found}`" if isinstance(found, str) and len(found) <= LONGEST_ECHO else _kind_of(found)
    help_text = advice.for_value(path, found, allowed.split(", "))
    return INVALID_VALUE.at(path, f"found {shown}; allowed: {allowed}", help=help_text)


def _kind_of(value: object) -> str:
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"the number {value}"
        case str():
            return "text"
        case list():
            return "a list"
        case _:
            return "a mapping"


def _in_our_words(message: str) -> str:
    text = message.removeprefix("Value error, ")
    return text[:1].lower() + text[1:]


def _path_in(data: Any, location: SpecPath) -> SpecPath:  # noqa: ANN401 - JSON
    """The part of a pydantic location that is in the document; pydantic adds words of its own."""
    path: list[str | int] = []
    for part in location:
        in_mapping = isinstance(data, dict) and part in data
        in_list = isinstance(data, list) and isinstance(part, int) and part < len(data)
        if in_mapping or in_list:
            data = data[part]
            path.append(part)
    return tuple(path)


def _without_noise(schema: Any) -> Any:  # noqa: ANN401 - JSON
    """Drop generated titles, and null as a field's value: a workload leaves the field out instead."""
    if isinstance(schema, list):
        return [_without_noise(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    result: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "default" or (key == "title" and isinstance(value, str) and "version" not in value):
            continue
        if key == "properties":
            result[key] = {name: _without_null(_without_noise(inner)) for name, inner in value.items()}
        else:
            result[key] = _without_noise(value)
    if "patternProperties" in result:
        result["additionalProperties"] = False
    return result


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    kept = [option for option in schema.get("anyOf", []) if option != {"type": "null"}]
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    return {**kept[0], **rest} if len(kept) == 1 else {**rest, "anyOf": kept} if kept else rest
