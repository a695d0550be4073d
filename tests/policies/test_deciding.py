"""The loop over the policies: a mistake in their order, or in one of them, is never silent."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from workloads import document_of, workload

from policycompiler import model, policies
from policycompiler.diagnostics import Diagnostic, error
from policycompiler.model import Workload
from policycompiler.plan import (
    APP,
    ConflictError,
    Constant,
    Decision,
    Plan,
    UndecidedError,
    UndeclaredError,
    Value,
)


def policy(name: str, *, reads: str = "", decides: str = "", value: Value = 1) -> SimpleNamespace:
    """A policy that reads one setting of the app, decides another, and names its value as the origin."""

    def apply(spec: Workload, plan: Plan) -> Iterator[Decision | Diagnostic]:
        assert spec.service == "shop"
        found = plan.value(APP, reads) if reads else value
        if decides:
            yield Decision(APP, decides, found, "the test says so", (Constant("VALUE", found),))

    return SimpleNamespace(NAME=name, apply=apply)


def decide(monkeypatch: pytest.MonkeyPatch, *order: SimpleNamespace) -> Plan:
    """What these policies decide, in this order."""
    spec, _ = model.parse(document_of(workload("")))
    monkeypatch.setattr(policies, "POLICIES", order)
    plan, findings = policies.decide(spec)
    assert findings == []
    return plan


def test_a_policy_reads_what_one_before_it_has_decided(monkeypatch):
    plan = decide(
        monkeypatch,
        policy("first", decides="owner", value=7),
        policy("second", reads="owner", decides="user"),
    )
    assert [(setting.key, setting.value, setting.policy) for setting in plan] == [
        ("owner", 7, "first"),
        ("user", 7, "second"),
    ]


def test_a_policy_that_reads_what_is_decided_later_fails_and_is_named(monkeypatch):
    early, late = policy("early", reads="owner", decides="user"), policy("late", decides="owner")
    with pytest.raises(UndecidedError, match=r"^no policy has decided app/owner\n") as caught:
        decide(monkeypatch, early, late)
    assert caught.value.__notes__ == ["while the policy early was deciding"]


def test_a_policy_that_decides_what_is_decided_fails_and_both_are_named(monkeypatch):
    with pytest.raises(
        ConflictError, match=r"^second decides app/owner, which first has already decided\n"
    ) as caught:
        decide(monkeypatch, policy("first", decides="owner"), policy("second", decides="owner"))
    assert caught.value.__notes__ == ["while the policy second was deciding"]


def test_a_policy_that_decides_a_key_of_no_name_fails_and_is_named(monkeypatch):
    told = r"^first decides app/ownr, which no entry of the vocabulary declares\n"
    with pytest.raises(UndeclaredError, match=told) as caught:
        decide(monkeypatch, policy("first", decides="ownr"))
    assert caught.value.__notes__ == ["while the policy first was deciding"]


def test_after_a_thousand_errors_no_policy_is_asked(monkeypatch):
    wrong = error("PC299", "wrong")
    many = SimpleNamespace(NAME="many", apply=lambda *_: (wrong.at((), str(each)) for each in range(1200)))
    spec, _ = model.parse(document_of(workload("")))
    monkeypatch.setattr(policies, "POLICIES", (many, policy("later", reads="undecided")))
    _, findings = policies.decide(spec)
    assert [finding.name for finding in findings] == ["wrong"] * 1000 + ["too-many-errors"]
