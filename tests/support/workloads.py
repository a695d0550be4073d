"""Workloads for tests: a fragment with the least head around it, and what comes of it."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from textwrap import dedent
from typing import NamedTuple

from policycompiler import load, model
from policycompiler.compiler import Compilation, compile_workload
from policycompiler.diagnostics import Diagnostic, Place, Severity
from policycompiler.plan import (
    Constant,
    Decision,
    Derived,
    Origin,
    Parameter,
    Plan,
    PlanDraft,
    Setting,
    Value,
    Written,
)
from policycompiler.policies import POLICIES, UNTUNED, Policy, Tuning, proposals
from policycompiler.policies.routing import queue_declarations

HEAD = {
    "version": "1",
    "service": "shop",
    "app": "shop.celery_app:app",
    "broker": "{transport: redis, url: '${CELERY_BROKER_URL}'}",
}


ON_QUORUM: Tuning = {queue_declarations.NAME: queue_declarations.Parameters(queue_type="quorum")}
"""A policy file that asks for quorum queues wherever nothing else is declared."""


def for_its_rabbitmq(fragment: str) -> Tuning:
    """As a platform team has it that asks for quorum queues, but not yet where RabbitMQ 3 runs."""
    return UNTUNED if re.search(r"version: ['\"]3", fragment) else ON_QUORUM


class Found(NamedTuple):
    """A finding as a user meets it; `at` is line and column, `1:18`."""

    name: str
    at: str
    message: str
    help: str = ""


class Outcome(NamedTuple):
    """What one policy made of a workload; settings by address, `task:shop.mail.send/queue`."""

    decided: Mapping[str, tuple[Value, str]]
    origins: Mapping[str, list[str]]
    findings: list[Found]
    plan: Plan


def workload(fragment: str) -> str:
    """The fragment first, so that its lines keep their numbers, and the head that it lacks."""
    text = dedent(fragment).rstrip("\n") + "\n" if fragment else ""
    given = load.parse(text, "fragment", [])[0]
    return text + "".join(f"{key}: {value}\n" for key, value in HEAD.items() if key not in given)


def platform_for(fragment: str) -> str:
    """The policy file of `for_its_rabbitmq`, as text; empty where it asks for nothing."""
    if "transport: rabbitmq" not in fragment or not for_its_rabbitmq(fragment):
        return ""
    return "version: 1\nparameters: {queue-declarations: {queue_type: quorum}}\n"


def compiled(text: str, platform: str = "") -> Compilation:
    """Compile a text as far as the plan, under a policy file where there is one."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "workload.yaml")
        path.write_text(text, "utf-8")
        policy = Path(folder, "policy", "policy.yaml") if platform else None
        if policy is not None:
            policy.parent.mkdir()
            policy.write_text(platform, "utf-8")
        return compile_workload([path], targets=(), policy=policy)


def document_of(text: str) -> load.Document:
    """The text, loaded; nothing in it is refused before the model sees it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "workload.yaml")
        path.write_text(text, "utf-8")
        document, findings = load.load([path])
    assert all(finding.severity is not Severity.ERROR for finding in findings), findings
    return document


def after(policy: Policy, fragment: str, tuning: Tuning = UNTUNED) -> Outcome:
    """What a policy decides and objects to, once those before it have decided; none after it runs."""
    document = document_of(workload(fragment))
    spec, refused = model.parse(document)
    assert spec is not None, refused
    assert refused == [], refused
    draft = PlanDraft()
    objections: list[Diagnostic] = []
    for each in POLICIES[: POLICIES.index(policy) + 1]:
        for item in proposals(each, spec, draft, tuning):
            if isinstance(item, Decision):
                draft.settle(item, each.NAME)
            elif each is policy:
                objections.append(item)
    own = [setting for setting in draft if setting.policy == policy.NAME]
    return Outcome(
        {setting.address: (setting.value, setting.because) for setting in own},
        {setting.address: _origins(document, setting) for setting in own},
        found(document, objections),
        draft.finished(),
    )


def found(document: load.Document, diagnostics: Iterable[Diagnostic]) -> list[Found]:
    """Diagnostics with their places, in the order in which they came."""
    return [
        Found(
            item.name, _at(item.place or document.place(item.path, key=item.at_key)), item.message, item.help
        )
        for item in diagnostics
    ]


def _origins(document: load.Document, setting: Setting) -> list[str]:
    return [_origin(document, origin) for origin in setting.origins]


def _origin(document: load.Document, origin: Origin) -> str:
    """Where an origin leads: a line and column, another setting's address, or a constant's name."""
    match origin:
        case Written(path):
            return _at(document.place(path))
        case Derived(scope, key):
            return f"{scope}/{key}"
        case Constant(name):
            return name
        case Parameter(path):
            return ".".join(str(part) for part in path)


def _at(place: Place) -> str:
    return f"{place.line}:{place.column}"
