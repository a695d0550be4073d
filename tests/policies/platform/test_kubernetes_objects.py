"""The names of objects on Kubernetes, and the volume of beat."""

from __future__ import annotations

import pytest
from workloads import Found, after

from policycompiler.plan import BEAT, Scope
from policycompiler.policies.platform import kubernetes_objects

IMAGE = 'deploy: {image: "registry.example/shop:1.4.2"}\n'
SCHEDULE = "tasks: {shop.a: {queue: q}}\nschedules: {s: {task: shop.a, every: 1d}}\n"
LONG = "a.very.long.name.of.a.worker.that.does.not.fit.into.the.name.of.a.pod"


def names(*workers: str) -> dict[str, str]:
    """The names of workers on Kubernetes."""
    listed = ", ".join(f"{worker}: {{queues: [q]}}" for worker in workers)
    plan = after(kubernetes_objects, f"{IMAGE}queues: {{q: {{}}}}\nworkers: {{{listed}}}").plan
    return {worker: plan.text(Scope("worker", worker), "kubernetes_name") for worker in workers}


@pytest.mark.parametrize(
    ("worker", "name"),
    [
        ("mail", "shop-worker-mail"),
        ("shop.batch.cpu", "shop-worker-batch-cpu"),
        ("Big_Reports.2", "shop-worker-big-reports-2"),
        ("flower", "shop-worker-flower"),
    ],
)
def test_a_name_has_the_letters_that_kubernetes_allows(worker, name):
    assert names(worker) == {worker: name}


def test_a_new_worker_renames_no_worker_whose_name_is_unchanged():
    alone, together = names("a-b"), names("a-b", "a.b", "A_B")
    assert alone.items() <= together.items()
    assert len({*together.values()}) == 3


@pytest.mark.parametrize("worker", [LONG, "_"])
def test_a_name_that_is_too_long_or_empty_ends_with_a_hash(worker):
    (name,) = names(worker).values()
    assert len(name) <= 52
    assert name[-7] == "-"
    assert names(worker + "x") != names(worker)


def test_a_schedule_file_in_the_pod_is_lost_with_it():
    tuning = {"kubernetes-objects": kubernetes_objects.Parameters(beat_volume_mib=0)}
    done = after(kubernetes_objects, IMAGE + SCHEDULE, tuning)
    assert done.findings == [
        Found(
            "schedule-file-lost",
            "3:12",
            "each new pod of beat starts without its schedule file: intervals start again, and runs that were due "
            "meanwhile are not sent",
            "remove the parameter `beat_volume_mib`, or use a scheduler with a store",
        )
    ]
    assert done.plan.value(BEAT, "schedule_volume_bytes") == 0
    assert after(kubernetes_objects, IMAGE + SCHEDULE).findings == []


def test_a_container_has_not_as_many_slots_as_its_machine_has_cores():
    done = after(kubernetes_objects, f"{IMAGE}queues: {{q: {{}}}}\nworkers: {{q: {{concurrency: auto}}}}")
    assert [(each.name, each.at) for each in done.findings] == [("slots-of-node", "3:28")]


def test_a_worker_cannot_write_its_state_outside_of_tmp():
    text = f"{IMAGE}queues: {{q: {{}}}}\nworkers: {{q: {{options: {{statedb: /var/lib/shop/state}}}}}}"
    (found,) = after(kubernetes_objects, text).findings
    assert (found.name, found.at) == ("read-only-file", "3:34")
    assert "cannot write `/var/lib/shop/state`" in found.message
