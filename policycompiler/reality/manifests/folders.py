"""Folders of Kustomize: the list names every file, and pods get the settings that it generates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from policycompiler.reality.manifests.objects import LIST, Document, entries, is_name, mapping, texts
from policycompiler.reality.problem import Problem

_SETTINGS = "celeryconfig.py"


def problems(
    folder: Path, directory: str, files: Sequence[str], documents: Sequence[Document]
) -> Iterator[Problem]:
    """What the list of a folder misses."""
    lists = [each for each in documents if each.kind == LIST]
    if len(lists) != 1:
        yield Problem(files[0], 1, f"{directory} needs one `kustomization.yaml`")
        return
    own = lists[0]
    if not is_name(own.fields.get("namespace")):
        yield Problem(own.file, 1, f"`{own.fields.get('namespace')}` cannot be a namespace")
    named = texts(own.fields.get("resources"))
    named += [str(patch.get("path")) for patch in entries(own.fields.get("patches"))]
    generators = entries(own.fields.get("configMapGenerator"))
    # A source may have a key: `key=path`.
    sources = [name.rpartition("=")[2] for generator in generators for name in texts(generator.get("files"))]
    for name in sorted({*named, *sources}):
        if not (folder / directory / name).exists():
            yield Problem(own.file, 1, f"`{name}` is not there")
    for file in files:
        name = file.rpartition("/")[2]
        if name not in named and file != own.file:
            yield Problem(own.file, 1, f"`{name}` is not in the list, so Kustomize ignores it")
    if directory.rpartition("/")[2] == "base":
        yield from _settings(own, sources, [str(each.get("name")) for each in generators], documents)


def _settings(
    own: Document, sources: Sequence[str], made: Sequence[str], documents: Sequence[Document]
) -> Iterator[Problem]:
    if _SETTINGS not in sources:
        yield Problem(own.file, 1, f"`configMapGenerator` does not have `{_SETTINGS}`")
    for each in documents:
        template = mapping(mapping(each.fields.get("spec")).get("template"))
        for volume in entries(mapping(template.get("spec")).get("volumes")):
            name = mapping(volume.get("configMap")).get("name")
            if name is not None and name not in made:
                yield each.problem(f"it mounts ConfigMap `{name}`, which nothing makes")
