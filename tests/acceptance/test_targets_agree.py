"""Every target starts the same processes: what their own readers see is compared with the plan."""

from __future__ import annotations

from math import ceil
from pathlib import Path

import pytest
from extracted import Process, compose, kubernetes, launch, supervisor, systemd
from places import CORPUS, EVERYTHING, EXAMPLES

from policycompiler import output
from policycompiler.compiler import compile_workload
from policycompiler.plan import APP, Plan, Scope

SOURCES = {
    "containers": EXAMPLES / "containers" / "workload.yaml",
    "shop": EXAMPLES / "shop",
    "everything on Redis": EVERYTHING / "redis.yaml",
    "everything on RabbitMQ": EVERYTHING / "rabbitmq.yaml",
    "augur": CORPUS / "augur" / "workload.yaml",
    "bookwyrm": CORPUS / "bookwyrm" / "workload.yaml",
    "saleor": CORPUS / "saleor" / "workload.yaml",
}
HOSTILE = """\
version: 1
service: shop
app: shop.celery_app:app
broker: {transport: redis, url: "${CELERY_BROKER_URL}"}
tasks: {shop.a: {queue: "a b;c\\"d'e%h$HOME{{x}}#(f)"}, shop.b: {queue: "1e3"}, shop.c: {queue: "Größe $(id)"}}
workers:
  all:
    queues: ["*"]
    concurrency: ${SLOTS}
    memory: 1GiB
    environment: {A: "it's $HOME %h \\"x\\" ;#(y) back\\\\slash", B: "y", C: "1e3", D: " edge "}
deploy: {image: "registry.example/shop:1.4.2"}
"""


@pytest.fixture
def variables(request) -> dict[str, str]:
    del request
    return {"CELERY_BROKER_URL": "redis://h/0", "CELERY_RESULT_BACKEND": "redis://h/1", "SLOTS": "7"}


def planned(plan: Plan, worker: Scope) -> dict[str, object]:
    """What a target must say of a worker, of those parts that it can say."""
    concurrency = plan.get(worker, "concurrency")
    source = str(plan.get(worker, "concurrency_source", ""))
    if plan.find(worker, "autoscale") or source == "cores":
        concurrency = None
    elif source:
        concurrency = "7" if source.startswith("${") else source
    environment = plan.get(worker, "environment", {})
    assert isinstance(environment, dict)
    return {
        "queues": tuple(plan.texts(worker, "queues")),
        "pool": str(plan.get(worker, "pool")),
        "concurrency": None if concurrency is None else str(concurrency),
        "environment": {key: str(value) for key, value in environment.items()},
    }


@pytest.mark.parametrize("source", [*SOURCES.values(), None], ids=[*SOURCES, "hostile"])
def test_each_target_starts_what_the_plan_says(source, variables, tmp_path, monkeypatch):
    if source is None:
        source = tmp_path / "workload.yaml"
        source.write_text(HOSTILE, "utf-8")
    policy = source.parent / "policy.yaml"
    made = compile_workload([source], policy=policy if policy.is_file() else None)
    assert made.plan is not None
    assert not made.failed, made.diagnostics
    build, plan = tmp_path / "build", made.plan
    output.write(build, [*made.files, output.manifest_file(made.files, made.sources, "0")])
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = seen(plan, build, variables, tmp_path)
    workers = {scope.name: scope for scope in plan.scopes("worker")}
    nodes: dict[str, set[str]] = {}
    for target, processes in found.items():
        assert {each.worker for each in processes if each.kind == "worker"} == set(workers), target
        assert [each.kind for each in processes].count("beat") == len(plan.scopes("beat")), target
        for each in processes:
            if each.kind == "worker":
                scope = workers[each.worker]
                told = {key: value for key, value in vars(each).items() if key in planned(plan, scope)}
                # A machine with cores of its own, or a node of the cluster, fills them in.
                assert (target, told) == (target, planned(plan, scope))
                assert_sizes(plan, scope, target, each)
                nodes.setdefault(each.worker, set()).add(each.node_name)
    assert [worker for worker, names in nodes.items() if len(names) != 1] == []


def assert_sizes(plan: Plan, scope: Scope, target: str, each: Process) -> None:
    """Replicas, stops and memory, where a target says them."""
    scaling, replicas = plan.get(scope, "scaling"), plan.value(scope, "replicas")
    if target == "kubernetes" and isinstance(scaling, dict):
        replicas = (scaling["min"], scaling["max"])
    if target != "launch":
        assert (target, each.replicas) == (target, replicas)
        assert each.grace_seconds == ceil(plan.number(scope, "stop_timeout_seconds"))
    limits = {"systemd": "memory_bytes", "compose": "memory_limit_bytes", "kubernetes": "memory_limit_bytes"}
    if target in limits:
        memory = plan.number_if_any(scope, limits[target])
        planned_bytes = None if memory is None else memory
        assert each.memory_bytes == planned_bytes or (
            # Containers round up to a whole MiB.
            planned_bytes is not None and each.memory_bytes == ceil(planned_bytes / 2**20) * 2**20
        )


def seen(plan: Plan, build: Path, variables: dict[str, str], aside: Path) -> dict[str, list[Process]]:
    """What the readers of all targets see."""
    service = plan.text(APP, "service")
    found = {
        "systemd": systemd.processes(build / "systemd", service, variables),
        "supervisor": supervisor.processes(build / "supervisor", service, aside),
        "launch": launch.processes(build / "launch", variables, aside),
    }
    if plan.find(APP, "image"):
        found["compose"] = compose.processes(build, variables)
        found["kubernetes"] = kubernetes.processes(build / "kubernetes" / "base", variables)
    return found
