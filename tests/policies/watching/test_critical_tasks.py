"""Each failure of a critical task calls somebody."""

from __future__ import annotations

import pytest
from workloads import Found, after

from policycompiler.policies.watching import alerts

CRITICAL = "tasks: {shop.a: {critical: true, queue: q, owner: payments}}"
SCOPE = "alert:CeleryTaskNewFailure:shop.a"
SIGNAL = "report failures in the application, for instance with a task_failure signal handler"


def test_it_decides_an_alert_whole():
    decided = {
        address: value
        for address, (value, _) in after(alerts, CRITICAL).decided.items()
        if address.startswith(SCOPE)
    }
    assert decided == {
        f"{SCOPE}/alert": "CeleryTaskNewFailure",
        f"{SCOPE}/description": (
            "A run of shop.a failed within the last 15 min and is not retried. The "
            "workload declares this task critical: each failure matters. First: "
            "journalctl --unit=shop-worker-q@1.service --since=-1h."
        ),
        f"{SCOPE}/for_seconds": 0,
        f"{SCOPE}/queue": "q",
        f"{SCOPE}/severity": "critical",
        f"{SCOPE}/sources": ["celery-exporter"],
        f"{SCOPE}/summary": "Task shop.a failed",
        f"{SCOPE}/task": "shop.a",
        f"{SCOPE}/team": "payments",
        f"{SCOPE}/window_seconds": 900,
    }


def test_a_pattern_leaves_out_what_has_an_entry_of_its_own():
    fragment = "tasks: {shop.*: {critical: true}, shop.a: , shop.b.*: , other.c: }"
    decided = after(alerts, fragment).decided
    assert decided["alert:CeleryTaskNewFailure:shop.*/other_tasks"][0] == ["shop.a", "shop.b.*"]


def test_runs_under_an_earlier_name_count_too():
    fragment = "tasks: {shop.a: {critical: true, renamed_from: [shop.old]}}"
    assert after(alerts, fragment).decided[f"{SCOPE}/earlier_names"][0] == ["shop.old"]


TEAMS = {
    "its owner": (CRITICAL, "payments"),
    "the service's": ("owner: platform\ntasks: {shop.a: {critical: true}}", "platform"),
    "nobody": ("tasks: {shop.a: {critical: true}}", None),
}


@pytest.mark.parametrize(("fragment", "team"), TEAMS.values(), ids=TEAMS)
def test_it_calls(fragment, team):
    assert after(alerts, fragment).decided[f"{SCOPE}/team"][0] == team


STAYS_SILENT = {
    "not critical": "tasks: {shop.a: {critical: false}}",
    "not declared": "tasks: {shop.a: {}}",
    "another app's": "tasks: {shop.a: {critical: true, external: true, queue: theirs}}",
}
REFUSES = {
    "a broker that nobody measures": (
        "broker: {transport: sqs, url: '${B}'}\ntasks: {shop.a: {critical: true}}",
        Found(
            "critical-unwatched",
            "2:28",
            (
                "each failure of shop.a matters, but no alert can see one: no source of metrics "
                "counts failures"
            ),
            SIGNAL,
        ),
    ),
    "a worker that tells nothing": (
        "celery: {settings: {worker_send_task_events: false}}\ntasks: {shop.a: {critical: true, queue: q}}",
        Found(
            "critical-unwatched",
            "2:28",
            ("each failure of shop.a matters, but no alert can see one: worker q sends no task events"),
            SIGNAL,
        ),
    ),
}


@pytest.mark.parametrize("fragment", STAYS_SILENT.values(), ids=STAYS_SILENT)
def test_it_stays_silent(fragment):
    outcome = after(alerts, fragment)
    assert not any(address.startswith(SCOPE) for address in outcome.decided)
    assert outcome.findings == []


@pytest.mark.parametrize(("fragment", "finding"), REFUSES.values(), ids=REFUSES)
def test_it_refuses(fragment, finding):
    outcome = after(alerts, fragment)
    assert finding in outcome.findings
    assert not any(address.startswith(SCOPE) for address in outcome.decided)
