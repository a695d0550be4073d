"""Celery versions that the platform team allows, and known teams.

Decides:
    Nothing.

Because:
    An unmaintained Celery version, or an alert for a team that does not exist, should be found before an
    incident.

Example:
    tasks: {shop.mail.send: {owner: storefront, idempotent: true}}

    task:shop.mail.send/owner = "storefront"

Refuses:
    PC711 celery-not-allowed: run a version that the policy file allows, or ask its owner to allow yours.
        policy: celery: ">=5.5"
        fires: celery: {version: "5.4"}
        silent: celery: {version: "5.5"}
    PC712 unknown-owner: name a team of the policy file, or have your team added to the policy file.
        policy: owners: [storefront, payments]
        fires: tasks: {shop.mail.send: {owner: storefrnt}}
        silent: tasks: {shop.mail.send: {owner: storefront}}

Parameters:
    None.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, SpecPath, did_you_mean, error
from policycompiler.model import Workload
from policycompiler.plan import APP, Plan

NAME = "platform-rules"

CELERY_NOT_ALLOWED = error("PC711", "celery-not-allowed")
UNKNOWN_OWNER = error("PC712", "unknown-owner")

_COMPARE = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    ">": operator.gt,
    "<": operator.lt,
}


def apply(spec: Workload, plan: Plan) -> Iterator[Diagnostic]:
    """Check the workload against the rules of the policy file for all workloads."""
    allowed = spec.platform.celery
    version = plan.text(APP, "celery_version")
    if allowed is not None and not all(_holds(version, part) for part in allowed.split(",")):
        message = f"the policy file does not allow Celery {version}; it allows {allowed}"
        help_text = f"declare a Celery version that is {allowed}, and run it"
        yield CELERY_NOT_ALLOWED.at(("celery", "version"), message, help=help_text)
    teams = spec.platform.owners
    if teams is None:
        return
    for path, owner in _owners(spec):
        if owner not in teams:
            help_text = did_you_mean(owner, teams) or f"use one of: {', '.join(teams)}"
            message = f"the policy file does not list the owner `{owner}`"
            yield UNKNOWN_OWNER.at(path, message, help=help_text)


def _holds(version: str, condition: str) -> bool:
    """Compare the parts that both versions have: 5.7.1 equals 5.7."""
    found = re.fullmatch(r" ?([<>=]+)(.+)", condition)
    assert found is not None, condition
    left, right = ([int(number) for number in text.split(".")] for text in (version, found[2]))
    length = min(len(left), len(right))
    return bool(_COMPARE[found[1]](left[:length], right[:length]))


def _owners(spec: Workload) -> Iterator[tuple[SpecPath, str]]:
    if spec.owner is not None:
        yield ("owner",), spec.owner
    for name, task in spec.tasks.items():
        if task.owner is not None:
            yield ("tasks", name, "owner"), task.owner
    for name, schedule in spec.schedules.items():
        if schedule.owner is not None:
            yield ("schedules", name, "owner"), schedule.owner
