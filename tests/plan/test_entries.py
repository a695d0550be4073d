"""Which entry declares a task."""

from __future__ import annotations

import pytest
from workloads import compiled, workload

from policycompiler.plan import Scope
from policycompiler.plan.entries import entry_of

DECLARED = ("shop.*", "shop.reports.*", "shop.reports.daily", "*")


@pytest.mark.parametrize(
    ("task", "entry"),
    [
        ("shop.reports.daily", "shop.reports.daily"),
        ("shop.reports.yearly", "shop.reports.*"),
        ("shop.mail", "shop.*"),
        ("other", "*"),
    ],
)
def test_the_most_specific_entry_declares_a_task(task, entry):
    assert entry_of(task, DECLARED) == entry
    tasks = "".join(f'  "{name}": {{}}\n' for name in DECLARED)
    plan = compiled(workload(f"tasks:\n{tasks}")).plan
    assert plan is not None
    assert plan.entry(task) == Scope("task", entry)


def test_without_an_entry_there_is_none():
    assert entry_of("other", DECLARED[:3]) is None


def test_checks_of_schedules_go_by_the_same_entry_as_celery():
    """`shop.*` comes first in the YAML, and would make each of these a finding."""
    text = workload("""
        tasks:
          shop.*: {latency: batch, runtime: 10m, queue: slow}
          shop.reports.*: {latency: interactive, runtime: 1s, queue: quick}
        schedules:
          tick: {task: shop.reports.daily, every: 1m, options: {expires: 50}}
    """)
    found = {each.finding.name for each in compiled(text).diagnostics}
    assert not found & {"beat-overlap", "expires-within-promise"}
