"""A target that is named and has nothing to write: `target-empty`, and nothing is written."""

from __future__ import annotations

from pathlib import Path

import pytest
from workloads import workload

from policycompiler.compiler import compile_workload

IMAGE = 'deploy: {image: "registry.example/shop:1.4.2"}\n'


@pytest.fixture
def source(tmp_path) -> Path:
    return tmp_path / "workload.yaml"


def names(source: Path, targets: tuple[str, ...] | None) -> tuple[list[str], bool]:
    made = compile_workload([source], targets=targets)
    return [each.name for each in made.diagnostics], bool(made.files)


def test_containers_need_an_image(source):
    source.write_text(workload("tasks: {shop.a: }"), "utf-8")
    assert names(source, ("compose",)) == (["target-empty"], False)
    assert names(source, ("launch", "compose")) == (["target-empty"], False)
    assert names(source, None) == ([], True)


def test_with_what_it_needs_a_target_is_written(source):
    source.write_text(workload("tasks: {shop.a: }\n" + IMAGE), "utf-8")
    assert names(source, ("compose",)) == ([], True)
