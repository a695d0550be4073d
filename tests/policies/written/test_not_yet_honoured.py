"""Nothing looks as if it had an effect that it has not."""

from __future__ import annotations

import pytest
from workloads import Found, after

from policycompiler.policies.written import not_yet_honoured

REFUSES = {
    "machines": (
        "hosts: {h: {cores: 8}}",
        [
            Found("not-yet-honoured", "1:1", "`hosts` is checked, but no output uses it yet", ""),
        ],
    ),
}
ACCEPTS = {
    "nothing of it is said": (
        "tasks: {shop.a: {latency: batch, description: A., priority: 3}}\n"
        "queues: {q: {broadcast: true, dead_letter: true, priorities: 3}}"
    ),
    "an earlier name": "tasks: {shop.a: {renamed_from: [old.a]}}",
    "a chord": "tasks: {shop.a: {canvas: [group, chord]}}",
    "an owner for the file": ("owner: team\ntasks: {shop.a: }\nschedules: {s: {task: shop.a, every: 1m}}"),
}


@pytest.mark.parametrize(("fragment", "findings"), REFUSES.values(), ids=REFUSES)
def test_it_refuses(fragment, findings):
    assert after(not_yet_honoured, fragment).findings == findings


@pytest.mark.parametrize("fragment", ACCEPTS.values(), ids=ACCEPTS)
def test_it_accepts(fragment):
    assert after(not_yet_honoured, fragment).findings == []
