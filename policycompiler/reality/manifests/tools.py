"""The programs that read manifests as Kubernetes does, without a cluster.

`kubectl` renders each folder and reads each Deployment into its own types, and `kubernetes-validate` compares
each object with the schemas of Kubernetes. The rendered overlays get the lints as well.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from policycompiler.reality.manifests import lint
from policycompiler.reality.manifests.objects import Document, parse
from policycompiler.reality.problem import Problem

_PATIENCE_SECONDS = 120
_LONGEST = 500
_LISTS = "/kustomization.yaml"


def _run(command: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - a checker of this module
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_PATIENCE_SECONDS,
        check=False,
    )


def kubectl(
    program: str, folder: Path, files: Sequence[str], variables: Mapping[str, str]
) -> Iterator[Problem]:
    """Renders each folder, and reads what comes out."""
    del variables
    for file in files:
        if not file.endswith(_LISTS):
            continue
        ended = _run([program, "kustomize", file.removesuffix(_LISTS)], folder)
        if ended.returncode or ended.stderr.strip():
            yield Problem(file, 1, _told(ended.stderr or ended.stdout, folder))
            continue
        documents, problems = parse(file, ended.stdout)
        yield from problems
        own = [each._replace(line=1) for each in documents if each.kind != "ConfigMap"]
        yield from _typed(program, own, ended.stdout)
        if "/overlays/" in file:
            yield from lint(own)


def _typed(program: str, documents: Sequence[Document], text: str) -> Iterator[Problem]:
    """Reads each Deployment into the types of Kubernetes."""
    deployments = [
        part for part in re.split(r"(?m)^---\n", text) if re.search(r"(?m)^kind: Deployment$", part)
    ]
    if not deployments:
        return
    with tempfile.TemporaryDirectory(prefix="policycompiler-") as aside:
        path = Path(aside) / "deployments.yaml"
        path.write_text("---\n".join(deployments), encoding="utf-8")
        ended = _run(
            [program, "set", "image", "--local", "-f", path.name, "*=image", "-o", "name"], Path(aside)
        )
    if ended.returncode:
        yield Problem(documents[0].file, 1, _told(ended.stderr, Path(aside)))


def validate(
    program: str, folder: Path, files: Sequence[str], variables: Mapping[str, str]
) -> Iterator[Problem]:
    """Compares the objects of the base with the schemas of Kubernetes; it has none of custom kinds."""
    del variables
    own = [file for file in files if "/overlays/" not in file and not file.endswith(_LISTS)]
    ended = _run([program, "--strict", "--no-warn", "--quiet", *own], folder) if own else None
    if ended is None or not ended.returncode:
        return
    for line in (ended.stdout + ended.stderr).splitlines():
        if line.strip():
            file = next((file for file in own if f" {file} " in line), own[0])
            yield Problem(file, 1, line[:_LONGEST])


def _told(text: str, folder: Path) -> str:
    return " ".join(text.replace(str(folder.resolve()), "").split())[:_LONGEST]
