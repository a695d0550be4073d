"""Late exactly where running twice does no harm."""

from __future__ import annotations

import pytest
from workloads import Found, after

from policycompiler.policies.delivery import late_acknowledgement

DECIDES = {
    "safe to run twice": (
        "tasks: {shop.a: {idempotent: true}}",
        {
            "task:shop.a/options.acks_late": (
                True,
                "the task is safe to run twice, so another worker repeats an unfinished run",
            ),
        },
    ),
    "not safe": (
        "tasks: {shop.a: {idempotent: false}}",
        {
            "task:shop.a/options.acks_late": (
                False,
                "the task is not safe to run twice, so its message is acknowledged before it runs",
            ),
        },
    ),
    "nothing but a name": (
        "tasks: {shop.a: }",
        {
            "task:shop.a/options.acks_late": (
                False,
                "the task is not safe to run twice, so its message is acknowledged before it runs",
            ),
            "app/task_acks_late": (
                False,
                ("the workload does not declare that an undeclared task is safe to run twice"),
            ),
        },
    ),
    "a glob": (
        "tasks: {shop.*: {idempotent: true}}",
        {
            "task:shop.*/options.acks_late": (
                True,
                "the task is safe to run twice, so another worker repeats an unfinished run",
            ),
        },
    ),
}
DECIDES["nothing declared, and the app pins it"] = (
    "celery: {settings: {task_acks_late: true}}\ntasks: {shop.a: {}, shop.b: {idempotent: false}}",
    {
        "task:shop.a/options.acks_late": (
            True,
            "`task_acks_late` is pinned, and the task does not declare whether it is safe to run twice",
        ),
        "task:shop.b/options.acks_late": (
            False,
            "the task is not safe to run twice, so its message is acknowledged before it runs",
        ),
    },
)
STAYS_SILENT = {
    "it is pinned": (
        "tasks: {shop.a: {idempotent: true, options: {acks_late: false}}}",
        ["task:shop.a/options.acks_late"],
    ),
    "another app runs it": (
        "tasks: {shop.a: {idempotent: true, external: true, queue: q}}",
        ["task:shop.a/options.acks_late"],
    ),
    "the app's is pinned": ("celery: {settings: {task_acks_late: false}}", ["app/task_acks_late"]),
}
LEADS_TO = {
    "the declaration": (
        "tasks: {shop.a: {idempotent: true}}",
        "task:shop.a/options.acks_late",
        ["task:shop.a/idempotent"],
    ),
    "the policy": ("tasks: {shop.a: {}}", "app/task_acks_late", ["UNDECLARED_ACKS_LATE"]),
}
REFUSES = {
    "pinned late, not safe": (
        "tasks: {shop.a: {idempotent: false, options: {acks_late: true}}}",
        [
            Found(
                "late-ack-non-idempotent",
                "1:58",
                (
                    "shop.a is acknowledged late, so it runs again when a worker dies, but it is not "
                    "safe to run twice"
                ),
                "remove `acks_late`, or make the task idempotent and declare it",
            ),
        ],
    ),
    "pinned late, nothing declared": (
        "tasks: {shop.a: {options: {acks_late: true}}}",
        [
            Found(
                "late-ack-undeclared",
                "1:39",
                (
                    "shop.a is acknowledged late, so it runs again when a worker dies, but it does not "
                    "declare whether it is safe to run twice"
                ),
                "declare `idempotent: true` or `idempotent: false`",
            ),
        ],
    ),
    "late for all": (
        "celery: {settings: {task_acks_late: true}}",
        [
            Found(
                "late-ack-undeclared",
                "1:37",
                (
                    "`task_acks_late: true` repeats tasks that do not declare whether they are safe to run "
                    "twice"
                ),
                "remove the pin; tasks with `idempotent: true` are acknowledged late anyway",
            ),
        ],
    ),
    "critical, and lost when its worker dies": (
        "tasks: {shop.a: {idempotent: true, critical: true, options: {acks_late: false}}}",
        [
            Found(
                "early-ack-must-not-lose",
                "1:73",
                (
                    "shop.a is critical and safe to run twice, but it is acknowledged before it runs, "
                    "so it is lost when its worker dies"
                ),
                "remove `acks_late: false`; the task is then acknowledged late",
            ),
        ],
    ),
    "a late run goes on beside its repetition": (
        (
            "celery: {settings: {worker_cancel_long_running_tasks_on_connection_loss: false}}\n"
            "tasks: {shop.a: {idempotent: true}}"
        ),
        [
            Found(
                "cancel-on-loss",
                "1:74",
                (
                    "when a worker loses its connection, shop.a runs twice at the same time: the run "
                    "continues, and the broker redelivers its message to another worker"
                ),
                "remove the pin; only late-acknowledged runs are then canceled, and they run again",
            ),
        ],
    ),
}
ACCEPTS = {
    "pinned late, safe": "tasks: {shop.a: {idempotent: true, options: {acks_late: true}}}",
    "pinned early": "tasks: {shop.a: {idempotent: true, options: {acks_late: false}}}",
    "early for all": "celery: {settings: {task_acks_late: false}}",
    "another app's": "tasks: {shop.a: {external: true, queue: q, options: {acks_late: true}}}",
    "critical, and not safe to run twice": "tasks: {shop.a: {critical: true, options: {acks_late: false}}}",
    "nothing is late": (
        "celery: {settings: {worker_cancel_long_running_tasks_on_connection_loss: false}}\n"
        "tasks: {shop.a: {}}"
    ),
}


@pytest.mark.parametrize(("fragment", "expected"), DECIDES.values(), ids=DECIDES)
def test_it_decides(fragment, expected):
    decided = after(late_acknowledgement, fragment).decided
    assert {address: decided.get(address) for address in expected} == expected


@pytest.mark.parametrize(("fragment", "addresses"), STAYS_SILENT.values(), ids=STAYS_SILENT)
def test_it_stays_silent(fragment, addresses):
    assert after(late_acknowledgement, fragment).decided.keys().isdisjoint(addresses)


@pytest.mark.parametrize(("fragment", "address", "places"), LEADS_TO.values(), ids=LEADS_TO)
def test_its_origins_lead_to(fragment, address, places):
    assert after(late_acknowledgement, fragment).origins[address] == places


@pytest.mark.parametrize(("fragment", "findings"), REFUSES.values(), ids=REFUSES)
def test_it_refuses(fragment, findings):
    assert after(late_acknowledgement, fragment).findings == findings


@pytest.mark.parametrize("fragment", ACCEPTS.values(), ids=ACCEPTS)
def test_it_accepts(fragment):
    assert after(late_acknowledgement, fragment).findings == []
