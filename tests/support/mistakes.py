"""Deliberate mistakes in copies of compiled files, and which checker finds each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import yaml
from places import DATA, ROOT

from policycompiler.compiler import compile_workload
from policycompiler.output import manifest_file, write
from policycompiler.plan import Plan
from policycompiler.reality.checkers import CHECKERS
from policycompiler.verify import agreement, documents, files

MISTAKES = DATA / "mistakes"
PLAN = "plan"
"""The comparison of a file with the plan beside it."""


class Mistake(NamedTuple):
    """A text in a file that is replaced, and what that means; `file` is another file than most mistakes have."""

    what: str
    old: str
    new: str
    file: str = ""


class Mistakes(NamedTuple):
    """The mistakes in one file of a target; `source` is what is compiled."""

    target: str
    source: Path
    file: str
    mistakes: tuple[Mistake, ...]


def all_mistakes() -> list[Mistakes]:
    """By target."""
    found = []
    for path in sorted(MISTAKES.glob("*.yaml")):
        data = yaml.safe_load(path.read_text("utf-8"))
        each = tuple(Mistake(**fields) for fields in data["mistakes"])
        found.append(Mistakes(path.stem, ROOT / data["source"], data["file"], each))
    return found


def found(mistakes: Mistakes, folder: Path) -> Iterator[tuple[Mistake, list[str]]]:
    """Each mistake with the checkers that find it; hashes do not count."""
    made = compile_workload([mistakes.source])
    assert made.plan is not None
    build = folder / "build"
    write(build, [*made.files, manifest_file(made.files, made.sources, "0")])
    target = mistakes.file.split("/")[0]
    names = [file.path for file in made.files if file.path.split("/")[0] == target]
    assert finders(made.plan, build, names) == []
    for mistake in mistakes.mistakes:
        path = build / (mistake.file or mistakes.file)
        text = path.read_text("utf-8")
        assert mistake.old in text, mistake
        path.write_text(text.replace(mistake.old, mistake.new, 1), "utf-8")
        yield mistake, finders(made.plan, build, names, mistake.file or mistakes.file)
        path.write_text(text, "utf-8")


def finders(plan: Plan, build: Path, names: list[str], only: str = "") -> list[str]:
    """The names of the checkers that find something in a compiled folder.

    With the name of the `only` file that is not as compiled, no program reads others for nothing: it reads that
    file, the rules' tests, and the lists of files. The lints compare files, so they read all.
    """
    variables = files.variables(plan)
    found = set()
    topic = only.removesuffix(".rules.yaml")
    read = [
        each for each in names if not only or each.startswith(topic) or each.endswith("/kustomization.yaml")
    ]
    for checker in CHECKERS:
        program, own = checker.found(), checker.files(names if checker.name == "lint" else read)
        if own and program is not None and [*checker.judge(program, build, own, variables)]:
            found.add(checker.name)
    if [*agreement.findings(plan, build, names)] or [*documents.findings(plan, build, names, variables)]:
        found.add(PLAN)
    return sorted(found)
