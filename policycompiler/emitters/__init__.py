"""The emitters, in the order in which they write, and the loop that runs them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from policycompiler.emitters import celeryconfig, launch, plan_file, prometheus, routing, supervisor, systemd
from policycompiler.emitters.base import OutputFile
from policycompiler.plan import Plan


class Emitter(Protocol):
    """What an emitter module offers."""

    ID: str

    def emit(self, plan: Plan) -> Iterator[OutputFile]:
        """Lay the plan out as files of one target."""
        ...


EMITTERS: tuple[Emitter, ...] = (celeryconfig, routing, launch, systemd, supervisor, prometheus)

TARGETS = tuple(emitter.ID for emitter in EMITTERS)


def emit(plan: Plan, targets: Sequence[str] = TARGETS) -> list[OutputFile]:
    """The files of these targets and the plan, by path. A bug in an emitter goes up naming it."""
    files: dict[str, OutputFile] = {}
    for emitter in (*(emitter for emitter in EMITTERS if emitter.ID in targets), plan_file):
        try:
            for file in emitter.emit(plan):
                assert file.path not in files, f"two emitters write {file.path}"
                files[file.path] = file
        except Exception as bug:
            bug.add_note(f"while the emitter {emitter.ID} was at work")
            raise
    return [files[path] for path in sorted(files)]
