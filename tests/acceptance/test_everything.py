"""Workloads that say all there is to say: each field of the language is set, and leads somewhere."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import pytest
from places import EVERYTHING

from policycompiler import model
from policycompiler.compiler import Compilation, compile_workload
from policycompiler.diagnostics import SpecPath
from policycompiler.model.part import Part
from policycompiler.model.workload import FileOwn, Sections, Workload, WorkloadFile
from policycompiler.model.workload.workers import SlotsFrom
from policycompiler.plan import Written

SOURCES = sorted(EVERYTHING.glob("*.yaml"))

Field = tuple[type[Part], str]

WITHOUT_A_TRACE: set[Field] = {
    (Workload, "version"),  # of the language
    (Workload, "waivers"),  # about findings, not about the deployment
    (model.WorkerOptions, "beat"),  # true is refused, false is what happens anyway
    (model.Schedule, "enabled"),  # false leaves no schedule behind, true is what happens anyway
}
"""What the plan shows by what is in it, not by a setting of its own."""


def parts() -> set[type[Part]]:
    """Every kind of thing a workload is made of."""
    found, todo = set(), [Part]
    while todo:
        subclasses = todo.pop().__subclasses__()
        found.update(subclasses)
        todo += subclasses
    own = {part for part in found if part.__module__.startswith(Workload.__module__)}
    # A waiver is heard by the judge, in whatever form it is; slots of the machine are one word in a workload.
    return own - {Sections, FileOwn, WorkloadFile, model.Waiver, SlotsFrom}


def fields(part: Part, path: SpecPath = ()) -> Iterator[tuple[Field, SpecPath]]:
    """Each field that says something, and where."""
    for name in type(part).model_fields:
        value, here = getattr(part, name), (*path, name)
        if value is None or value in ({}, []):
            continue
        yield (type(part), name), here
        if isinstance(value, Part):
            children = [(here, value)]
        elif isinstance(value, dict | list):
            items = value.items() if isinstance(value, dict) else enumerate(value)
            children = [((*here, key), item) for key, item in items if isinstance(item, Part)]
        else:
            children = []
        yield from chain.from_iterable(fields(child, place) for place, child in children)


@pytest.fixture(scope="module")
def compilations() -> list[Compilation]:
    found = [compile_workload([source]) for source in SOURCES]
    assert [compilation.diagnostics for compilation in found if compilation.failed] == []
    return found


def said(compilation: Compilation) -> list[tuple[Field, SpecPath]]:
    workload, _ = model.parse(compilation.document)
    return list(fields(workload))


def test_no_field_of_the_language_is_left_out(compilations):
    every = {(part, name) for part in parts() for name in part.model_fields}
    found = {field for compilation in compilations for field, _ in said(compilation)}
    assert every - found == set()


def test_each_field_is_an_origin_of_a_setting_or_named_in_a_finding(compilations):
    found: set[Field] = set()
    every: set[Field] = set()
    for compilation in compilations:
        origins = {
            origin.path
            for setting in compilation.plan
            for origin in setting.origins
            if isinstance(origin, Written)
        }
        # Such as a schedule's options, all of them at once; what is shorter is a task or a queue as such.
        whole_parts = {path for path in origins if len(path) > 2}
        findings = {finding.path for finding in compilation.diagnostics}
        for field, path in said(compilation):
            every.add(field)
            if any(origin[: len(path)] == path for origin in origins) or any(
                path[: len(end)] == end for end in findings | whole_parts
            ):
                found.add(field)
    assert every - found == WITHOUT_A_TRACE
