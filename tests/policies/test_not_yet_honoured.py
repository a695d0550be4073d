"""Nothing looks as if it had an effect that it has not."""

from __future__ import annotations

import pytest
from workloads import Found, after

from policycompiler.policies import not_yet_honoured

REFUSES = {
    "of a task": (
        (
            "tasks: {shop.a: {burst: 5, payload: 64KiB, priority: 3, critical: true, "
            "renamed_from: [old.a], runbook: 'https://wiki.example.com/a'}}"
        ),
        [
            Found(
                "not-yet-honoured", "1:18", "`burst` is checked for form, and no output follows it yet", ""
            ),
            Found(
                "not-yet-honoured", "1:28", "`payload` is checked for form, and no output follows it yet", ""
            ),
            Found(
                "not-yet-honoured", "1:44", "`priority` is checked for form, and no output follows it yet", ""
            ),
            Found(
                "not-yet-honoured", "1:57", "`critical` is checked for form, and no output follows it yet", ""
            ),
            Found(
                "not-yet-honoured",
                "1:73",
                "`renamed_from` is checked for form, and no output follows it yet",
                "",
            ),
            Found(
                "not-yet-honoured", "1:96", "`runbook` is checked for form, and no output follows it yet", ""
            ),
        ],
    ),
    "a canvas without a chord": (
        "tasks: {shop.a: {canvas: [chain, group]}}",
        [
            Found(
                "not-yet-honoured",
                "1:18",
                "`canvas` without `chord` is checked for form, and no output follows it yet",
            ),
        ],
    ),
    "of a queue": (
        "queues: {q: {dead_letter: true, priorities: 3}}",
        [
            Found(
                "not-yet-honoured",
                "1:14",
                "`dead_letter` is checked for form, and no output follows it yet",
                "",
            ),
            Found(
                "not-yet-honoured",
                "1:33",
                "`priorities` is checked for form, and no output follows it yet",
                "",
            ),
        ],
    ),
    "of a schedule": (
        "tasks: {shop.a: }\nschedules: {s: {task: shop.a, every: 1m, description: Hourly.}}",
        [
            Found(
                "not-yet-honoured",
                "2:42",
                "`description` is checked for form, and no output follows it yet",
                "",
            ),
        ],
    ),
    "sections": (
        (
            "hosts: {h: {cores: 8}}\n"
            "waivers: [{finding: x, at: y, reason: z, owner: team, expires: 2027-03-31}]"
        ),
        [
            Found("not-yet-honoured", "1:1", "`hosts` is checked for form, and no output follows it yet", ""),
            Found(
                "not-yet-honoured", "2:1", "`waivers` is checked for form, and no output follows it yet", ""
            ),
        ],
    ),
}
ACCEPTS = {
    "nothing of it is said": (
        "tasks: {shop.a: {latency: batch, description: A.}}\nqueues: {q: {broadcast: true}}"
    ),
    "a chord": "tasks: {shop.a: {canvas: [group, chord]}}",
    "an owner for the file": ("owner: team\ntasks: {shop.a: }\nschedules: {s: {task: shop.a, every: 1m}}"),
}


@pytest.mark.parametrize(("fragment", "findings"), REFUSES.values(), ids=REFUSES)
def test_it_refuses(fragment, findings):
    assert after(not_yet_honoured, fragment).findings == findings


@pytest.mark.parametrize("fragment", ACCEPTS.values(), ids=ACCEPTS)
def test_it_accepts(fragment):
    assert after(not_yet_honoured, fragment).findings == []
