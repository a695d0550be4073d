"""Lints of manifests: whatever somebody wrote into a copy, they find problems and never end with a traceback."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import cache

import pytest
from places import EVERYTHING

from policycompiler.compiler import compile_workload
from policycompiler.reality.manifests import lint, manifests
from policycompiler.reality.manifests.objects import Document, parse

STRANGE = [None, [], {}, -1, [[1]], {"a": None}, "x" * 300]


@cache
def documents() -> tuple[Document, ...]:
    files = compile_workload([EVERYTHING / "redis.yaml"], targets=["kubernetes"]).files
    texts = [file.text for file in files if file.path.startswith("kubernetes/base/") and "yaml" in file.path]
    return tuple(document for text in texts for document in parse("file.yaml", text)[0])


def paths(value: object, path: tuple = ()) -> Iterator[tuple]:
    """The paths of all values in a document."""
    items = enumerate(value) if isinstance(value, list) else value.items() if isinstance(value, dict) else ()
    for key, inner in items:
        yield (*path, key)
        yield from paths(inner, (*path, key))


@pytest.mark.parametrize("kind", ["Deployment", "ScaledObject", "Service", "ServiceMonitor", "NetworkPolicy"])
def test_a_strange_value_anywhere_is_no_traceback(kind):
    document = next(each for each in documents() if each.kind == kind)
    found = 0
    for path in paths(document.fields):
        for strange in STRANGE:
            fields = copy.deepcopy(document.fields)
            parent = fields
            for key in path[:-1]:
                parent = parent[key]
            parent[path[-1]] = strange
            found += bool([*lint([Document("file.yaml", 1, fields), *documents()])])
    assert found > 50


BROKEN = {
    "no YAML": "kind: [",
    "a key twice": "kind: Deployment\nkind: Deployment\n",
    "a list as a key": "? [a]\n: b\n",
    "a date that does not exist": "kind: 2001-99-99\n",
    "itself": "a: &a [*a]\n",
    "a tag": "kind: !!python/object:os.system x\n",
    "depth": "a: " + "[" * 3000 + "]" * 3000,
    "text": "kind",
    "nothing": "",
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_a_problem(text, tmp_path):
    folder = tmp_path / "kubernetes" / "base"
    folder.mkdir(parents=True)
    (folder / "kustomization.yaml").write_text(text, "utf-8")
    assert [*manifests("python", tmp_path, ["kubernetes/base/kustomization.yaml"], {})]
