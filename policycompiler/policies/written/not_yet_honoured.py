"""Declarations that no target uses yet.

Decides:
    Nothing.

Because:
    A declaration without effect must not look as if it had one.

Example:
    hosts: {app-1: {cores: 8}}

    refuses not-yet-honoured

Refuses:
    PC108 not-yet-honoured: keep or remove the declaration; it is checked but has no effect yet.
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
        message = "`hosts` is checked, but no output uses it yet"
        yield NOT_YET_HONOURED.at(("hosts",), message, at_key=True)
