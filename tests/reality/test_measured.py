"""Measured run times and rates, from answers of Prometheus and of Flower."""

from __future__ import annotations

import json

import pytest

from policycompiler.reality import measured
from policycompiler.reality.measured import MeasuredError


def answer(*series: tuple[dict[str, str], str]) -> dict[str, object]:
    result = [{"metric": labels, "value": [1785024000, value]} for labels, value in series]
    return {"status": "success", "data": {"resultType": "vector", "result": result}}


def read(folder, **documents) -> dict[str, float]:
    paths = []
    for name, document in documents.items():
        path = folder / f"{name}.json"
        path.write_text(json.dumps(document), encoding="utf-8")
        paths.append(path)
    return {each.address: each.value for each in measured.settings(paths)}


def test_run_times_are_the_bounds_of_their_buckets(tmp_path):
    buckets = [("0.1", "40"), ("0.5", "90"), ("2.5", "99"), ("10", "100"), ("+Inf", "100")]
    document = answer(*(({"name": "shop.a", "le": bound}, runs) for bound, runs in buckets))
    assert read(tmp_path, buckets=document) == {
        "task:shop.a/runtime_p50_seconds": 0.5,
        "task:shop.a/runtime_p99_seconds": 2.5,
    }


def test_a_run_time_above_the_last_bound_is_unknown_and_a_few_runs_say_nothing(tmp_path):
    over = answer(({"name": "slow", "le": "1"}, "60"), ({"name": "slow", "le": "+Inf"}, "100"))
    few = answer(({"name": "rare", "le": "1"}, "3"), ({"name": "rare", "le": "+Inf"}, "3"))
    assert read(tmp_path, over=over, few=few) == {"task:slow/runtime_p50_seconds": 1}


def test_two_rates_of_a_task_are_its_mean_and_its_peak(tmp_path):
    mean = answer(({"name": "shop.a"}, "0.5"), ({"name": "shop.b"}, "2"), ({"name": "idle"}, "0"))
    peak = answer(({"name": "shop.a"}, "4"), ({"name": "odd"}, "NaN"))
    assert read(tmp_path, mean=mean, peak=peak) == {
        "task:shop.a/rate_mean_per_second": 0.5,
        "task:shop.a/rate_peak_per_second": 4,
        "task:shop.b/rate_mean_per_second": 2,
    }


def test_flower_has_single_runs(tmp_path):
    runs = {str(number): {"name": "shop.a", "runtime": number / 10} for number in range(1, 101)}
    runs["failed"] = {"name": "shop.a", "runtime": None}
    assert read(tmp_path, flower=runs) == {
        "task:shop.a/runtime_p50_seconds": 5,
        "task:shop.a/runtime_p99_seconds": 9.9,
    }


@pytest.mark.parametrize("text", ["", "[]", "3", '{"status": "error"}', '{"a": 1}', "[" * 10_000])
def test_another_file_is_refused_by_name(tmp_path, text):
    path = tmp_path / "other.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(MeasuredError, match=r"other\.json"):
        list(measured.settings([path]))
