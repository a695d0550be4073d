"""The emitters, in the order in which they write, and the loop that runs them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Protocol, cast

from policycompiler import interrupts
from policycompiler.emitters.base import OutputFile
from policycompiler.plan import Plan


class Emitter(Protocol):
    """What an emitter module offers."""

    ID: str

    def emit(self, plan: Plan) -> Iterator[OutputFile]:
        """Lay the plan out as files of one target."""
        ...


TARGETS = ("celeryconfig", "routing", "launch", "systemd", "supervisor", "prometheus", "rabbitmq", "redis")
"""Each is the emitter's module and its ID."""

PLAN_FILE = "plan_file"
_FOR_PEOPLE = frozenset({"routing", "plan"})
"""Targets that also show what is left to Celery; all others tell processes what to do."""


def emitter(name: str) -> Emitter:
    """An emitter by its module, imported only when something is emitted: other commands need none."""
    return cast("Emitter", import_module(f"{__name__}.{name}"))


def emit(plan: Plan, targets: Sequence[str] = TARGETS) -> list[OutputFile]:
    """The files of these targets and the plan, by path. An exception names the emitter that raised it."""
    files: dict[str, OutputFile] = {}
    makers: dict[str, str] = {}
    told = plan.told()
    wanted = (*(target for target in TARGETS if target in targets), PLAN_FILE)
    for each in interrupts.importing(lambda: [emitter(name) for name in wanted]):
        try:
            for file in each.emit(plan if each.ID in _FOR_PEOPLE else told):
                # Some file systems do not distinguish `procfile` from `Procfile`.
                other = makers.setdefault(file.path.casefold(), each.ID)
                assert other == each.ID, f"{other} writes {file.path} as well"
                files[file.path] = file
        except Exception as bug:
            bug.add_note(f"while the emitter {each.ID} was at work")
            raise
    return [files[path] for path in sorted(files)]
