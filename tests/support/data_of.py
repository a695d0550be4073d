"""What machines read of findings, plans and reviews: everything but the words for people."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from hashlib import sha256
from typing import Any

import corpus
import rollout_cases
from places import EXAMPLES

from policycompiler import manual
from policycompiler.compiler import compile_workload
from policycompiler.diagnostics import Diagnostic
from policycompiler.plan import Constant, Default, Derived, Origin, Parameter, Plan, Setting, Written
from policycompiler.review import Review
from policycompiler.review.conditions import Action, Condition

WORDS = {("alert", "summary"), ("alert", "description"), ("worker", "description")}
"""Settings whose values are sentences."""


def of_findings(found: Iterable[Diagnostic]) -> list[Any]:
    """Code, name, severity, where, the other places, the fix."""
    return sorted(
        [
            [
                each.code,
                each.name,
                each.severity.value,
                list(each.path),
                sorted([list(other.path) for other in each.related], key=repr),
                [list(map(str, edit)) for edit in each.fix],
            ]
            for each in found
        ],
        key=repr,
    )


def of_plan(plan: Plan) -> list[Any]:
    """Each setting with its value, the policy that decided it, and its origins."""
    return [_setting(setting) for setting in plan]


def _setting(setting: Setting) -> list[Any]:
    value = None if (setting.scope.kind, setting.key) in WORDS else setting.value
    return [setting.address, value, setting.policy, [_origin(origin) for origin in setting.origins]]


def _origin(origin: Origin) -> list[Any]:
    match origin:
        case Written(path):
            return ["written", list(path)]
        case Derived(scope, key):
            return ["derived", str(scope), key]
        case Constant(name, value):
            return ["constant", name, value]
        case Parameter(path, value):
            return ["parameter", list(path), value]
        case Default(name, version):
            return ["default", name, version]


def of_review(review: Review) -> list[Any]:
    """Class, kind and values of each change; processes, folders, waits and actions of each step."""
    changes = [
        [
            change.risk.value,
            change.kind,
            change.address,
            _value(change.address, change.old),
            _value(change.address, change.new),
            change.policy,
            change.follows,
        ]
        for change in review.changes
    ]
    steps = [
        [
            step.phase,
            step.folder,
            step.start,
            step.restart,
            step.reload,
            step.stop,
            _typed(step.wait_for),
            _typed(step.run),
            _typed(step.undo_wait_for),
            _typed(step.undo_run),
            step.by_hand,
        ]
        for step in review.steps
    ]
    return [changes, steps, sorted(review.phases)]


def _value(address: str, value: object) -> object:
    """The value of a changed setting, unless it is a sentence."""
    kind, key = address.partition(":")[0], address.rpartition("/")[2]
    return None if (kind, key) in WORDS else value


def _typed(parts: Iterable[Condition | Action]) -> list[dict[str, Any]]:
    """The values of waits and actions, without sentences."""
    data = [asdict(part) for part in parts]
    return [{key: each[key] for key in each if key not in {"says", "because"}} for each in data]


def everything() -> Iterator[tuple[str, Any]]:
    """The data of the examples, the real deployments, the texts of the manual, and many reviews, by name."""
    for source in sorted(EXAMPLES.iterdir()):
        if source.name != "policy.yaml":
            compilation = compile_workload([source], targets=())
            plan = compilation.plan
            yield f"example {source.name}", [of_findings(compilation.diagnostics), plan and of_plan(plan)]
    for case in corpus.CASES:
        compilation = corpus.compiled(case)
        plan = compilation.plan
        yield f"deployment {case}", [of_findings(compilation.diagnostics), plan and of_plan(plan)]
    for _, page in manual.all_findings():
        for kind, text in (("fires", page.fires), ("silent", page.silent)):
            if text:
                found = manual.findings_of(manual.whole(text), page.policy)
                yield f"{page.finding.code} {kind}", of_findings(found)
    for name, broker in rollout_cases.CASES:
        yield f"review{' on RabbitMQ' if broker else ''}: {name}", of_review(rollout_cases.of(name, broker))


def fingerprint(data: object) -> str:
    """A few digits that differ where the data differ."""
    return sha256(json.dumps(data, sort_keys=True, default=str).encode()).hexdigest()[:12]
