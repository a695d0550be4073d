"""Workers that a platform scales: fewer processes than at peak are no fault."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from workloads import compiled, workload

from policycompiler.plan import Plan, Scope
from policycompiler.verify import fleet, queues

IMAGE = 'deploy: {image: "registry.example/shop:1.4.2"}\n'


def plan_of(bounds: str, image: str = IMAGE) -> Plan:
    text = f"{image}tasks: {{shop.a: {{queue: q, latency: batch}}}}\nworkers: {{q: {{replicas: {bounds}}}}}"
    plan = compiled(workload(text)).plan
    assert plan is not None
    return plan


def alerts(plan: Plan) -> set[str]:
    return {scope.name.partition(":")[0] for scope in plan.scopes("alert") if scope.name.endswith(":q")}


def test_a_worker_that_may_have_no_process_has_no_alert_on_missing_ones():
    found = alerts(plan_of("{min: 0, max: 4}"))
    assert "CeleryQueueBacklog" in found
    assert not found & {"CeleryQueueNoConsumer", "CeleryWorkersBelowMinimum"}


@pytest.mark.parametrize(("image", "expected"), [(IMAGE, 2), ("", 4)])
def test_an_alert_expects_the_fewest_processes_that_the_platform_runs(image, expected):
    plan = plan_of("{min: 2, max: 4}", image)
    assert plan.value(Scope("alert", "CeleryWorkersBelowMinimum:q"), "minimum") == expected


def test_an_alert_names_containers_if_there_are_some():
    scope = Scope("alert", "CeleryWorkersBelowMinimum:q")
    assert "kubectl get pods" in plan_of("2").text(scope, "description")
    assert "systemctl start" in plan_of("2", "").text(scope, "description")


@pytest.mark.parametrize(
    ("bounds", "seen", "name"),
    [
        ("{min: 0, max: 4}", 0, None),
        ("{min: 1, max: 4}", 0, "workers-silent"),
        ("{min: 1, max: 4}", 1, None),
        ("{min: 1, max: 4}", 4, None),
        ("{min: 2, max: 4}", 1, "replicas-differ"),
        ("{min: 1, max: 4}", 5, "replicas-differ"),
        ("2", 3, "replicas-differ"),
    ],
)
def test_a_look_accepts_what_the_bounds_allow(bounds, seen, name):
    nodes = [SimpleNamespace(name=f"worker@q.{number}", answers=1, queues=[]) for number in range(seen)]
    looked = SimpleNamespace(of=lambda _: {"q": nodes, "": []}, nodes={each.name: each for each in nodes})
    plan = plan_of(bounds)
    found = [each.name for each in fleet.findings(_only(plan, "q"), looked, None)]
    assert found == ([] if name is None else [name])


def _only(plan: Plan, worker: str) -> Plan:
    """The plan with one worker, without the one of tasks that are not declared."""
    return Plan(
        {
            scope: dict(plan.keys(scope))
            for scope in {setting.scope for setting in plan}
            if scope.kind != "worker" or scope.name == worker
        }
    )


@pytest.mark.parametrize(("bounds", "ready", "found"), [("0", 0, 0), ("0", 5, 1), ("1", 0, 1)])
def test_a_queue_without_messages_needs_no_worker_that_the_platform_has_stopped(bounds, ready, found):
    plan = plan_of(f"{{min: {bounds}, max: 4}}")
    queue = SimpleNamespace(name="q", consumers=0, ready=ready)
    assert len([*queues._consumers(plan, queue, None)]) == found
