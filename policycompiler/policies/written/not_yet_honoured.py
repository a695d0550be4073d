"""What a workload may say and no target follows yet.

Decides:
    Nothing.

Because:
    A declaration that has no effect must not look as if it had one.

Example:
    hosts: {app-1: {cores: 8}}

    refuses not-yet-honoured

Refuses:
    PC108 not-yet-honoured: nothing to do; it is checked for form and will count later.
        fires: hosts: {app-1: {cores: 8}}
        silent: tasks: {shop.a: {renamed_from: [shop.b]}}

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, info
from policycompiler.model import Workload
from policycompiler.plan import Plan

NAME = "not-yet-honoured"

NOT_YET_HONOURED = info("PC108", "not-yet-honoured")


def apply(spec: Workload, plan: Plan) -> Iterator[Diagnostic]:
    """Name each such declaration once."""
    del plan
    if spec.hosts:
        message = "`hosts` is checked, and no output follows it yet"
        yield NOT_YET_HONOURED.at(("hosts",), message, at_key=True)
