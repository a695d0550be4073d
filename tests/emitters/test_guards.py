"""What the compiled settings tell the package of guards, and where its files are."""

from __future__ import annotations

import json
import subprocess
import sys
from ast import literal_eval
from pathlib import Path
from textwrap import dedent

import pytest
import yaml
from places import EXAMPLES
from workloads import compiled, workload

from policycompiler.compiler import compile_workload
from policycompiler.emitters.base import Reading
from policycompiler.emitters.celeryconfig import guards
from policycompiler.plan import Constant, Scope
from policycompiler.review.order.plan_between import PlanBetween
from policycompiler.runtime.guards.guarded import Guarded
from policycompiler.runtime.guards.told import named, told_of

GUARDED = """
dependencies:
  stripe: {rate: 100/s, burst: 20, breaker: {failures: 10, within: 30s, open_for: 5m, on: [ConnectionError]}}
tasks:
  shop.charge:
    queue: payments
    idempotency_key: payment_id
    calls: [stripe]
    runtime: {p50: 300ms, p99: 2s}
    payload: {max: 64KiB, enforce: true}
  shop.reports.*: {queue: reports, idempotent: true, calls: [stripe], runtime: 1s}
  shop.mail: {queue: mail}
queues: {payments: {bound: 10000}}
"""
LOOK = """
import json, sys
import celeryconfig as found
from celery import Celery
app = Celery("shop")
app.config_from_object(found)
names = ("shop.charge", "shop.reports.daily", "shop.mail")
def run(payment_id=None): ...
for name in names:
    app.task(run, name=name)
app.finalize()
app.conf.update(broker_url="memory://", task_routes=found.task_routes[1:])
try:
    refused = app.send_task("shop.charge", ["x" * 2**16])
except Exception as error:
    refused = error
print(json.dumps({
    "guards": found._guards,
    "wrapped": [name for name in names if "__call__" in found.task_annotations.annotate(app.tasks[name])],
    "refused": type(refused).__name__,
    "routers": len(found.task_routes),
}))
"""


def built(text: str, folder: Path, parameters: str = "{}") -> Path:
    source, policy = folder / "workload.yaml", folder / "policy.yaml"
    source.write_text(workload(text), "utf-8")
    policy.write_text(f"version: 1\nparameters: {parameters}\n", "utf-8")
    compilation = compile_workload([source], policy=policy)
    assert compilation.files, compilation.diagnostics
    for file in compilation.files:
        path = folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"".join(file.parts))
    return folder


