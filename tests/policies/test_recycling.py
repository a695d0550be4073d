"""Pool processes are replaced before a leak hurts."""

from __future__ import annotations

import pytest
from workloads import after

from policycompiler.policies import recycling

DECIDES = {
    "by count": (
        "tasks: {shop.a: }",
        {
            "worker:shop.standard.io/max_tasks_per_child": (
                1000,
                "rare enough to cost nothing, often enough to end a slow leak",
            ),
        },
    ),
    "by the largest memory": (
        "tasks: {shop.a: {memory: 600MiB}, shop.b: {memory: 1MiB}, shop.c: }",
        {
            "worker:shop.standard.io/max_memory_per_child": (
                998400,
                "the declared peak and a quarter, on top of an idle child",
            ),
        },
    ),
}
STAYS_SILENT = {
    "no memory is declared": ("tasks: {shop.a: }", ["worker:shop.standard.io/max_memory_per_child"]),
    "threads have no processes": (
        "tasks: {shop.a: {queue: q, memory: 1MiB}}\nworkers: {q: {pool: threads}}",
        ["worker:q/max_tasks_per_child", "worker:q/max_memory_per_child"],
    ),
    "pinned": (
        (
            "tasks: {shop.a: {queue: q, memory: 1MiB}}\n"
            "workers: {q: {options: {max_tasks_per_child: 5, max_memory_per_child: 9}}}"
        ),
        ["worker:q/max_tasks_per_child", "worker:q/max_memory_per_child"],
    ),
}
LEADS_TO = {
    "the memory": (
        "tasks: {shop.a: {memory: 600MiB}, shop.b: {memory: 1MiB}}",
        "worker:shop.standard.io/max_memory_per_child",
        ["1:26", "MEMORY_MARGIN", "CHILD_KIB"],
    ),
    "the policy": (
        "tasks: {shop.a: }",
        "worker:shop.standard.io/max_tasks_per_child",
        ["TASKS_PER_CHILD", "worker:shop.standard.io/pool"],
    ),
}


@pytest.mark.parametrize(("fragment", "expected"), DECIDES.values(), ids=DECIDES)
def test_it_decides(fragment, expected):
    decided = after(recycling, fragment).decided
    assert {address: decided.get(address) for address in expected} == expected


@pytest.mark.parametrize(("fragment", "addresses"), STAYS_SILENT.values(), ids=STAYS_SILENT)
def test_it_stays_silent(fragment, addresses):
    assert after(recycling, fragment).decided.keys().isdisjoint(addresses)


@pytest.mark.parametrize(("fragment", "address", "places"), LEADS_TO.values(), ids=LEADS_TO)
def test_its_origins_lead_to(fragment, address, places):
    assert after(recycling, fragment).origins[address] == places
