"""A task that has become useless is dropped."""

from __future__ import annotations

import pytest
from workloads import after

from policycompiler.policies.delivery import expiry

DECIDES = {
    "declared": (
        "tasks: {shop.a: {expires: 1h}}",
        {
            "task:shop.a/options.expires": (
                3600,
                ("the workload declares that a run is useless after this time"),
            ),
        },
    ),
    "another app's task": (
        "tasks: {shop.a: {external: true, queue: q, expires: 300ms}}",
        {
            "task:shop.a/options.expires": (
                0.3,
                ("the workload declares that a run is useless after this time"),
            ),
        },
    ),
}
STAYS_SILENT = {
    "nothing is declared": ("tasks: {shop.a: {}}", ["task:shop.a/options.expires"]),
    "pinned": ("tasks: {shop.a: {expires: 1h, options: {expires: 5}}}", ["task:shop.a/options.expires"]),
}
LEADS_TO = {
    "the declaration": ("tasks: {shop.a: {expires: 1h}}", "task:shop.a/options.expires", ["1:27"]),
}


@pytest.mark.parametrize(("fragment", "expected"), DECIDES.values(), ids=DECIDES)
def test_it_decides(fragment, expected):
    decided = after(expiry, fragment).decided
    assert {address: decided.get(address) for address in expected} == expected


@pytest.mark.parametrize(("fragment", "addresses"), STAYS_SILENT.values(), ids=STAYS_SILENT)
def test_it_stays_silent(fragment, addresses):
    assert after(expiry, fragment).decided.keys().isdisjoint(addresses)


@pytest.mark.parametrize(("fragment", "address", "places"), LEADS_TO.values(), ids=LEADS_TO)
def test_its_origins_lead_to(fragment, address, places):
    assert after(expiry, fragment).origins[address] == places
