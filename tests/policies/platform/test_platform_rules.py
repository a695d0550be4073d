"""What a policy file says of every workload."""

from __future__ import annotations

from pathlib import Path

import pytest
from workloads import Found, found, workload

from policycompiler.compiler import compile_workload

REFUSES = {
    "too old": (
        'celery: ">=5.5"',
        'celery: {version: "5.4"}',
        [
            Found(
                "celery-not-allowed",
                "1:19",
                "the policy file does not allow Celery 5.4; it allows >=5.5",
                "declare a Celery version that is >=5.5, and run it",
            )
        ],
    ),
    "nothing said, and the newest is too new": (
        'celery: "<5.7"',
        "tasks: {shop.a: {}}",
        [
            Found(
                "celery-not-allowed",
                "1:1",
                "the policy file does not allow Celery 5.7; it allows <5.7",
                "declare a Celery version that is <5.7, and run it",
            )
        ],
    ),
    "a misspelled team": (
        "owners: [storefront, payments]",
        "tasks: {shop.a: {owner: storefrnt}}",
        [
            Found(
                "unknown-owner",
                "1:25",
                "the policy file does not list the owner `storefrnt`",
                "did you mean `storefront`?",
            )
        ],
    ),
    "a team nobody knows, of a schedule": (
        "owners: [storefront, payments]",
        "schedules: {s: {task: shop.a, every: 1h, owner: x}}\ntasks: {shop.a: {}}",
        [
            Found(
                "unknown-owner",
                "1:49",
                "the policy file does not list the owner `x`",
                "use one of: storefront, payments",
            )
        ],
    ),
    "the service's": (
        "owners: [payments]",
        "owner: x",
        [
            Found(
                "unknown-owner", "1:8", "the policy file does not list the owner `x`", "use one of: payments"
            )
        ],
    ),
}
ACCEPTS = {
    "what is allowed": ('celery: ">=5.5,<5.8"', 'celery: {version: "5.5"}'),
    "a patch of it": ('celery: "==5.5"', 'celery: {version: "5.5.2"}'),
    "the newest": ('celery: ">=5.5, <5.8"', "tasks: {shop.a: {}}"),
    "known teams": ("owners: [a, b]", "owner: a\ntasks: {shop.a: {owner: b}}"),
    "any team": ("extends: standard", "owner: a"),
}


def objections(folder: Path, policy: str, fragment: str) -> list[Found]:
    path, rules = folder / "workload.yaml", folder / "policy.yaml"
    path.write_text(workload(fragment))
    rules.write_text(f"version: 1\n{policy}\n")
    compilation = compile_workload([path], policy=rules, targets=())
    return [
        each
        for each in found(compilation.document, compilation.diagnostics)
        if each.name in {"celery-not-allowed", "unknown-owner"}
    ]


@pytest.mark.parametrize(("policy", "fragment", "expected"), REFUSES.values(), ids=REFUSES)
def test_it_refuses(tmp_path, policy, fragment, expected):
    assert objections(tmp_path, policy, fragment) == expected


@pytest.mark.parametrize(("policy", "fragment"), ACCEPTS.values(), ids=ACCEPTS)
def test_it_accepts(tmp_path, policy, fragment):
    assert objections(tmp_path, policy, fragment) == []
