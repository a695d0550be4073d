"""A policy's docstring is its manual: the headings, every finding, and an example that holds."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
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
from policycompiler.model.celery_settings import known_settings
from policycompiler.plan import APP, Constant, Setting, scope_from_text
from policycompiler.policies import POLICIES

HEADINGS = ["Decides", "Because", "Example", "Refuses", "Parameters"]
ROOMS = [policycompiler.load, policycompiler.model, policies]
BY_NAME = {policy.NAME: policy for policy in POLICIES}
TESTS = Path(__file__).parent.parent
BROKERS = ("redis", "rabbitmq", "sqs", "filesystem", "memory")

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


def texts() -> Iterator[str]:
    """The language, whole, on each broker; the examples of the manuals; all fragments of the tables."""
    language = (TESTS / "language.yaml").read_text()
    yield from (language.replace("transport: redis", f"transport: {broker}") for broker in BROKERS)
    yield from (workload(example(policy)[0]) for policy in BY_NAME.values())
    for found in iter_modules([str(Path(__file__).parent)]):
        tables = vars(import_module(f"policies.{found.name}"))
        for table in ("DECIDES", "LEADS_TO", "ACCEPTS"):
            rows = tables.get(table, {}).values()
            yield from (workload(row if isinstance(row, str) else row[0]) for row in rows)


@cache
def settled() -> list[Setting]:
    """Each kind of decision once: its policy, kind of scope, key and origins."""
    found = {}
    for text in texts():
        plan = compiled(text).plan
        for setting in plan or ():
            constants = tuple(origin for origin in setting.origins if isinstance(origin, Constant))
            found[setting.policy, setting.scope.kind, setting.key, repr(constants)] = setting
    return list(found.values())


def pins_celerys_own(setting: Setting) -> bool:
    """Whether it is a task option or an app's setting, all of which can be pinned."""
    option = setting.key.startswith("options.")
    return setting.policy == "as-written" and (
        option or (setting.scope == APP and setting.key in known_settings())
    )


@every_policy
def test_a_manual_names_every_key_that_its_policy_decides(policy):
    text = sections(policy)["Decides"]
    named = {word for span in re.findall(r"`([^`]+)`", text) for word in re.split(r"[/.: ]", span)}
    keys = {
        setting.key.removeprefix("options.")
        for setting in settled()
        if setting.policy == policy.NAME and not pins_celerys_own(setting)
    }
    assert keys - named == set()
    assert keys or text.strip() == "Nothing."


def test_every_constant_is_a_name_of_the_deciding_policy_with_its_value():
    constants = [
        (setting, origin)
        for setting in settled()
        for origin in setting.origins
        if isinstance(origin, Constant)
    ]
    assert len({origin.name for _, origin in constants}) > 40
    for setting, constant in constants:
        head, *rest = re.split(r"[.\[]", constant.name.rstrip("]"))
        # Said in lower case, as it is no word of the policy's own but the table of all.
        value = vars(BY_NAME[setting.policy])[head.upper()]
        for part in rest:
            value = value[part] if part in value else getattr(value, part)
        assert value == constant.value, (setting.address, constant)
        assert type(value) is type(constant.value), (setting.address, constant)
