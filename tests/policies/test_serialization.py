"""Messages that cannot run code."""

from __future__ import annotations

import pytest
from workloads import Found, after

from policycompiler.policies import serialization

DECIDES = {
    "by default": (
        "tasks: {}",
        {
            "app/task_serializer": ("json", "every client reads it, and reading it runs no code"),
            "app/result_serializer": ("json", "every client reads it, and reading it runs no code"),
            "app/accept_content": (["json"], "what is sent, and Celery's control messages"),
        },
    ),
    "another one is accepted too": (
        "celery: {settings: {task_serializer: msgpack}}",
        {
            "app/result_serializer": ("json", "every client reads it, and reading it runs no code"),
            "app/accept_content": (["json", "msgpack"], "what is sent, and Celery's control messages"),
        },
    ),
}
STAYS_SILENT = {
    "pinned": (
        ("celery: {settings: {task_serializer: yaml, result_serializer: yaml, accept_content: [yaml]}}"),
        ["app/task_serializer", "app/result_serializer", "app/accept_content"],
    ),
}
LEADS_TO = {
    "what is sent": (
        "tasks: {}",
        "app/accept_content",
        ["SERIALIZER", "app/task_serializer", "app/result_serializer"],
    ),
    "the policy": ("tasks: {}", "app/task_serializer", ["SERIALIZER"]),
}
REFUSES = {
    "sent and not accepted": (
        "celery: {settings: {accept_content: [yaml]}}",
        [
            Found(
                "serializer-not-accepted",
                "1:37",
                "tasks are sent as json, which no worker accepts",
                "add it to `accept_content`",
            ),
        ],
    ),
    "pinned and not accepted": (
        "celery: {settings: {task_serializer: yaml, accept_content: [json]}}",
        [
            Found(
                "serializer-not-accepted",
                "1:60",
                "tasks are sent as yaml, which no worker accepts",
                "add it to `accept_content`",
            ),
        ],
    ),
}
ACCEPTS = {
    "sent and accepted": "celery: {settings: {accept_content: [yaml, json]}}",
}


@pytest.mark.parametrize(("fragment", "expected"), DECIDES.values(), ids=DECIDES)
def test_it_decides(fragment, expected):
    decided = after(serialization, fragment).decided
    assert {address: decided.get(address) for address in expected} == expected


@pytest.mark.parametrize(("fragment", "addresses"), STAYS_SILENT.values(), ids=STAYS_SILENT)
def test_it_stays_silent(fragment, addresses):
    assert after(serialization, fragment).decided.keys().isdisjoint(addresses)


@pytest.mark.parametrize(("fragment", "address", "places"), LEADS_TO.values(), ids=LEADS_TO)
def test_its_origins_lead_to(fragment, address, places):
    assert after(serialization, fragment).origins[address] == places


@pytest.mark.parametrize(("fragment", "findings"), REFUSES.values(), ids=REFUSES)
def test_it_refuses(fragment, findings):
    assert after(serialization, fragment).findings == findings


@pytest.mark.parametrize("fragment", ACCEPTS.values(), ids=ACCEPTS)
def test_it_accepts(fragment):
    assert after(serialization, fragment).findings == []
