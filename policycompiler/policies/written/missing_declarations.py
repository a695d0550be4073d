"""What nobody has declared of a task, and what stands for it.

Decides:
    Nothing.

Because:
    A task with nothing but a name is legal: each policy takes what is missing on the safe side. What that
    costs is told to whoever asks: the profile `strict` asks for all of it, a policy file by name for what its
    organisation counts on.

Example:
    tasks: {shop.mail.send: {}}

    task:shop.mail.send/idempotent = false

Refuses:
    PC122 missing-idempotency: say whether it may run twice with the same arguments and do no harm.
        policy: severities: {missing-idempotency: warning}
        fires: tasks: {shop.a: {}}
        silent: tasks: {shop.a: {idempotent: false}}
    PC123 missing-runtime: say how long a run takes.
        policy: severities: {missing-runtime: warning}
        fires: tasks: {shop.a: {}}
        silent: tasks: {shop.a: {runtime: 10s}}
    PC124 missing-rate: say how often it is sent.
        policy: severities: {missing-rate: warning}
        fires: tasks: {shop.a: {}}
        silent: tasks: {shop.a: {rate: 1/m}}
    PC125 missing-owner: name the team, of the task or of its file.
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

NAME = "missing-declarations"

MISSING_IDEMPOTENCY = info("PC122", "missing-idempotency", Profile.STRICT)
MISSING_RUNTIME = info("PC123", "missing-runtime", Profile.STRICT)
MISSING_RATE = info("PC124", "missing-rate", Profile.STRICT)
MISSING_OWNER = info("PC125", "missing-owner", Profile.STRICT)


def apply(spec: Workload, plan: Plan) -> Iterator[Diagnostic]:
    """Ask for what other policies had to assume."""
    for name, task in spec.tasks.items():
        path: SpecPath = ("tasks", name)
        if task.owner is None and spec.owner is None:
            message = f"nobody is declared the owner of {name}: its alerts go to no team"
            yield MISSING_OWNER.at(path, message, help="add `owner:`, here or once for the file", at_key=True)
        if plan.value(Scope("task", name), "external"):
            continue
        if task.idempotent is None:
            message = f"whether {name} may run twice is not declared: it is lost with a worker"
            yield MISSING_IDEMPOTENCY.at(path, message, help="add `idempotent: true` or `false`", at_key=True)
        if task.runtime is None:
            hard = plan.number_if_any(Scope("task", name), "options.time_limit")
            ends = "nothing ends a run that hangs" if hard is None else f"it is killed after {hard:g} s"
            message = f"how long {name} runs is not declared: {ends}"
            yield MISSING_RUNTIME.at(
                path, message, help="add `runtime:` with p50 and p99, as measured", at_key=True
            )
        if task.rate is None:
            message = f"how often {name} is sent is not declared: no worker is sized for it"
            yield MISSING_RATE.at(path, message, help="add `rate:`, mean and peak", at_key=True)
