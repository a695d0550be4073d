"""Named targets that have no file.

Refuses:
    PC966 target-empty: declare what the target needs, or do not name it.
        when: `--target` or the project file names a target, and the workload does not have what it needs,
            such as an image.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from policycompiler import emitters
from policycompiler.diagnostics import Diagnostic, fatal
from policycompiler.plan import Plan

TARGET_EMPTY = fatal("PC966", "target-empty")


def empty_targets(plan: Plan, targets: Sequence[str]) -> Iterator[Diagnostic]:
    """A finding for each target that is named and has no file for this plan."""
    for target in targets:
        if needs := emitters.missing(plan, target):
            message = f"target {target} has no files: {needs}"
            yield TARGET_EMPTY.at((), message, help=f"declare it, or do not name target {target}")
