"""Whoever opens an emitted file in an editor, or has a formatter in a hook, changes nothing by it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from places import CORPUS, EVERYTHING, EXAMPLES

from policycompiler.compiler import compile_workload
from policycompiler.emitters import emit
from policycompiler.plan import Decision, Plan, PlanDraft

SOURCES = [
    EXAMPLES / "shop",
    EXAMPLES / "minimal.yaml",
    *sorted(EVERYTHING.glob("*.yaml")),
    *sorted(CORPUS.glob("*/workload.yaml")),
]


def plan_of(source: Path) -> Plan:
    policy = source.with_name("policy.yaml")
    compilation = compile_workload([source], policy=policy if policy.exists() else None, targets=())
    assert compilation.plan is not None
    return compilation.plan


def sent_by_earlier_names(plan: Plan) -> Plan:
    """As a rollout deploys it in between."""
    draft = PlanDraft()
    for setting in plan:
        decision = Decision(*setting[:5])
        draft.settle(decision, setting.policy)
        if setting.key == "renamed_from":
            draft.settle(decision._replace(key="sent_as", value=setting.value[0]), setting.policy)
    return draft.finished()


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: f"{source.parent.name}-{source.stem}")
def test_a_formatter_leaves_the_configuration_alone(source):
    plan = plan_of(source)
    files = [
        file
        for each in (plan, sent_by_earlier_names(plan))
        for file in emit(each, ("celeryconfig",))
        if file.path.endswith(".py")
    ]
    assert {file.path for file in files} >= {"celeryconfig.py"}
    for file in files:
        found = subprocess.run(
            [Path(sys.executable).with_name("ruff"), "format", "--isolated", "--diff", "-"],
            input=file.text,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (found.returncode, found.stdout) == (0, "")
