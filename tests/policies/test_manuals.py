"""A policy's docstring is its manual: the headings, every finding, and an example that holds."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from inspect import cleandoc
from pathlib import Path
from pkgutil import iter_modules
from textwrap import dedent
from types import ModuleType

import pytest
from workloads import compiled, workload

import policycompiler.load
import policycompiler.model
from policycompiler import policies
from policycompiler.diagnostics import Finding
from policycompiler.plan import scope_from_text
from policycompiler.policies import POLICIES

HEADINGS = ["Decides", "Because", "Example", "Refuses", "Parameters"]
ROOMS = [policycompiler.load, policycompiler.model, policies]
BY_NAME = {policy.NAME: policy for policy in POLICIES}

every_policy = pytest.mark.parametrize("policy", BY_NAME.values(), ids=BY_NAME)


def sections(policy: ModuleType) -> dict[str, str]:
    """What stands under each heading, in order."""
    parts = re.split(r"(?m)^([A-Z][a-z]+):\n", cleandoc(policy.__doc__))[1:]
    return {heading: dedent(text) for heading, text in zip(parts[::2], parts[1::2], strict=True)}


def findings_of(module: ModuleType) -> dict[str, str]:
    found = [value for value in vars(module).values() if isinstance(value, Finding)]
    return {finding.code: finding.name for finding in found}


def modules() -> Iterator[ModuleType]:
    yield import_module("policycompiler.output")
    for room in ROOMS:
        for found in iter_modules(room.__path__, f"{room.__name__}."):
            yield import_module(found.name)


def example(policy: ModuleType) -> tuple[str, list[str]]:
    """The fragment, and the lines that say what follows."""
    fragment, _, claims = sections(policy)["Example"].strip("\n").rpartition("\n\n")
    return fragment, claims.splitlines()


@every_policy
def test_a_manual_has_its_headings_in_order(policy):
    assert list(sections(policy)) == HEADINGS
    assert all(text.strip() for text in sections(policy).values())


@every_policy
def test_a_policy_is_called_like_its_file(policy):
    assert Path(policy.__file__).stem == policy.NAME.replace("-", "_")


@every_policy
def test_a_manual_names_exactly_the_findings_of_its_policy(policy):
    text = sections(policy)["Refuses"]
    named = dict(re.findall(r"(?m)^(PC\d{3}) ([a-z-]+): \S", text))
    assert named == findings_of(policy)
    assert named or text.strip() == "Nothing."


def test_every_module_of_the_room_is_in_the_order_or_is_no_policy():
    names = {found.name for found in iter_modules(policies.__path__)}
    assert names == {Path(policy.__file__).stem for policy in POLICIES}


def test_no_two_findings_share_a_code_or_a_name():
    found = {value for module in modules() for value in vars(module).values() if isinstance(value, Finding)}
    assert len(found) > 40
    for words in ([finding.code for finding in found], [finding.name for finding in found]):
        assert [word for word, count in Counter(words).items() if count > 1] == []


@every_policy
def test_the_example_of_a_manual_holds(policy):
    fragment, claims = example(policy)
    compilation = compiled(workload(fragment))
    assert compilation.plan is not None, compilation.diagnostics
    refused = {finding.name for finding in compilation.diagnostics}
    assert refused <= {claim.removeprefix("refuses ") for claim in claims}, compilation.diagnostics
    own = False
    for claim in claims:
        if claim.startswith("refuses "):
            name = claim.removeprefix("refuses ")
            assert name in refused
            own = own or name in findings_of(policy).values()
        else:
            address, _, value = claim.partition(" = ")
            scope, _, key = address.rpartition("/")
            setting = compilation.plan.setting(scope_from_text(scope), key)
            assert setting.value == json.loads(value)
            own = own or setting.policy == policy.NAME
    assert own, "the example shows nothing of this policy"