def look(folder: Path) -> dict[str, object]:
    environment = {"CELERY_BROKER_URL": "redis://127.0.0.1:1/0", "PYTHONPATH": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", LOOK], env=environment, cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    text = GUARDED + 'broker: {transport: redis, url: "${CELERY_BROKER_URL}"}\n'
    return built(text + 'deploy: {image: "registry.example/shop:1.4.2"}\n', tmp_path_factory.mktemp("guards"))


def test_celery_gets_the_wrapper_the_router_and_the_bound_of_messages(folder: Path):
    found = look(folder)
    assert found["wrapped"] == ["shop.charge", "shop.reports.daily"]
    assert found["routers"] == 2
    assert found["refused"] == "PayloadTooLarge"


def test_the_package_is_told_what_the_workload_declares(folder: Path):
    told = look(folder)["guards"]
    assert isinstance(told, dict)
    assert told["store"] == "CELERY_GUARD_STORE_URL"
    assert told["bounds"] == {"payments": 10000}
    assert told["payloads"] == {"shop.charge": 65536}
    assert told["dependencies"]["stripe"] == {
        "rate": 100,
        "burst": 20,
        "hold": 2,
        "processes": told["dependencies"]["stripe"]["processes"],
        "hard": False,
        "breaker": {"failures": 10, "within": 30, "open_for": 300, "probes": 1},
        "pauses": ["payments", "reports"],
    }
    charge = told["tasks"]["shop.charge"]
    assert (charge["key"], charge["calls"], charge["failures"]) == (
        "payment_id",
        ["stripe"],
        {"stripe": ["ConnectionError"]},
    )
    assert "key" not in told["patterns"]["shop.reports.*"]


def test_an_entry_without_guards_is_no_task_of_a_pattern():
    """The more exact name decides, also if it says nothing."""
    text = """
    dependencies: {stripe: {breaker: {}}}
    tasks:
      shop.*: {queue: q, idempotency_key: id, calls: [stripe], runtime: 1s, payload: {max: 1KiB, enforce: true}}
      shop.plain.*: {queue: q, runtime: 1s}
      shop.mail: {queue: q, runtime: 1s, payload: 1MiB}
      other.mail: {queue: q, runtime: 1s}
    """
    plan = compiled(workload(dedent(text))).plan
    assert plan is not None
    entries = {name: literal_eval(str(text)) for name, text in guards.told(Reading(plan))}
    told = told_of(entries)
    found = Guarded(told)
    guarded = ("shop.a", "shop.mail", "shop.plain.a", "other.mail", "celery.chord_unlock")
    assert [name for name in guarded if found.of(name)] == ["shop.a"]
    assert [name for name in guarded if named(name, told.payloads, told.payload_patterns)] == ["shop.a"]
    assert "other.mail" not in entries["tasks"]


@pytest.mark.parametrize("sent_as", [None, "shop.old"])
def test_records_of_a_renamed_task_are_looked_for_under_all_its_names(sent_as: str | None):
    text = "tasks: {shop.pay: {queue: q, idempotency_key: id, runtime: 1s, renamed_from: [shop.older, shop.old]}}"
    plan = compiled(workload(text)).plan
    assert plan is not None
    between = PlanBetween(plan)
    if sent_as:
        between.decide(Scope("task", "shop.pay"), "sent_as", sent_as, "", Constant("GIVEN", sent_as))
    told = dict(guards.told(Reading(between.finished())))
    tasks = literal_eval(str(told["tasks"]))
    names = ["shop.pay", "shop.old", "shop.older"]
    assert tasks.keys() == {*names}
    first = sent_as or "shop.pay"
    expected = [first, *(each for each in names if each != first)]
    assert [each["records"] for each in tasks.values()] == [expected] * 3


def test_each_part_of_the_package_is_mounted_in_containers(folder: Path):
    package = {path.name for path in (folder / "celeryconfig_guards").glob("*.py")}
    document = yaml.safe_load((folder / "kubernetes/base/kustomization.yaml").read_text("utf-8"))
    sources = document["configMapGenerator"][0]["files"]
    keyed = dict(source.split("=") for source in sources if "=" in source)
    assert {path.rpartition("/")[2] for path in keyed.values()} == package
    pods = [
        each
        for path in (folder / "kubernetes/base").glob("*.yaml")
        for each in yaml.safe_load_all(path.read_text("utf-8"))
        if each and each["kind"] == "Deployment"
    ]
    volumes = [
        volume
        for pod in pods
        for volume in pod["spec"]["template"]["spec"]["volumes"]
        if volume["name"] == "celeryconfig"
    ]
    assert volumes
    for volume in volumes:
        items = {each["key"]: each["path"] for each in volume["configMap"]["items"]}
        assert keyed.items() <= items.items()
        assert items["celeryconfig.py"] == "celeryconfig.py"
    compose = yaml.safe_load((folder / "compose.yaml").read_text("utf-8"))
    assert {Path(each["file"]).name for each in compose["configs"].values()} >= package


def test_without_guards_nothing_of_them_is_there(tmp_path: Path):
    text = 'tasks: {shop.mail: {}}\nbroker: {transport: redis, url: "${CELERY_BROKER_URL}"}\n'
    there = built(text, tmp_path)
    assert not (there / "celeryconfig_guards").exists()
    assert "guard" not in (there / "celeryconfig.py").read_text("utf-8")


MEASURED = "{metric-sources: {sources: [telemetry]}}"
REDIS = 'broker: {transport: redis, url: "${CELERY_BROKER_URL}"}\n'


def test_telemetry_gets_the_guards_if_there_are_some(tmp_path: Path):
    calls = {}
    for name, text, parameters in (
        ("both", GUARDED, MEASURED),
        ("guards", GUARDED, "{}"),
        ("telemetry", "tasks: {shop.mail: {}}\n", MEASURED),
    ):
        (tmp_path / name).mkdir()
        lines = (built(text + REDIS, tmp_path / name, parameters) / "celeryconfig.py").read_text("utf-8")
        calls[name] = [line.partition(").")[2] for line in lines.splitlines() if "(_beside)." in line]
    assert calls == {
        "both": ["guard(_guards)", "observe(_telemetry, _guarded)"],
        "guards": ["guard(_guards)"],
        "telemetry": ["observe(_telemetry)"],
    }


@pytest.mark.parametrize("example", ["shop", "containers", "minimal.yaml"])
def test_the_examples_declare_no_guard_and_load_none(example: str):
    """Every byte of their settings is compared elsewhere."""
    files = {file.path: file for file in compile_workload([EXAMPLES / example]).files}
    assert "guard" not in files["celeryconfig.py"].text
    assert not [path for path in files if "guards" in path]
