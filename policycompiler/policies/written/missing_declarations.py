"""Facts that a task does not declare, and the effect of their defaults.

Decides:
    Nothing.

Because:
    A task with only a name is valid: each policy assumes the safe value for a missing fact. Each safe value
    has a cost. The profile `strict` reports all of them. A policy file can name the facts that its
    organization requires.

Example:
    tasks: {shop.mail.send: {}}

    task:shop.mail.send/idempotent = false

Refuses:
    PC122 missing-idempotency: declare whether the task is safe to run twice with the same arguments.
        policy: severities: {missing-idempotency: warning}
        fires: tasks: {shop.a: {}}
        silent: tasks: {shop.a: {idempotent: false}}
    PC123 missing-runtime: declare how long a run takes.
        policy: severities: {missing-runtime: warning}
        fires: tasks: {shop.a: {}}
        silent: tasks: {shop.a: {runtime: 10s}}
    PC124 missing-rate: declare how often the task is sent.
        policy: severities: {missing-rate: warning}
        fires: tasks: {shop.a: {}}
        silent: tasks: {shop.a: {rate: 1/m}}
    PC125 missing-owner: name the team that owns the task, in the task or for the whole file.
        policy: severities: {missing-owner: warning}
        fires: tasks: {shop.a: {}}
        silent: tasks: {shop.a: {owner: storefront}}

Parameters:
    None.
"""

from __future__ import annotations

from collections.abc import Iterator

from policycompiler.diagnostics import Diagnostic, Profile, SpecPath, info
from policycompiler.model import Workload
from policycompiler.plan import Plan, Scope
from policycompiler.quantities import duration

NAME = "missing-declarations"

MISSING_IDEMPOTENCY = info("PC122", "missing-idempotency", Profile.STRICT)
MISSING_RUNTIME = info("PC123", "missing-runtime", Profile.STRICT)
MISSING_RATE = info("PC124", "missing-rate", Profile.STRICT)
MISSING_OWNER = info("PC125", "missing-owner", Profile.STRICT)


def apply(spec: Workload, plan: Plan) -> Iterator[Diagnostic]:
    """Report the facts that other policies had to assume."""
    for name, task in spec.tasks.items():
        path: SpecPath = ("tasks", name)
        if task.owner is None and spec.owner is None:
            message = f"{name} declares no owner: its alerts go to no team"
            help_text = "add `owner:` to the task, or once for the whole file"
            yield MISSING_OWNER.at(path, message, help=help_text, at_key=True)
        if plan.value(Scope("task", name), "external"):
            continue
        if task.idempotent is None:
            message = f"{name} does not declare `idempotent`: a run is lost when its worker dies"
            help_text = "add `idempotent: true` or `idempotent: false`"
            yield MISSING_IDEMPOTENCY.at(path, message, help=help_text, at_key=True)
        if task.runtime is None:
            hard = plan.number_if_any(Scope("task", name), "options.time_limit")
            ends = (
                "nothing ends a run that hangs" if hard is None else f"a run is killed after {duration(hard)}"
            )
            message = f"{name} does not declare `runtime`: {ends}"
            help_text = "add `runtime:` with the measured p50 and p99"
            yield MISSING_RUNTIME.at(path, message, help=help_text, at_key=True)
        if task.rate is None:
            message = f"{name} does not declare `rate`: the size of its worker does not account for it"
            yield MISSING_RATE.at(path, message, help="add `rate:` with mean and peak", at_key=True)
