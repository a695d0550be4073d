"""The policies, in the order in which they decide, and the loop that applies them.

The order is documentation: the pins of the workload, routing, delivery of each task, the processes that run
it, and everything that follows from these.

Refuses:
    PC705 untunable-policy: correct the name; `policycompiler policy NAME` prints the parameters of each.
        when: a policy file sets parameters of a policy that has none, or that there is not.
    PC706 too-many-errors: fix the first errors; they often have one cause.
        when: the policies have found 1000 errors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, TypeAlias

from pydantic import create_model

from policycompiler.diagnostics import (
    Diagnostic,
    Finding,
    Profile,
    Severity,
    SpecPath,
    did_you_mean,
    fatal,
)
from policycompiler.model import PolicyFile, PolicyParameters, Workload, checked, schema_text
from policycompiler.model.policy_file import CUSTOM_CODE
from policycompiler.plan import APP, Decision, Plan, PlanDraft, Scope
from policycompiler.policies import (
    broker,
    delivery,
    limits,
    platform,
    routing,
    schedules,
    watching,
    workers,
    written,
)
from policycompiler.policies.platform import custom_findings
from policycompiler.policies.policy import Policy

CHAPTERS = (
    written,
    routing,
    limits,
    delivery,
    workers,
    broker,
    schedules,
    watching,
    platform,
)
"""The table of contents, in the order of deciding."""

POLICIES: tuple[Policy, ...] = (
    *(decider for chapter in CHAPTERS for decider in chapter.DECIDERS),
    *(check for chapter in CHAPTERS for check in chapter.CHECKS),
)
"""All of them, in the order in which they are applied: what objects sees the whole plan."""


Tuning: TypeAlias = Mapping[str, PolicyParameters]
"""What a policy file sets, by the policy's name."""

UNTUNED: Tuning = MappingProxyType({})

UNTUNABLE_POLICY = fatal("PC705", "untunable-policy")
TOO_MANY_ERRORS = fatal("PC706", "too-many-errors")

MOST_ERRORS = 1000
"""More than anybody reads before fixing the first ones; the policies stop after them."""


def tune(policy: PolicyFile) -> tuple[Tuning, list[Diagnostic]]:
    """The parameters that a policy file sets, typed; findings are about the policy file's own paths."""
    tuned: dict[str, PolicyParameters] = {}
    findings: list[Diagnostic] = []
    known = {each.NAME: kind for each in POLICIES if (kind := tunable(each))}
    for name, given in policy.parameters.items():
        path: SpecPath = ("parameters", name)
        if name not in known:
            help_text = did_you_mean(name, known) or f"those with parameters: {', '.join(sorted(known))}"
            findings.append(
                UNTUNABLE_POLICY.at(path, f"no policy `{name}` has parameters", help=help_text, at_key=True)
            )
            continue
        parameters, refused = checked(known[name], given, path)
        findings += refused
        if parameters is not None:
            tuned[name] = parameters
    taken = frozenset(finding.name for each in POLICIES for finding in findings_of(each))
    return tuned, [*findings, *custom_findings.refused(policy, taken)]


def findings_of(policy: Policy) -> list[Finding]:
    """What a policy can find."""
    return [value for value in vars(policy).values() if isinstance(value, Finding)]


def policy_schema() -> str:
    """The JSON Schema of a policy file, for editors, as text."""
    parameters: dict[str, Any] = {
        each.NAME: (create_model(each.NAME, __base__=kind) | None, None)
        for each in POLICIES
        if (kind := tunable(each))
    }
    tuned = create_model("Parameters", __base__=PolicyParameters, **parameters)
    whole = create_model("PolicyFile", __base__=PolicyFile, parameters=(tuned | None, None))
    return schema_text(whole, "policycompiler policy file, version 1")


def tunable(policy: Policy) -> type[PolicyParameters] | None:
    """What a policy file can set of a policy."""
    return getattr(policy, "Parameters", None)


def proposals(
    policy: Policy, spec: Workload, plan: Plan, tuning: Tuning = UNTUNED
) -> Iterator[Decision | Diagnostic]:
    """What one policy decides and objects to."""
    parameters = tunable(policy)
    if parameters is None:
        return policy.apply(spec, plan)
    # Defaults need no check, and a check takes longer to build than most policies to decide.
    return policy.apply(spec, plan, tuning.get(policy.NAME) or parameters.model_construct())


def _as_reported(found: Diagnostic, plan: Plan) -> Diagnostic:
    """No error for what runs today: the plan leaves the task or the app to Celery."""
    section, *names = found.path or ("",)
    subject = Scope("task", str(names[0])) if section == "tasks" and names else APP
    if found.severity is not Severity.ERROR or found.code == CUSTOM_CODE or not plan.as_is(subject):
        return found
    return replace(found, severity=found.finding.severity_in(Profile.AS_IS) or found.severity)


def decide(spec: Workload, tuning: Tuning = UNTUNED) -> tuple[Plan, list[Diagnostic]]:
    """Apply every policy in order. An exception in one goes up with a note that names it."""
    draft = PlanDraft()
    findings: list[Diagnostic] = []
    errors = 0
    for policy in POLICIES:
        try:
            for item in proposals(policy, spec, draft, tuning):
                if isinstance(item, Decision):
                    draft.settle(item, policy.NAME)
                else:
                    found = _as_reported(item, draft)
                    findings.append(found)
                    errors += found.severity is Severity.ERROR
                if errors >= MOST_ERRORS:
                    message = f"{MOST_ERRORS} errors were found; what comes after them was not looked for"
                    return draft.finished(), [*findings, TOO_MANY_ERRORS.at((), message)]
        except Exception as bug:
            bug.add_note(f"while the policy {policy.NAME} was deciding")
            raise
    return draft.finished(), findings
