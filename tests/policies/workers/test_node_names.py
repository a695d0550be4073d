"""No two nodes share a name."""

from __future__ import annotations

import pytest
from workloads import Found, after

from policycompiler.policies.workers import node_names

DECIDES = {
    "its own": (
        "tasks: {shop.a: }",
        {
            "worker:shop.standard.io/node_name": (
                "worker@shop.standard.io",
                "exporters read the worker's name after the @",
            ),
        },
    ),
    "pinned": (
        "queues: {q: {}}\nworkers: {q: {node_name: finder}}",
        {
            "worker:q/node_name": ("worker@finder", "the workload pins `node_name`"),
        },
    ),
}
LEADS_TO = {
    "the pin": ("queues: {q: {}}\nworkers: {q: {node_name: finder}}", "worker:q/node_name", ["2:26"]),
    "the policy": ("tasks: {shop.a: }", "worker:shop.standard.io/node_name", ["PREFIX"]),
}
REFUSES = {
    "two pins collide": (
        "queues: {q: {}, r: {}}\nworkers: {q: {node_name: n}, r: {node_name: N}}",
        [
            Found(
                "node-name-collision",
                "2:45",
                "two workers have the node name N; node and file names must differ, ignoring case",
                "give each worker a different name",
            ),
        ],
    ),
    "a pin takes another's name": (
        "queues: {q: {}, r: {}}\nworkers: {q: {node_name: r}, r: {}}",
        [
            Found(
                "node-name-collision",
                "2:33",
                "two workers have the node name r; node and file names must differ, ignoring case",
                "give each worker a different name",
            ),
        ],
    ),
    "names differ in case only": (
        "queues: {q: {}, Q: {}}",
        [
            Found(
                "node-name-collision",
                "1:13",
                "two workers have the node name q; node and file names must differ, ignoring case",
                "give each worker a different name",
            ),
        ],
    ),
    "the name of beat": (
        "queues: {beat: {}}\nworkers: {beat: {}}",
        [
            Found(
                "reserved-worker-name",
                "2:17",
                "worker beat has a reserved name: generated files with this name start beat",
                "rename the worker",
            ),
        ],
    ),
}
ACCEPTS = {
    "names differ": "queues: {q: {}, r: {}}\nworkers: {q: {node_name: n}, r: {node_name: m}}",
    "a name that only begins so": "queues: {beats: {}}",
    "the queue that Celery has by default": "queues: {celery: {}}",
}


@pytest.mark.parametrize(("fragment", "expected"), DECIDES.values(), ids=DECIDES)
def test_it_decides(fragment, expected):
    decided = after(node_names, fragment).decided
    assert {address: decided.get(address) for address in expected} == expected


@pytest.mark.parametrize(("fragment", "address", "places"), LEADS_TO.values(), ids=LEADS_TO)
def test_its_origins_lead_to(fragment, address, places):
    assert after(node_names, fragment).origins[address] == places


@pytest.mark.parametrize(("fragment", "findings"), REFUSES.values(), ids=REFUSES)
def test_it_refuses(fragment, findings):
    assert after(node_names, fragment).findings == findings


@pytest.mark.parametrize("fragment", ACCEPTS.values(), ids=ACCEPTS)
def test_it_accepts(fragment):
    assert after(node_names, fragment).findings == []
