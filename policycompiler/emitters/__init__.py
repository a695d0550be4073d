"""The emitters, in the order in which they write, and the loop that runs them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from types import MappingProxyType
from typing import Protocol, cast

from policycompiler import interrupts
from policycompiler.emitters.base import OutputFile
from policycompiler.plan import APP, Plan


class Emitter(Protocol):
    """What an emitter module offers."""

    ID: str

    def emit(self, plan: Plan) -> Iterator[OutputFile]:
        """Lay the plan out as files of one target."""
        ...


class Overlaid(Emitter, Protocol):
    """An emitter that also lays out environments."""

    def overlays(self, plan: Plan, environments: Mapping[str, Plan]) -> Iterator[OutputFile]:
        """Lay out the differences of environments from a plan, each with a plan of its own."""
        ...


TARGETS = (
    "celeryconfig",
    "routing",
    "launch",
    "systemd",
    "supervisor",
    "prometheus",
    "alertmanager",
    "runbook",
    "grafana",
    "env",
    "compose",
    "kubernetes",
    "rabbitmq",
    "redis",
)
"""Each is the emitter's module and its ID."""

PLAN_FILE = "plan_file"
_FOR_PEOPLE = frozenset({"routing", "plan", "runbook"})
"""Targets that also show what is left to Celery; all others tell processes what to do."""


_OVERLAID = "kubernetes"
"""The target that also shows the environments of a workload, in `overlays(plan, environments)`."""
_NO_ENVIRONMENTS: Mapping[str, Plan] = MappingProxyType({})


def shows_environments(plan: Plan, targets: Sequence[str]) -> bool:
    """Whether one of these targets needs the plan of each environment as well."""
    return _OVERLAID in targets and plan.find(APP, "image") is not None


def emitter(name: str) -> Emitter:
    """An emitter by its module, imported only when something is emitted: other commands need none."""
    return cast("Emitter", import_module(f"{__name__}.{name}"))


def missing(plan: Plan, target: str) -> str:
    """What a plan lacks for a target, in words; empty if the target has files."""
    needs: Callable[[Plan], str] | None = getattr(emitter(target), "missing", None)
    return "" if needs is None else needs(plan)


def emit(
    plan: Plan, targets: Sequence[str] = TARGETS, environments: Mapping[str, Plan] = _NO_ENVIRONMENTS
) -> list[OutputFile]:
    """The files of these targets and the plan, by path. An exception names the emitter that raised it.

    `environments` are the plans of the environments, for the target that shows them.
    """
    files: dict[str, OutputFile] = {}
    makers: dict[str, str] = {}
    told = plan.told()
    wanted = (*(target for target in TARGETS if target in targets), PLAN_FILE)
    for each in interrupts.importing(lambda: [emitter(name) for name in wanted]):
        try:
            for file in _files(each, plan if each.ID in _FOR_PEOPLE else told, environments):
                # Some file systems do not distinguish `procfile` from `Procfile`.
                other = makers.setdefault(file.path.casefold(), each.ID)
                assert other == each.ID, f"{other} writes {file.path} as well"
                files[file.path] = file
        except Exception as bug:
            bug.add_note(f"while the emitter {each.ID} was at work")
            raise
    return [files[path] for path in sorted(files)]


def _files(each: Emitter, plan: Plan, environments: Mapping[str, Plan]) -> Iterator[OutputFile]:
    yield from each.emit(plan)
    if each.ID == _OVERLAID and environments:
        yield from cast("Overlaid", each).overlays(
            plan, {name: environment.told() for name, environment in environments.items()}
        )
