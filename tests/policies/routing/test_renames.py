"""An earlier name leads to one task of this app."""

from __future__ import annotations

import pytest
from workloads import Found, after

from policycompiler.policies.routing import renames

BECAUSE = "messages with these earlier names may still be in queues"
DECIDES = {
    "in order, each once": (
        "tasks: {shop.new: {renamed_from: [shop.b, shop.a, shop.b]}}",
        {"task:shop.new/renamed_from": (["shop.a", "shop.b"], BECAUSE)},
    ),
    "an exact name beats a pattern": (
        "tasks: {shop.mail.send: {renamed_from: [shop.send]}, shop.*: {}}",
        {"task:shop.mail.send/renamed_from": (["shop.send"], BECAUSE)},
    ),
    "what is wrong is left out": (
        "tasks: {shop.a: {renamed_from: [shop.a, shop.b, shop.c]}, shop.b: {renamed_from: [shop.c]}}",
        {"task:shop.a/renamed_from": (["shop.c"], BECAUSE)},
    ),
}
LEADS_TO = {
    "the field": (
        "tasks: {shop.new: {renamed_from: [shop.old]}}",
        "task:shop.new/renamed_from",
        ["1:34"],
    ),
}
REFUSES = {
    "a task of its own": (
        "tasks: {shop.a: {renamed_from: [shop.b]}, shop.b: {}}",
        Found(
            "earlier-name-declared",
            "1:33",
            "`shop.b` is declared as an earlier name of shop.a and as a task",
            "remove one of the two",
        ),
    ),
    "of two": (
        "tasks: {shop.b: {renamed_from: [shop.old]}, shop.a: {renamed_from: [shop.old]}}",
        Found(
            "earlier-name-of-two",
            "1:33",
            "`shop.old` is declared as an earlier name of shop.a and of shop.b",
            "keep the name in the task that its messages are for",
        ),
    ),
    "of a pattern": (
        "tasks: {shop.*: {renamed_from: [shop.old]}}",
        Found(
            "pattern-renamed",
            "1:18",
            "pattern `shop.*` has `renamed_from`, but an earlier name must belong to one task",
            "declare the renamed task by its own name, with its earlier names",
        ),
    ),
    "itself": (
        "tasks: {shop.a: {renamed_from: [shop.a]}}",
        Found(
            "renamed-from-itself",
            "1:33",
            ("`shop.a` is the current name of the task, not an earlier name"),
            "remove `shop.a`",
        ),
    ),
    "another app's": (
        "tasks: {shop.a: {external: true, queue: theirs, renamed_from: [shop.b]}}",
        Found(
            "renamed-elsewhere",
            "1:49",
            "another app runs shop.a, so `renamed_from` has no effect here",
            "remove `renamed_from`, and declare the earlier names in the app that runs the task",
        ),
    ),
}
ACCEPTS = {
    "no earlier name": "tasks: {shop.a: {renamed_from: []}, shop.b: {}}",
    "two tasks, two names": "tasks: {shop.a: {renamed_from: [old.a]}, shop.b: {renamed_from: [old.b]}}",
    "the same name twice": "tasks: {shop.a: {renamed_from: [old.a, old.a]}}",
}


@pytest.mark.parametrize(("fragment", "expected"), DECIDES.values(), ids=DECIDES)
def test_it_decides(fragment, expected):
    assert after(renames, fragment).decided == expected


@pytest.mark.parametrize(("fragment", "address", "places"), LEADS_TO.values(), ids=LEADS_TO)
def test_its_origins_lead_to(fragment, address, places):
    assert after(renames, fragment).origins[address] == places


@pytest.mark.parametrize(("fragment", "finding"), REFUSES.values(), ids=REFUSES)
def test_it_refuses(fragment, finding):
    outcome = after(renames, fragment)
    assert outcome.findings == [finding]
    assert outcome.decided.keys() <= {"task:shop.a/renamed_from"}


@pytest.mark.parametrize("fragment", ACCEPTS.values(), ids=ACCEPTS)
def test_it_accepts(fragment):
    assert after(renames, fragment).findings == []
