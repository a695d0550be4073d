"""What a change costs in processes, slots and memory is told, also where it only follows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from review_of import reviewed
from workloads import workload

from policycompiler.cli import cli


def task(rate: str, runtime: str = "{p50: 3s, p99: 3s}") -> str:
    return f"tasks: {{shop.sum: {{work: cpu, memory: 300MiB, rate: {rate}, runtime: {runtime}}}}}\n"


@pytest.fixture
def sides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("old.yaml").write_text(workload(task("30/m")))
    Path("new.yaml").write_text(workload(task("300/m")))


def diff(output_format: str) -> str:
    outcome = CliRunner().invoke(cli, ["diff", "old.yaml", "new.yaml", "--output-format", output_format])
    assert outcome.exit_code == 0, outcome.output
    return outcome.stdout


@pytest.mark.usefixtures("sides")
def test_a_rate_shows_the_slots_and_the_memory_that_follow_from_it():
    data = json.loads(diff("json"))
    (worker,) = data["capacity"]["workers"]
    assert worker["worker"] == "shop.standard.cpu"
    assert (worker["old"]["slots"], worker["new"]["slots"]) == (3, 22)
    assert worker["new"]["memory_bytes"] / worker["old"]["memory_bytes"] == 22 / 3
    assert data["capacity"]["total"]["new"]["slots"] - data["capacity"]["total"]["old"]["slots"] == 19
    (change,) = [each for each in data["changes"] if each["address"].endswith("cpu/concurrency")]
    assert (change["class"], change["follows"]) == ("manual", False)
    for output_format in ("full", "markdown"):
        text = diff(output_format)
        assert "`shop.standard.cpu`: 1 process, 3 slots, " in text
        assert "all workers: " in text
        assert "→ 1 process, 22 slots, " in text


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (task("30/m"), task("60/m"), {"safe"}),
        (task("30/m"), task("30/m", "{p50: 30s, p99: 30s}"), {"manual"}),
        (task("300/m"), task("30/m"), {"safe"}),
        (
            task("30/m") + "workers: {shop.standard.cpu: {concurrency: 2}}",
            task("30/m") + "workers: {shop.standard.cpu: {concurrency: 8}}",
            {"safe"},
        ),
    ],
    ids=["a little more", "longer runs", "less", "what somebody pins"],
)
def test_what_grows_twofold_by_itself_is_for_somebody_to_look_at(old, new, told):
    found = reviewed(old, new)
    assert {each.risk.value for each in found.changes if each.kind == "capacity"} == told
    assert [each.worker for each in found.resized] == ["shop.standard.cpu"]


def test_a_worker_that_comes_is_counted():
    found = reviewed(task("30/m"), task("30/m") + "workers: {more: {queues: [shop.standard.cpu]}}")
    assert {each.worker: (each.before.replicas, each.after.replicas) for each in found.resized} == {
        "more": (0, 1),
        "shop.standard.cpu": (1, 0),
    }


def test_nothing_is_told_where_no_size_differs():
    assert reviewed(task("30/m"), task("30/m") + "owner: shop").capacity is None
