"""What the schemas of Kubernetes accept, and what fails or loses tasks anyway.

Each lint reads objects and yields problems. Together they see what `kubernetes-validate` does not: numbers,
names and labels that must fit each other, probes that kill busy workers, and files that Kustomize misses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from policycompiler.reality.manifests import folders, objects, pods, references, scaling
from policycompiler.reality.manifests.objects import Document
from policycompiler.reality.problem import Problem


def manifests(
    program: str, folder: Path, files: Sequence[str], variables: Mapping[str, str]
) -> Iterator[Problem]:
    """The manifests of each folder with a list for Kustomize. Overlays have patches, which are no objects."""
    del program, variables
    for directory in sorted({file.rpartition("/")[0] for file in files}):
        own = [file for file in files if file.rpartition("/")[0] == directory]
        found: list[Document] = []
        for file in own:
            read, problems = objects.read(folder, file)
            yield from problems
            found += read
        yield from folders.problems(folder, directory, own, found)
        if directory.rpartition("/")[2] == "base":
            yield from lint(found)


def lint(documents: Sequence[Document]) -> Iterator[Problem]:
    """The problems of the objects of one namespace."""
    known = [each for each in documents if not each.is_list]
    for each in known:
        for said in (
            *objects.problems(each.fields),
            *pods.problems(each.fields),
            *scaling.problems(each.fields),
        ):
            yield each.problem(said)
    yield from references.problems(known)
