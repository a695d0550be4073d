"""Messages that cannot run code."""

from __future__ import annotations

import pytest
from workloads import Found, after

from policycompiler.policies.delivery import serialization

DECIDES = {
    "by default": (
        "tasks: {}",
        {
            "app/task_serializer": ("json", "every client reads JSON, and reading it runs no code"),
            "app/result_serializer": ("json", "every client reads JSON, and reading it runs no code"),
            "app/accept_content": (
                ["json"],
                ("tasks, results and Celery's control messages use these serializers"),
            ),
        },
    ),
    "another one is accepted too": (
        "celery: {settings: {task_serializer: msgpack}}",
        {
            "app/result_serializer": ("json", "every client reads JSON, and reading it runs no code"),
            "app/accept_content": (
                ["json", "msgpack"],
                ("tasks, results and Celery's control messages use these serializers"),
            ),
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
RUNS_CODE = (
    "a worker that reads pickle runs any code in the message: write access to the broker controls the workers"
)
JSON = "write `json`, and send references to objects that JSON cannot hold"


def needs(name: str, package: str) -> str:
    return f"`{name}` needs the package `{package}` in all publishers and workers: without it sends fail"


REFUSES = {
    "sent and not accepted": (
        "celery: {settings: {accept_content: [auth]}}",
        [
            Found(
                "serializer-missing-dep",
                "1:38",
                needs("auth", "cryptography"),
                "install `cryptography` for every publisher and worker, or write `json`",
            ),
            Found(
                "serializer-not-accepted",
                "1:37",
                (
                    "tasks use serializer `json`, which `accept_content` does not list, so no worker "
                    "accepts them"
                ),
                "add `json` to `accept_content`",
            ),
        ],
    ),
    "pinned and not accepted": (
        "celery: {settings: {task_serializer: raw, accept_content: [json]}}",
        [
            Found(
                "serializer-not-accepted",
                "1:59",
                (
                    "tasks use serializer `raw`, which `accept_content` does not list, so no worker "
                    "accepts them"
                ),
                "add `raw` to `accept_content`",
            ),
        ],
    ),
    "results that nobody may read": (
        (
            "results: {backend: redis, url: '${R}'}\n"
            "celery: {settings: {task_serializer: raw, accept_content: [raw]}}"
        ),
        [
            Found(
                "result-not-accepted",
                "2:59",
                (
                    "results use serializer `json`, which `accept_content` does not list, so no client can "
                    "read them"
                ),
                "add `json` to `accept_content`, or pin a `result_serializer` from that list",
            ),
        ],
    ),
    "results that their own list keeps out": (
        "results: {backend: redis, url: '${R}'}\ncelery: {settings: {result_accept_content: [raw]}}",
        [
            Found(
                "result-not-accepted",
                "2:44",
                (
                    "results use serializer `json`, which `result_accept_content` does not list, so no "
                    "client can read them"
                ),
                "add `json` to `result_accept_content`, or pin a `result_serializer` from that list",
            ),
        ],
    ),
    "pickle of one task": (
        "tasks: {shop.a: {options: {serializer: pickle}}}",
        [Found("pickle", "1:40", RUNS_CODE, JSON)],
    ),
    "pickle of one schedule": (
        "tasks: {shop.a: }\nschedules: {s: {task: shop.a, every: 1h, options: {serializer: pickle}}}",
        [Found("pickle", "2:64", RUNS_CODE, JSON)],
    ),
    "pickle of all": (
        (
            "celery:\n  settings:\n    task_serializer: pickle\n    result_serializer: pickle\n"
            "    accept_content: [json, pickle]\n    result_accept_content: [application/x-python-serialize]"
        ),
        [
            Found("pickle", "3:22", RUNS_CODE, JSON),
            Found("pickle", "4:24", RUNS_CODE, JSON),
            Found("pickle", "5:28", RUNS_CODE, JSON),
            Found("pickle", "6:29", RUNS_CODE, JSON),
        ],
    ),
    "a package that is not Celery's, once": (
        (
            "celery: {settings: {task_serializer: msgpack, task_compression: brotli}}\n"
            "tasks: {shop.a: {options: {serializer: msgpack, compression: brotli}}}"
        ),
        [
            Found(
                "serializer-missing-dep",
                "1:38",
                needs("msgpack", "msgpack"),
                "install `msgpack` for every publisher and worker, or write `json`",
            ),
            Found(
                "compression-missing-dep",
                "1:65",
                needs("brotli", "brotli"),
                "install `brotli` for every publisher and worker, or write `gzip`",
            ),
        ],
    ),
    "misspelled": (
        "tasks: {shop.a: {options: {compression: bzib2, serializer: jason}}}",
        [
            Found(
                "unknown-encoding",
                "1:60",
                "Celery does not know `serializer: jason`: unless the app registers it, every send fails",
                "did you mean `json`?",
            ),
            Found(
                "unknown-encoding",
                "1:41",
                "Celery does not know `compression: bzib2`: unless the app registers it, every send fails",
                "did you mean `bzip2`?",
            ),
        ],
    ),
}
ACCEPTS = {
    "sent and accepted": "celery: {settings: {accept_content: [raw, json]}}",
    "accepted by its content type": "celery: {settings: {accept_content: [application/json]}}",
    "results that are read by a list of their own": (
        "results: {backend: redis, url: '${R}'}\n"
        "celery: {settings: {task_serializer: raw, accept_content: [raw], "
        "result_accept_content: [application/json]}}"
    ),
    "results that are written as tasks are": (
        "results: {backend: redis, url: '${R}'}\n"
        "celery: {settings: {task_serializer: raw, accept_content: [raw], result_serializer: raw}}"
    ),
    "no place for results": "celery: {settings: {task_serializer: raw, accept_content: [raw]}}",
    "an encoding of the app's own": "tasks: {shop.a: {options: {compression: snappy, serializer: protobuf}}}",
    "what Python has": "tasks: {shop.a: {options: {compression: xz}}}",
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
