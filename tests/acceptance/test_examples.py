"""The examples: each compiles without a warning, and the output of the shop is the golden case."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
from places import DATA, EVERYTHING, ROOT

from policycompiler.compiler import Compilation, compile_workload
from policycompiler.emitters.base import OutputFile
from policycompiler.load import parse
from policycompiler.model import WhatIf
from policycompiler.plan import Constant, Derived, Parameter, Plan, Scope, Setting, Written
from policycompiler.plan.file import from_json, to_json
from policycompiler.plan.lines import worker_lines
from policycompiler.report import render
from policycompiler.report.explain import explain

EXAMPLES = ROOT / "examples"
SHOP = EXAMPLES / "shop"
CONTAINERS = EXAMPLES / "containers"
SIZING = EXAMPLES / "sizing"
PAYMENTS = EXAMPLES / "payments"
GOLDEN = DATA / "golden" / "shop"
GOLDEN_CONTAINERS = DATA / "golden" / "containers"
CASES = [
    pytest.param([EXAMPLES / "minimal.yaml"], None, id="minimal"),
    pytest.param([SHOP], None, id="shop"),
    pytest.param([SHOP], "rabbitmq", id="shop on RabbitMQ"),
    pytest.param([SHOP], "staging", id="shop in staging"),
    pytest.param([CONTAINERS], None, id="containers"),
    pytest.param([CONTAINERS], "staging", id="containers in staging"),
    pytest.param([CONTAINERS], "production", id="containers in production"),
]

EVERY_FIELD = [
    pytest.param([source], None, id=f"every field, {source.stem}")
    for source in sorted(EVERYTHING.glob("*.yaml"))
]


def compiled(sources: list[Path], environment: str | None = None) -> Compilation:
    compilation = compile_workload(sources, environment=environment)
    shown = render(compilation.diagnostics, compilation.document, "full")
    assert compilation.files, shown
    return compilation


def plan_of(compilation: Compilation) -> Plan:
    assert compilation.plan is not None
    return compilation.plan


def texts(files: list[OutputFile]) -> dict[str, tuple[str, int]]:
    return {file.path: (file.text, file.mode) for file in files}


def test_every_yaml_of_the_examples_is_a_case() -> None:
    covered = {
        path for case in CASES for source in case.values[0] for path in (source, *source.rglob("*.yaml"))
    }
    # The platform's examples are tested by `test-policy`, those of an adoption under their policy file.
    others = {EXAMPLES / "platform", EXAMPLES / "as-is", EXAMPLES / "monitoring", SIZING, PAYMENTS}
    assert {path for path in EXAMPLES.rglob("*.yaml") if path.parent not in others} <= covered


@pytest.mark.parametrize(("sources", "environment"), CASES)
def test_an_example_compiles_without_a_finding(sources: list[Path], environment: str | None) -> None:
    assert compiled(sources, environment).diagnostics == []


def test_the_guarded_example_asks_for_telemetry_and_compiles_with_it(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("version: 1\nparameters: {metric-sources: {sources: [telemetry]}}\n", encoding="utf-8")
    assert [each.name for each in compile_workload([PAYMENTS]).diagnostics] == ["alert-without-source"]
    compilation = compile_workload([PAYMENTS], policy=policy)
    missing = [each.name for each in compilation.diagnostics]
    assert missing == ["alert-without-source"]
    assert "CeleryBreakerOpen" not in compilation.diagnostics[0].message
    assert "CeleryBreakerOpen" in texts(compilation.files)["prometheus/payments.guards.rules.yaml"][0]


def test_the_sized_example_has_a_pool_for_each_kind_of_task_within_its_budget() -> None:
    source = [SIZING / "workload.yaml"]
    compilation = compile_workload(source, policy=SIZING / "policy.yaml")
    assert compilation.diagnostics == []
    lines = worker_lines(plan_of(compilation))
    assert [(each.worker, each.pool, str(each.limited_by)) for each in lines] == [
        ("weather.batch.cpu", "prefork", "load"),
        ("weather.interactive.io", "gevent", "load"),
        ("weather.standard.io", "prefork", "load"),
    ]
    assert sum(each.memory_bytes or 0 for each in lines) <= 3 * 2**30
    assert sum(each.slots for each in lines if each.pool == "prefork") <= 20
    tight = compile_workload(
        source, policy=SIZING / "policy.yaml", what_if=WhatIf(values=(("budget.memory", "2GiB"),))
    )
    shown = {each.worker: each.limited_by for each in worker_lines(plan_of(tight))}
    # What is less urgent gives up its reserve.
    assert shown["weather.batch.cpu"] == "memory"
    assert shown["weather.standard.io"] == "load"


def test_the_compiled_shop_is_the_golden_one(request: pytest.FixtureRequest) -> None:
    compilation = compiled([SHOP])
    files = {path: text for path, (text, _) in texts(compilation.files).items() if path != "plan.json"}
    files["explain.txt"] = _explained(compilation)
    _compare_with_golden(request, GOLDEN, files)


def test_the_compiled_containers_are_the_golden_ones(request: pytest.FixtureRequest) -> None:
    files = {
        path: text
        for path, (text, _) in texts(compiled([CONTAINERS]).files).items()
        if path.startswith(("kubernetes/", "compose.yaml", ".env")) and not path.endswith(".py")
    }
    _compare_with_golden(request, GOLDEN_CONTAINERS, files)


def _compare_with_golden(request: pytest.FixtureRequest, golden: Path, files: dict[str, str]) -> None:
    if request.config.getoption("--update-golden"):
        for path in golden.rglob("*"):
            if path.is_file():
                path.unlink()
        for path, text in files.items():
            (golden / path).parent.mkdir(parents=True, exist_ok=True)
            (golden / path).write_text(text)
    on_disk = {
        path.relative_to(golden).as_posix(): path.read_text() for path in golden.rglob("*") if path.is_file()
    }
    assert sorted(on_disk) == sorted(files)
    for path, text in files.items():
        assert on_disk[path] == text, f"{path}: read the difference, then `make golden`"


def _explained(compilation: Compilation) -> str:
    """What explain says of one setting of each kind, with paths as in the repository."""
    addresses = (
        "task:shop.payments.refund/time_limit",
        "task:shop.payments.charge_card/acks_late",
        "app/broker_transport_options",
        "worker:shop.interactive.io/concurrency",
        "alert:CeleryQueueBacklog:search/threshold",
    )
    said = [explain(plan_of(compilation), compilation.document, address, {}) for address in addresses]
    return "\n".join(said).replace(f"{ROOT.as_posix()}/", "")


@pytest.mark.parametrize(("sources", "environment"), CASES)
def test_every_setting_leads_to_a_line_or_to_a_named_constant(
    sources: list[Path], environment: str | None
) -> None:
    compilation = compiled(sources, environment)
    plan = plan_of(compilation)
    for setting in plan:
        ends = _ends(plan, setting)
        assert ends, setting.address
        for end in ends:
            if isinstance(end, Written):
                assert end.path, setting.address
                _assert_written(compilation, end)
            else:
                assert end.path if isinstance(end, Parameter) else end.name, setting.address


def _ends(plan: Plan, setting: Setting) -> list[Written | Constant | Parameter]:
    """Where a setting comes from in the end, through all settings between."""
    ends: list[Written | Constant | Parameter] = []
    todo, seen = [setting], set()
    while todo:
        current = todo.pop()
        if current.address in seen:
            continue
        seen.add(current.address)
        for origin in current.origins:
            if isinstance(origin, Derived):
                todo.append(plan.setting(origin.scope, origin.key))
            else:
                ends.append(origin)
    return ends


def _assert_written(compilation: Compilation, origin: Written) -> None:
    """The path, or for a fact in short form its parent, stands in the sources."""
    mark = compilation.document.marks
    for depth, part in enumerate(origin.path):
        child = mark.children.get(part)
        if child is None:
            assert depth == len(origin.path) - 1, origin
            break
        mark = child
    place = compilation.document.place(origin.path)
    lines = compilation.document.texts[place.file].splitlines()
    assert lines[place.line - 1][place.column - 1 :].strip(), origin


@pytest.mark.parametrize(("sources", "environment"), CASES)
def test_explain_has_an_answer_for_every_setting(sources: list[Path], environment: str | None) -> None:
    compilation = compiled(sources, environment)
    plan = plan_of(compilation)
    for setting in plan:
        said = explain(plan, compilation.document, setting.address, {})
        assert setting.policy in said
        assert setting.because in said


SIZED = {"base_bytes", "cores", "sized_by", "slot_bytes", "slot_connections", "slot_cores", "slots_at_mean"}
"""What `size` reads."""
FACTS = {
    "app": {
        "budget",
        "guard_store_memory_bytes",
        "longest_hold_seconds",
        "longest_run_seconds",
        "owner",
        "result_backend_kind",
        "visibility_timeout_seconds",
    },
    "queue": {"consumer_timeout_seconds", "latency", "owner", "queue_wait_seconds", "type"},
    "dependency": {"tasks"},
    "schedule": {"timezone"},
    "task": {
        "burst",
        "connections",
        "critical",
        "idempotent",
        "latency",
        "longest_run_seconds",
        "max_countdown_seconds",
        "memory_bytes",
        "needs",
        "payload_bytes",
        "policies",
        "rate_mean_per_second",
        "rate_peak_per_second",
        "runtime_mean_seconds",
        "work",
        "workers",
    },
    "worker": {"tasks", *SIZED},
}
"""What other settings follow from, or `explain` lists, and no file shows for every task by itself."""


@pytest.mark.parametrize(("sources", "environment"), [*CASES, *EVERY_FIELD])
def test_nothing_is_decided_and_then_dropped(sources: list[Path], environment: str | None) -> None:
    compilation = compiled(sources, environment)
    plan = plan_of(compilation)
    shown = {address for file in compilation.files for address in file.addresses}
    facts = {
        setting.address
        for setting in plan
        if setting.key in FACTS.get(setting.scope.kind, ()) and _is_read(plan, setting)
    }
    # To Celery a broadcast is a fanout, whatever type its queue would have had.
    facts |= {f"{queue}/exchange_type" for queue in plan.scopes("queue") if plan.value(queue, "broadcast")}
    assert {setting.address for setting in plan if not setting.is_left_to_celery} - shown - facts == set()


def _is_read(plan: Plan, fact: Setting) -> bool:
    """Facts of the same kind serve other settings somewhere in this plan, checks, or comparisons of plans."""
    keys = {
        (origin.scope.kind, origin.key)
        for setting in plan
        for origin in setting.origins
        if isinstance(origin, Derived)
    }
    return (fact.scope.kind, fact.key) in keys or fact.key in {
        *SIZED,
        "budget",
        "guard_store_memory_bytes",
        "needs",
        "tasks",
        "result_backend_kind",
        "work",
        "workers",
        "latency",
        "policies",
        "longest_hold_seconds",
        "longest_run_seconds",
        "consumer_timeout_seconds",
        "type",
    }


@pytest.mark.parametrize(("sources", "environment"), CASES)
def test_a_plan_reads_back_equal(sources: list[Path], environment: str | None) -> None:
    plan = plan_of(compiled(sources, environment))
    again = from_json(to_json(plan))
    assert to_json(again) == to_json(plan)
    assert again.setting(Scope("app"), "service") == plan.setting(Scope("app"), "service")


@pytest.mark.parametrize(
    "surroundings",
    [
        pytest.param({"LC_ALL": "C", "TZ": "UTC", "PYTHONHASHSEED": "1"}, id="C locale"),
        pytest.param(
            {"LC_ALL": "tr_TR.UTF-8", "TZ": "Asia/Kathmandu", "PYTHONHASHSEED": "77"}, id="Turkish locale"
        ),
        pytest.param({"LC_ALL": "C.UTF-8", "TZ": "America/St_Johns", "PYTHONUTF8": "0"}, id="random hashes"),
    ],
)
def test_same_sources_give_the_same_bytes_on_every_machine(
    surroundings: dict[str, str], tmp_path: Path
) -> None:
    elsewhere = tmp_path / "another" / "place"
    elsewhere.mkdir(parents=True)
    for source in SHOP.glob("*.yaml"):
        (elsewhere / source.name).write_bytes(source.read_bytes())
    (tmp_path / "empty").mkdir()
    here = _compiled_outside(tmp_path / "here", [SHOP], ROOT, {"PYTHONHASHSEED": "0"})
    there = _compiled_outside(tmp_path / "there", [elsewhere], tmp_path / "empty", surroundings)
    assert sorted(here) == sorted(there)
    assert here == there


def _compiled_outside(
    folder: Path, sources: list[Path], cwd: Path, environment: dict[str, str]
) -> dict[str, bytes]:
    """The compiled folder of a process of its own."""
    path = ":".join(entry for entry in sys.path if entry)
    subprocess.run(
        [sys.executable, "-m", "policycompiler", "compile", *map(str, sources), "-o", str(folder), "-q"],
        cwd=cwd,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": path, **environment},
        check=True,
        timeout=60,
    )
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_keys_and_files_does_not_change_the_output(seed: int, tmp_path: Path) -> None:
    shuffle = random.Random(seed)
    sources = list(SHOP.glob("*.yaml"))
    shuffle.shuffle(sources)
    for index, source in enumerate(sources):
        data, _ = parse(source.read_text(), source.name, [])
        # JSON is YAML, and quotes every text.
        (tmp_path / f"{index}.yaml").write_text(json.dumps(_shuffled(data, shuffle), indent=1))
    assert texts(compiled([tmp_path]).files) == texts(compiled([SHOP]).files)


@pytest.mark.parametrize("source", sorted(EVERYTHING.glob("*.yaml")), ids=str)
def test_the_order_of_keys_does_not_change_the_output_of_any_field(source: Path, tmp_path: Path) -> None:
    data, _ = parse(source.read_text(), source.name, [])
    (tmp_path / source.name).write_text(json.dumps(_shuffled(data, random.Random(7))))
    shuffled, original = (compile_workload([path]) for path in (tmp_path / source.name, source))
    assert shuffled.files
    assert texts(shuffled.files) == texts(original.files)


def _shuffled(data: object, shuffle: random.Random) -> object:
    if isinstance(data, dict):
        keys = list(data)
        shuffle.shuffle(keys)
        return {key: _shuffled(data[key], shuffle) for key in keys}
    if isinstance(data, list):
        return [_shuffled(item, shuffle) for item in data]
    return data


def test_the_shop_is_watched_as_the_policy_file_of_its_monitoring_says() -> None:
    made = compile_workload([EXAMPLES / "shop"], policy=EXAMPLES / "monitoring" / "policy.yaml")
    assert [each.message for each in made.diagnostics] == []
    assert made.plan is not None
    texts = {file.path: file.text for file in made.files}
    first, last = made.plan.number(Scope("beat", ""), "telemetry_port"), 0.0
    for worker in made.plan.scopes("worker"):
        ports = made.plan.value(worker, "telemetry_ports")
        assert isinstance(ports, list)
        last = max(last, float(str(ports[1])))
    scraped = re.findall(r"shop-1\.internal:(\d+)", texts["prometheus/shop.scrape.yaml"])
    assert {int(port) for port in scraped} - {9808} == {*range(int(first), int(last) + 1)}
    assert "alertmanager/shop.yaml" in texts
